//! The orientation that EXIF states for a JPEG, PNG or WebP picture. Older libav ignores it, and
//! newer libav reports it on decoded frames only.

use crate::media::Orientation;

/// The orientation that a coded picture states. `codec` is libav's name: `mjpeg`, `png` or `webp`.
/// `None` for other codecs, and where the picture states none.
pub fn orientation(codec: &str, data: &[u8]) -> Option<Orientation> {
    match codec {
        "mjpeg" => of_tiff(segment(data)?),
        "png" => of_tiff(chunk(data.get(8..)?, *b"eXIf", Order::Png)?),
        "webp" => of_tiff(chunk(data.get(12..)?, *b"EXIF", Order::Riff)?),
        _ => None,
    }
}

/// The identifier before the TIFF structure in JPEG. Some writers put it into PNG and WebP too, by
/// mistake.
const NAME: &[u8] = b"Exif\0\0";

/// The EXIF segment of a JPEG (ITU-T T.81, B.1.1; CIPA DC-008, 4.7.2).
fn segment(data: &[u8]) -> Option<&[u8]> {
    const APP1: u8 = 0xe1;
    const START_OF_SCAN: u8 = 0xda;
    let mut rest = data.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let (&[0xff, marker], after) = rest.split_first_chunk()? else { return None };
        if marker == 0xff {
            // A fill byte: any number of them may precede a marker.
            rest = &rest[1..];
            continue;
        }
        let size = usize::from(u16::from_be_bytes(*after.first_chunk()?));
        let payload = after.get(2..size)?;
        match marker {
            APP1 if payload.starts_with(NAME) => return Some(payload),
            START_OF_SCAN => return None,
            _ => rest = &after[size..],
        }
    }
}

/// How the chunks of a format are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Size (most significant byte first), type, payload, checksum.
    Png,
    /// Type, size (least significant byte first), payload, a padding byte if the size is odd.
    Riff,
}

/// The payload of the first chunk of type `name`.
fn chunk(mut data: &[u8], name: [u8; 4], order: Order) -> Option<&[u8]> {
    loop {
        let (first, rest) = data.split_first_chunk::<4>()?;
        let (second, rest) = rest.split_first_chunk::<4>()?;
        let (found, size, after) = match order {
            Order::Png => (second, u32::from_be_bytes(*first), 4),
            Order::Riff => (first, u32::from_le_bytes(*second), usize::from(second[0] & 1)),
        };
        let size = usize::try_from(size).ok()?;
        if *found == name {
            return rest.get(..size);
        }
        data = rest.get(size.checked_add(after)?..)?;
    }
}

/// The orientation in the first directory of a TIFF structure (TIFF 6.0, section 2; CIPA DC-008,
/// 4.6.4, tag 0x112).
fn of_tiff(data: &[u8]) -> Option<Orientation> {
    const ORIENTATION: u16 = 0x112;
    let data = data.strip_prefix(NAME).unwrap_or(data);
    let is_little = match data.first_chunk()? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *data.get(at..)?.first_chunk()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes = *data.get(at..)?.first_chunk()?;
        let number = if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
        usize::try_from(number).ok()
    };
    let directory = long(4)?;
    let entries = directory.checked_add(2)?;
    let entry = (0..usize::from(short(directory)?))
        .map(|number| entries + 12 * number)
        .find(|entry| short(*entry) == Some(ORIENTATION))?;
    Some(match short(entry + 8)? {
        1 => Orientation::Upright,
        2 => Orientation::FlipLeftRight,
        3 => Orientation::HalfTurn,
        4 => Orientation::FlipTopBottom,
        5 => Orientation::Transpose,
        6 => Orientation::Clockwise,
        7 => Orientation::AntiTranspose,
        8 => Orientation::CounterClockwise,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF structure with one tag before the orientation.
    fn tiff(orientation: u16, is_little: bool) -> Vec<u8> {
        let short = |it: u16| if is_little { it.to_le_bytes() } else { it.to_be_bytes() };
        let long = |it: u32| if is_little { it.to_le_bytes() } else { it.to_be_bytes() };
        let mut made = if is_little { b"II".to_vec() } else { b"MM".to_vec() };
        made.extend(short(42));
        made.extend(long(8));
        made.extend(short(2));
        for (tag, value) in [(0x100, 640), (0x112, orientation)] {
            made.extend([short(tag), short(3)].concat());
            made.extend(long(1));
            made.extend([short(value), short(0)].concat());
        }
        made
    }

    fn jpeg(tiff: &[u8]) -> Vec<u8> {
        let size = u16::try_from(2 + NAME.len() + tiff.len()).unwrap_or(0).to_be_bytes();
        let other: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff];
        [other, &[0xff, 0xe1], &size, NAME, tiff, &[0xff, 0xda, 0, 2]].concat()
    }

    #[test]
    fn all_three_formats_tell_in_both_orders_of_bytes() {
        for is_little in [false, true] {
            let tiff = tiff(6, is_little);
            let size = u32::try_from(tiff.len()).unwrap_or(0);
            let header: &[u8] = &[0, 0, 0, 1, b'I', b'H', b'D', b'R', 9, 1, 2, 3, 4];
            let png = [b"\x89PNG\r\n\x1a\n", header, &size.to_be_bytes(), b"eXIf", &tiff].concat();
            let size = size.to_le_bytes();
            let webp = [b"RIFF\0\0\0\0WEBPVP8X\x01\0\0\0\x08\0EXIF", &size[..], &tiff].concat();
            for (codec, data) in [("mjpeg", jpeg(&tiff)), ("png", png), ("webp", webp)] {
                assert_eq!(orientation(codec, &data), Some(Orientation::Clockwise), "{codec}");
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_wrong_tells_nothing() {
        let whole = jpeg(&tiff(3, true));
        let end = whole.len() - 8;
        assert!((0..end).all(|length| orientation("mjpeg", &whole[..length]).is_none()));
        assert_eq!(orientation("mjpeg", &jpeg(&tiff(9, false))), None);
        assert_eq!(orientation("h264", &whole), None);
        let mut far = tiff(3, true);
        far[4..8].copy_from_slice(&[0xff; 4]);
        assert_eq!(orientation("mjpeg", &jpeg(&far)), None);
    }
}
