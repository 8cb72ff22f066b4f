//! Priming and end padding of audio, where libav does not account for them.

use ffmpeg_sys_next as ffi;

use super::{AvResult, Demuxer, Packet, Rational, Timestamp, samples};

impl Demuxer {
    /// Marks the encoder delay (`CodecDelay`) of a first Matroska packet, which begins before 0, as
    /// samples to skip. libav does so itself since FFmpeg 8. The Opus decoder skips them by itself.
    pub(super) fn begin_sound(&self, packet: &mut Packet) -> AvResult<()> {
        let is_before = packet.pts().is_some_and(|pts| pts < 0);
        if !is_before || packet.skipped().is_some() || !self.is_format("webm") {
            return Ok(());
        }
        // SAFETY: the context is open; libav numbers the streams of its packets rightly, and each
        // has codec parameters.
        let coding =
            unsafe { &*(**(*self.context.as_ptr()).streams.add(packet.stream())).codecpar };
        let (Some(padding), Some(base)) = (
            u32::try_from(coding.initial_padding).ok().filter(|samples| *samples > 0),
            self.time_base_of(packet),
        ) else {
            return Ok(());
        };
        let is_opus = coding.codec_id == ffi::AVCodecID::AV_CODEC_ID_OPUS;
        let begins = Rational::new(1, coding.sample_rate)
            .and_then(|rate| Timestamp::new(-i64::from(padding), rate).rescale(base));
        // Times are rounded to ticks, so the first packet may be off by one.
        let is_first = begins.is_some_and(|begins| packet.pts() <= Some(begins.ticks + 1));
        if is_opus || !is_first { Ok(()) } else { packet.set_skipped(padding) }
    }

    /// Subtracts end padding from the duration of a packet. libav's duration includes it, except in
    /// Ogg, and since FFmpeg 8.1 in Matroska where the block states its duration, as libav's own
    /// muxer writes it.
    pub(super) fn end_sound(&self, packet: &mut Packet) {
        let Some(padding) = packet.padding() else { return };
        if self.is_format("ogg") {
            return;
        }
        let Some(base) = self.time_base_of(packet) else { return };
        // SAFETY: the context is open; libav numbers the streams of its packets rightly.
        let coding = unsafe { (**(*self.context.as_ptr()).streams.add(packet.stream())).codecpar };
        // SAFETY: a stream has codec parameters.
        let (rate, samples) =
            unsafe { ((*coding).sample_rate, samples::of_packet(coding, packet)) };
        let at_rate = |samples, rate| {
            Timestamp::new(samples, Rational::new(1, rate)?).rescale(base).map(|at| at.ticks)
        };
        let Some(padding) = at_rate(padding, rate) else { return };
        let whole = samples.and_then(|(samples, rate)| at_rate(samples, rate));
        // The duration excludes the padding already. Half of the padding is a tolerance for
        // rounding.
        if whole.is_some_and(|whole| packet.duration() <= whole - (padding + 1) / 2) {
            return;
        }
        packet.set_duration((packet.duration() - padding).max(0));
    }
}
