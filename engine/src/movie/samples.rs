//! How much later than it is decoded each sample is shown, which libavformat keeps to itself.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
};

use super::{Boxes, Fields, File, Sizes, chunks, find, rows};

/// By the number of a track: where each sample stands, in bytes from the file's beginning, and how
/// much later than it is decoded it is shown, in ticks; in order of their places. A track whose
/// samples are shown as they are decoded has none.
pub(crate) type Shifts = BTreeMap<u32, Vec<(u64, i64)>>;

/// Reads the sample tables of a movie; `None` when they can not be read.
///
/// # Errors
/// The reader's.
pub(crate) fn shifts(reader: &mut (impl Read + Seek)) -> io::Result<Option<Shifts>> {
    let file = File::read(reader)?;
    let tracks = |moov: &[u8]| {
        let traks = Boxes(moov).filter(|(code, _)| code == b"trak");
        traks.map(|(_, trak)| of_track(trak)).collect::<Option<Shifts>>()
    };
    Ok(file.and_then(|file| tracks(&file.moov)))
}

fn of_track(trak: &[u8]) -> Option<(u32, Vec<(u64, i64)>)> {
    let mut header = Fields(find(trak, &[b"tkhd"])?);
    let [version, ..] = header.take::<4>()?;
    header.skip(if version == 1 { 16 } else { 8 })?;
    let id = header.u32()?;
    let Some(stbl) = find(trak, &[b"mdia", b"minf", b"stbl"]) else {
        return Some((id, Vec::new()));
    };
    let runs = rows::<8>(stbl, *b"ctts")?;
    if runs.is_empty() {
        return Some((id, Vec::new()));
    }
    let run = |run: &[u8; 8]| {
        let mut fields = Fields(run);
        // Both versions are taken for signed, as libavformat does.
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
