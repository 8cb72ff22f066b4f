//! Header elements of Matroska that libav does not report: whether the file is `WebM`, where it
//! ends, and cropping, display size and interlacing of video (RFC 9559, 5.1.4).

use std::io::{self, Read, Seek, SeekFrom};

use crate::{
    media::{Behind, Crop, Kind, MediaInfo, Scan, VideoInfo},
    time::{Rational, greatest_common_divisor},
};

const EBML: u32 = 0x1a45_dfa3;
const DOC_TYPE: u32 = 0x4282;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
pub(super) const TRACKS: u32 = 0x1654_ae6b;
pub(super) const TRACK: u32 = 0xae;
const TRACK_TYPE: u32 = 0x83;
const VIDEO: u32 = 0xe0;
const AUDIO: u32 = 0xe1;
const CODEC: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63a2;
const INTERLACED: u32 = 0x9a;
const CROP_LEFT: u32 = 0x54cc;
const CROP_RIGHT: u32 = 0x54dd;
const CROP_TOP: u32 = 0x54bb;
const CROP_BOTTOM: u32 = 0x54aa;
const DISPLAY_WIDTH: u32 = 0x54b0;
const DISPLAY_HEIGHT: u32 = 0x54ba;
const DISPLAY_UNIT: u32 = 0x54b2;

/// The `TrackType` of a video track.
const PICTURES: u64 = 1;

/// The `DisplayUnit` of a display size whose unit is not known.
const UNKNOWN_UNIT: u64 = 4;

/// The largest number of EBML documents after the first that are read.
const DOCUMENTS: usize = 256;

/// The largest number of elements that are read in search of the list of tracks.
const ELEMENTS: usize = 64;

/// The longest payload of an element that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// What the entry of a video track states about its pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shape {
    crop: Crop,
    /// Display width and height, of which only the ratio is used.
    display: Option<(u32, u32)>,
    /// Whether the entry states that frames are interlaced.
    interlaced: bool,
}

/// Fills in what the header states: the document type, the bytes that are missing at the end, and
/// for video the crop, the pixel aspect that follows from the crop, and interlacing where the scan
/// is not known. Returns what follows the first document.
///
/// # Errors
/// Errors of the reader.
pub fn complete(reader: &mut (impl Read + Seek), media: &mut MediaInfo) -> io::Result<Behind> {
    let first = head(reader)?;
    let behind = behind(&first, reader)?;
    let length = reader.seek(SeekFrom::End(0))?;
    media.missing_bytes = first.end.map_or(0, |end| end.saturating_sub(length));
    let Head { is_webm, shapes, .. } = first;
    media.is_webm = is_webm;
    let videos = media.streams.iter_mut().filter(|stream| !stream.still);
    let videos = videos.filter_map(|stream| match &mut stream.kind {
        Kind::Video(video) => Some(video),
        _ => None,
    });
    videos.zip(shapes).for_each(|(video, shape)| shape.complete(video));
    Ok(behind)
}

/// Whether further EBML documents follow the first, and whether their tracks are coded alike.
fn behind(first: &Head, reader: &mut (impl Read + Seek)) -> io::Result<Behind> {
    let (mut end, mut behind) = (first.end, Behind::Nothing);
    for _ in 0..DOCUMENTS {
        let Some(at) = end else { break };
        reader.seek(SeekFrom::Start(at))?;
        if header(reader)?.is_none_or(|(id, _)| id != EBML) {
            break;
        }
        reader.seek(SeekFrom::Start(at))?;
        let next = head(reader)?;
        let are_alike = next.codings == first.codings && behind != Behind::Other;
        behind = if are_alike { Behind::Alike } else { Behind::Other };
        end = next.end.filter(|end| *end > at);
    }
    Ok(behind)
}

impl Shape {
    fn complete(self, video: &mut VideoInfo) {
        let Self { crop, display, interlaced } = self;
        if interlaced && video.scan == Scan::Unknown {
            video.scan = Scan::Interlaced;
        }
        if !video.crop_to(crop) {
            return;
        }
        let aspect = display.and_then(|(width, height)| {
            let ratio = u64::from(width) * u64::from(video.height);
            ratio_of(ratio, u64::from(height) * u64::from(video.width))
        });
        video.pixel_aspect = aspect.unwrap_or(Rational::ONE);
    }
}

/// A ratio in its lowest terms; `None` where a term is 0 or exceeds 32 bits.
fn ratio_of(num: u64, den: u64) -> Option<Rational> {
    let divisor = greatest_common_divisor(num, den);
    Rational::new(num.checked_div(divisor)?, den.checked_div(divisor)?)
}

