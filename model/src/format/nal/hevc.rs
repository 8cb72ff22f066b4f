//! HEVC: parameter sets (ITU-T H.265, 7.3.2), the `hvcC` record in which MP4 and Matroska keep them
//! (ISO/IEC 14496-15, 8.3.3), and the IDs by which pictures refer to them.

use super::{BitWriter, Bits, Framing, append, escape, unescape, units};

/// NAL unit types (table 7-1).
const BLA_N_LP: u8 = 18;
const CRA: u8 = 21;
const VIDEO: u8 = 32;
const SEQUENCE: u8 = 33;
const PICTURE: u8 = 34;
const DELIMITER: u8 = 35;
/// NAL unit type of a prefix SEI: messages about the picture that follows.
pub const SEI: u8 = 39;

/// Bytes of the header of a NAL unit.
const HEADER: usize = 2;

/// Bytes of an `hvcC` record before the count of its arrays, and the offset of the level in it.
const RECORD_HEADER: usize = 22;
const RECORD_LEVEL: usize = 12;

/// The NAL unit type of a unit; 0 for an empty one.
pub fn kind_of(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |byte| (byte >> 1) & 0x3f)
}

/// Whether a unit is a sequence parameter set (SPS).
pub fn is_sequence(unit: &[u8]) -> bool {
    kind_of(unit) == SEQUENCE
}

/// The ID of an SPS, 0 to 15; `None` when it can not be read.
pub fn sequence_id(unit: &[u8]) -> Option<u32> {
    let plain = unescape(unit.get(HEADER..)?);
    let mut bits = Bits::new(&plain);
    skip_to_id(&mut bits)?;
    bits.golomb().filter(|id| *id < 16)
}

/// Whether a picture of this NAL unit type is a keyframe that no later picture refers past: BLA or
/// IDR. A CRA may have leading pictures that refer back.
pub fn is_closed(kind: u8) -> bool {
    (16..=20).contains(&kind)
}

/// The temporal sub-layer of a slice (`nuh_temporal_id_plus1`), and whether no other picture of
/// that sub-layer refers to its picture; `None` for a unit that is no slice.
pub fn layer_of(unit: &[u8]) -> Option<(u8, bool)> {
    let kind = kind_of(unit);
    let layer = unit.get(1).map_or(0, |byte| byte & 7);
    (kind < 32).then_some((layer, kind < 16 && kind.is_multiple_of(2)))
}

/// The IDs of a video, a sequence and a picture parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    video: u32,
    sequence: u32,
    picture: u32,
}

/// The parameter sets of an HEVC stream, as its container keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HevcSets {
    /// How the NAL units of packets are delimited.
    pub framing: Framing,
    /// The bytes of an `hvcC` record before the count of its arrays; empty without a record.
    header: Vec<u8>,
    /// Units of all types, in order.
    units: Vec<Vec<u8>>,
}

impl HevcSets {
    /// Reads the extradata of a stream: an `hvcC` record, or NAL units behind start codes.
    ///
    /// `None` when it holds no SPS, or a record is cut short.
    pub fn read(extradata: &[u8]) -> Option<Self> {
        let is_record = extradata.first() == Some(&1) && extradata.len() > RECORD_HEADER;
        let this = if is_record {
            let length = usize::from(extradata[RECORD_HEADER - 1] & 3) + 1;
            let header = extradata[..RECORD_HEADER].to_vec();
            Self { framing: Framing::Lengths(length), header, units: record_units(extradata)? }
        } else {
            let units = units(extradata, Framing::StartCodes).map(<[u8]>::to_vec).collect();
            Self { framing: Framing::StartCodes, header: Vec::new(), units }
        };
        let has_sequence = this.of(SEQUENCE).next().is_some();
        has_sequence.then_some(this)
    }

    /// The sequence parameter sets.
    pub fn sequences(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.of(SEQUENCE)
    }

    fn of(&self, kind: u8) -> impl Iterator<Item = &Vec<u8>> {
        self.units.iter().filter(move |unit| kind_of(unit) == kind)
    }

