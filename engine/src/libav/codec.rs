//! Decoders and encoders.

use std::{
    collections::VecDeque,
    ffi::c_int,
    num::NonZeroU32,
    ptr,
    ptr::NonNull,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    error::LibavError,
    format::nal::avc::Head,
    plan::{self, FrameFormat},
    time::TimeBase,
};

use super::{
    AvResult, Frame, Layout, OpenError, Options, Packet, Parameters, allocated, av_rational,
    c_string, check, error_with, is_again, limits::Limits, log, text,
};

/// The name of the encoder that can not be opened or freed by two threads at once.
const SVT_AV1: &str = "libsvtav1";

/// Held while SVT-AV1 is opened or freed: both use a pointer that is global to the process.
static SVT_AV1_LOCK: Mutex<()> = Mutex::new(());

/// A codec context that is freed when it is dropped.
#[derive(Debug)]
pub(super) struct Context {
    context: NonNull<ffi::AVCodecContext>,
    /// Whether its codec is [`SVT_AV1`].
    is_svt_av1: bool,
}

// SAFETY: a codec context has no thread affinity, and one thread at a time uses it.
unsafe impl Send for Context {}

impl Context {
    pub(super) fn new(codec: *const ffi::AVCodec) -> AvResult<Self> {
        // SAFETY: allocates for a codec of libav's own table, whose name is static; null is caught.
        let context = unsafe {
            let context = allocated(ffi::avcodec_alloc_context3(codec))?;
            Self { context, is_svt_av1: text((*codec).name) == SVT_AV1 }
        };
        // SAFETY: the context is not yet open, and `drop` ends what begins here.
        unsafe { log::listen(context.as_ptr()) };
        Ok(context)
    }

    /// Turns the return code of a call for this context into a result, with what the codec logged.
    fn check(&self, code: c_int) -> AvResult<c_int> {
        if code < 0 { Err(self.error(code)) } else { check(code) }
    }

    /// The error for a negative return code, with what the codec logged on any thread.
    fn error(&self, code: c_int) -> LibavError {
        error_with(code, log::take_of(self.as_ptr()))
    }

    /// Notes that a frame or packet came out, by which logged error lines get old.
    fn answered(&self) {
        // SAFETY: the context is live.
        log::age(self.as_ptr(), unsafe { (*self.as_ptr()).thread_count });
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVCodecContext {
        self.context.as_ptr()
    }

    /// The lock under which this codec is opened and freed, where it needs one.
    fn lock(&self) -> Option<MutexGuard<'static, ()>> {
        let lock = || SVT_AV1_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_svt_av1.then(lock)
    }

    fn set_threads(&mut self, threads: NonZeroU32) {
        // SAFETY: the context is live and ours.
        unsafe {
            (*self.as_ptr()).thread_count = c_int::try_from(threads.get()).unwrap_or(c_int::MAX);
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let _lock = self.lock();
        // Forgotten first: once it is freed, another context may get its address.
        log::forget(self.as_ptr());
        let mut pointer = self.as_ptr();
        // SAFETY: the context is ours and is dropped once.
        unsafe { ffi::avcodec_free_context(&raw mut pointer) };
    }
}

/// The result of asking a codec or a filter graph for output.
#[derive(Debug)]
pub(crate) enum Received<T> {
    /// One frame or packet.
    One(T),
    /// No output: it needs more input, or is drained.
    Nothing,
    /// It failed to process its input.
    Failed(LibavError),
}

/// What a decoder could not decode well, counted from when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Number of packets that it refused or failed to decode.
    pub(crate) failed: u64,
    /// Number of frames of which it concealed a part, or lacked references.
    pub(crate) concealed: u64,
    /// Number of error lines that it logged, on any of its threads, without harmless ones.
    pub(crate) complaints: u64,
}

impl Health {
    /// What was counted since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            failed: self.failed.saturating_sub(before.failed),
            concealed: self.concealed.saturating_sub(before.concealed),
            complaints: self.complaints.saturating_sub(before.complaints),
        }
    }

    /// Adds the counts of `more`.
    pub(crate) fn add(&mut self, more: Self) {
        self.failed += more.failed;
        self.concealed += more.concealed;
        self.complaints += more.complaints;
    }

    /// Whether nothing was counted.
    pub(crate) fn is_good(self) -> bool {
        self == Self::default()
    }
}