/// What the elements up to the list of tracks state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Head {
    /// Whether the type of the document is `webm` (RFC 8794, 11.2.4).
    is_webm: bool,
    /// Where the segment ends, in bytes; `None` where it leaves its size open.
    end: Option<u64>,
    /// One for each video track, in the order of the file.
    shapes: Vec<Shape>,
    /// The elements of each track that describe its coding: codec, codec private data, and the
    /// settings of its video or audio.
    codings: Vec<Vec<(u32, Vec<u8>)>>,
}

fn head(reader: &mut (impl Read + Seek)) -> io::Result<Head> {
    let mut head = Head::default();
    for _ in 0..ELEMENTS {
        let Some((id, size)) = header(reader)? else { break };
        match id {
            SEGMENT => {
                let begin = reader.stream_position()?;
                head.end = size.and_then(|size| begin.checked_add(size));
            }
            EBML => {
                let data = payload(reader, size)?;
                head.is_webm |= elements(&data).any(|it| it == (DOC_TYPE, b"webm"));
            }
            TRACKS => {
                let data = payload(reader, size)?;
                let tracks = || elements(&data).filter(|(id, _)| *id == TRACK);
                head.shapes = tracks().filter_map(|(_, track)| shape(track)).collect();
                head.codings = tracks().map(|(_, track)| coding(track)).collect();
                break;
            }
            CLUSTER => break,
            _ => {
                let size = size.and_then(|size| i64::try_from(size).ok());
                let Some(size) = size else { break };
                reader.seek(SeekFrom::Current(size))?;
            }
        }
    }
    Ok(head)
}

/// Where the payload of the list of tracks is, and its size, in bytes; `None` where it does not come
/// before the first cluster.
pub(super) fn tracks_position(reader: &mut (impl Read + Seek)) -> io::Result<Option<(u64, u64)>> {
    reader.rewind()?;
    for _ in 0..ELEMENTS {
        match header(reader)? {
            Some((SEGMENT, _)) => {}
            Some((TRACKS, Some(size))) if size <= MAX_BYTES => {
                return Ok(Some((reader.stream_position()?, size)));
            }
            None | Some((CLUSTER | TRACKS, _) | (_, None)) => break,
            Some((_, Some(size))) => {
                let Ok(size) = i64::try_from(size) else { break };
                reader.seek(SeekFrom::Current(size))?;
            }
        }
    }
    Ok(None)
}

/// The elements of a track entry that describe its coding.
fn coding(track: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let of_coding = |id| matches!(id, CODEC | CODEC_PRIVATE | VIDEO | AUDIO);
    let found = elements(track).filter(|(id, _)| of_coding(*id));
    found.map(|(id, data)| (id, data.to_vec())).collect()
}

/// The payload of an element, at most [`MAX_BYTES`] of it.
fn payload(reader: &mut impl Read, size: Option<u64>) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    reader.take(size.unwrap_or(MAX_BYTES).min(MAX_BYTES)).read_to_end(&mut data)?;
    Ok(data)
}

/// What a track entry states about its pictures; `None` unless it is a video track.
fn shape(track: &[u8]) -> Option<Shape> {
    let is_pictures = |(id, data): (u32, &[u8])| id == TRACK_TYPE && number(data) == PICTURES;
    if !elements(track).any(is_pictures) {
        return None;
    }
    let video = elements(track).find(|(id, _)| *id == VIDEO).map_or(&[][..], |(_, data)| data);
    let mut shape = Shape::default();
    let (mut width, mut height, mut unit) = (None, None, 0);
    for (id, data) in elements(video) {
        let value = u32::try_from(number(data)).unwrap_or(0);
        match id {
            INTERLACED => shape.interlaced = value == 1,
            CROP_LEFT => shape.crop.left = value,
            CROP_RIGHT => shape.crop.right = value,
            CROP_TOP => shape.crop.top = value,
            CROP_BOTTOM => shape.crop.bottom = value,
            DISPLAY_WIDTH => width = Some(value),
            DISPLAY_HEIGHT => height = Some(value),
            DISPLAY_UNIT => unit = number(data),
            _ => {}
        }
    }
    shape.display = width.zip(height).filter(|_| unit != UNKNOWN_UNIT);
    Some(shape)
}

/// The elements of a piece of data, each with its identifier and its payload.
fn elements(data: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (id, size) = header(&mut rest).ok()??;
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(rest.len());
        let (payload, after) = rest.split_at_checked(size)?;
        rest = after;
        Some((id, payload))
    })
}

/// An unsigned integer as an element holds it, the most significant byte first.
fn number(data: &[u8]) -> u64 {
    data.iter().take(8).fold(0, |all, byte| (all << 8) | u64::from(*byte))
}

/// Reads the identifier and the size of an element, in bytes (RFC 8794, 4 to 6). The size is `None`
/// where the element leaves it unknown. `None` for both at the end, and where there is no element.
pub(super) fn header(reader: &mut impl Read) -> io::Result<Option<(u32, Option<u64>)>> {
    let Some((length, id)) = variable(reader)? else { return Ok(None) };
    // An identifier includes the marker bit of its length, which `variable` has removed.
    let id = u32::try_from(id | 1 << (7 * length)).ok().filter(|_| length <= 4);
    let Some((length, size)) = variable(reader)? else { return Ok(None) };
    let is_open = size == (1 << (7 * length)) - 1;
    Ok(id.map(|id| (id, (!is_open).then_some(size))))
}

