//! How many samples packets of sound hold, by their codec and not by their container.

use std::{ffi::c_int, ptr::NonNull};

use ffmpeg_sys_next as ffi;

use super::{AvResult, Packet, Parameters, number_of};

/// Counts the samples of the packets of one stream, one after the other.
///
/// The durations of a container do not tell: a sample table stretches a packet over a hole that
/// follows it, and others round to a millisecond.
pub(crate) struct SampleCounter {
    coding: Parameters,
    codec: Codec,
    /// Samples per second of the decoded sound, in Hz.
    pub(crate) rate: u32,
}

/// Whose packets tell how long they are.
enum Codec {
    Opus,
    Vorbis(NonNull<ffi::AVVorbisParseContext>),
    Flac,
    Pcm,
    /// What libav knows from the parameters and the size of a packet.
    Other,
}

// SAFETY: a parser of Vorbis is plain memory without thread affinity.
unsafe impl Send for SampleCounter {}

impl SampleCounter {
    /// A counter before the first packet of a stream; `None` where its rate is not known.
    pub(crate) fn of(parameters: &Parameters) -> AvResult<Option<Self>> {
        // SAFETY: the parameters are live.
        let coding = unsafe { Parameters::copy(parameters.as_ptr(), Some(parameters.time_base)) }?;
        // SAFETY: as above.
        let rate = u32::try_from(unsafe { (*coding.as_ptr()).sample_rate }).unwrap_or(0);
        let codec = match coding.codec().as_str() {
            "opus" => Codec::Opus,
            "vorbis" => {
                let extradata = coding.extradata();
                let size = i32::try_from(extradata.len()).unwrap_or(0);
                // SAFETY: the extra data is as long as is said, and is read only.
                let parser = unsafe { ffi::av_vorbis_parse_init(extradata.as_ptr(), size) };
                NonNull::new(parser).map_or(Codec::Other, Codec::Vorbis)
            }
            "flac" => Codec::Flac,
            codec if codec.starts_with("pcm_") => Codec::Pcm,
            _ => Codec::Other,
        };
        // Opus is decoded at 48 kHz, whatever it was made from (RFC 7845, 4.2).
        let rate = if matches!(codec, Codec::Opus) { 48_000 } else { rate };
        Ok((rate > 0).then_some(Self { coding, codec, rate }))
    }

    /// Samples per channel of the next packet; `None` where neither it nor its codec tells.
    pub(crate) fn count(&mut self, packet: &Packet) -> Option<i64> {
        let data = packet.data();
        let size = i32::try_from(data.len()).ok()?;
        let samples = match self.codec {
            Codec::Opus => opus_samples(data)?,
            Codec::Flac => flac_samples(data)?,
            Codec::Vorbis(parser) => {
                // SAFETY: the parser is live, and the data as long as is said.
                let samples =
                    unsafe { ffi::av_vorbis_parse_frame(parser.as_ptr(), data.as_ptr(), size) };
                i64::from(samples)
            }
            Codec::Pcm | Codec::Other => {
                let coding = self.coding.as_ptr();
                // SAFETY: the parameters are live.
                i64::from(unsafe { ffi::av_get_audio_frame_duration2(coding, size) })
            }
        };
        Some(samples).filter(|samples| *samples > 0)
    }

    /// Samples at the beginning that decoders leave out, of a stream whose first packet holds
    /// `first`: what Opus calls pre-skip, and all of the first packet of Vorbis, which only overlaps
    /// with the next. `None` for codecs whose packets do not tell.
    pub(crate) fn left_out(&self, first: i64) -> Option<i64> {
        match self.codec {
            Codec::Opus => {
                // SAFETY: the parameters are live and ours.
                let padding = unsafe {
                    super::opus::set_padding(self.coding.as_ptr());
                    (*self.coding.as_ptr()).initial_padding
                };
                Some(padding.into())
            }
            Codec::Vorbis(_) => Some(first),
            Codec::Flac | Codec::Pcm | Codec::Other => None,
        }
    }

