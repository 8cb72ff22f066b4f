//! Finds changes of codec parameters within a stream, which a stream copy can not follow.

use std::collections::BTreeMap;

use avocet_model::format::nal::{
    Bits, Framing,
    avc::{AvcSequence, AvcSets},
    hevc::{self, HevcSets},
    units,
};

use crate::libav::{Packet, Parameters};

/// The codec parameters of one stream, as its container and its packets tell them.
#[derive(Debug)]
pub(crate) struct Coding {
    /// The extradata of the container, such as parameter sets.
    extradata: Vec<u8>,
    packets: Told,
}

/// What packets tell of their codec parameters, by codec.
#[derive(Debug)]
pub(crate) enum Told {
    /// H.264: the sequence parameter sets that are known so far.
    Avc(Framing, Vec<AvcSequence>),
    /// HEVC: the sequence parameter sets that are known so far, by their numbers.
    Hevc(Framing, BTreeMap<u32, Vec<u8>>),
    /// Codecs with a header in packets: what reads it, and what the last one said.
    Header(fn(&[u8]) -> Option<Vec<u8>>, Option<Vec<u8>>),
    /// Vorbis: headers in packets must be those of the extradata.
    Vorbis,
    /// Other codecs: packets tell nothing that could change.
    Nothing,
}

impl Coding {
    /// The codec parameters that a stream begins with.
    pub(crate) fn of(parameters: &Parameters) -> Self {
        let extradata = parameters.extradata().to_vec();
        let packets = Told::of(&parameters.codec(), &extradata);
        Self { extradata, packets }
    }

    /// Whether a packet is coded with other parameters than those before it. Later packets are
    /// compared with the new ones.
    pub(crate) fn changes(&mut self, packet: &Packet) -> bool {
        let beside = packet.new_extradata().is_some_and(|new| {
            // A container without extradata may give it with the first packet, which is no change.
            let changes = !self.extradata.is_empty() && self.extradata != new;
            self.extradata = new.to_vec();
            changes
        });
        self.packets.changes(packet.data(), &self.extradata) || beside
    }
}

impl Told {
    /// What is known of a codec before its first packet, by the extradata.
    pub(crate) fn of(codec: &str, extradata: &[u8]) -> Self {
        let header = |read: fn(&[u8]) -> Option<Vec<u8>>| Self::Header(read, None);
        match codec {
            "h264" => {
                let sets = AvcSets::read(extradata);
                let framing = sets.as_ref().map_or(Framing::StartCodes, |sets| sets.framing);
                Self::Avc(framing, sets.and_then(|sets| sets.sequences()).unwrap_or_default())
            }
            "hevc" => {
                let sets = HevcSets::read(extradata);
                let framing = sets.as_ref().map_or(Framing::StartCodes, |sets| sets.framing);
                let sequences = sets.iter().flat_map(HevcSets::sequences);
                let known =
                    sequences.filter_map(|set| Some((hevc::sequence_id(set)?, set.clone())));
                Self::Hevc(framing, known.collect())
            }
            "mpeg1video" | "mpeg2video" => header(mpeg_sequence),
            "av1" => header(av1_sequence),
            "aac" => header(adts),
            "mp1" | "mp2" | "mp3" => header(mpeg_audio),
            "ac3" | "eac3" => header(dolby),
            "flac" => header(flac),
            "vorbis" => Self::Vorbis,
            _ => Self::Nothing,
        }
    }

    /// Whether a packet is coded with other parameters than those before it.
    pub(crate) fn changes(&mut self, data: &[u8], extradata: &[u8]) -> bool {
        match self {
            Self::Avc(framing, known) => {
                let found = units(data, *framing).filter_map(AvcSequence::of_unit);
                found.fold(false, |changes, set| {
                    let place = known.iter().position(|other| other.id == set.id);
                    let is_new = place.map_or(!known.is_empty(), |place| known[place] != set);
                    match place {
                        Some(place) => known[place] = set,
                        None => known.push(set),
                    }
                    changes || is_new
                })
            }
            Self::Hevc(framing, known) => {
                let sets = units(data, *framing).filter(|unit| hevc::is_sequence(unit));
                let found = sets.filter_map(|set| Some((hevc::sequence_id(set)?, set)));
                found.fold(false, |changes, (id, set)| {
                    let is_same = known.get(&id).map_or(known.is_empty(), |other| other == set);
                    if !is_same || known.is_empty() {
                        known.insert(id, set.to_vec());
                    }
                    changes || !is_same
                })
            }
            Self::Header(read, known) => read(data).is_some_and(|found| {
                let changes = known.as_ref().is_some_and(|known| *known != found);
                *known = Some(found);
                changes
            }),
            Self::Vorbis => {
                let is_header = data.first().is_some_and(|kind| kind & 1 == 1)
                    && data.get(1..7) == Some(b"vorbis");
                is_header && !extradata.windows(data.len()).any(|known| known == data)
            }
            Self::Nothing => false,
        }
    }
}

