//! Sample tables: sizes, file offsets and composition offsets (PTS minus DTS), which libavformat
//! does not expose.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
};

use super::{Boxes, Code, Fields, File, find, header::track_id};

/// For each track ID: the file offset of each sample, in bytes, and its composition offset (PTS
/// minus DTS), in ticks of the track; sorted by file offset. The list is empty for a track without
/// composition offsets.
pub type Shifts = BTreeMap<u32, Vec<(u64, i64)>>;

/// Reads the composition offsets of a movie; `None` when there is no movie, or a sample table can
/// not be read.
///
/// # Errors
/// Errors of the reader.
pub fn shifts(reader: &mut (impl Read + Seek)) -> io::Result<Option<Shifts>> {
    let file = File::read(reader)?;
    let tracks = |moov: &[u8]| {
        let traks = Boxes(moov).filter(|(code, _)| code == b"trak");
        traks.map(|(_, trak)| of_track(trak)).collect::<Option<Shifts>>()
    };
    Ok(file.and_then(|file| tracks(&file.moov)))
}

fn of_track(trak: &[u8]) -> Option<(u32, Vec<(u64, i64)>)> {
    let id = track_id(trak)?;
    let Some(stbl) = find(trak, &[b"mdia", b"minf", b"stbl"]) else {
        return Some((id, Vec::new()));
    };
    let runs = rows::<8>(stbl, *b"ctts")?;
    if runs.is_empty() {
        return Some((id, Vec::new()));
    }
    let run = |run: &[u8; 8]| {
        let mut fields = Fields(run);
        // Offsets of both versions of `ctts` are taken for signed, as libavformat does.
        Some((fields.u32()?, i64::from(fields.i32()?)))
    };
    let mut runs = runs.iter().filter_map(run).filter(|(count, _)| *count > 0);
    let sizes = Sizes::read(stbl)?;
    let (mut left, mut shift) = (0, 0);
    let mut samples = Vec::new();
    for chunk in chunks(stbl, &sizes)? {
        let mut at = chunk.at;
        for number in chunk.first..chunk.first + chunk.count {
            if left == 0 {
                (left, shift) = runs.next().unwrap_or((u32::MAX, 0));
            }
            left -= 1;
            samples.push((at, shift));
            at = at.checked_add(sizes.sum(number, 1)?)?;
        }
    }
    samples.sort_unstable();
    Some((id, samples))
}

/// The sizes of a track's samples (`stsz`, `stz2`).
#[derive(Default)]
pub(super) struct Sizes<'a> {
    /// The number of samples.
    pub(super) count: u64,
    /// The size of every sample, in bytes, where there is no table.
    size: u64,
    /// The width of a size in the table, in bits: 4, 8, 16 or 32; 0 where there is no table.
    bits: u64,
    table: &'a [u8],
}

impl<'a> Sizes<'a> {
    /// The sizes that a sample table states; no samples without such a box. `None` when the box is
    /// cut short, or has another width.
    pub(super) fn read(stbl: &'a [u8]) -> Option<Self> {
        let (body, is_compact) = match (find(stbl, &[b"stsz"]), find(stbl, &[b"stz2"])) {
            (Some(body), _) => (body, false),
            (None, Some(body)) => (body, true),
            (None, None) => return Some(Self::default()),
        };
        let mut fields = Fields(body.get(4..)?);
        let (word, count) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
        let (size, bits) = match (is_compact, word, word & 0xff) {
            (true, _, bits @ (4 | 8 | 16)) => (0, bits),
            (true, ..) => return None,
            (false, 0, _) => (0, 32),
            (false, size, _) => (size, 0),
        };
        let bytes = usize::try_from((count * bits).div_ceil(8)).ok()?;
        Some(Self { count, size, bits, table: fields.0.get(..bytes)? })
    }

    /// The size of `wanted` samples from number `from` on, in bytes; `None` when there are not so
    /// many. No sum overflows, since sizes and their count have 32 bits each.
    pub(super) fn sum(&self, from: u64, wanted: u64) -> Option<u64> {
        let to = from.checked_add(wanted).filter(|to| *to <= self.count)?;
        if self.bits == 0 {
            return Some(self.size * wanted);
        }
        (from..to).map(|at| size_at(self.table, self.bits, at)).sum()
    }
}

/// Entry `at` of a table of `bits`-bit numbers.
fn size_at(table: &[u8], bits: u64, at: u64) -> Option<u64> {
    let begin = usize::try_from(at * bits / 8).ok()?;
    let length = usize::try_from(bits.div_ceil(8)).ok()?;
    let bytes = table.get(begin..)?.get(..length)?;
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Some(match (bits, at % 2) {
        (4, 0) => number >> 4,
        (4, _) => number & 15,
        _ => number,
    })
}

/// A chunk: samples that follow each other in the file.
struct Chunk {
    /// Where they begin, in bytes from the file's beginning.
    at: u64,
    /// The number of the first one, from 0.
    first: u64,
    /// The number of its samples.
    count: u64,
}

/// The chunks of a sample table; `None` when its boxes are cut short, or do not agree on how many
/// chunks and samples there are.
fn chunks(stbl: &[u8], sizes: &Sizes<'_>) -> Option<Vec<Chunk>> {
    let mut runs = rows::<12>(stbl, *b"stsc")?.iter().peekable();
    let short = rows(stbl, *b"stco")?.iter().map(|at| u64::from(u32::from_be_bytes(*at)));
    let long = rows(stbl, *b"co64")?.iter().map(|at| u64::from_be_bytes(*at));
    let (mut first, mut in_chunk) = (0, None);
    let mut chunks = Vec::new();
    for (number, at) in (1_u32..).zip(short.chain(long)) {
        // A row of `stsc` holds the first chunk of a run, the samples in each chunk, and the sample
        // entry.
        if let Some(run) = runs.next_if(|run| run.starts_with(&number.to_be_bytes())) {
            in_chunk = Fields(run.get(4..)?).u32().map(u64::from);
        }
        let count = in_chunk?;
        chunks.push(Chunk { at, first, count });
        first += count;
    }
    (first == sizes.count && runs.next().is_none()).then_some(chunks)
}

/// Where the furthest chunk of a sample table ends, in bytes from the file's beginning.
pub(super) fn end_of_chunks(stbl: &[u8], sizes: &Sizes<'_>) -> Option<u64> {
    let end = |chunk: Chunk| chunk.at.checked_add(sizes.sum(chunk.first, chunk.count)?);
    chunks(stbl, sizes)?.into_iter().try_fold(0, |last, chunk| Some(end(chunk)?.max(last)))
}

/// The rows of a table, `N` bytes each, which follow version, flags and count. No rows without such
/// a box; `None` when it is cut short.
fn rows<const N: usize>(stbl: &[u8], code: Code) -> Option<&[[u8; N]]> {
    let Some(body) = find(stbl, &[&code]) else { return Some(&[]) };
    let mut fields = Fields(body.get(4..)?);
    let count = usize::try_from(fields.u32()?).ok()?;
    fields.0.as_chunks().0.get(..count)
}
