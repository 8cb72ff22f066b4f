//! H.264: parameter sets (ITU-T H.264, 7.3.2), and the `avcC` record in which MP4 and Matroska keep
//! them (ISO/IEC 14496-15, 5.3.3).

use super::{BitWriter, Bits, Framing, append, escape, messages, unescape, units};
use crate::time::Rational;

/// The UUID at the beginning of x264's user data, which names its build (ITU-T H.264, D.1.7).
const X264: [u8; 16] = [
    0xdc, 0x45, 0xe9, 0xbd, 0xe6, 0xd9, 0x48, 0xb7, 0x96, 0x2c, 0xd8, 0x20, 0xd9, 0x23, 0xee, 0xef,
];

/// NAL unit type of a slice of an IDR picture.
pub const IDR: u8 = 5;
/// NAL unit type of supplemental enhancement information (SEI).
pub const SEI: u8 = 6;
/// NAL unit types of parameter sets and access unit delimiters.
const SEQUENCE: u8 = 7;
const PICTURE: u8 = 8;
const DELIMITER: u8 = 9;
const SEQUENCE_EXTENSION: u8 = 13;

/// Profiles whose sequence parameter sets (SPS) state the chroma format and the bit depth.
const HIGH: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// The parameter sets of an H.264 stream, as its container keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcSets {
    /// How the NAL units of packets are delimited.
    pub framing: Framing,
    sequences: Vec<Vec<u8>>,
    pictures: Vec<Vec<u8>>,
}

/// What a sequence parameter set (SPS) of H.264 states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvcSequence {
    /// Its ID, 0 to 31.
    pub id: u8,
    /// `profile_idc`, as in 100 for High.
    pub profile: u8,
    /// `level_idc`, ten times the level.
    pub level: u8,
    /// `chroma_format_idc`: 0 gray, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma: u32,
    /// Bits of a luma sample, and of a chroma sample.
    pub depth: (u32, u32),
    /// Whether blocks of quantizer 0 are coded without loss.
    pub lossless: bool,
    /// `max_num_ref_frames`: the largest number of reference frames.
    pub references: u32,
    /// Width and height, in macroblocks; the height is that of a field unless all pictures are
    /// frames.
    pub macroblocks: (u32, u32),
    /// Whether all pictures are whole frames.
    pub progressive: bool,
    /// Cropping at the left, right, top and bottom, as coded: a number of columns and lines of
    /// chroma, or of luma where there is no chroma.
    pub crop: [u32; 4],
    /// Width of a pixel over its height; `None` where the SPS does not state it.
    pub pixel_aspect: Option<Rational>,
    /// Whether samples use the full range of values; `None` where the SPS does not state it.
    pub full_range: Option<bool>,
    /// Primaries, transfer and matrix, numbered as in ITU-T H.273; `None` where the SPS does not
    /// state them.
    pub colors: Option<[u8; 3]>,
}

impl AvcSets {
    /// Reads the extradata of a stream: an `avcC` record, or NAL units behind start codes.
    ///
    /// `None` when it holds no SPS, or a record is cut short.
    pub fn read(extradata: &[u8]) -> Option<Self> {
        let is_record = extradata.first() == Some(&1) && extradata.len() > 6;
        let (framing, all) = if is_record {
            let framing = Framing::Lengths(usize::from(extradata[4] & 3) + 1);
            (framing, record_units(extradata)?)
        } else {
            (Framing::StartCodes, units(extradata, Framing::StartCodes).collect())
        };
        let of = |kind| {
            let units = all.iter().filter(move |unit| kind_of(unit) == kind);
            units.map(|unit| unit.to_vec()).collect::<Vec<_>>()
        };
        let (sequences, pictures) = (of(SEQUENCE), of(PICTURE));
        (!sequences.is_empty()).then_some(Self { framing, sequences, pictures })
    }

    /// What each SPS states; `None` when one can not be read.
    pub fn sequences(&self) -> Option<Vec<AvcSequence>> {
        self.sequences.iter().map(|unit| AvcSequence::read(unit)).collect()
    }

    /// The lowest ID from 1 to 31 that no SPS or PPS has; `None` when all are taken, or a set can
    /// not be read.
    pub fn free_id(&self) -> Option<u8> {
        let taken = self.ids()?;
        (1..32).find(|id| !taken.contains(id))
    }

