//! Filter graphs with one input, or none, and one output.

use std::{
    borrow::Cow,
    ffi::{c_int, c_void},
    num::NonZeroU32,
    ptr::{self, NonNull},
};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    plan::SoundFormat,
    time::{Rational, TimeBase},
};

use super::{
    AvResult, Frame, Layout, Options, Parameters, allocated, av_rational, c_string, check,
    codec::Received, describe_layout, error, is_again, matrix_of, number_of, rational,
};

/// The kind of frames that a filter graph takes; frames of another kind need another graph.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum GraphInput {
    /// Pictures.
    Video {
        width: u32,
        height: u32,
        /// libav's number of the pixel format.
        format: c_int,
        pixel_aspect: Option<Rational>,
        /// libav's numbers of color range and matrix.
        color: (c_int, c_int),
    },
    /// Sound.
    Audio {
        sample_rate: c_int,
        /// libav's number of the sample format.
        format: c_int,
        layout: String,
    },
}

impl GraphInput {
    /// Audio in the format that an encoder takes.
    pub(crate) fn of_format(format: &SoundFormat) -> Self {
        let name = c_string(&format.sample_format);
        Self::Audio {
            sample_rate: c_int::try_from(format.sample_rate.get()).unwrap_or(0),
            // SAFETY: the name is zero-terminated; an unknown one gives -1.
            format: unsafe { ffi::av_get_sample_fmt(name.as_ptr()) } as c_int,
            layout: format.layout.clone(),
        }
    }

    /// The kind of a decoded frame.
    pub(crate) fn of_frame(frame: &Frame) -> Self {
        if frame.samples() > 0 {
            return Self::Audio {
                sample_rate: frame.sample_rate(),
                format: frame.format(),
                layout: frame.layout(),
            };
        }
        let (width, height) = frame.size();
        Self::Video {
            width,
            height,
            format: frame.format(),
            pixel_aspect: frame.pixel_aspect(),
            color: frame.color_numbers(),
        }
    }

    /// The kind of frame that a stream's header promises; `None` when it leaves something open.
    pub(crate) fn of_parameters(parameters: &Parameters) -> Option<Self> {
        // SAFETY: the parameters are live; enums are read as numbers.
        unsafe {
            let coding = parameters.as_ptr();
            let fields = &*coding;
            let kind = number_of!((*coding).codec_type);
            if fields.format < 0 {
                return None;
            }
            if kind == ffi::AVMediaType::AVMEDIA_TYPE_AUDIO as c_int {
                return (fields.sample_rate > 0).then(|| Self::Audio {
                    sample_rate: fields.sample_rate,
                    format: fields.format,
                    layout: describe_layout(&raw const (*coding).ch_layout),
                });
            }
            Some(Self::Video {
                width: u32::try_from(fields.width).ok().filter(|side| *side > 0)?,
                height: u32::try_from(fields.height).ok().filter(|side| *side > 0)?,
                format: fields.format,
                pixel_aspect: rational(fields.sample_aspect_ratio),
                color: (
                    number_of!((*coding).color_range),
                    matrix_of(number_of!((*coding).color_space)),
                ),
            })
        }
    }
}

/// A filter graph; it owns its source and sink, which nobody else sees.
#[derive(Debug)]
pub(crate) struct FilterGraph {
    graph: NonNull<ffi::AVFilterGraph>,
    /// The buffer source for frames; `None` when the filters make their own.
    source: Option<NonNull<ffi::AVFilterContext>>,
    sink: NonNull<ffi::AVFilterContext>,
}

// SAFETY: a filter graph has no thread affinity, and one thread at a time uses it.
unsafe impl Send for FilterGraph {}

impl FilterGraph {
    /// Builds the graph that `filters` describes for frames like `input`, whose timestamps count
    /// in `time_base`.
    ///
    /// An option that a filter does not know is an error of libav itself.
    pub(crate) fn new(
        filters: &str,
        input: &GraphInput,
        time_base: TimeBase,
        threads: NonZeroU32,
    ) -> AvResult<Self> {
        let is_video = matches!(input, GraphInput::Video { .. });
        Self::build(filters, is_video, Some((input, time_base)), threads)
    }

    /// Builds the graph that `filters` describes, which makes its frames itself.
    pub(crate) fn generator(filters: &str, is_video: bool) -> AvResult<Self> {
        Self::build(filters, is_video, None, NonZeroU32::MIN)
    }