/// A decoder.
#[derive(Debug)]
pub(crate) struct Decoder {
    context: Context,
    /// Limits on picture size and duration.
    pub(crate) limits: Limits,
    /// Its health, without the errors that it logged.
    health: Health,
    /// Units that are put into the next packet, when that is the first one after a start in the
    /// middle of the stream.
    pending_head: Option<Head>,
    /// Whether its packets begin with the first one of the stream.
    from_start: bool,
    /// Whether nothing can be decoded before the first keyframe.
    pub(crate) needs_keyframe: bool,
    /// Whether the container states presentation times (PTS).
    states_presentation: bool,
    /// DTS, in ticks, of the packets whose frames have not come out yet, for a container that
    /// states no PTS, such as AVI. Frames come out in presentation order, and take them one by one.
    pending_dts: Option<VecDeque<i64>>,
    /// Corrects the times of the pieces of an edit list; `None` unless the index goes back in time.
    pieces: Option<Box<Pieces>>,
}

/// Places the pieces of a stream that an edit list shows one behind the other. libav begins a piece
/// with reordered pictures too early by the reordering delay, before the end of the previous one.
#[derive(Clone, Copy, Debug, Default)]
struct Pieces {
    /// Corrected PTS and duration of the last picture, in ticks.
    last: Option<(i64, i64)>,
    /// What is added to each PTS, in ticks.
    offset: i64,
}

impl Pieces {
    fn place(&mut self, frame: &mut Frame) {
        let Some(pts) = frame.pts() else { return };
        if let Some((last, duration)) = self.last.filter(|(last, _)| pts + self.offset <= *last) {
            self.offset = last + duration.max(1) - pts;
        }
        frame.set_pts(pts + self.offset);
        self.last = frame.pts().map(|pts| (pts, frame.duration()));
    }
}

impl Decoder {
    /// Opens the decoder for a stream; [`Parameters::head`] is put before its first packet.
    pub(crate) fn open(parameters: &Parameters, threads: NonZeroU32) -> Result<Self, OpenError> {
        // SAFETY: the parameters are live, and their codec id came from this libav.
        let usual = unsafe { ffi::avcodec_find_decoder((*parameters.as_ptr()).codec_id) };
        let codec = parameters.decoder.unwrap_or(usual);
        if codec.is_null() {
            return Err(OpenError::Absent);
        }
        let mut context = Context::new(codec)?;
        context.set_threads(threads);
        // SAFETY: the context is live and ours, the parameters are valid.
        unsafe {
            check(ffi::avcodec_parameters_to_context(context.as_ptr(), parameters.as_ptr()))?;
            (*context.as_ptr()).pkt_timebase = av_rational(Some(parameters.time_base));
            let max_pixels = i64::try_from(parameters.limits.max_pixels);
            (*context.as_ptr()).max_pixels = max_pixels.unwrap_or(i64::MAX);
            // Since FFmpeg 8.1 a decoder skips that many samples, even when it begins in the
            // middle. Skip-samples side data of packets is used instead.
            (*context.as_ptr()).initial_padding = 0;
            (*context.as_ptr()).delay = 0;
            context.check(ffi::avcodec_open2(context.as_ptr(), codec, ptr::null_mut()))?;
        }
        Ok(Self {
            context,
            limits: parameters.limits,
            health: Health::default(),
            pending_head: parameters.head.clone(),
            from_start: true,
            needs_keyframe: parameters.needs_keyframe(),
            states_presentation: parameters.states_presentation,
            pending_dts: None,
            pieces: parameters.goes_back.then(Box::default),
        })
    }

    /// What it could not decode well so far. Errors of packets that other threads still work on are
    /// not counted yet.
    pub(crate) fn health(&self) -> Health {
        Health { complaints: log::errors_of(self.context.as_ptr()), ..self.health }
    }

    /// The size of the last picture that libav refused for it: width and height, in pixels.
    pub(crate) fn refused(&self) -> Option<(u32, u32)> {
        log::refused_by(self.context.as_ptr())
    }

    /// Sets whether the decoder skips packets of pictures that no other picture refers to.
    pub(crate) fn skip_unreferenced(&mut self, skip: bool) {
        let discard =
            if skip { ffi::AVDiscard::AVDISCARD_NONREF } else { ffi::AVDiscard::AVDISCARD_DEFAULT };
        // SAFETY: the context is open; the field may be set between packets.
        unsafe { (*self.context.as_ptr()).skip_frame = discard };
    }

