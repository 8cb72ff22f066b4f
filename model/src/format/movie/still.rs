//! Still pictures in the boxes of MP4 (HEIC, AVIF; ISO/IEC 23008-12), which libavformat reports
//! only in part.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Boxes, Code, Fields, Header, MAX_BOXES, find, name, read_range};
use crate::media::{Axes, Crop, Orientation, movie::Aperture};

/// The primary item of a file of still pictures, which is the one to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// The item ID, which is also the ID of libav's stream since FFmpeg 7.0.
    pub id: u32,
    /// The item type, as in `hvc1`, `av01` or `grid`.
    pub kind: String,
    /// How the picture must be turned and mirrored (`irot`, `imir`).
    pub orientation: Orientation,
    /// The clean aperture (`clap`), in the picture before it is turned.
    aperture: Option<Aperture>,
}

impl Still {
    /// What the clean aperture crops from a picture of this width and height, in pixels; `None`
    /// where nothing is cropped.
    pub fn crop(&self, width: u32, height: u32) -> Option<Crop> {
        self.aperture?.crop(width, height)
    }
}

/// The primary picture of a file; `None` for a file that is not one of still pictures.
///
/// # Errors
/// Errors of the reader.
pub fn still(reader: &mut (impl Read + Seek)) -> io::Result<Option<Still>> {
    let length = reader.seek(SeekFrom::End(0))?;
    let mut at = 0;
    for _ in 0..MAX_BOXES {
        let bytes = read_range(reader, at..at.saturating_add(16).min(length))?;
        let Some(header) = bytes.as_deref().and_then(Header::read) else { break };
        let end = header.size.map_or(length, |size| at.saturating_add(size));
        match &header.code {
            b"moov" => break,
            b"meta" if end <= length => {
                let body = read_range(reader, at + header.length..end)?;
                return Ok(body.as_deref().and_then(shown_in));
            }
            _ if at == 0 && &header.code != b"ftyp" => break,
            _ => at = end,
        }
    }
    Ok(None)
}

/// The primary item of a `meta` box.
fn shown_in(meta: &[u8]) -> Option<Still> {
    // Version and flags come first.
    let meta = meta.get(4..)?;
    let mut primary = Fields(find(meta, &[b"pitm"])?);
    let [version, ..] = primary.take::<4>()?;
    let primary = number(&mut primary, version > 0)?;
    let list = find(meta, &[b"iinf"])?;
    let entries = list.get(if list.first() == Some(&0) { 6 } else { 8 }..)?;
    let kind = Boxes(entries).filter(|(code, _)| code == b"infe").find_map(|(_, entry)| {
        let mut entry = Fields(entry);
        let [version, ..] = entry.take::<4>()?;
        // Entries before version 2 have no item type.
        let is_it = version >= 2 && number(&mut entry, version > 2)? == primary;
        entry.skip(2)?; // protection
        let kind = entry.take()?;
        is_it.then(|| name(kind))
    })?;
    let (mut turned, mut aperture) = (Axes::default(), None);
    for (code, body) in properties(meta, primary).unwrap_or_default() {
        match (&code, body.first()) {
            (b"irot", Some(quarters)) => (0..quarters & 3).for_each(|_| turned.turn_left()),
            (b"imir", Some(axis)) => turned.mirror(axis & 1 == 1),
            // A `clap` after a rotation refers to the turned picture. It is ignored, since the
            // aperture is kept in the coordinates of the picture before that.
            (b"clap", _) if turned == Axes::default() => {
                aperture = super::aperture::aperture(body);
            }
            _ => {}
        }
    }
    Some(Still { id: primary, kind, orientation: turned.orientation(), aperture })
}

/// An unsigned integer of two bytes, or of four when `is_long`.
fn number(fields: &mut Fields<'_>, is_long: bool) -> Option<u32> {
    if is_long { fields.u32() } else { fields.take().map(|id| u16::from_be_bytes(id).into()) }
}