    /// IDs from 1 on that no parameter set has; `None` when all are taken, or a set can not be
    /// read.
    pub fn free_ids(&self) -> Option<Ids> {
        let free = |kind, most: u32, read: fn(&[u8]) -> Option<u32>| {
            let taken: Option<Vec<u32>> = self.of(kind).map(|unit| read(unit)).collect();
            let taken = taken?;
            (1..=most).find(|id| !taken.contains(id))
        };
        Some(Ids {
            video: free(VIDEO, 15, |unit| Some(u32::from(unit.get(HEADER)? >> 4)))?,
            sequence: free(SEQUENCE, 15, sequence_id)?,
            picture: free(PICTURE, 63, |unit| Bits::new(&unescape(unit.get(HEADER..)?)).golomb())?,
        })
    }

    /// The extradata of a stream with these sets and the sets `other`; `None` when a set does not
    /// fit into the record.
    pub fn with(&self, other: &[Vec<u8>]) -> Option<Vec<u8>> {
        let all: Vec<&Vec<u8>> = self.units.iter().chain(other).collect();
        if self.framing == Framing::StartCodes {
            let coded = all.iter().map(|unit| [&[0, 0, 0, 1], unit.as_slice()].concat());
            return Some(coded.collect::<Vec<_>>().concat());
        }
        let mut record = self.header.clone();
        let level = |unit: &&Vec<u8>| unescape(unit).get(HEADER + 1 + 11).copied();
        let levels = all.iter().filter(|unit| kind_of(unit) == SEQUENCE).filter_map(level);
        record[RECORD_LEVEL] = levels.chain([record[RECORD_LEVEL]]).max()?;
        let mut kinds: Vec<u8> = all.iter().map(|unit| kind_of(unit)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        record.push(u8::try_from(kinds.len()).ok()?);
        for kind in kinds {
            let units = || all.iter().filter(|unit| kind_of(unit) == kind);
            // The arrays of parameter sets are complete: packets hold no others.
            let complete = if (VIDEO..=PICTURE).contains(&kind) { 0x80 } else { 0 };
            record.push(complete | kind);
            record.extend(u16::try_from(units().count()).ok()?.to_be_bytes());
            units().try_for_each(|unit| append(&mut record, unit, 2))?;
        }
        Some(record)
    }

    /// Whether a packet must go through [`repack`](Self::repack), since it holds parameter sets.
    pub fn must_repack(&self, data: &[u8]) -> bool {
        units(data, self.framing).any(|unit| (VIDEO..=PICTURE).contains(&kind_of(unit)))
    }

    /// A packet without access unit delimiters and without the parameter sets that are known
    /// already. With `breaks`, which is set where a copied run begins, a CRA becomes a BLA without
    /// leading pictures.
    ///
    /// # Errors
    /// A phrase that says why the packet can not be written so.
    pub fn repack(&self, data: &[u8], breaks: bool) -> Result<Vec<u8>, &'static str> {
        let mut packet = Vec::with_capacity(data.len() + 16);
        for unit in units(data, self.framing) {
            match kind_of(unit) {
                DELIMITER => {}
                VIDEO..=PICTURE if self.units.iter().any(|set| set == unit) => {}
                VIDEO..=PICTURE => return Err("its parameter sets change mid-stream"),
                CRA if breaks => {
                    let mut unit = unit.to_vec();
                    unit[0] = (unit[0] & 0x81) | (BLA_N_LP << 1);
                    self.append(&mut packet, &unit)?;
                }
                _ => self.append(&mut packet, unit)?,
            }
        }
        Ok(packet)
    }

    fn append(&self, packet: &mut Vec<u8>, unit: &[u8]) -> Result<(), &'static str> {
        match self.framing {
            Framing::Lengths(length) => {
                append(packet, unit, length).ok_or("a NAL unit is too long for its length field")
            }
            Framing::StartCodes => {
                packet.extend([0, 0, 0, 1]);
                packet.extend(unit);
                Ok(())
            }
        }
    }
}