    /// Sends the decoder a packet.
    pub(crate) fn send(&mut self, packet: &Packet) -> AvResult<()> {
        let is_untimed = !self.states_presentation && packet.pts().is_none();
        if self.pending_dts.is_some() || is_untimed {
            self.pending_dts.get_or_insert_default().extend(packet.dts());
        }
        // A chained Vorbis stream does not overlap with the one before it, so the decoder is
        // flushed. Since FFmpeg 8.1 the Ogg demuxer marks where it begins, by new extradata.
        // SAFETY: the context is open.
        unsafe {
            let is_vorbis = (*self.context.as_ptr()).codec_id == ffi::AVCodecID::AV_CODEC_ID_VORBIS;
            if is_vorbis && packet.new_extradata().is_some() {
                ffi::avcodec_flush_buffers(self.context.as_ptr());
            }
        }
        let with_head = match self.pending_head.take() {
            Some(head) => Some(packet.with_other_data(&head.before(packet.data()))?),
            None => None,
        };
        let packet = with_head.as_ref().unwrap_or(packet);
        // SAFETY: both are live; libav takes a reference of its own.
        let code = unsafe { ffi::avcodec_send_packet(self.context.as_ptr(), packet.as_ptr()) };
        self.taken(code)
    }

    /// Tells the decoder that no packet follows; an error is about a packet that it still held.
    pub(crate) fn finish(&mut self) -> AvResult<()> {
        // SAFETY: the context is live; null means the end, and saying it twice is harmless.
        let code = unsafe { ffi::avcodec_send_packet(self.context.as_ptr(), ptr::null()) };
        self.taken(if code == ffi::AVERROR_EOF { 0 } else { code })
    }

    /// Counts a packet that the decoder refused.
    fn taken(&mut self, code: c_int) -> AvResult<()> {
        self.context.check(code).map(drop).inspect_err(|_| self.health.failed += 1)
    }

    /// Flushes the decoder for packets from another place. With `from_start` these begin with the
    /// first of the stream. Otherwise `head` is put into the next one, and frames whose PTS the
    /// container does not state get none.
    pub(crate) fn flush(&mut self, from_start: bool, head: Option<&Head>) {
        self.from_start = from_start;
        self.skip_unreferenced(false);
        self.pending_dts = None;
        self.pending_head = head.filter(|_| !from_start).cloned();
        self.pieces = self.pieces.take().map(|_| Box::default());
        // SAFETY: the context is open.
        unsafe { ffi::avcodec_flush_buffers(self.context.as_ptr()) };
    }

    /// Asks for a frame.
    pub(crate) fn receive(&mut self) -> AvResult<Received<Frame>> {
        let mut frame = Frame::new()?;
        // SAFETY: both are live, and the frame is fresh.
        let code = unsafe { ffi::avcodec_receive_frame(self.context.as_ptr(), frame.as_ptr()) };
        if let Some(pending_dts) = self.pending_dts.as_mut().filter(|_| code >= 0) {
            let next = pending_dts.pop_front().filter(|_| self.from_start);
            frame.set_pts(next.unwrap_or(ffi::AV_NOPTS_VALUE));
        }
        if code >= 0 {
            self.context.answered();
        }
        frame.forget_presentation();
        frame.forget_reserved_matrix();
        let is_picture = code >= 0 && frame.samples() == 0;
        if let Some(pieces) = self.pieces.as_mut().filter(|_| is_picture) {
            pieces.place(&mut frame);
        }
        Ok(match code {
            0.. => {
                self.health.concealed += u64::from(frame.is_concealed());
                Received::One(frame)
            }
            ffi::AVERROR_EOF => Received::Nothing,
            code if is_again(code) => Received::Nothing,
            code => {
                self.health.failed += 1;
                Received::Failed(self.context.error(code))
            }
        })
    }
}

/// An encoder.
#[derive(Debug)]
pub(crate) struct Encoder {
    context: Context,
    /// Seconds per tick of its frames and packets.
    pub(crate) time_base: TimeBase,
    /// Whether a frame was sent.
    fed: bool,
}

/// The number of threads with which an encoder keeps `threads` processors busy. Those of x264 wait
/// for each other's rows, so it gets half as many more, which is also its own default.
fn threads_of(encoder: &str, threads: NonZeroU32) -> NonZeroU32 {
    let more = if encoder == "libx264" { threads.get() / 2 } else { 0 };
    threads.saturating_add(more)
}