    fn build(
        filters: &str,
        is_video: bool,
        input: Option<(&GraphInput, TimeBase)>,
        threads: NonZeroU32,
    ) -> AvResult<Self> {
        super::start();
        // SAFETY: allocates only; null is caught.
        let graph = allocated(unsafe { ffi::avfilter_graph_alloc() })?;
        // From here on `drop` frees the graph, whatever fails; source and sink belong to it.
        let mut this = Self { graph, source: None, sink: NonNull::dangling() };
        let (source, sink) =
            if is_video { (c"buffer", c"buffersink") } else { (c"abuffer", c"abuffersink") };
        // SAFETY: the graph is live and ours; the names are zero-terminated; `in` and `out` are
        // freed by libav or by us, whichever holds them last.
        unsafe {
            let raw = graph.as_ptr();
            (*raw).nb_threads = c_int::try_from(threads.get()).unwrap_or(0);
            let alloc = |filter: &std::ffi::CStr, name: &std::ffi::CStr| {
                let filter = ffi::avfilter_get_by_name(filter.as_ptr());
                allocated(ffi::avfilter_graph_alloc_filter(raw, filter, name.as_ptr()))
            };
            let mut outputs = ptr::null_mut();
            if let Some((input, time_base)) = input {
                let source = alloc(source, c"in")?;
                set_source(source.as_ptr(), input, time_base)?;
                this.source = Some(source);
                outputs = endpoint(c"in", source.as_ptr());
            }
            this.sink = alloc(sink, c"out")?;
            // Accepts channels of unspecified order, too. Since FFmpeg 9 the option is gone, and
            // they are always accepted.
            ffi::av_opt_set_int(
                this.sink.as_ptr().cast(),
                c"all_channel_counts".as_ptr(),
                1,
                ffi::AV_OPT_SEARCH_CHILDREN,
            );
            check(ffi::avfilter_init_dict(this.sink.as_ptr(), ptr::null_mut()))?;

            let mut inputs = endpoint(c"out", this.sink.as_ptr());
            let text = c_string(filters);
            let parsed = ffi::avfilter_graph_parse_ptr(
                raw,
                text.as_ptr(),
                &raw mut inputs,
                &raw mut outputs,
                ptr::null_mut(),
            );
            ffi::avfilter_inout_free(&raw mut inputs);
            ffi::avfilter_inout_free(&raw mut outputs);
            check(parsed)?;
            check(ffi::avfilter_graph_config(raw, ptr::null_mut()))?;
        }
        Ok(this)
    }

    /// Lets the graph hand out sound in frames of `samples` samples, the last one excepted.
    pub(crate) fn set_frame_size(&mut self, samples: NonZeroU32) {
        // SAFETY: the sink is live and belongs to the configured graph.
        unsafe { ffi::av_buffersink_set_frame_size(self.sink.as_ptr(), samples.get()) };
    }

    /// Seconds per tick of the frames that come out.
    pub(crate) fn time_base(&self) -> TimeBase {
        // SAFETY: the sink is live and belongs to the configured graph.
        rational(unsafe { ffi::av_buffersink_get_time_base(self.sink.as_ptr()) })
            .unwrap_or(Rational::MICROSECONDS)
    }

    /// Sends the graph a frame.
    pub(crate) fn push(&mut self, frame: Frame) -> AvResult<()> {
        let taken = self.add(frame.as_ptr());
        // libav took over the references of the frame; what it left is empty, and ours to free.
        drop(frame);
        taken
    }

    /// Tells the graph that no frame follows.
    pub(crate) fn finish(&mut self) -> AvResult<()> {
        self.add(ptr::null_mut())
    }

    fn add(&mut self, frame: *mut ffi::AVFrame) -> AvResult<()> {
        let Some(source) = self.source else { return Ok(()) };
        // SAFETY: the source is live; the frame is live, or null, which means the end.
        let code = unsafe { ffi::av_buffersrc_add_frame_flags(source.as_ptr(), frame, 0) };
        check(code).map(drop)
    }

    /// Asks for a frame.
    pub(crate) fn pull(&mut self) -> AvResult<Received<Frame>> {
        let frame = Frame::new()?;
        // SAFETY: both are live, and the frame is fresh.
        let code = unsafe { ffi::av_buffersink_get_frame(self.sink.as_ptr(), frame.as_ptr()) };
        Ok(match code {
            0.. => Received::One(frame),
            ffi::AVERROR_EOF => Received::Nothing,
            code if is_again(code) => Received::Nothing,
            code => Received::Failed(error(code)),
        })
    }
}

impl Drop for FilterGraph {
    fn drop(&mut self) {
        let mut graph = self.graph.as_ptr();
        // SAFETY: the graph is ours and is dropped once, with all its filters.
        unsafe { ffi::avfilter_graph_free(&raw mut graph) };
    }
}