/// The units of all arrays of an `hvcC` record; `None` when it is cut short.
fn record_units(record: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (&arrays, mut rest) = record.get(RECORD_HEADER..)?.split_first()?;
    let mut found = Vec::new();
    let number = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    for _ in 0..arrays {
        let (head, after) = rest.split_at_checked(3)?;
        rest = after;
        for _ in 0..number(&head[1..]) {
            let (size, after) = rest.split_at_checked(2)?;
            let (unit, after) = after.split_at_checked(number(size))?;
            rest = after;
            found.push(unit.to_vec());
        }
    }
    Some(found)
}

/// What is needed of an SPS to rewrite it and to read slice headers.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    /// The position of its ID, in bits behind the header of the unit.
    id_at: usize,
    /// Whether there are planes of chroma.
    has_chroma: bool,
    /// Whether slice headers hold flags of sample adaptive offset (SAO).
    offsets: bool,
}

impl Sequence {
    fn read(unit: &[u8]) -> Option<Self> {
        let plain = unescape(unit.get(HEADER..)?);
        let mut bits = Bits::new(&plain);
        let sub_layers = skip_to_id(&mut bits)?;
        let id_at = bits.at;
        bits.golomb()?; // sps_seq_parameter_set_id
        let chroma = bits.golomb()?;
        let separate = chroma == 3 && bits.flag()?;
        bits.golomb()?; // pic_width_in_luma_samples
        bits.golomb()?; // pic_height_in_luma_samples
        if bits.flag()? {
            for _ in 0..4 {
                bits.golomb()?; // conf_win_*_offset
            }
        }
        bits.golomb()?; // bit_depth_luma_minus8
        bits.golomb()?; // bit_depth_chroma_minus8
        bits.golomb()?; // log2_max_pic_order_cnt_lsb_minus4
        let layers = if bits.flag()? { sub_layers + 1 } else { 1 };
        for _ in 0..layers * 3 {
            bits.golomb()?; // sizes of buffers
        }
        for _ in 0..6 {
            bits.golomb()?; // sizes and depths of blocks
        }
        if bits.flag()? && bits.flag()? {
            return None; // Scaling lists are not read: our encoder writes none.
        }
        bits.flag()?; // amp_enabled_flag
        let offsets = bits.flag()?;
        Some(Self { id_at, has_chroma: chroma != 0 && !separate, offsets })
    }
}

/// Skips the fields before the ID of an SPS. Returns the number of sub-layers beside the first.
fn skip_to_id(bits: &mut Bits<'_>) -> Option<u32> {
    bits.skip(4)?;
    let sub_layers = bits.number(3)?;
    bits.flag()?; // sps_temporal_id_nesting_flag
    bits.skip(96)?; // general profile, tier and level
    if sub_layers > 0 {
        let mut present = Vec::new();
        for layer in 0..8 {
            let flags = (bits.flag()?, bits.flag()?);
            present.extend((layer < sub_layers).then_some(flags));
        }
        for (profile, level) in present {
            bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
        }
    }
    Some(sub_layers)
}

/// What is needed of a picture parameter set (PPS) to read slice headers.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags, as the standard has them")]
struct Picture {
    output_flag: bool,
    extra_bits: u32,
    chroma_offsets: bool,
    entry_points: bool,
    across_slices: bool,
    overrides_deblocking: bool,
    no_deblocking: bool,
    header_extension: bool,
}

