//! Text subtitles: decodes them, and encodes them with another codec.

use std::{ffi::c_int, mem::MaybeUninit, ptr};

use ffmpeg_sys_next as ffi;

use avocet_model::time::{Rational, TimeBase, Timestamp};

use super::{
    AvResult, OpenError, Packet, Parameters, allocated, av_rational, c_string, check,
    codec::Context, text,
};

/// Largest encoded subtitle packet, in bytes.
const LARGEST: usize = 1 << 20;

/// A decoder and an encoder of text subtitles.
#[derive(Debug)]
pub(crate) struct SubtitleCoder {
    decoder: Context,
    encoder: Context,
}

/// A decoded subtitle: its text, and when it is on screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cue {
    /// Presentation time at which it appears, in microseconds.
    pub(crate) start: i64,
    /// Presentation time at which it disappears, in microseconds; `None` when that is not known.
    pub(crate) end: Option<i64>,
    /// Its text: dialogue events of ASS as libav returns them, without their times.
    pub(crate) events: Vec<String>,
}

/// A subtitle of libav, freed with all that it holds when it is dropped.
struct Subtitle(ffi::AVSubtitle);

impl Subtitle {
    fn empty() -> Self {
        // SAFETY: a struct of zeros is an empty subtitle.
        Self(unsafe { MaybeUninit::zeroed().assume_init() })
    }

    /// A subtitle that holds these ASS events.
    fn of(events: &[String]) -> AvResult<Self> {
        let mut subtitle = Self::empty();
        let size = size_of::<*mut ffi::AVSubtitleRect>();
        // SAFETY: all memory is libav's own, as `avsubtitle_free` expects; the list has room for
        // all rectangles and counts those that are in it.
        unsafe {
            let rects = allocated(ffi::av_calloc(events.len().max(1), size))?;
            subtitle.0.rects = rects.as_ptr().cast();
            for (place, event) in events.iter().enumerate() {
                let rect = allocated(ffi::av_mallocz(size_of::<ffi::AVSubtitleRect>()))?;
                let rect = rect.as_ptr().cast::<ffi::AVSubtitleRect>();
                subtitle.0.rects.add(place).write(rect);
                subtitle.0.num_rects += 1;
                (*rect).type_ = ffi::AVSubtitleType::SUBTITLE_ASS;
                (*rect).ass = allocated(ffi::av_strdup(c_string(event).as_ptr()))?.as_ptr();
            }
        }
        // 1 means text, and 0 bitmaps.
        subtitle.0.format = 1;
        Ok(subtitle)
    }

    fn events(&self) -> Vec<String> {
        // SAFETY: there are as many rectangles as is said, and the text of each is null or a
        // string.
        let event = |place| unsafe { text((**self.0.rects.add(place)).ass) };
        (0..self.0.num_rects as usize).map(event).filter(|event| !event.is_empty()).collect()
    }
}

impl Drop for Subtitle {
    fn drop(&mut self) {
        // SAFETY: what is in it was allocated by libav, or it is zero, which is an empty one.
        unsafe { ffi::avsubtitle_free(&raw mut self.0) };
    }
}

impl SubtitleCoder {
    /// Opens the decoder for a stream, and the encoder that libav calls `encoder`.
    pub(crate) fn open(parameters: &Parameters, encoder: &str) -> Result<Self, OpenError> {
        super::start();
        let name = c_string(encoder);
        // SAFETY: the parameters are live and the name is zero-terminated; the contexts are live
        // and ours, and the header is copied into memory that libav frees with its context.
        unsafe {
            let found = ffi::avcodec_find_decoder((*parameters.as_ptr()).codec_id);
            let wanted = ffi::avcodec_find_encoder_by_name(name.as_ptr());
            if found.is_null() || wanted.is_null() {
                return Err(OpenError::Absent);
            }
            let decoder = Context::new(found)?;
            let context = decoder.as_ptr();
            check(ffi::avcodec_parameters_to_context(context, parameters.as_ptr()))?;
            (*context).pkt_timebase = av_rational(Some(parameters.time_base));
            check(ffi::avcodec_open2(context, found, ptr::null_mut()))?;
            let encoder = Context::new(wanted)?;
            let (from, to) = (&*context, &mut *encoder.as_ptr());
            to.time_base = av_rational(Some(TimeBase::MICROSECONDS));
            let size = usize::try_from(from.subtitle_header_size).unwrap_or(0);
            if !from.subtitle_header.is_null() {
                // One byte more for a final zero, since some encoders read the header as a C
                // string.
                let copy = allocated(ffi::av_mallocz(size + 1))?.cast::<u8>();
                copy.as_ptr().copy_from_nonoverlapping(from.subtitle_header, size);
                to.subtitle_header = copy.as_ptr();
                to.subtitle_header_size = from.subtitle_header_size;
            }
            check(ffi::avcodec_open2(encoder.as_ptr(), wanted, ptr::null_mut()))?;
            Ok(Self { decoder, encoder })
        }
    }

