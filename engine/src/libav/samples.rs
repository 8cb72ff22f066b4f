//! Counts the samples of audio packets by their coded data, not by container durations.

use std::{ffi::c_int, ptr::NonNull};

use ffmpeg_sys_next as ffi;

use super::{AvResult, Packet, Parameters, number_of};

/// Counts the samples of the packets of one stream, which must come in order.
///
/// Container durations are not exact. A sample table stretches a packet over a gap behind it, and
/// other containers round to a millisecond.
pub(crate) struct SampleCounter {
    coding: Parameters,
    codec: Codec,
    /// Sample rate of the decoded audio, in Hz.
    pub(crate) rate: u32,
}

/// How the samples of a packet are counted.
enum Codec {
    Opus,
    Vorbis(NonNull<ffi::AVVorbisParseContext>),
    Flac,
    Pcm,
    /// libav computes it from the codec parameters and the size of the packet.
    Other,
}

// SAFETY: a parser of Vorbis is plain memory without thread affinity.
unsafe impl Send for SampleCounter {}

impl SampleCounter {
    /// A counter for a stream, before its first packet; `None` when the sample rate is not known.
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

    /// Samples per channel of the next packet; `None` when they can not be determined.
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

    /// Priming, in samples, that decoders discard at the start of a stream whose first packet holds
    /// `first` samples. For Opus this is the pre-skip. For Vorbis it is all of the first packet,
    /// which only overlaps with the next one. `None` for other codecs.
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

    /// Whether each packet can be decoded without any other.
    pub(crate) fn is_independent(&self) -> bool {
        matches!(self.codec, Codec::Flac | Codec::Pcm)
    }

    /// Whether the first packet decodes to no samples.
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

/// Samples per channel that a packet decodes to, and their rate in Hz; `None` when neither the
/// packet nor the codec parameters state it.
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
        // Hybrid of both: 10 or 20 ms.
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
        // The frame or sample number has a variable length, coded like a UTF-8 character.
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