    fn ids(&self) -> Option<Vec<u8>> {
        let sequences = self.sequences.iter().map(|unit| Some(AvcSequence::read(unit)?.id));
        let id = |unit: &Vec<u8>| u8::try_from(Bits::new(&unescape(&unit[1..])).golomb()?).ok();
        sequences.chain(self.pictures.iter().map(id)).collect()
    }

    /// These sets, each SPS with what those of `other` state on how far pictures are reordered
    /// (`bitstream_restriction_flag`, E.1.1), and with a level no lower than theirs, which limits that.
    ///
    /// Pictures of both are in one stream. Where the first of them are not reordered and later ones
    /// are, libavcodec drops the later ones until their order counts pass those of the first, if the
    /// container stores no decoding times.
    #[must_use]
    pub fn reordered_like(&self, other: &Self) -> Self {
        let depth_of = |unit: &Vec<u8>| Restriction::of(unit).and_then(|it| it.depth);
        let stated: Option<Vec<_>> = other.sequences.iter().map(depth_of).collect();
        let depth = stated.and_then(|depths| {
            depths.into_iter().reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))
        });
        let level = other.sequences.iter().filter_map(|unit| unit.get(3)).max();
        let restate = |unit: &Vec<u8>| {
            let restriction = Restriction::of(unit);
            let restated = restriction.and_then(|restriction| restriction.restated(unit, depth));
            let mut restated = restated.unwrap_or_else(|| unit.clone());
            if let Some((own, level)) = restated.get_mut(3).zip(level) {
                *own = (*own).max(*level);
            }
            restated
        };
        Self { sequences: self.sequences.iter().map(restate).collect(), ..self.clone() }
    }

    /// The `avcC` record of these sets and those of another stream. `None` when both use the same
    /// ID, when there are more than 31 SPS or 255 PPS, and when a set can not be read.
    pub fn record_with(&self, other: &Self) -> Option<Vec<u8>> {
        let (mine, theirs) = (self.ids()?, other.ids()?);
        if theirs.iter().any(|id| mine.contains(id)) {
            return None;
        }
        let sequences: Vec<_> = self.sequences.iter().chain(&other.sequences).collect();
        let pictures: Vec<_> = self.pictures.iter().chain(&other.pictures).collect();
        // What holds for all of them: the highest profile and level, and no constraint that one
        // of them does not have (ISO/IEC 14496-15, 5.3.3.1.2).
        let highest = sequences.iter().filter(|unit| unit.len() > 3).max_by_key(|unit| unit[1])?;
        let constraints =
            sequences.iter().filter_map(|unit| unit.get(2)).fold(!0, |all, of| all & of);
        let level = sequences.iter().filter_map(|unit| unit.get(3)).max()?;
        let length = u8::try_from(self.length()).ok()?;
        let count = |units: &[&Vec<u8>], most: u8| {
            u8::try_from(units.len()).ok().filter(|count| *count <= most)
        };
        let mut record = vec![1, highest[1], constraints, *level, 0xfc | (length - 1)];
        record.push(0xe0 | count(&sequences, 31)?);
        sequences.iter().try_for_each(|unit| append(&mut record, unit, 2))?;
        record.push(count(&pictures, 255)?);
        pictures.iter().try_for_each(|unit| append(&mut record, unit, 2))?;
        if HIGH.contains(&highest[1]) {
            let AvcSequence { chroma, depth, .. } = AvcSequence::read(highest)?;
            let byte = |number: u32| u8::try_from(number).unwrap_or(0);
            record.extend([
                0xfc | byte(chroma),
                0xf8 | byte(depth.0 - 8),
                0xf8 | byte(depth.1 - 8),
                0,
            ]);
        }
        Some(record)
    }

    /// Size of the length field before each unit of a written packet, in bytes.
    pub fn length(&self) -> usize {
        match self.framing {
            Framing::Lengths(length) => length,
            Framing::StartCodes => 4,
        }
    }

    /// Whether a packet must go through [`repack`](Self::repack): its units have start codes, or it
    /// holds parameter sets.
    pub fn must_repack(&self, data: &[u8]) -> bool {
        let is_set = |unit| matches!(kind_of(unit), SEQUENCE | PICTURE | SEQUENCE_EXTENSION);
        self.framing == Framing::StartCodes || units(data, self.framing).any(is_set)
    }

    /// A packet whose units follow length fields of `length` bytes, without access unit delimiters
    /// and without the parameter sets that are known already. `framing` is that of `data`.
    ///
    /// # Errors
    /// A phrase that says why the packet can not be written so.
    pub fn repack(
        &self,
        data: &[u8],
        framing: Framing,
        length: usize,
    ) -> Result<Vec<u8>, &'static str> {
        let mut packet = Vec::with_capacity(data.len() + 16);
        for unit in units(data, framing) {
            let is_known = |sets: &[Vec<u8>]| sets.iter().any(|set| set == unit);
            match kind_of(unit) {
                DELIMITER => {}
                SEQUENCE if is_known(&self.sequences) => {}
                PICTURE if is_known(&self.pictures) => {}
                SEQUENCE | PICTURE | SEQUENCE_EXTENSION => {
                    return Err("its parameter sets change mid-stream");
                }
                _ => append(&mut packet, unit, length)
                    .ok_or("a NAL unit is too long for its length field")?,
            }
        }
        Ok(packet)
    }
}

