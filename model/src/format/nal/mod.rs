//! What H.264 and HEVC have in common: NAL units behind lengths or start codes, and the bits in
//! them.

pub mod avc;
pub mod hevc;

use crate::media::Orientation;

/// How the NAL units of a packet are delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each unit follows its length, a field of this many bytes (ISO/IEC 14496-15).
    Lengths(usize),
    /// Each unit follows a start code (ITU-T H.264 and H.265, annex B).
    StartCodes,
}

/// The NAL units of a packet, each from its header on. Empty ones are left out.
pub fn units(data: &[u8], framing: Framing) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        loop {
            let unit = match framing {
                Framing::Lengths(length) => {
                    let (size, after) = rest.split_at_checked(length)?;
                    let size = size.iter().fold(0, |all, byte| (all << 8) | usize::from(*byte));
                    // A unit that is cut off gets the bytes that are left.
                    let (unit, after) = after.split_at(size.min(after.len()));
                    rest = after;
                    unit
                }
                Framing::StartCodes => {
                    let code = |bytes: &[u8]| bytes.windows(3).position(|code| code == [0, 0, 1]);
                    let after = rest.get(code(rest)? + 3..)?;
                    let end = code(after).unwrap_or(after.len());
                    rest = &after[end..];
                    // Zeros before the next start code belong to that code.
                    let zeros = after[..end].iter().rev().take_while(|byte| **byte == 0).count();
                    &after[..end - zeros]
                }
            };
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

/// Appends a unit behind its length, a field of `length` bytes; `None` when the unit is too long
/// for that field.
pub fn append(to: &mut Vec<u8>, unit: &[u8], length: usize) -> Option<()> {
    let size = u32::try_from(unit.len()).ok()?.to_be_bytes();
    let (high, low) = size.split_at_checked(size.len().checked_sub(length)?)?;
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    to.extend(low);
    to.extend(unit);
    Some(())
}

/// A unit without its emulation prevention bytes, which keep start codes from appearing in it.
pub fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

/// A unit with emulation prevention bytes, which keep start codes from appearing in it.
pub fn escape(plain: &[u8]) -> Vec<u8> {
    let mut unit = Vec::with_capacity(plain.len() + 16);
    let mut zeros = 0;
    for &byte in plain {
        if zeros >= 2 && byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        unit.push(byte);
    }
    unit
}

/// The messages of an SEI unit, whose header the caller has removed: the type and the payload of
/// each (ITU-T H.264, 7.3.2.3.1; H.265, 7.3.5).
pub fn messages(data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let [mut kind, mut size] = [0; 2];
        // Type and size are each a sum of bytes, of which the last one is not 255.
        for sum in [&mut kind, &mut size] {
            let full = rest.iter().take_while(|byte| **byte == 0xff).count();
            *sum = 255 * full + usize::from(*rest.get(full)?);
            rest = rest.get(full + 1..)?;
        }
        let (payload, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        Some((kind, payload))
    })
}

/// The orientation that a message of an SEI unit asks for; the unit has a header of `header` bytes.
/// `None` without such a message, or when it cancels one (ITU-T H.264, D.1.27; H.265, D.2.17).
pub fn orientation(unit: &[u8], header: usize) -> Option<Orientation> {
    const DISPLAY_ORIENTATION: usize = 47;
    /// A quarter of a turn, in the units of the message.
    const QUARTER: u32 = 1 << 14;
    let plain = unescape(unit.get(header..)?);
    let (_, message) = messages(&plain).find(|(kind, _)| *kind == DISPLAY_ORIENTATION)?;
    let mut bits = Bits::new(message);
    if bits.flag()? {
        return None;
    }
    let (mirrored, flipped, turn) = (bits.flag()?, bits.flag()?, bits.number(16)?);
    Some(if turn % QUARTER == 0 {
        Orientation::of_turn(mirrored, flipped, turn / QUARTER)
    } else {
        Orientation::Skewed
    })
}

/// Reads the bits of an unescaped unit, the most significant first.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// The number of the next bit, from 0.
    pub at: usize,
}

impl<'a> Bits<'a> {
    /// Reads from the first bit on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next bit; `None` at the end.
    pub fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// An unsigned number of `bits` bits, at most 32; `None` at the end.
    pub fn number(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0_u32, |all, _| Some((all << 1) | u32::from(self.flag()?)))
    }

    /// Skips `bits` bits; `None` when there are not so many.
    pub fn skip(&mut self, bits: usize) -> Option<()> {
        self.at = self.at.checked_add(bits).filter(|at| *at <= self.bytes.len() * 8)?;
        Some(())
    }

    /// An unsigned Exp-Golomb code; `None` at the end, or when it exceeds 32 bits.
    pub fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        Some((1_u32 << zeros) - 1 + self.number(zeros)?)
    }

    /// A signed Exp-Golomb code; `None` at the end, or when it exceeds 32 bits.
    pub fn signed_golomb(&mut self) -> Option<i32> {
        let code = i64::from(self.golomb()?);
        i32::try_from(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 }).ok()
    }
}