impl Encoder {
    /// Opens an encoder; `global_header` is set when the container keeps extradata in its header.
    pub(crate) fn open(
        plan: &plan::Encoder,
        threads: NonZeroU32,
        global_header: bool,
    ) -> Result<Self, OpenError> {
        super::start();
        let name = c_string(&plan.name);
        // SAFETY: the name is zero-terminated.
        let codec = unsafe { ffi::avcodec_find_encoder_by_name(name.as_ptr()) };
        if codec.is_null() {
            return Err(OpenError::Absent);
        }
        let mut context = Context::new(codec)?;
        context.set_threads(threads_of(&plan.name, threads));
        let time_base = match &plan.format {
            FrameFormat::Video(format) => format.time_base,
            FrameFormat::Audio(format) => TimeBase::of_rate(format.sample_rate),
        };
        let mut options = Options::new(&plan.options)?;
        let lock = context.lock();
        // SAFETY: the context is live, ours and not yet open, which is when fields may be set.
        unsafe {
            let fields = &mut *context.as_ptr();
            fields.time_base = av_rational(Some(time_base));
            fields.bit_rate = plan.bit_rate.map_or(0, |rate| i64::from(rate) * 1000);
            if global_header {
                fields.flags |= c_int::try_from(ffi::AV_CODEC_FLAG_GLOBAL_HEADER).unwrap_or(0);
            }
            match &plan.format {
                FrameFormat::Video(format) => set_picture(fields, format),
                FrameFormat::Audio(format) => set_sound(fields, format)?,
            }
            let options = options.as_mut_ptr();
            context.check(ffi::avcodec_open2(context.as_ptr(), codec, options))?;
        }
        drop(lock);
        options.expect_all_read()?;
        Ok(Self { context, time_base, fed: false })
    }

    /// Samples per frame that the encoder requires; `None` when any number will do.
    pub(crate) fn frame_size(&self) -> Option<NonZeroU32> {
        // SAFETY: the context is open.
        let size = unsafe { (*self.context.as_ptr()).frame_size };
        NonZeroU32::new(u32::try_from(size).unwrap_or(0))
    }

    /// Samples of each packet, if the encoder adds silence before the first one: all packets then
    /// decode to as many, the last one included. `None` for other encoders.
    pub(crate) fn primed_size(&self) -> Option<NonZeroU32> {
        // SAFETY: the context is open.
        let padding = unsafe { (*self.context.as_ptr()).initial_padding };
        self.frame_size().filter(|_| padding > 0)
    }

    /// Codec parameters of the encoder's packets.
    pub(crate) fn parameters(&self) -> AvResult<Parameters> {
        // SAFETY: allocates only; null is caught.
        let mut parameters = allocated(unsafe { ffi::avcodec_parameters_alloc() })?.as_ptr();
        // SAFETY: both are live; our copy is made before the original is freed.
        unsafe {
            let filled =
                check(ffi::avcodec_parameters_from_context(parameters, self.context.as_ptr()));
            let copy = filled.and_then(|_| Parameters::copy(parameters, Some(self.time_base)));
            ffi::avcodec_parameters_free(&raw mut parameters);
            copy
        }
    }

    /// Sends the encoder a frame.
    pub(crate) fn send(&mut self, frame: &mut Frame) -> AvResult<()> {
        self.fed = true;
        if frame.samples() == 0 {
            // SAFETY: the context is open.
            unsafe { frame.take_color(self.context.as_ptr()) };
        }
        // SAFETY: both are live; libav takes a reference of its own.
        let code = unsafe { ffi::avcodec_send_frame(self.context.as_ptr(), frame.as_ptr()) };
        self.context.check(code).map(drop)
    }

    /// Tells the encoder that no frame follows.
    pub(crate) fn finish(&mut self) {
        // SVT-AV1 would wait for a picture; without one it has nothing to drain.
        if self.context.is_svt_av1 && !self.fed {
            return;
        }
        // SAFETY: the context is live; null means the end, and saying it twice is harmless.
        unsafe { ffi::avcodec_send_frame(self.context.as_ptr(), ptr::null()) };
    }

    /// Asks for a packet.
    pub(crate) fn receive(&mut self) -> AvResult<Received<Packet>> {
        let packet = Packet::new()?;
        // SAFETY: both are live, and the packet is fresh.
        let code = unsafe { ffi::avcodec_receive_packet(self.context.as_ptr(), packet.as_ptr()) };
        if code >= 0 {
            self.context.answered();
        }
        Ok(match code {
            0.. => Received::One(packet),
            ffi::AVERROR_EOF => Received::Nothing,
            code if is_again(code) => Received::Nothing,
            code => Received::Failed(self.context.error(code)),
        })
    }
}

