//! What the boxes of an MP4 or QuickTime file state and libavformat does not report.

mod aperture;
mod boxes;
mod entries;
mod header;
mod moved;
mod samples;
mod still;

use std::io::{self, Read, Seek, SeekFrom};

use boxes::{Boxes, Code, Fields, File, Header, MAX_BOXES, find, name, read_range};
use entries::SampleEntries;
pub use header::{Ends, ends};
pub use moved::{Piece, filling, moved, user_data};
pub use samples::{Shifts, shifts};
use samples::{Sizes, end_of_chunks};
pub use still::{Still, still};

use crate::media::{
    Behind,
    movie::{Edit, Movie, MovieTrack},
};

/// The largest number of tracks, sample entries, edits and references of a movie, all together.
const MAX_ITEMS: usize = 1 << 16;

impl Movie {
    /// Reads the boxes of a file, seeking over its media.
    ///
    /// Returns `None` when the file is neither MP4 nor QuickTime, when its `moov` is missing,
    /// incomplete or compressed, when boxes of a track can not be read, and when there are more
    /// than 65536 tracks, sample entries, edits and references.
    ///
    /// # Errors
    /// Errors of the reader.
    pub fn read(reader: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let Some(file) = File::read(reader)? else { return Ok(None) };
        let File { brand, moov, moov_first, moof_seen, length } = file;
        Ok(Self::parse(&moov, length).map(|movie| Self {
            brand,
            moov_first,
            fragmented: movie.fragmented || moof_seen,
            ..movie
        }))
    }

    /// Reads the body of `moov`, of a file of `length` bytes.
    fn parse(moov: &[u8], length: u64) -> Option<Self> {
        let (mut movie, mut items) = (Self { tables_inside: true, ..Self::default() }, 0);
        for (code, body) in Boxes(moov) {
            match &code {
                b"cmov" => return None,
                b"mvhd" => movie.duration = header::duration(body),
                b"mvex" => movie.fragmented = true,
                b"trak" => {
                    let stbl = find(body, &[b"mdia", b"minf", b"stbl"]).unwrap_or_default();
                    let entries = SampleEntries::read(stbl)?;
                    movie.encrypted |= entries.encrypted;
                    let (sample_bytes, end) = Sizes::read(stbl)
                        .map_or((None, None), |it| (it.sum(0, it.count), end_of_chunks(stbl, &it)));
                    let track = MovieTrack::parse(body, entries, sample_bytes.unwrap_or(0))?;
                    items += 1 + track.entries.len() + track.edits.len() + track.references.len();
                    if items > MAX_ITEMS {
                        return None;
                    }
                    movie.tables_inside &= end.is_some_and(|end| end <= length);
                    movie.tracks.push(track);
                }
                _ => {}
            }
        }
        Some(movie)
    }
}

impl MovieTrack {
    /// Reads the body of `trak`, except the sample table.
    fn parse(trak: &[u8], entries: SampleEntries, sample_bytes: u64) -> Option<Self> {
        let mut header = Fields(find(trak, &[b"tkhd"])?);
        let [version, ..] = header.take::<4>()?;
        header.skip(if version == 1 { 16 } else { 8 })?; // creation, modification
        let id = header.u32()?;
        header.skip(if version == 1 { 12 } else { 8 })?; // reserved, duration
        header.skip(16)?; // reserved, layer, group, volume, reserved
        let mut matrix = [0; 9];
        for figure in &mut matrix {
            *figure = header.i32()?;
        }
        let handler = match find(trak, &[b"mdia", b"hdlr"]) {
            Some(body) => name(Fields(body.get(8..)?).take()?),
            None => String::new(),
        };
        let edits = match find(trak, &[b"edts", b"elst"]) {
            Some(body) => edits(body)?,
            None => Vec::new(),
        };
        let references = Boxes(find(trak, &[b"tref"]).unwrap_or_default())
            .flat_map(|(code, body)| {
                let ids = body.as_chunks().0.iter();
                ids.map(move |id| (name(code), u32::from_be_bytes(*id)))
            })
            .take(MAX_ITEMS)
            .collect();
        let SampleEntries { names: entries, differ: entries_differ, aperture, .. } = entries;
        Some(Self {
            id,
            handler,
            entries,
            entries_differ,
            edits,
            matrix,
            sample_bytes,
            references,
            aperture,
        })
    }
}