    /// Codec parameters of the encoder's packets, whose time base is microseconds.
    pub(crate) fn parameters(&self) -> AvResult<Parameters> {
        // SAFETY: allocates only; null is caught.
        let mut coding = allocated(unsafe { ffi::avcodec_parameters_alloc() })?.as_ptr();
        // SAFETY: both are live; our copy is made before the original is freed.
        unsafe {
            let filled = check(ffi::avcodec_parameters_from_context(coding, self.encoder.as_ptr()));
            let base = Some(TimeBase::MICROSECONDS);
            let copy = filled.and_then(|_| Parameters::copy(coding, base));
            ffi::avcodec_parameters_free(&raw mut coding);
            copy
        }
    }

    /// Decodes a packet; `None` when it has no PTS or shows nothing.
    pub(crate) fn decode(&mut self, packet: &Packet) -> AvResult<Option<Cue>> {
        let mut got: c_int = 0;
        let mut decoded = Subtitle::empty();
        // SAFETY: the context is open, the packet live, and libav only reads it.
        check(unsafe {
            ffi::avcodec_decode_subtitle2(
                self.decoder.as_ptr(),
                &raw mut decoded.0,
                &raw mut got,
                packet.as_ptr(),
            )
        })?;
        let (Some(pts), true) = (packet.pts(), got != 0 && decoded.0.num_rects > 0) else {
            return Ok(None);
        };
        let base = packet.time_base().unwrap_or(Rational::MICROSECONDS);
        let micros = |ticks| {
            let at = Timestamp::new(ticks, base).rescale(Rational::MICROSECONDS);
            at.map_or(0, |at| at.ticks)
        };
        let milliseconds = |time: u32| i64::from(time) * 1000;
        let start = micros(pts) + milliseconds(decoded.0.start_display_time);
        let shown = decoded.0.end_display_time.saturating_sub(decoded.0.start_display_time);
        // Containers state how long a subtitle is shown. The coded text seldom does, so it is asked
        // only when the duration is 0.
        let duration = match packet.duration() {
            0 if shown < u32::MAX => milliseconds(shown),
            known => micros(pts + known) - micros(pts),
        };
        let end = (duration > 0).then_some(start + duration);
        Ok(Some(Cue { start, end, events: decoded.events() }))
    }

    /// Encodes events into a packet with this start and duration, in microseconds; a duration of 0
    /// means that it is not known. `None` when the encoder writes nothing.
    pub(crate) fn encode(
        &mut self,
        start: i64,
        duration: i64,
        events: &[String],
    ) -> AvResult<Option<Packet>> {
        let mut subtitle = Subtitle::of(events)?;
        subtitle.0.pts = start;
        subtitle.0.end_display_time = u32::try_from(duration / 1000).unwrap_or(u32::MAX);
        let mut bytes = vec![0_u8; LARGEST];
        let size = c_int::try_from(bytes.len()).unwrap_or(c_int::MAX);
        // SAFETY: the context is open, and the buffer as long as is said.
        let written = check(unsafe {
            let (context, buffer) = (self.encoder.as_ptr(), bytes.as_mut_ptr());
            ffi::avcodec_encode_subtitle(context, buffer, size, &raw const subtitle.0)
        })?;
        let written = bytes.get(..usize::try_from(written).unwrap_or(0)).unwrap_or_default();
        if written.is_empty() {
            return Ok(None);
        }
        let mut converted = Packet::with_data(written)?;
        converted.set_times(start, start, duration);
        converted.set_time_base(Rational::MICROSECONDS);
        converted.set_key(true);
        Ok(Some(converted))
    }
}