    /// Whether each packet is decoded by itself.
    pub(crate) fn is_independent(&self) -> bool {
        matches!(self.codec, Codec::Flac | Codec::Pcm)
    }

    /// Whether the first packet decodes to nothing.
    pub(crate) fn first_is_silent(&self) -> bool {
        matches!(self.codec, Codec::Vorbis(_))
    }
}

impl Drop for SampleCounter {
    fn drop(&mut self) {
        if let Codec::Vorbis(parser) = self.codec {
            let mut pointer = parser.as_ptr();
            // SAFETY: the parser is ours and is freed once.
            unsafe { ffi::av_vorbis_parse_free(&raw mut pointer) };
        }
    }
}

/// Samples that a packet is decoded to, and how many of them make a second, where the packet or the
/// parameters of its codec tell.
///
/// # Safety
/// `coding` points to valid codec parameters.
pub(super) unsafe fn of_packet(
    coding: *const ffi::AVCodecParameters,
    packet: &Packet,
) -> Option<(i64, c_int)> {
    // SAFETY: as promised by the caller.
    let (codec, size, rate) =
        unsafe { (number_of!((*coding).codec_id), (*coding).frame_size, (*coding).sample_rate) };
    if codec == ffi::AVCodecID::AV_CODEC_ID_OPUS as c_int {
        return Some((opus_samples(packet.data())?, 48_000));
    }
    (size > 0).then_some((size.into(), rate))
}

/// Samples at 48 kHz of a packet of Opus (RFC 6716, 3.1 and 3.2).
fn opus_samples(packet: &[u8]) -> Option<i64> {
    let (toc, rest) = packet.split_first()?;
    let frame = match toc >> 3 {
        // SILK: 10, 20, 40 or 60 ms.
        config @ 0..12 => [480, 960, 1920, 2880][usize::from(config % 4)],
        // Both: 10 or 20 ms.
        config @ 12..16 => [480, 960][usize::from(config % 2)],
        // CELT: 2.5, 5, 10 or 20 ms.
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(rest.first()? & 0x3f),
    };
    Some(frame * frames)
}

/// Samples of a frame of FLAC (RFC 9639, 9.1.1).
fn flac_samples(frame: &[u8]) -> Option<i64> {
    let after_number = || {
        // The number of the frame or sample is coded as UTF-8 codes a character.
        let ones = frame.get(4)?.leading_ones();
        frame.get(4 + usize::try_from(ones.max(1)).ok()?..)
    };
    Some(match frame.get(2)? >> 4 {
        1 => 192,
        code @ 2..=5 => 576 << (code - 2),
        6 => i64::from(*after_number()?.first()?) + 1,
        7 => i64::from(u16::from_be_bytes(after_number()?.get(..2)?.try_into().ok()?)) + 1,
        code @ 8.. => 256 << (code - 8),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_opus_tell_their_samples() {
        // One frame of 20 ms of CELT; two of 60 ms of SILK; three of 2.5 ms.
        assert_eq!(opus_samples(&[31 << 3]), Some(960));
        assert_eq!(opus_samples(&[3 << 3 | 1]), Some(5760));
        assert_eq!(opus_samples(&[16 << 3 | 3, 3]), Some(360));
        assert_eq!(opus_samples(&[3]), None);
        assert_eq!(opus_samples(&[]), None);
    }

    #[test]
    fn frames_of_flac_tell_their_samples() {
        assert_eq!(flac_samples(&[0xff, 0xf8, 0xc9, 0x18, 0]), Some(4096));
        assert_eq!(flac_samples(&[0xff, 0xf8, 0x69, 0x18, 0x05, 99]), Some(100));
        assert_eq!(flac_samples(&[0xff, 0xf8, 0x79, 0x18, 0xc3, 0xa9, 0x02, 0x3f]), Some(576));
        assert_eq!(flac_samples(&[0xff, 0xf8, 0x09]), None);
    }
}