/// Whether further `moov` boxes follow the first, as where files were appended, and whether the
/// sample descriptions (`stsd`) of their tracks are the same.
///
/// # Errors
/// Errors of the reader.
pub fn behind(reader: &mut (impl Read + Seek)) -> io::Result<Behind> {
    let length = reader.seek(SeekFrom::End(0))?;
    let (mut at, mut first, mut behind) = (0, None, Behind::Nothing);
    for _ in 0..MAX_BOXES {
        let bytes = read_range(reader, at..at.saturating_add(16).min(length))?;
        let Some(header) = bytes.as_deref().and_then(Header::read) else { break };
        let body = at + header.length;
        at = header.size.map_or(length, |size| at.saturating_add(size));
        if &header.code == b"moov" {
            let moov = read_range(reader, body..at.min(length))?.unwrap_or_default();
            let stsd = |(_, trak)| find(trak, &[b"mdia", b"minf", b"stbl", b"stsd"]);
            let tracks = Boxes(&moov).filter(|(code, _)| code == b"trak");
            let tracks: Vec<Vec<u8>> =
                tracks.map(|trak| stsd(trak).unwrap_or_default().to_vec()).collect();
            behind = match &first {
                None => Behind::Nothing,
                Some(first) if *first == tracks && behind != Behind::Other => Behind::Alike,
                Some(_) => Behind::Other,
            };
            first.get_or_insert(tracks);
        }
        if at >= length {
            break;
        }
    }
    Ok(behind)
}