impl Drop for Encoder {
    /// Freeing SVT-AV1 waits for its last packet, so it is told of the end first. Where it got no
    /// picture, it gets an empty one, since it does not end without any.
    fn drop(&mut self) {
        if !self.context.is_svt_av1 {
            return;
        }
        if !self.fed
            && let Ok(mut frame) = Frame::new()
        {
            // SAFETY: both are live; the frame is given room for a picture of the kind that the
            // encoder takes before it is sent.
            let is_ready = unsafe {
                let (fields, picture) = (&*self.context.as_ptr(), &mut *frame.as_ptr());
                picture.format = fields.pix_fmt as c_int;
                (picture.width, picture.height) = (fields.width, fields.height);
                picture.pts = 0;
                ffi::av_frame_get_buffer(frame.as_ptr(), 0) >= 0
            };
            if is_ready {
                // An error changes nothing: the encoder is freed in any case.
                let _ = self.send(&mut frame);
            }
        }
        self.finish();
    }
}

/// Sets the picture format of an encoder; an unknown pixel format makes the opening fail.
fn set_picture(fields: &mut ffi::AVCodecContext, format: &plan::PictureFormat) {
    fields.width = c_int::try_from(format.width.get()).unwrap_or(0);
    fields.height = c_int::try_from(format.height.get()).unwrap_or(0);
    fields.sample_aspect_ratio = av_rational(Some(format.pixel_aspect));
    fields.framerate = av_rational(format.frame_rate);
    let pixel_format = c_string(&format.pixel_format);
    let color = &format.color;
    /// Writes the number of a name into an enum field, unless there is none.
    macro_rules! set {
        ($name:expr, $from_name:ident, $field:ident) => {
            if let Some(name) = $name {
                let name = c_string(name);
                // SAFETY: the name is zero-terminated; the number is one that libav has for it,
                // and is written as a number.
                unsafe {
                    let number = ffi::$from_name(name.as_ptr());
                    if number >= 0 {
                        (&raw mut fields.$field).cast::<c_int>().write(number);
                    }
                }
            }
        };
    }
    set!(&color.range, av_color_range_from_name, color_range);
    set!(&color.matrix, av_color_space_from_name, colorspace);
    set!(&color.primaries, av_color_primaries_from_name, color_primaries);
    set!(&color.transfer, av_color_transfer_from_name, color_trc);
    // SAFETY: the name is zero-terminated.
    fields.pix_fmt = unsafe { ffi::av_get_pix_fmt(pixel_format.as_ptr()) };
}

/// Sets the sample rate, sample format and channel layout of an encoder.
fn set_sound(fields: &mut ffi::AVCodecContext, format: &plan::SoundFormat) -> AvResult<()> {
    let sample_format = c_string(&format.sample_format);
    let layout = Layout::parse(&format.layout)?;
    fields.sample_rate = c_int::try_from(format.sample_rate.get()).unwrap_or(0);
    // SAFETY: the name is zero-terminated; the layouts are valid, and the context's is its own.
    unsafe {
        fields.sample_fmt = ffi::av_get_sample_fmt(sample_format.as_ptr());
        check(ffi::av_channel_layout_copy(&raw mut fields.ch_layout, &raw const layout.0))?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// A decoder with frame threads logs on these.
    #[test]
    fn an_error_tells_what_the_threads_of_a_codec_logged() {
        super::super::start();
        // SAFETY: the parameters are ours; those of PNG need nothing but the codec's number.
        let parameters = unsafe {
            let mut coding = ffi::avcodec_parameters_alloc();
            (*coding).codec_type = ffi::AVMediaType::AVMEDIA_TYPE_VIDEO;
            (*coding).codec_id = ffi::AVCodecID::AV_CODEC_ID_PNG;
            let copy = Parameters::copy(coding, None).unwrap();
            ffi::avcodec_parameters_free(&raw mut coding);
            copy
        };
        let four = NonZeroU32::new(4).unwrap();
        let mut decoder = Decoder::open(&parameters, four).unwrap();
        let garbage = Packet::with_data(b"This is no picture.").unwrap();
        let mut failures = Vec::new();
        for _ in 0..8 {
            failures.extend(decoder.send(&garbage).err());
            if let Received::Failed(error) = decoder.receive().unwrap() {
                failures.push(error);
            }
        }
        assert!(!failures.is_empty());
        for failure in failures {
            let log = failure.log.unwrap_or_default();
            assert!(log.starts_with("[png] Invalid PNG signature"), "{log}");
        }
    }
}
