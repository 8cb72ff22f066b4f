//! Still pictures in the boxes of MP4 (ISO/IEC 23008-12), which libavformat knows in part.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Boxes, Fields, Header, MOST_BOXES, find, name, read_range};

/// The type of the picture that a file shows, as in `hvc1`, `av01` or `grid`; `None` for what is no
/// file of still pictures.
pub(crate) fn shown_item(reader: &mut (impl Read + Seek)) -> io::Result<Option<String>> {
    let length = reader.seek(SeekFrom::End(0))?;
    let mut at = 0;
    for _ in 0..MOST_BOXES {
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

/// The type of the primary item of a `meta` box.
fn shown_in(meta: &[u8]) -> Option<String> {
    // Version and flags come first.
    let meta = meta.get(4..)?;
    let number = |fields: &mut Fields<'_>, is_long: bool| {
        if is_long { fields.u32() } else { fields.take().map(|id| u16::from_be_bytes(id).into()) }
    };
    let mut primary = Fields(find(meta, &[b"pitm"])?);
    let [version, ..] = primary.take::<4>()?;
    let primary = number(&mut primary, version > 0)?;
    let list = find(meta, &[b"iinf"])?;
    let entries = list.get(if list.first() == Some(&0) { 6 } else { 8 }..)?;
    Boxes(entries).filter(|(code, _)| code == b"infe").find_map(|(_, entry)| {
        let mut entry = Fields(entry);
        let [version, ..] = entry.take::<4>()?;
        // Entries of older versions tell no type.
        let is_it = version >= 2 && number(&mut entry, version > 2)? == primary;
        entry.skip(2)?; // protection
        let kind = entry.take()?;
        is_it.then(|| name(kind))
    })
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
            let found = shown_item(&mut Cursor::new(bytes)).ok().flatten();
            assert_eq!(found.as_deref(), expected);
        };
        check(file(1), Some("hvc1"));
        check(file(2), Some("grid"));
        check(file(3), None);
        check(file(2)[..60].to_vec(), None);
        check([boxed(*b"ftyp", b"isom"), boxed(*b"moov", b"")].concat(), None);
        check(b"RIFF".to_vec(), None);
    }
}