/// SEI units of the first packet of a stream that a decoder needs for all of its pictures.
///
/// Old builds of x264 coded some pictures, 4:4:4 among them, against the standard. libavcodec works
/// around that once it has seen the user data that names the build, which precedes the first
/// picture only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    framing: Framing,
    units: Vec<Vec<u8>>,
}

impl Head {
    /// The head in the first packet of a stream; `None` where it has no such unit.
    pub fn of(data: &[u8], framing: Framing) -> Option<Self> {
        let names_x264 =
            |unit: &&[u8]| kind_of(unit) == SEI && unit.windows(X264.len()).any(|it| it == X264);
        let units: Vec<_> = units(data, framing).filter(names_x264).map(<[u8]>::to_vec).collect();
        (!units.is_empty()).then_some(Self { framing, units })
    }

    /// A packet with these units before its first picture, after its parameter sets. One that has
    /// such units already is returned as it is.
    pub fn before(&self, data: &[u8]) -> Vec<u8> {
        if Self::of(data, self.framing).is_some() {
            return data.to_vec();
        }
        let leads = |unit: &&[u8]| {
            matches!(kind_of(unit), DELIMITER | SEQUENCE | SEQUENCE_EXTENSION | PICTURE)
        };
        let own: Vec<&[u8]> = units(data, self.framing).collect();
        let (sets, pictures) = own.split_at(own.iter().take_while(|unit| leads(unit)).count());
        let mut packet = Vec::with_capacity(data.len() + 1024);
        let head = self.units.iter().map(Vec::as_slice);
        for unit in sets.iter().copied().chain(head).chain(pictures.iter().copied()) {
            match self.framing {
                // A unit that was read with this framing fits its length field.
                Framing::Lengths(length) => append(&mut packet, unit, length).unwrap_or_default(),
                Framing::StartCodes => {
                    packet.extend([0, 0, 0, 1]);
                    packet.extend(unit);
                }
            }
        }
        packet
    }
}

/// The NAL unit type of a unit; 0 for an empty one.
pub fn kind_of(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |byte| byte & 0x1f)
}

/// Whether a unit holds a coded slice.
pub fn is_slice(unit: &[u8]) -> bool {
    (1..=IDR).contains(&kind_of(unit))
}

/// The parameter sets of an `avcC` record; `None` when it is cut short.
fn record_units(record: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = record.get(5..)?;
    let mut found = Vec::new();
    for mask in [0x1f, 0xff] {
        let (count, after) = rest.split_first()?;
        rest = after;
        for _ in 0..count & mask {
            let (size, after) = rest.split_at_checked(2)?;
            let size = usize::from(size[0]) << 8 | usize::from(size[1]);
            let (unit, after) = after.split_at_checked(size)?;
            rest = after;
            found.push(unit);
        }
    }
    Some(found)
}

/// The most frames that a decoder holds at any level (A.3.1).
const MOST_FRAMES: u32 = 16;