/// Writes bits, the most significant first.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    /// The bits that were written; the last byte is filled up with zeros.
    pub bytes: Vec<u8>,
    /// The number of bits that were written.
    at: usize,
}

impl BitWriter {
    /// Writes one bit.
    pub fn flag(&mut self, bit: bool) {
        if self.at.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut().filter(|_| bit) {
            *last |= 0x80 >> (self.at % 8);
        }
        self.at += 1;
    }

    /// Writes the low `bits` bits of a number, the most significant one first.
    pub fn number(&mut self, value: u32, bits: u32) {
        (0..bits).rev().for_each(|bit| self.flag(value >> bit & 1 == 1));
    }

    /// Writes a number as an Exp-Golomb code (ITU-T H.264, 9.1).
    pub fn golomb(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let bits = 64 - code.leading_zeros();
        (1..bits).for_each(|_| self.flag(false));
        (0..bits).rev().for_each(|bit| self.flag(code >> bit & 1 == 1));
    }

    /// Copies bits of a reader up to its bit number `to`; `None` when there are not so many.
    pub fn copy(&mut self, from: &mut Bits<'_>, to: usize) -> Option<()> {
        while from.at < to {
            self.flag(from.flag()?);
        }
        Some(())
    }

    /// Whether the next bit begins a byte.
    pub fn is_aligned(&self) -> bool {
        self.at.is_multiple_of(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_behind_lengths_and_start_codes() {
        let check = |data: &[u8], framing, expected: &[&[u8]]| {
            assert_eq!(units(data, framing).collect::<Vec<_>>(), expected, "{data:?}");
        };
        let lengths = Framing::Lengths(4);
        check(&[0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x65], lengths, &[&[0x67, 1], &[0x65]]);
        check(
            &[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 9],
            Framing::StartCodes,
            &[&[0x67, 1], &[0x65, 9]],
        );
        check(&[0xff, 0xff, 0xff, 0xff, 1], lengths, &[&[1]]);
        check(&[0, 0, 0, 0, 0, 0, 0, 1, 7], lengths, &[&[7]]);
        check(&[], lengths, &[]);
        check(&[1, 2, 3], Framing::StartCodes, &[]);
    }

    #[test]
    fn orientations_are_read_behind_other_messages() {
        let check = |message: &[u8], expected| {
            // A message of type 5 with one byte precedes it, as that of an encoder's version.
            let plain = [&[6, 5, 1, 9][..], message, &[0x80]].concat();
            assert_eq!(orientation(&escape(&plain), 1), expected, "{message:?}");
        };
        // No cancellation, no mirror, and a quarter: 0x4000 behind three bits.
        check(&[47, 3, 0b0000_1000, 0, 0b0000_1000], Some(Orientation::CounterClockwise));
        check(&[47, 3, 0b0100_0000, 0, 0b0000_1000], Some(Orientation::FlipLeftRight));
        check(&[47, 3, 0b0000_0100, 0, 0b0000_1000], Some(Orientation::Skewed));
        check(&[47, 1, 0b1000_0000], None);
        check(&[47, 1, 0], None);
        check(&[4, 200, 1], None);
    }

    #[test]
    fn escaping_is_undone() {
        let plain = [0, 0, 0, 1, 0, 0, 3, 0, 0, 4, 0, 0];
        let unit = escape(&plain);
        assert!(!unit.windows(3).any(|three| three[..2] == [0, 0] && three[2] < 3), "{unit:?}");
        assert_eq!(unescape(&unit), plain);
    }

    #[test]
    fn codes_are_read_as_they_were_written() {
        let mut writer = BitWriter::default();
        let values = [0, 1, 2, 3, 62, 255, u32::MAX - 1];
        for value in values {
            writer.golomb(value);
        }
        writer.number(5, 3);
        let mut bits = Bits::new(&writer.bytes);
        assert!(values.iter().all(|value| bits.golomb() == Some(*value)));
        assert_eq!(bits.number(3), Some(5));
        assert_eq!(Bits::new(&[0b0110_0000]).signed_golomb(), Some(-1));
        assert_eq!(Bits::new(&[0; 9]).golomb(), None);
    }

    #[test]
    fn a_unit_has_its_length_before_it() {
        let mut made = Vec::new();
        assert_eq!(append(&mut made, &[9; 300], 1), None);
        assert_eq!(append(&mut made, &[7, 8], 2), Some(()));
        assert_eq!(made, [0, 2, 7, 8]);
    }
}
