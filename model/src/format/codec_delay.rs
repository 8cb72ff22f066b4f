//! Writes the `CodecDelay` of Matroska tracks: how much of the start of a track decoders leave out
//! (RFC 9559, 5.1.4.1.25), such as the priming of AAC. libavformat before 6.1 writes it for Opus only.
//!
//! Room for the element is kept in the name of the track, which libavformat writes into its entry.
//! Once the file is complete, that room becomes the `CodecDelay`, or a `Void`.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    time::Duration,
};

use super::matroska::{TRACK, header, tracks_position};

const NAME: u32 = 0x536e;
const CRC: u32 = 0xbf;

/// What the name of a track that has none is replaced by: with the header of its element, as long as
/// a `CodecDelay`.
const ALONE: &str = "\u{1}delay-\u{2}";
/// What is added to the name of a track: as long as a `CodecDelay`.
const BEHIND: &str = "\u{1}delay----\u{2}";

/// The title for a track whose entry is to keep room.
pub fn with_room(title: Option<&str>) -> String {
    title.map_or_else(|| ALONE.to_owned(), |title| format!("{title}{BEHIND}"))
}

/// States the delays of the tracks of a complete file, in their order; `None` where a track has none.
/// Tracks without room for it are left as they are.
///
/// # Errors
/// Errors of the file.
pub fn state(file: &mut (impl Read + Write + Seek), delays: &[Option<Duration>]) -> io::Result<()> {
    let Some((at, size)) = tracks_position(file)? else { return Ok(()) };
    let mut tracks = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut tracks)?;
    if state_in(&mut tracks, delays) {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&tracks)?;
    }
    Ok(())
}

/// States the delays in the payload of `Tracks`. Returns whether anything changed.
fn state_in(tracks: &mut [u8], delays: &[Option<Duration>]) -> bool {
    let mut entries = elements(tracks, 0..tracks.len());
    let checksum = entries.iter().find(|entry| entry.id == CRC).map(|entry| entry.payload.clone());
    entries.retain(|entry| entry.id == TRACK);
    let mut changed = false;
    for (number, entry) in entries.into_iter().enumerate() {
        let names = elements(tracks, entry.payload);
        let Some(name) = names.into_iter().find(|element| element.id == NAME) else { continue };
        let text = &tracks[name.payload.clone()];
        let room = if text == ALONE.as_bytes() {
            name.all.clone()
        } else if text.ends_with(BEHIND.as_bytes()) {
            let begin = name.payload.end - BEHIND.len();
            // The identifier has two bytes; the size keeps its length.
            let size = name.all.start + 2..name.payload.start;
            write_size(&mut tracks[size], begin - name.payload.start);
            begin..name.payload.end
        } else {
            continue;
        };
        tracks[room].copy_from_slice(&element(delays.get(number).copied().flatten()));
        changed = true;
    }
    if let Some(checksum) = checksum.filter(|place| changed && place.len() == 4) {
        // The CRC-32 of all that follows in the element, the least byte first (RFC 8794, 11.3.1).
        let sum = crc32fast::hash(&tracks[checksum.end..]);
        tracks[checksum].copy_from_slice(&sum.to_le_bytes());
    }
    changed
}

/// A `CodecDelay` in nanoseconds, or a `Void`, of eleven bytes.
fn element(delay: Option<Duration>) -> [u8; 11] {
    let mut bytes = [0; 11];
    match delay {
        Some(delay) => {
            bytes[..3].copy_from_slice(&[0x56, 0xaa, 0x88]);
            let nanoseconds = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
            bytes[3..].copy_from_slice(&nanoseconds.to_be_bytes());
        }
        None => bytes[..2].copy_from_slice(&[0xec, 0x89]),
    }
    bytes
}

/// Writes a size into all of these bytes (RFC 8794, 4).
fn write_size(place: &mut [u8], size: usize) {
    let length = place.len();
    let marked = size as u64 | 1 << (7 * length);
    place.copy_from_slice(&marked.to_be_bytes()[8 - length..]);
}

/// An element within a piece of data.
struct Element {
    id: u32,
    /// With its header.
    all: Range<usize>,
    payload: Range<usize>,
}

/// The elements in a range of the data.
fn elements(data: &[u8], range: Range<usize>) -> Vec<Element> {
    let mut found = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let mut rest = &data[start..range.end];
        let Ok(Some((id, Some(size)))) = header(&mut rest) else { break };
        let begin = range.end - rest.len();
        let Some(end) = usize::try_from(size).ok().and_then(|size| begin.checked_add(size)) else {
            break;
        };
        if end > range.end {
            break;
        }
        found.push(Element { id, all: start..end, payload: begin..end });
        start = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element_of(id: &[u8], payload: &[u8]) -> Vec<u8> {
        let size = 0x80 | u8::try_from(payload.len()).unwrap_or(0);
        [id, &[size], payload].concat()
    }

    /// `Tracks` with a checksum, and a track entry of each name.
    fn tracks(names: &[&str]) -> Vec<u8> {
        let entries = names.iter().flat_map(|name| {
            let children = [element_of(&[0xd7], &[1]), element_of(&[0x53, 0x6e], name.as_bytes())];
            element_of(&[0xae], &children.concat())
        });
        [element_of(&[0xbf], &[0; 4]), entries.collect()].concat()
    }

    #[test]
    fn room_becomes_a_delay_or_nothing() {
        let (alone, named) = (with_room(None), with_room(Some("Commentary")));
        let mut data = tracks(&[&alone, &named, &named, "Music"]);
        let length = data.len();
        let delay = Some(Duration::from_nanos(21_333_333));
        assert!(state_in(&mut data, &[delay, delay, None, delay]));
        assert_eq!(data.len(), length);
        let entries = elements(&data, 0..length);
        let children: Vec<Vec<(u32, &[u8])>> = entries[1..]
            .iter()
            .map(|entry| {
                let children = elements(&data, entry.payload.clone());
                children.into_iter().skip(1).map(|it| (it.id, &data[it.payload])).collect()
            })
            .collect();
        let nanoseconds = 21_333_333_u64.to_be_bytes();
        let (delay, name): (_, (_, &[u8])) = ((0x56aa, &nanoseconds[..]), (NAME, b"Commentary"));
        assert_eq!(children[0], [delay]);
        assert_eq!(children[1], [name, delay]);
        assert_eq!(children[2], [name, (0xec, &[0; 9][..])]);
        assert_eq!(children[3], [(NAME, &b"Music"[..])]);
        let sum = crc32fast::hash(&data[6..]).to_le_bytes();
        assert_eq!(data[2..6], sum);
    }

    #[test]
    fn what_keeps_no_room_stays() {
        let mut data = tracks(&["Music"]);
        let before = data.clone();
        assert!(!state_in(&mut data, &[Some(Duration::from_secs(1))]));
        assert_eq!(data, before);
    }
}