impl Picture {
    fn read(unit: &[u8]) -> Option<Self> {
        let plain = unescape(unit.get(HEADER..)?);
        let mut bits = Bits::new(&plain);
        bits.golomb()?; // pps_pic_parameter_set_id
        bits.golomb()?; // pps_seq_parameter_set_id
        bits.flag()?; // dependent_slice_segments_enabled_flag
        let output_flag = bits.flag()?;
        let extra_bits = bits.number(3)?;
        bits.skip(2)?; // sign_data_hiding_enabled_flag, cabac_init_present_flag
        bits.golomb()?; // num_ref_idx_l0_default_active_minus1
        bits.golomb()?; // num_ref_idx_l1_default_active_minus1
        bits.signed_golomb()?; // init_qp_minus26
        bits.skip(2)?; // constrained_intra_pred_flag, transform_skip_enabled_flag
        if bits.flag()? {
            bits.golomb()?; // diff_cu_qp_delta_depth
        }
        bits.signed_golomb()?; // pps_cb_qp_offset
        bits.signed_golomb()?; // pps_cr_qp_offset
        let chroma_offsets = bits.flag()?;
        bits.skip(3)?; // weighted prediction, transquant_bypass_enabled_flag
        let (tiles, rows) = (bits.flag()?, bits.flag()?);
        if tiles {
            return None; // Tiles are not handled: our encoder makes none.
        }
        let across_slices = bits.flag()?;
        let (mut overrides_deblocking, mut no_deblocking) = (false, false);
        if bits.flag()? {
            overrides_deblocking = bits.flag()?;
            no_deblocking = bits.flag()?;
            if !no_deblocking {
                bits.signed_golomb()?; // pps_beta_offset_div2
                bits.signed_golomb()?; // pps_tc_offset_div2
            }
        }
        if bits.flag()? {
            return None; // Scaling lists are not read, as in the SPS.
        }
        bits.flag()?; // lists_modification_present_flag
        bits.golomb()?; // log2_parallel_merge_level_minus2
        let header_extension = bits.flag()?;
        Some(Self {
            output_flag,
            extra_bits,
            chroma_offsets,
            entry_points: rows,
            across_slices,
            overrides_deblocking,
            no_deblocking,
            header_extension,
        })
    }
}

/// Gives other IDs to the parameter sets and pictures of an encoder that makes intra pictures only.
#[derive(Clone, Debug)]
pub struct Renumber {
    ids: Ids,
    sequence: Sequence,
    picture: Picture,
}

impl Renumber {
    /// The renumbering of packets, and the encoder's parameter sets with the IDs `ids`. `None` for
    /// sets in a form that our encoder does not make.
    pub fn of(encoder: &HevcSets, ids: Ids) -> Option<(Self, Vec<Vec<u8>>)> {
        let one = |kind| {
            let mut units = encoder.of(kind);
            units.next().filter(|_| units.next().is_none())
        };
        let (video, sequence, picture) = (one(VIDEO)?, one(SEQUENCE)?, one(PICTURE)?);
        let this =
            Self { ids, sequence: Sequence::read(sequence)?, picture: Picture::read(picture)? };
        let all = [this.video(video), this.sequence(sequence), this.pictures(picture)];
        let all: Option<Vec<_>> = all.into_iter().collect();
        Some((this, all?))
    }

    fn video(&self, unit: &[u8]) -> Option<Vec<u8>> {
        rewritten(unit, |bits, to| {
            bits.skip(4)?;
            to.number(self.ids.video, 4);
            Some(())
        })
    }

    fn sequence(&self, unit: &[u8]) -> Option<Vec<u8>> {
        rewritten(unit, |bits, to| {
            bits.skip(4)?;
            to.number(self.ids.video, 4);
            to.copy(bits, self.sequence.id_at)?;
            bits.golomb()?;
            to.golomb(self.ids.sequence);
            Some(())
        })
    }

    fn pictures(&self, unit: &[u8]) -> Option<Vec<u8>> {
        rewritten(unit, |bits, to| {
            bits.golomb()?;
            to.golomb(self.ids.picture);
            bits.golomb()?;
            to.golomb(self.ids.sequence);
            Some(())
        })
    }