/// Size, pixel aspect and frame rate of a sequence header (ISO/IEC 13818-2, 6.2.2.1).
fn mpeg_sequence(data: &[u8]) -> Option<Vec<u8>> {
    let at = data.windows(4).position(|code| code == [0, 0, 1, 0xb3])?;
    data.get(at + 4..at + 8).map(<[u8]>::to_vec)
}

/// What the sequence header of AV1 says of its pictures (AV1 specification, 5.3).
fn av1_sequence(data: &[u8]) -> Option<Vec<u8>> {
    const SEQUENCE: u8 = 1;
    let mut rest = data;
    while let [header, ..] = rest {
        rest = rest.get(if header & 4 == 0 { 1 } else { 2 }..)?;
        let mut size = rest.len();
        if header & 2 != 0 {
            let length = rest.iter().take(8).position(|byte| byte & 0x80 == 0)? + 1;
            let bytes = rest.iter().take(length).rev();
            size = bytes.fold(0, |all, byte| (all << 7) | usize::from(byte & 0x7f));
            rest = rest.get(length..)?;
        }
        let (unit, after) = rest.split_at_checked(size)?;
        if header >> 3 & 15 == SEQUENCE {
            return Some(av1_pictures(unit).unwrap_or_else(|| unit.to_vec()));
        }
        rest = after;
    }
    None
}

/// Profile, size and bit depth of a sequence header of AV1 (AV1 specification, 5.5). The coding
/// tools are left out: a player need not know them in advance.
fn av1_pictures(unit: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Bits::new(unit);
    let profile = bits.number(3)?;
    bits.skip(1)?; // still_picture
    let is_reduced = bits.flag()?;
    if is_reduced {
        bits.skip(5)?; // seq_level_idx
    } else {
        av1_operating_points(&mut bits)?;
    }
    let lengths = [bits.number(4)? + 1, bits.number(4)? + 1];
    let size = [bits.number(lengths[0])?, bits.number(lengths[1])?];
    if !is_reduced && bits.flag()? {
        bits.skip(4 + 3)?; // lengths of frame ids
    }
    bits.skip(3)?; // superblocks, intra filter, intra edge filter
    if !is_reduced {
        bits.skip(4)?; // compound prediction, warped motion, dual filter
        let has_order = bits.flag()?;
        bits.skip(if has_order { 2 } else { 0 })?;
        let chooses_screen_tools = bits.flag()?;
        if (chooses_screen_tools || bits.flag()?) && !bits.flag()? {
            bits.skip(1)?; // seq_force_integer_mv
        }
        bits.skip(if has_order { 3 } else { 0 })?;
    }
    bits.skip(3)?; // superresolution, CDEF, loop restoration
    let is_high = bits.flag()?;
    let is_twelve = profile == 2 && is_high && bits.flag()?;
    let depth = if is_twelve { 12 } else { 8 + 2 * u32::from(is_high) };
    Some([profile, size[0], size[1], depth].map(u32::to_be_bytes).concat())
}