/// The properties of an item, in the order in which they apply (ISO/IEC 14496-12, 8.11.14).
fn properties(meta: &[u8], item: u32) -> Option<Vec<(Code, &[u8])>> {
    let all: Vec<_> = Boxes(find(meta, &[b"iprp", b"ipco"])?).collect();
    let mut fields = Fields(find(meta, &[b"iprp", b"ipma"])?);
    let [version, _, _, flags] = fields.take::<4>()?;
    let mut found = Vec::new();
    for _ in 0..fields.u32()? {
        let id = number(&mut fields, version > 0)?;
        let [count] = fields.take()?;
        for _ in 0..count {
            // The first bit marks a property that a reader must know. It is not needed here.
            let place = if flags & 1 == 1 {
                u16::from_be_bytes(fields.take()?) & 0x7fff
            } else {
                let [place] = fields.take()?;
                u16::from(place & 0x7f)
            };
            // Properties are numbered from 1; 0 means none.
            if id == item && place > 0 {
                found.extend(all.get(usize::from(place) - 1).copied());
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxed(code: [u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap_or(0);
        [&size.to_be_bytes()[..], &code, body].concat()
    }

    fn file(primary: u8) -> Vec<u8> {
        let entry = |id: u8, kind: &[u8; 4]| {
            boxed(*b"infe", &[&[2, 0, 0, 0, 0, id, 0, 0][..], kind, b"\0"].concat())
        };
        let entries = [entry(1, b"hvc1"), entry(2, b"grid")].concat();
        let list = boxed(*b"iinf", &[&[0, 0, 0, 0, 0, 2][..], &entries].concat());
        let shown = boxed(*b"pitm", &[0, 0, 0, 0, 0, primary]);
        let meta = boxed(*b"meta", &[&[0; 4][..], &shown, &list].concat());
        [boxed(*b"ftyp", b"heic\0\0\0\0"), meta].concat()
    }

    #[test]
    fn the_picture_that_is_shown_has_a_type() {
        let check = |bytes: Vec<u8>, expected: Option<&str>| {
            let found = still(&mut Cursor::new(bytes)).ok().flatten();
            assert_eq!(found.map(|still| still.kind).as_deref(), expected);
        };
        check(file(1), Some("hvc1"));
        check(file(2), Some("grid"));
        check(file(3), None);
        check(file(2)[..60].to_vec(), None);
        check([boxed(*b"ftyp", b"isom"), boxed(*b"moov", b"")].concat(), None);
        check(b"RIFF".to_vec(), None);
    }

    #[test]
    fn properties_turn_mirror_and_crop_in_their_order() {
        let words = |words: [u32; 8]| words.map(u32::to_be_bytes).concat();
        // 20x10 pixels of 32x16, with the center 2 pixels to the right and 1 up.
        let clap = boxed(*b"clap", &words([20, 1, 10, 1, 2, 1, u32::MAX, 1]));
        let (irot, imir) = (boxed(*b"irot", &[1]), boxed(*b"imir", &[0]));
        let shown = |order: &[u8]| {
            let ipco = boxed(*b"ipco", &[clap.clone(), irot.clone(), imir.clone()].concat());
            let count = u8::try_from(order.len()).unwrap_or(0);
            let ipma = [&[0, 0, 0, 0, 0, 0, 0, 1, 0, 1, count][..], order].concat();
            let iprp = boxed(*b"iprp", &[ipco, boxed(*b"ipma", &ipma)].concat());
            let mut bytes = file(1);
            let meta = bytes.split_off(16);
            let body = [&meta[8..], &iprp].concat();
            let found = still(&mut Cursor::new([bytes, boxed(*b"meta", &body)].concat()));
            found.ok().flatten().map(|still| (still.orientation, still.crop(32, 16)))
        };
        let crop = Some(Crop { left: 8, top: 2, right: 4, bottom: 4 });
        assert_eq!(shown(&[]), Some((Orientation::Upright, None)));
        assert_eq!(shown(&[1]), Some((Orientation::Upright, crop)));
        assert_eq!(shown(&[0x81, 0x82]), Some((Orientation::CounterClockwise, crop)));
        assert_eq!(shown(&[3]), Some((Orientation::FlipTopBottom, None)));
        assert_eq!(shown(&[2, 3]), Some((Orientation::Transpose, None)));
        assert_eq!(shown(&[3, 2]), Some((Orientation::AntiTranspose, None)));
        assert_eq!(shown(&[2, 1]), Some((Orientation::CounterClockwise, None)));
        assert_eq!(shown(&[9]), Some((Orientation::Upright, None)));
    }
}