/// Where and how an SPS restricts the bitstream, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Restriction {
    /// The bit that tells whether it does, counted in the unescaped unit behind its level.
    at: usize,
    /// Pictures that may precede another in order of decoding and follow it in order of output, and
    /// pictures that a decoder must hold; `None` where the SPS states neither, or more than any level
    /// allows.
    depth: Option<(u32, u32)>,
}

impl Restriction {
    /// `None` when the SPS has no place for it, or is cut short.
    fn of(unit: &[u8]) -> Option<Self> {
        AvcSequence::parse(unit)?.1
    }

    /// Reads what follows the colors in the usability information (E.1.1).
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        if bits.flag()? {
            bits.golomb()?; // chroma_sample_loc_type_top_field
            bits.golomb()?; // chroma_sample_loc_type_bottom_field
        }
        if bits.flag()? {
            bits.skip(32 + 32 + 1)?; // num_units_in_tick, time_scale, fixed_frame_rate_flag
        }
        let mut is_buffered = false;
        for _ in ["nal_hrd_parameters", "vcl_hrd_parameters"] {
            if bits.flag()? {
                is_buffered = true;
                let buffers = bits.golomb()?.min(31);
                bits.skip(4 + 4)?; // bit_rate_scale, cpb_size_scale
                for _ in 0..=buffers {
                    bits.golomb()?; // bit_rate_value_minus1
                    bits.golomb()?; // cpb_size_value_minus1
                    bits.flag()?; // cbr_flag
                }
                bits.skip(4 * 5)?; // lengths of four fields
            }
        }
        if is_buffered {
            bits.flag()?; // low_delay_hrd_flag
        }
        bits.flag()?; // pic_struct_present_flag
        let at = bits.at;
        let mut depth = None;
        if bits.flag()? {
            Self::skip_limits(bits)?;
            let stated = (bits.golomb()?, bits.golomb()?);
            depth = Some(stated).filter(|(reordered, held)| reordered.max(held) <= &MOST_FRAMES);
        }
        Some(Self { at, depth })
    }

    /// Skips what stands before the depth: motion vectors, sizes.
    fn skip_limits(bits: &mut Bits<'_>) -> Option<()> {
        bits.flag()?; // motion_vectors_over_pic_boundaries_flag
        bits.golomb()?; // max_bytes_per_pic_denom
        bits.golomb()?; // max_bits_per_mb_denom
        bits.golomb()?; // log2_max_mv_length_horizontal
        bits.golomb().map(drop) // log2_max_mv_length_vertical
    }

    /// The SPS with another depth; `None` where it states nothing and would have to.
    fn restated(&self, unit: &[u8], depth: Option<(u32, u32)>) -> Option<Vec<u8>> {
        let (head, rest) = unit.split_at_checked(4)?;
        let plain = unescape(rest);
        let (mut bits, mut to) = (Bits::new(&plain), BitWriter::default());
        to.copy(&mut bits, self.at)?;
        match depth {
            Some((reordered, held)) => {
                let (own_reordered, own_held) = self.depth?;
                let begin = bits;
                bits.flag()?;
                Self::skip_limits(&mut bits)?;
                let end = bits.at;
                bits = begin;
                to.copy(&mut bits, end)?;
                to.golomb(reordered.max(own_reordered));
                to.golomb(held.max(own_held));
            }
            None => to.flag(false),
        }
        to.flag(true); // rbsp_stop_one_bit
        Some([head, &escape(&to.bytes)].concat())
    }
}

impl AvcSequence {
    /// Reads a unit that is an SPS; `None` for any other unit.
    pub fn of_unit(unit: &[u8]) -> Option<Self> {
        if kind_of(unit) == SEQUENCE { Self::read(unit) } else { None }
    }

    /// Reads an SPS without a look at the type of the unit; `None` when it is cut short.
    pub fn read(unit: &[u8]) -> Option<Self> {
        Some(Self::parse(unit)?.0)
    }