    /// A slice of an intra picture with the new ID of its PPS (7.3.6.1); `None` when its header has
    /// a form that our encoder does not make.
    fn slice(&self, unit: &[u8]) -> Option<Vec<u8>> {
        let plain = unescape(unit.get(HEADER..)?);
        let (mut bits, mut to) = (Bits::new(&plain), BitWriter::default());
        to.copy(&mut bits, 2)?; // first_slice_segment_in_pic_flag, no_output_of_prior_pics_flag
        if plain.first()? & 0x80 == 0 {
            return None; // Not the first slice: our encoder makes one for each picture.
        }
        bits.golomb()?;
        to.golomb(self.ids.picture);
        let from = bits.at;
        let picture = &self.picture;
        bits.skip(usize::try_from(picture.extra_bits).ok()?)?;
        if bits.golomb()? != 2 {
            return None; // Not an I slice.
        }
        if picture.output_flag {
            bits.flag()?;
        }
        let mut filters = false;
        if self.sequence.offsets {
            filters |= bits.flag()?;
            filters |= self.sequence.has_chroma && bits.flag()?;
        }
        bits.signed_golomb()?; // slice_qp_delta
        if picture.chroma_offsets {
            bits.signed_golomb()?; // slice_cb_qp_offset
            bits.signed_golomb()?; // slice_cr_qp_offset
        }
        let mut no_deblocking = picture.no_deblocking;
        if picture.overrides_deblocking && bits.flag()? {
            no_deblocking = bits.flag()?;
            if !no_deblocking {
                bits.signed_golomb()?; // slice_beta_offset_div2
                bits.signed_golomb()?; // slice_tc_offset_div2
            }
        }
        if picture.across_slices && (filters || !no_deblocking) {
            bits.flag()?; // slice_loop_filter_across_slices_enabled_flag
        }
        if picture.entry_points && bits.golomb()? > 0 {
            return None;
        }
        if picture.header_extension {
            let length = usize::try_from(bits.golomb()?).ok()?;
            bits.skip(length.checked_mul(8)?)?;
        }
        let end = bits.at;
        bits.at = from;
        to.copy(&mut bits, end)?;
        // byte_alignment(): a one, then zeros.
        if !bits.flag()? {
            return None;
        }
        to.flag(true);
        while !to.is_aligned() {
            to.flag(false);
        }
        to.bytes.extend(plain.get(bits.at.div_ceil(8)..)?);
        Some([&unit[..HEADER], &escape(&to.bytes)].concat())
    }

    /// A packet whose pictures refer to the new IDs, without parameter sets and delimiters. Its
    /// units are delimited as in `like`.
    ///
    /// # Errors
    /// A phrase that says why not.
    pub fn packet(&self, data: &[u8], like: &HevcSets) -> Result<Vec<u8>, &'static str> {
        let mut packet = Vec::with_capacity(data.len() + 16);
        for unit in units(data, Framing::StartCodes) {
            match kind_of(unit) {
                VIDEO..=DELIMITER => {}
                16..=20 => {
                    let slice = self.slice(unit).ok_or("a slice of the encoder can not be read")?;
                    like.append(&mut packet, &slice)?;
                }
                0..=31 => return Err("the encoder wrote a picture of an unexpected type"),
                _ => like.append(&mut packet, unit)?,
            }
        }
        Ok(packet)
    }
}

/// A parameter set with a new beginning. The rest is copied, up to and including its stop bit.
fn rewritten(
    unit: &[u8],
    begin: impl FnOnce(&mut Bits<'_>, &mut BitWriter) -> Option<()>,
) -> Option<Vec<u8>> {
    let plain = unescape(unit.get(HEADER..)?);
    // The last bit that is set is the stop bit; the zeros after it fill the byte.
    let last = plain.iter().rposition(|byte| *byte != 0)?;
    let end = last * 8 + 8 - usize::try_from(plain[last].trailing_zeros()).ok()?;
    let (mut bits, mut to) = (Bits::new(&plain), BitWriter::default());
    begin(&mut bits, &mut to)?;
    to.copy(&mut bits, end)?;
    Some([&unit[..HEADER], &escape(&to.bytes)].concat())
}