/// The entries of `elst`; `None` when it is cut short, or has a negative media time other than -1.
fn edits(elst: &[u8]) -> Option<Vec<Edit>> {
    let mut fields = Fields(elst);
    let [version, ..] = fields.take::<4>()?;
    let count = usize::try_from(fields.u32()?).ok()?.min(MAX_ITEMS);
    let edit = |_| {
        let (duration, media_time) = if version == 1 {
            (fields.u64()?, i64::from_be_bytes(fields.take()?))
        } else {
            (fields.u32()?.into(), fields.i32()?.into())
        };
        let media_time = match media_time {
            -1 => None,
            time => Some(u64::try_from(time).ok()?),
        };
        Some(Edit { duration, media_time, rate: fields.i32()? })
    };
    (0..count).map(edit).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test fails by panicking")]

    use std::io::Cursor;

    use super::*;
    use crate::media::movie::ONE;

    /// The identity matrix: the picture as it is coded.
    const UPRIGHT: [i32; 9] = [ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30];

    /// The bytes of `mdat` in the files made here.
    const MEDIA: &[u8] = &[7; 10];

    /// A box of `parts`.
    fn boxed(code: &str, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let size = u32::try_from(body.len() + 8).expect("a small box");
        [&size.to_be_bytes(), code.as_bytes(), &body].concat()
    }

    /// A box of numbers.
    fn table(code: &str, numbers: &[u32]) -> Vec<u8> {
        boxed(code, &[&numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>()])
    }

    /// What is special about a track made here.
    #[derive(Default)]
    struct Made {
        /// Boxes in place of a `stsd` with `avc1`.
        entries: Option<Vec<u8>>,
        /// Boxes in place of `stsz`, `stsc` and `stco`.
        tables: Option<Vec<u8>>,
        /// Further boxes of `trak`.
        more: Vec<u8>,
    }

    impl Made {
        fn trak(&self) -> Vec<u8> {
            let mut header = vec![3, 0, 0, 5, 0, 0, 0, 0, 0, 0];
            header.extend(UPRIGHT.map(i32::cast_unsigned));
            let header = table("tkhd", &header);
            let handler = boxed("hdlr", &[&[0; 8], b"vide", &[0; 12]]);
            let entries = self.entries.clone().unwrap_or_else(|| described(&[("avc1", &[0; 78])]));
            let tables = self.tables.clone().unwrap_or_else(|| sampled(40));
            let stbl = boxed("stbl", &[&entries, &tables]);
            let minf = boxed("minf", &[&stbl]);
            boxed("trak", &[&header, &boxed("mdia", &[&handler, &minf]), &self.more])
        }

        fn moov(&self) -> Vec<u8> {
            boxed("moov", &[&boxed("mvhd", &[&[0; 100]]), &self.trak()])
        }

        /// What is read of a file with this track.
        fn read(&self) -> Option<Movie> {
            read(&[ftyp(), boxed("mdat", &[MEDIA]), self.moov()].concat())
        }
    }

    fn ftyp() -> Vec<u8> {
        boxed("ftyp", &[b"isom", &[0, 0, 2, 0], b"isommp41"])
    }

    fn described(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let bodies: Vec<_> = entries.iter().map(|(code, body)| boxed(code, &[body])).collect();
        let count = u32::try_from(entries.len()).expect("few entries").to_be_bytes();
        boxed("stsd", &[&[0; 4], &count, &bodies.concat()])
    }

    /// Tables of samples of 1, 2, 3 and 4 bytes, two in each chunk; the second chunk is `last`.
    fn sampled(last: u32) -> Vec<u8> {
        [
            table("stsz", &[0, 0, 4, 1, 2, 3, 4]),
            table("stsc", &[0, 1, 1, 2, 1]),
            table("stco", &[0, 2, 28, last]),
        ]
        .concat()
    }

    fn read(bytes: &[u8]) -> Option<Movie> {
        Movie::read(&mut Cursor::new(bytes)).expect("memory can be read")
    }

    fn with_tables(tables: &[Vec<u8>]) -> Movie {
        Made { tables: Some(tables.concat()), ..Made::default() }.read().expect("a movie")
    }

    #[test]
    fn everything_a_track_says_is_read() {
        let edits = table("elst", &[0, 2, 10, u32::MAX, 1 << 16, 500, 20, 1 << 15]);
        let references = [table("chap", &[2, 3]), table("tmcd", &[4])].concat();
        let more = [boxed("edts", &[&edits]), boxed("tref", &[&references])].concat();
        let movie = Made { more, ..Made::default() }.read().expect("a movie");
        let track = MovieTrack {
            entries_differ: false,
            id: 5,
            handler: "vide".to_owned(),
            entries: vec!["avc1".to_owned()],
            edits: vec![
                Edit { duration: 10, media_time: None, rate: ONE },
                Edit { duration: 500, media_time: Some(20), rate: ONE / 2 },
            ],
            matrix: UPRIGHT,
            sample_bytes: 10,
            aperture: None,
            references: [("chap", 2), ("chap", 3), ("tmcd", 4)]
                .map(|(code, id)| (code.to_owned(), id))
                .to_vec(),
        };
        let expected = Movie {
            brand: Some("isom".to_owned()),
            tables_inside: true,
            tracks: vec![track],
            ..Movie::default()
        };
        assert_eq!(movie, expected);
    }

    #[test]
    fn long_edits_and_long_track_headers_are_read() {
        let edits = table("elst", &[1 << 24, 1, 1, 0, u32::MAX, u32::MAX, 1 << 16]);
        let movie = Made { more: boxed("edts", &[&edits]), ..Made::default() }.read();
        let movie = movie.expect("a movie");
        let edit = Edit { duration: 1 << 32, media_time: None, rate: ONE };
        assert_eq!(movie.tracks.first().map(|track| track.edits.clone()), Some(vec![edit]));

        let matrix = UPRIGHT.map(i32::cast_unsigned);
        let header = [&[1 << 24, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0], &matrix[..]].concat();
        let movie = read(&boxed("moov", &[&boxed("trak", &[&table("tkhd", &header)])]));
        let movie = movie.expect("a movie");
        let track = movie.tracks.first().expect("a track");
        assert_eq!((track.id, track.matrix, track.handler.as_str()), (9, UPRIGHT, ""));
        assert_eq!(movie.brand, None);
        assert!(movie.tables_inside);
    }

    #[test]
    fn moov_is_found_before_and_behind_the_media() {
        let (moov, mdat) = (Made::default().moov(), boxed("mdat", &[MEDIA]));
        let long = [&[0, 0, 0, 1], &b"mdat"[..], &26_u64.to_be_bytes(), MEDIA].concat();
        let endless = [&[0; 4], &b"mdat"[..], MEDIA].concat();
        let wide = boxed("wide", &[]);
        let check = |boxes: &[&[u8]], moov_first: Option<bool>| {
            let movie = read(&boxes.concat());
            assert_eq!(movie.map(|movie| movie.moov_first), moov_first, "{boxes:?}");
        };
        check(&[&ftyp(), &moov, &mdat], Some(true));
        check(&[&ftyp(), &mdat, &moov], Some(false));
        check(&[&ftyp(), &long, &moov], Some(false));
        check(&[&ftyp(), &moov, &endless], Some(true));
        check(&[&ftyp(), &endless, &moov], None);
        check(&[&wide, &mdat, &moov], Some(false));
        check(&[&moov], Some(true));
        check(&[&mdat, &moov, &moov], Some(false));
    }

    #[test]
    fn a_second_movie_is_found_behind_the_first() {
        let (moov, mdat) = (Made::default().moov(), boxed("mdat", &[MEDIA]));
        let check = |boxes: &[&[u8]], expected: Behind| {
            let found = behind(&mut Cursor::new(boxes.concat()));
            assert_eq!(found.ok(), Some(expected));
        };
        check(&[&ftyp(), &moov, &mdat], Behind::Nothing);
        check(&[&ftyp(), &mdat, &moov, &boxed("free", &[])], Behind::Nothing);
        check(&[&ftyp(), &moov, &mdat, &mdat, b"abc"], Behind::Nothing);
        check(&[&ftyp(), &moov, &mdat, &ftyp(), &moov, &mdat], Behind::Alike);
        check(&[&ftyp(), &mdat, &moov, &ftyp(), &mdat, &moov], Behind::Alike);
        let other = boxed("moov", &[]);
        check(&[&ftyp(), &moov, &mdat, &other, &moov], Behind::Other);
    }

    #[test]
    fn fragments_are_seen() {
        let empty = [table("stsz", &[0, 0, 0]), table("stsc", &[0, 0]), table("stco", &[0, 0])];
        let trak = Made { tables: Some(empty.concat()), ..Made::default() }.trak();
        let announced = boxed("moov", &[&trak, &boxed("mvex", &[])]);
        let silent = boxed("moov", &[&trak]);
        let (moof, sidx) = (boxed("moof", &[]), boxed("sidx", &[]));
        for (boxes, fragmented) in [
            ([&announced, &boxed("mdat", &[])], true),
            ([&silent, &sidx], false),
            ([&silent, &moof], true),
        ] {
            let movie = read(&boxes.map(Vec::as_slice).concat()).expect("a movie");
            assert_eq!((movie.fragmented, movie.tables_inside), (fragmented, true), "{boxes:?}");
        }
    }

    #[test]
    fn encrypted_entries_are_seen() {
        let sinf = [&[0; 28], &boxed("sinf", &[&boxed("frma", &[b"mp4a"])])[..]].concat();
        let torn = [&[0; 28][..], &99_u32.to_be_bytes(), b"sinf"].concat();
        for (entries, encrypted) in [
            (&[("avc1", &[0; 78][..]), ("encv", &[])][..], true),
            (&[("drms", &[])], true),
            (&[("mp4a", &sinf)], true),
            (&[("mp4a", &torn)], false),
            (&[("mp4a", &[])], false),
        ] {
            let made = Made { entries: Some(described(entries)), ..Made::default() };
            let movie = made.read().expect("a movie");
            assert_eq!(movie.encrypted, encrypted, "{entries:?}");
        }
        let made = Made { entries: Some(described(&[("\0m\x7f~", &[])])), ..Made::default() };
        let movie = made.read().expect("a movie");
        assert!(movie.tracks.iter().all(|track| track.entries == ["?m?~"]), "{movie:?}");
    }

    #[test]
    fn chunks_are_held_against_the_length_of_the_file() {
        let made = Made::default();
        let length = 24 + 8 + MEDIA.len() + made.moov().len();
        let length = u32::try_from(length).expect("a small file");
        for (last, inside) in [(length - 7, true), (length - 6, false), (u32::MAX, false)] {
            assert_eq!(with_tables(&[sampled(last)]).tables_inside, inside, "{last} of {length}");
        }
        let whole = [ftyp(), made.moov(), boxed("mdat", &[&[0; 999]])].concat();
        let cut = whole.get(..36 + made.moov().len()).expect("a part");
        assert!(read(&whole).is_some_and(|movie| movie.tables_inside));
        assert!(read(cut).is_some_and(|movie| movie.tables_inside));
        let far = Made { tables: Some(sampled(900)), ..made };
        let whole = [ftyp(), far.moov(), boxed("mdat", &[&[0; 999]])].concat();
        let cut = whole.get(..36 + far.moov().len()).expect("a part");
        assert!(read(&whole).is_some_and(|movie| movie.tables_inside));
        assert!(read(cut).is_some_and(|movie| !movie.tables_inside));
    }

    #[test]
    fn every_form_of_the_tables_is_read() {
        let (stsc, stco) = (table("stsc", &[0, 1, 1, 2, 1]), table("stco", &[0, 2, 28, 31]));
        let (sizes, co64) = (table("stsz", &[0, 5, 4]), table("co64", &[0, 2, 0, 28, 1, 0]));
        let check = |tables: &[&Vec<u8>], bytes: u64, inside: bool| {
            let tables: Vec<_> = tables.iter().map(|table| (*table).clone()).collect();
            let movie = with_tables(&tables);
            let found: Vec<_> = movie.tracks.iter().map(|track| track.sample_bytes).collect();
            assert_eq!((found, movie.tables_inside), (vec![bytes], inside), "{tables:?}");
        };
        check(&[&sizes, &stsc, &stco], 20, true);
        check(&[&sizes, &stsc, &co64], 20, false);
        check(&[&table("stz2", &[0, 4, 4, 0x1234_0000]), &stsc, &stco], 10, true);
        check(&[&table("stz2", &[0, 8, 4, 0x0102_03ff]), &stsc, &stco], 261, true);
        check(&[&table("stz2", &[0, 16, 4, 0x0001_0100, 0x0001_0001]), &stsc, &stco], 259, true);
        check(&[&table("stsz", &[0, u32::MAX, u32::MAX])], u64::from(u32::MAX).pow(2), false);
        check(&[], 0, true);
        // Tables that are cut short, or do not agree.
        check(&[&table("stz2", &[0, 5, 4, 0]), &stsc, &stco], 0, false);
        check(&[&table("stsz", &[0, 0, 4, 1, 2, 3]), &stsc, &stco], 0, false);
        check(&[&table("stsz", &[0, 5, 3]), &stsc, &stco], 15, false);
        check(&[&table("stsz", &[0, 5, 5]), &stsc, &stco], 25, false);
        check(&[&sizes, &stsc], 20, false);
        check(&[&sizes, &stco], 20, false);
        check(&[&sizes, &stsc, &table("stco", &[0, 3, 28])], 20, false);
        check(&[&sizes, &table("stsc", &[0, 1, 2, 2, 1]), &stco], 20, false);
        check(&[&sizes, &table("stsc", &[0, 2, 1, 2, 1, 3, 2, 1]), &stco], 20, false);
        check(&[&sizes, &table("stsc", &[0, 2, 1, 1, 1, 2, 3, 1]), &stco], 20, true);
    }

    #[test]
    fn what_is_no_movie_is_none() {
        let none = |parts: &[&[u8]]| assert_eq!(read(&parts.concat()), None, "{parts:?}");
        let moov = Made::default().moov();
        none(&[]);
        none(&[b"RIFF\0\0\0\0WAVEfmt "]);
        none(&[&boxed("junq", &[]), &moov]);
        none(&[&ftyp()]);
        none(&[&[0, 0, 0, 7], b"free", &moov]);
        none(&[&ftyp(), &[0, 0, 0, 1], b"free", &15_u64.to_be_bytes(), &moov]);
        none(&[&ftyp(), &[0, 0, 0, 1], b"free", &u64::MAX.to_be_bytes(), &moov]);
        none(&[&boxed("moov", &[&boxed("cmov", &[&[0; 20]])])]);
        none(&[&boxed("moov", &[&boxed("trak", &[])])]);
        none(&[&boxed("free", &[]).repeat(MAX_BOXES), &moov]);
        none(&[&boxed("moov", &[&Made::default().trak().repeat(MAX_ITEMS / 2 + 1)])]);
        for rows in [&[0, 2, 1, 0, 1][..], &[0, 1, 1, u32::MAX - 1, 1], &[0, u32::MAX]] {
            let more = boxed("edts", &[&table("elst", rows)]);
            assert_eq!(Made { more, ..Made::default() }.read(), None, "{rows:?}");
        }
    }

    #[test]
    fn damage_is_no_panic() {
        let more = boxed("edts", &[&table("elst", &[0, 1, 10, 0, 1 << 16])]);
        let file = [Made { more, ..Made::default() }.moov(), boxed("mdat", &[MEDIA])].concat();
        let moov_end = file.len() - 8 - MEDIA.len();
        for at in 0..file.len() {
            let (cut, _) = file.split_at(at);
            assert_eq!(read(cut).is_some(), at >= moov_end, "cut at {at}");
            for value in [0, 1, 7, 127, 128, 255] {
                let mut damaged = file.clone();
                damaged.splice(at..=at, [value]);
                read(&damaged);
            }
        }
    }

    #[test]
    fn errors_of_the_reader_are_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        impl Seek for Broken {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(u64::MAX)
            }
        }
        assert!(Movie::read(&mut Broken).is_err());
    }

    #[test]
    fn edits_are_simple_or_not() {
        let of = |edits: &[(Option<u64>, i32)]| {
            let edit = |&(media_time, rate)| Edit { duration: 1, media_time, rate };
            MovieTrack { edits: edits.iter().map(edit).collect(), ..MovieTrack::default() }
        };
        let (empty, shown) = ((None, ONE), (Some(3), ONE));
        let simple: &[&[_]] = &[&[], &[empty], &[shown], &[empty, shown]];
        assert!(simple.iter().all(|edits| of(edits).has_simple_edits()));
        let others: &[&[_]] = &[
            &[shown, empty],
            &[shown, shown],
            &[empty, empty],
            &[empty, shown, empty],
            &[(Some(0), 0)],
            &[empty, (Some(0), ONE * 2)],
        ];
        assert!(!others.iter().any(|edits| of(edits).has_simple_edits()));
    }

    #[test]
    fn rotations_are_told_from_other_matrices() {
        let check = |[a, b, c, d]: [i32; 4], more: [i32; 3], expected: bool| {
            let [u, v, w] = more;
            let matrix = [a * ONE, b * ONE, u, c * ONE, d * ONE, v, 640 * ONE, -ONE, w];
            let track = MovieTrack { matrix, ..MovieTrack::default() };
            assert_eq!(track.is_pure_rotation(), expected, "{matrix:?}");
        };
        let flat = [0, 0, 1 << 30];
        for turn in [[1, 0, 0, 1], [0, 1, -1, 0], [-1, 0, 0, -1], [0, -1, 1, 0]] {
            check(turn, flat, true);
            check(turn, [1, 0, 1 << 30], false);
            check(turn, [0, 1, 1 << 30], false);
            check(turn, [0, 0, 1 << 16], false);
        }
        for other in [[-1, 0, 0, 1], [0, 1, 1, 0], [2, 0, 0, 2], [1, 1, -1, 1], [0; 4]] {
            check(other, flat, false);
        }
    }
}