/// A list with one open end of a graph, as the graph parser wants it.
///
/// # Safety
/// `filter` is live, and the list is freed by whoever holds it last.
unsafe fn endpoint(
    name: &std::ffi::CStr,
    filter: *mut ffi::AVFilterContext,
) -> *mut ffi::AVFilterInOut {
    // SAFETY: allocates; a null list is refused by the parser.
    unsafe {
        let list = ffi::avfilter_inout_alloc();
        if !list.is_null() {
            (*list).name = ffi::av_strdup(name.as_ptr());
            (*list).filter_ctx = filter;
        }
        list
    }
}

/// Sets the frame properties of a buffer source, and initializes it.
///
/// # Safety
/// `source` is a live buffer source that is not yet initialized.
unsafe fn set_source(
    source: *mut ffi::AVFilterContext,
    input: &GraphInput,
    time_base: TimeBase,
) -> AvResult<()> {
    /// Parameters of a source; freed when dropped, since only their fields are read.
    struct Held(NonNull<ffi::AVBufferSrcParameters>);
    impl Drop for Held {
        fn drop(&mut self) {
            // SAFETY: allocated by libav, and freed once.
            unsafe { ffi::av_free(self.0.as_ptr().cast::<c_void>()) };
        }
    }
    // SAFETY: the parameters are allocated by libav and live until the end; their layout, which
    // may own memory, is freed after libav copied it.
    unsafe {
        let held = Held(allocated(ffi::av_buffersrc_parameters_alloc())?);
        let fields = &mut *held.0.as_ptr();
        fields.time_base = av_rational(Some(time_base));
        let layout;
        match input {
            GraphInput::Video { width, height, format, pixel_aspect, color } => {
                fields.width = c_int::try_from(*width).unwrap_or(0);
                fields.height = c_int::try_from(*height).unwrap_or(0);
                fields.format = *format;
                fields.sample_aspect_ratio = av_rational(*pixel_aspect);
                let _ = color;
                #[cfg(ffmpeg_7_0)]
                {
                    (&raw mut fields.color_range).cast::<c_int>().write(color.0);
                    (&raw mut fields.color_space).cast::<c_int>().write(color.1);
                }
            }
            GraphInput::Audio { sample_rate, format, layout: description } => {
                layout = Layout::parse(description)?;
                fields.sample_rate = *sample_rate;
                fields.format = *format;
                fields.ch_layout = layout.0;
            }
        }
        check(ffi::av_buffersrc_parameters_set(source, held.0.as_ptr()))?;
        check(ffi::avfilter_init_dict(source, Options::new(&[])?.as_mut_ptr())).map(drop)
    }
}

/// The filters for pictures whose display aspect ratio differs from the planned one. Since the
/// filters scale to a fixed size, such a picture is first scaled to fit into the planned size, and
/// padded with black.
pub(crate) fn fitted<'a>(
    filters: &'a str,
    planned: Option<&GraphInput>,
    found: &GraphInput,
) -> Cow<'a, str> {
    /// Relative difference up to which two aspect ratios count as the same, since sides are
    /// rounded.
    const SAME: f64 = 0.02;
    let shape = |input: &GraphInput| match *input {
        GraphInput::Video { width, height, pixel_aspect, .. } if width > 0 && height > 0 => {
            let aspect = pixel_aspect.unwrap_or(Rational::ONE);
            Some((f64::from(width), f64::from(height), aspect))
        }
        _ => None,
    };
    let (Some((width, height, aspect)), Some((own_width, own_height, own_aspect))) =
        (planned.and_then(shape), shape(found))
    else {
        return Cow::Borrowed(filters);
    };
    // Display widths, as with square pixels.
    let (shown, own_shown) = (width * aspect.as_f64(), own_width * own_aspect.as_f64());
    let (across, down) = (shown / own_shown, height / own_height);
    if (across / down - 1.0).abs() < SAME {
        return Cow::Borrowed(filters);
    }
    let factor = across.min(down);
    let even = |side: f64, most: f64| ((side / 2.0).round() * 2.0).clamp(2.0, most.max(2.0));
    let inner_width = even(own_shown * factor / aspect.as_f64(), width);
    let inner_height = even(own_height * factor, height);
    let (num, den) = (aspect.num, aspect.den);
    Cow::Owned(format!(
        "scale=w={inner_width}:h={inner_height}:flags=bicubic+accurate_rnd,\
         pad=w={width}:h={height}:x=(ow-iw)/2:y=(oh-ih)/2:color=black,setsar={num}/{den},{filters}"
    ))
}