    fn parse(unit: &[u8]) -> Option<(Self, Option<Restriction>)> {
        /// Width and height of a pixel by `aspect_ratio_idc` (table E-1).
        const ASPECTS: [(u32, u32); 17] = [
            (0, 1),
            (1, 1),
            (12, 11),
            (10, 11),
            (16, 11),
            (40, 33),
            (24, 11),
            (20, 11),
            (32, 11),
            (80, 33),
            (18, 11),
            (15, 11),
            (64, 33),
            (160, 99),
            (4, 3),
            (3, 2),
            (2, 1),
        ];
        const EXTENDED: u32 = 255;
        let (&[_, profile, _, level], rest) = unit.split_first_chunk()?;
        let plain = unescape(rest);
        let mut bits = Bits::new(&plain);
        let id = u8::try_from(bits.golomb()?).ok()?;
        let (mut chroma, mut depth, mut lossless) = (1, (8, 8), false);
        if HIGH.contains(&profile) {
            chroma = bits.golomb()?;
            if chroma == 3 {
                bits.flag()?; // separate_colour_plane_flag
            }
            depth = (bits.golomb()?.checked_add(8)?, bits.golomb()?.checked_add(8)?);
            lossless = bits.flag()?; // qpprime_y_zero_transform_bypass_flag
            if bits.flag()? {
                let lists = if chroma == 3 { 12 } else { 8 };
                for list in 0..lists {
                    if bits.flag()? {
                        skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        bits.golomb()?; // log2_max_frame_num_minus4
        match bits.golomb()? {
            0 => {
                bits.golomb()?; // log2_max_pic_order_cnt_lsb_minus4
            }
            1 => {
                bits.flag()?; // delta_pic_order_always_zero_flag
                bits.signed_golomb()?; // offset_for_non_ref_pic
                bits.signed_golomb()?; // offset_for_top_to_bottom_field
                for _ in 0..bits.golomb()?.min(255) {
                    bits.signed_golomb()?; // offset_for_ref_frame
                }
            }
            _ => {}
        }
        let references = bits.golomb()?;
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        let macroblocks = (bits.golomb()?.checked_add(1)?, bits.golomb()?.checked_add(1)?);
        let progressive = bits.flag()?;
        if !progressive {
            bits.flag()?; // mb_adaptive_frame_field_flag
        }
        bits.flag()?; // direct_8x8_inference_flag
        let mut crop = [0; 4];
        if bits.flag()? {
            for side in &mut crop {
                *side = bits.golomb()?;
            }
        }
        let (mut pixel_aspect, mut full_range, mut colors) = (None, None, None);
        let mut restriction = None;
        if bits.flag()? {
            if bits.flag()? {
                let (width, height) = match bits.number(8)? {
                    EXTENDED => (bits.number(16)?, bits.number(16)?),
                    known => *ASPECTS.get(usize::try_from(known).ok()?).unwrap_or(&(0, 1)),
                };
                pixel_aspect = Rational::new(width, height);
            }
            if bits.flag()? {
                bits.flag()?; // overscan_appropriate_flag
            }
            if bits.flag()? {
                bits.skip(3)?; // video_format
                full_range = Some(bits.flag()?);
                if bits.flag()? {
                    let mut byte = || bits.number(8).and_then(|byte| u8::try_from(byte).ok());
                    colors = Some([byte()?, byte()?, byte()?]);
                }
            }
            restriction = Restriction::read(&mut bits);
        }
        let sequence = Self {
            id,
            profile,
            level,
            chroma,
            depth,
            lossless,
            references,
            macroblocks,
            progressive,
            crop,
            pixel_aspect,
            full_range,
            colors,
        };
        Some((sequence, restriction))
    }
}

/// Skips a scaling list (7.3.2.1.1.1).
fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            let delta = bits.signed_golomb().filter(|delta| (-128..128).contains(delta))?;
            next = (last + delta + 256) % 256;
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// Whether an SEI unit holds a recovery point that lies some frames ahead (D.1.8); `None` when it
/// holds no recovery point.
pub fn recovers_later(unit: &[u8]) -> Option<bool> {
    const RECOVERY_POINT: usize = 6;
    let (_, message) = messages(unit.get(1..)?).find(|(kind, _)| *kind == RECOVERY_POINT)?;
    // `recovery_frame_cnt` is an Exp-Golomb code, in which a first bit that is set means 0.
    message.first().map(|first| first & 0x80 == 0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// x264, High, 4:2:0, 8 bits, 320x180, progressive, three references; pixels are 1:1.
    const SPS: [u8; 25] = [
        0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9e, 0x10, 0x00, 0x00, 0x03, 0x00,
        0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x60,
    ];

    #[test]
    fn a_recovery_point_tells_whether_it_lies_ahead() {
        // 24 is coded as 000011001. A message of type 5 with one byte precedes it.
        assert_eq!(recovers_later(&[6, 5, 1, 0xab, 6, 2, 0b0000_1100, 0b1100_0000]), Some(true));
        assert_eq!(recovers_later(&[6, 6, 1, 0b1100_0000]), Some(false));
        assert_eq!(recovers_later(&[6, 5, 1, 0xab, 0x80]), None);
        assert_eq!(recovers_later(&[6]), None);
    }

    #[test]
    fn the_build_of_x264_goes_before_the_first_picture() {
        let named = [&[SEI, 5, 17][..], &X264, &[7]].concat();
        let mut first = vec![0, 0, 0, 1, 0x67, 0, 0, 0, u8::try_from(named.len()).unwrap()];
        first.extend(&named);
        first.extend([0, 0, 0, 1, 0x65]);
        let head = Head::of(&first, Framing::Lengths(4)).unwrap();
        assert_eq!(head.before(&first), first);
        let led = head.before(&[0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x65]);
        assert_eq!(led, first);
        assert_eq!(Head::of(&[0, 0, 0, 2, 6, 5], Framing::Lengths(4)), None);
        let coded = Head { framing: Framing::StartCodes, units: vec![vec![6, 5]] };
        assert_eq!(
            coded.before(&[0, 0, 1, 9, 0, 0, 1, 0x41]),
            [0, 0, 0, 1, 9, 0, 0, 0, 1, 6, 5, 0, 0, 0, 1, 0x41]
        );
    }

    #[test]
    fn a_sequence_parameter_set_is_read() {
        let read = AvcSequence::read(&SPS).unwrap();
        assert_eq!((read.id, read.profile, read.level, read.chroma), (0, 100, 13, 1));
        assert_eq!((read.depth, read.macroblocks, read.progressive), ((8, 8), (20, 12), true));
        assert_eq!(AvcSequence::read(&SPS[..6]), None);
    }

    #[test]
    fn depths_of_reordering_are_restated() {
        let restriction = Restriction::of(&SPS).unwrap();
        assert_eq!(restriction.depth, Some((2, 4)));
        let deeper = restriction.restated(&SPS, Some((3, 1))).unwrap();
        assert_eq!(Restriction::of(&deeper).unwrap().depth, Some((3, 4)));
        assert_eq!(AvcSequence::read(&deeper), AvcSequence::read(&SPS));
        assert_eq!(restriction.restated(&SPS, Some((2, 4))).unwrap(), SPS);
        let silent = restriction.restated(&SPS, None).unwrap();
        assert_eq!(Restriction::of(&silent).unwrap().depth, None);
        assert_eq!(AvcSequence::read(&silent), AvcSequence::read(&SPS));
    }

    #[test]
    fn records_of_two_streams_are_joined_when_their_numbers_differ() {
        let sets = |sequence: Vec<u8>, picture: Vec<u8>| AvcSets {
            framing: Framing::Lengths(4),
            sequences: vec![sequence],
            pictures: vec![picture],
        };
        // The picture parameter sets have the IDs 0 and 1.
        let mine = sets(SPS.to_vec(), vec![0x68, 0b1110_0000]);
        let plain = unescape(&SPS[4..]);
        let (mut bits, mut moved) = (Bits::new(&plain), BitWriter::default());
        bits.golomb().unwrap();
        moved.golomb(1);
        moved.copy(&mut bits, plain.len() * 8).unwrap();
        let theirs = [&SPS[..4], &escape(&moved.bytes)].concat();
        let theirs = sets(theirs, vec![0x68, 0b0101_0000]);
        assert_eq!(mine.free_id(), Some(1));
        assert_eq!(mine.record_with(&mine), None);
        let record = mine.record_with(&theirs);
        let both = record.and_then(|record| AvcSets::read(&record));
        let both = both.map(|both| (both.sequences.len(), both.pictures.len(), both.framing));
        assert_eq!(both, Some((2, 2, Framing::Lengths(4))));
    }
}