/// Passes over what a sequence header of AV1 says of timing and of its operating points.
fn av1_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_length = None;
    if bits.flag()? {
        bits.skip(32 + 32)?; // ticks
        if bits.flag()? {
            bits.golomb()?;
        }
        if bits.flag()? {
            delay_length = Some(bits.number(5)? as usize + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let has_display_delays = bits.flag()?;
    for _ in 0..=bits.number(5)? {
        bits.skip(12)?; // operating_point_idc
        if bits.number(5)? > 7 {
            bits.skip(1)?; // seq_tier
        }
        if let Some(length) = delay_length
            && bits.flag()?
        {
            bits.skip(2 * length + 1)?;
        }
        if has_display_delays && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(())
}

/// Profile, sample rate and channels of an ADTS header (ISO/IEC 14496-3, 1.A.2.2.1).
fn adts(data: &[u8]) -> Option<Vec<u8>> {
    let &[0xff, sync, rate, channels, ..] = data else { return None };
    (sync & 0xf6 == 0xf0).then(|| vec![rate & 0xfd, channels & 0xc0])
}

/// Version, layer, sample rate, and whether it is mono, of MPEG audio (ISO/IEC 11172-3, 2.4.1.3).
fn mpeg_audio(data: &[u8]) -> Option<Vec<u8>> {
    let &[0xff, version, rate, mode, ..] = data else { return None };
    (version & 0xe0 == 0xe0).then(|| vec![version & 0x1e, rate & 0x0c, u8::from(mode >> 6 == 3)])
}

/// Sample rate and channels of AC-3 and E-AC-3 (ETSI TS 102 366, 4.3 and annex E, 1.2).
fn dolby(data: &[u8]) -> Option<Vec<u8>> {
    let &[0x0b, 0x77, stream, _, rate, version, channels, ..] = data else { return None };
    if version >> 3 > 10 {
        // Dependent substreams, and those of a number above 0, tell of other channels.
        let is_main = stream >> 6 != 1 && (stream >> 3) % 8 == 0;
        return is_main.then(|| vec![rate & 0xcf]);
    }
    let mode = channels >> 5;
    // The bit of the low frequencies (`lfeon`) is behind mix levels that only some modes have.
    let has_center = mode & 1 == 1 && mode != 1;
    let levels = [has_center, mode & 4 != 0, mode == 2];
    let skipped = levels.into_iter().filter(|there| *there).count() * 2;
    let low = u16::from(channels) << 8 | u16::from(data.get(7).copied().unwrap_or(0));
    let has_low = low >> (12 - skipped) & 1;
    Some(vec![rate & 0xc0, mode, u8::from(has_low == 1)])
}

/// Sample rate, channels and sample size of a frame of FLAC (RFC 9639, 9.1).
fn flac(data: &[u8]) -> Option<Vec<u8>> {
    let &[0xff, 0xf8 | 0xf9, rate, channels, ..] = data else { return None };
    // Values from 8 to 10 are stereo, one channel of which is coded as a difference.
    let count = match channels >> 4 {
        8..=10 => 1,
        count => count,
    };
    Some(vec![rate & 15, count, channels & 0x0e])
}

#[cfg(test)]
mod tests {
    use super::*;
    use avocet_model::format::nal::BitWriter;

    #[test]
    fn headers_tell_what_matters_and_nothing_else() {
        let check = |read: fn(&[u8]) -> Option<Vec<u8>>, one: &[u8], same: &[u8], other: &[u8]| {
            assert!(read(one).is_some());
            assert_eq!(read(one), read(same));
            assert_ne!(read(one), read(other));
        };
        // AAC-LC, stereo, at 44.1 and 48 kHz; the second one is of another length.
        check(
            adts,
            &[0xff, 0xf1, 0x50, 0x80, 1],
            &[0xff, 0xf1, 0x50, 0x81, 9],
            &[0xff, 0xf1, 0x4c, 0x80],
        );
        // Joint stereo is stereo; mono is not.
        check(
            mpeg_audio,
            &[0xff, 0xfb, 0x90, 0x00],
            &[0xff, 0xfb, 0x92, 0x40],
            &[0xff, 0xfb, 0x90, 0xc0],
        );
        // AC-3 at 48 kHz: 3/2 with and without its low frequencies, whatever the mix levels are.
        check(
            dolby,
            &[0x0b, 0x77, 1, 2, 0x1c, 0x40, 0b1110_0001, 0],
            &[0x0b, 0x77, 3, 4, 0x1c, 0x40, 0b1110_1011, 9],
            &[0x0b, 0x77, 1, 2, 0x1c, 0x40, 0b1110_0000, 0],
        );
        check(
            flac,
            &[0xff, 0xf8, 0xc9, 0x18],
            &[0xff, 0xf8, 0x79, 0xa8],
            &[0xff, 0xf8, 0xca, 0x18],
        );
        check(
            mpeg_sequence,
            &[0, 0, 1, 0xb3, 0x2d, 2, 0x40, 0x33, 1],
            &[9, 0, 0, 1, 0xb3, 0x2d, 2, 0x40, 0x33, 2],
            &[0, 0, 1, 0xb3, 0x2d, 2, 0x40, 0x23],
        );
        // A temporal delimiter, then a sequence header of 16 by 8 pixels: with other tools, and
        // with 10 bits.
        let av1 = |tools: u32, is_high: bool| {
            let mut bits = BitWriter::default();
            bits.number(0b0_0011, 5);
            bits.number(0, 5);
            bits.number(3, 4);
            bits.number(2, 4);
            bits.number(15, 4);
            bits.number(7, 3);
            bits.number(tools, 6);
            bits.flag(is_high);
            let length = u8::try_from(bits.bytes.len()).unwrap_or(0);
            [&[0x12, 0, 0x0a, length][..], &bits.bytes].concat()
        };
        check(av1_sequence, &av1(0, false), &av1(0b11_1010, false)[2..], &av1(0, true));
        // Headers that can not be parsed are compared as a whole.
        check(
            av1_sequence,
            &[0x12, 0, 0x0a, 2, 7, 8],
            &[0x0a, 2, 7, 8, 0x32, 1, 9],
            &[0x12, 0, 0x0a, 2, 7, 9],
        );
        assert_eq!(adts(&[1, 2, 3, 4]), None);
        assert_eq!(av1_sequence(&[0x0a, 200]), None);
    }
}