/// Reads a variable-length integer, whose first byte states how many bytes follow. Returns its
/// length in bytes and its value.
fn variable(reader: &mut impl Read) -> io::Result<Option<(u32, u64)>> {
    let mut bytes = [0; 8];
    let (first, others) = bytes.split_at_mut(1);
    let length = match reader.read(first)? {
        0 => return Ok(None),
        _ => first[0].leading_zeros() + 1,
    };
    let Some(others) = others.get_mut(..length as usize - 1) else { return Ok(None) };
    match reader.read_exact(others) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let all = number(&bytes[..length as usize]);
    Ok(Some((length, all & !(1 << (7 * length)))))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn element(id: &[u8], payload: &[u8]) -> Vec<u8> {
        let size = 0x4000 | u16::try_from(payload.len()).unwrap_or(0);
        [id, &size.to_be_bytes(), payload].concat()
    }

    /// A file with an audio track before a video track; `video` is the payload of its `Video`
    /// element.
    fn file(video: &[u8]) -> Vec<u8> {
        let sound = element(&[0xae], &element(&[0x83], &[2]));
        let pictures =
            element(&[0xae], &[element(&[0x83], &[1]), element(&[0xe0], video)].concat());
        let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &[sound, pictures].concat());
        let head = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"webm"));
        let void = element(&[0xec], &[0; 300]);
        // The segment leaves its size open.
        let segment = [0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        [head, segment.to_vec(), void, tracks].concat()
    }

    fn read(file: Vec<u8>) -> Vec<Shape> {
        head(&mut Cursor::new(file)).unwrap_or_default().shapes
    }

    #[test]
    fn cropping_and_display_size_are_read() {
        let crop = [
            element(&[0x54, 0xaa], &[8]),
            element(&[0x54, 0xbb], &[1, 0]),
            element(&[0x54, 0xcc], &[2]),
            element(&[0x54, 0xb0], &[1, 64]),
            element(&[0x54, 0xba], &[90]),
            element(&[0x9a], &[1]),
        ]
        .concat();
        let crop_of = Crop { left: 2, right: 0, top: 256, bottom: 8 };
        let expected = Shape { crop: crop_of, display: Some((320, 90)), interlaced: true };
        assert_eq!(read(file(&crop)), [expected]);
    }

    #[test]
    fn the_end_of_the_segment_is_read() {
        let end = |file: Vec<u8>| head(&mut Cursor::new(file)).ok().and_then(|head| head.end);
        assert_eq!(end(file(&[])), None);
        let segment = element(&[0x18, 0x53, 0x80, 0x67], &element(&[0xec], &[0; 9]));
        assert_eq!(end([element(&[0xec], &[0; 3]), segment].concat()), Some(6 + 6 + 12));
    }

    #[test]
    fn documents_behind_the_first_are_compared() {
        let check = |documents: &[&[u8]], expected: Behind| {
            let mut reader = Cursor::new(documents.concat());
            let found = head(&mut reader).and_then(|first| behind(&first, &mut reader));
            assert_eq!(found.ok(), Some(expected));
        };
        let document = |codec: &[u8]| {
            let tracks =
                element(&[0x16, 0x54, 0xae, 0x6b], &element(&[0xae], &element(&[0x86], codec)));
            let head = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"matroska"));
            [head, element(&[0x18, 0x53, 0x80, 0x67], &tracks)].concat()
        };
        let (one, other) = (&document(b"V_VP8")[..], &document(b"V_VP9")[..]);
        check(&[one], Behind::Nothing);
        check(&[one, b"abc"], Behind::Nothing);
        check(&[one, one, one], Behind::Alike);
        check(&[one, other, one], Behind::Other);
    }

    #[test]
    fn the_type_of_the_document_is_read() {
        let is_webm = |file: Vec<u8>| head(&mut Cursor::new(file)).is_ok_and(|head| head.is_webm);
        assert!(is_webm(file(&[])));
        let matroska = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"matroska"));
        assert!(!is_webm(matroska));
    }

    #[test]
    fn what_is_cut_off_or_no_matroska_tells_nothing() {
        let whole = file(&element(&[0x54, 0xaa], &[8]));
        for length in 0..whole.len() {
            let found = read(whole[..length].to_vec());
            assert!(found.iter().all(|shape| shape.crop.is_empty()), "{length}: {found:?}");
        }
        assert_eq!(read(b"RIFF....WAVEfmt ".to_vec()), []);
        assert_eq!(read(vec![0; 64]), []);
    }
}
