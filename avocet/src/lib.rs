//! Transcodes media in process on libav: it plans first, does no work it need not do, says why,
//! and verifies what it wrote before it calls it done.
//!
//! A [`Job`] is a small JSON document, or the same in code. [`plan`] probes its input and makes a
//! [`Plan`] without running it; [`run`] does both and leaves a file, whole or not at all.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use avocet::{CancelToken, Engine, Policy, Job};
//!
//! # fn main() -> Result<(), avocet::Error> {
//! let engine = Engine::default();
//! let job = Job::from_json(
//!     r#"{ "mode": "recipe", "input": { "url": "holiday.mp4" }, "output": { "format": "jpg" },
//!          "recipe": { "name": "thumbnail", "seekSeconds": 1 } }"#,
//!     Policy::Program,
//! )?;
//! let report = avocet::run(&engine, &job, "holiday.jpg", &CancelToken::new(), |progress| {
//!     println!("{:.0} %", progress.fraction * 100.0);
//!     ControlFlow::Continue(())
//! })?;
//! println!("{} bytes", report.outputs[0].size_bytes);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod error;
mod place;
#[cfg(feature = "tokio")]
mod task;

use std::ops::{ControlFlow, Range};

pub use avocet_engine::{self as engine, CancelToken, Engine, Plan, Progress, Report, Source};
use avocet_engine::{Fetched, Frames, Location, MediaInfo};
pub use avocet_recipes::{
    self as recipes, CheckedJob, Format, FrameQuery, FrameTimes, Job, Policy, Recipe,
};
use avocet_recipes::{CompileContext, Probed, Thumbnails};
pub use error::Error;
pub use place::{Target, input_url};
#[cfg(feature = "tokio")]
pub use task::{ProgressStream, Running, spawn};

/// Probes the inputs of a job and makes its plan, without running it.
///
/// ```no_run
/// # fn main() -> Result<(), avocet::Error> {
/// use avocet::{CancelToken, Engine, Policy, Format, Job, Recipe};
/// use avocet::recipes::Transcode;
///
/// let recipe = Recipe::Transcode(Transcode::default());
/// let job = Job::new(recipe, "holiday.mkv", Format::Mp4).check(Policy::Program)?;
/// let plan = avocet::plan(&Engine::default(), &job, "holiday.mp4", &CancelToken::new())?;
/// println!("{plan}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Engine`] when an input can not be read or has not what the recipe needs.
pub fn plan(
    engine: &Engine,
    job: &CheckedJob,
    target: impl Into<Target>,
    cancel: &CancelToken,
) -> Result<Plan, Error> {
    plan_observed(engine, job, target, cancel, |_| ())
}

/// As [`plan`], and tells how much came of an input whose server gives no parts, which is copied to
/// be looked at.
///
/// # Errors
/// As for [`plan`].
pub fn plan_observed(
    engine: &Engine,
    job: &CheckedJob,
    target: impl Into<Target>,
    cancel: &CancelToken,
    mut observe: impl FnMut(Fetched),
) -> Result<Plan, Error> {
    job.check_arguments()?;
    let places = job.inputs.iter().map(|input| place::locate(&input.url));
    let places = places.collect::<Result<Vec<_>, _>>()?;
    let plan = plan_of(engine, job, &places, target.into(), cancel, &mut observe);
    if plan.is_err() {
        // No run follows that would.
        for place in &places {
            engine.close(place);
        }
    }
    plan
}

fn plan_of(
    engine: &Engine,
    job: &CheckedJob,
    places: &[Location],
    target: Target,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Fetched),
) -> Result<Plan, Error> {
    let Target { location: output, replace, named } = target;
    let inputs = places
        .iter()
        .map(|place| {
            let index = |media: &MediaInfo| job.needs_index(media).then(|| job.section());
            let pictures = job.needs_pictures_only();
            look_at(engine, place.clone(), pictures, index, cancel, observe)
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let capabilities = engine.capabilities();
    let context =
        CompileContext { inputs: &inputs, output, replace, named, has_gaps: false, capabilities };
    Ok(job.compile(&context)?)
}

/// Makes the plan of many thumbnails of one input, without running it; the target is the folder.
///
/// ```no_run
/// # fn main() -> Result<(), avocet::Error> {
/// use std::{num::NonZeroU32, ops::ControlFlow};
/// use avocet::{CancelToken, Engine, Format};
/// use avocet::recipes::{Accuracy, Sampling, Thumbnails};
///
/// let thumbnails = Thumbnails {
///     spread: Sampling::Count(NonZeroU32::new(20).unwrap()),
///     width: NonZeroU32::new(320),
///     height: None,
///     quality: 80,
///     accuracy: Accuracy::Keyframe,
///     stem: "holiday".to_owned(),
/// };
/// let (engine, cancel) = (Engine::default(), CancelToken::new());
/// let plan =
///     avocet::plan_thumbnails(&engine, "holiday.mp4", &thumbnails, Format::Jpg, "out", &cancel)?;
/// engine.run(&plan, &cancel, |_| ControlFlow::Continue(()))?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Engine`] when the input can not be read, has no video or no known duration, or when
/// there are too many pictures.
pub fn plan_thumbnails(
    engine: &Engine,
    input: &str,
    thumbnails: &Thumbnails,
    format: Format,
    target: impl Into<Target>,
    cancel: &CancelToken,
) -> Result<Plan, Error> {
    let Target { location: output, replace, named } = target.into();
    let location = place::locate(input)?;
    // Any keyframe will do, closed or not.
    let index = |media: &MediaInfo| thumbnails.needs_index(media).then_some(0.0..0.0);
    let inputs = &[look_at(engine, location, true, index, cancel, &mut |_| ())?];
    let capabilities = engine.capabilities();
    let context = CompileContext { inputs, output, replace, named, has_gaps: false, capabilities };
    Ok(thumbnails.compile(format, &context)?)
}

/// The place that a job's `url` names: a path, a `file:` URL with an absolute path, or something
/// elsewhere, by `https:`, `http:`, `s3:`, `gs:` or `az:`.
///
/// ```
/// use avocet::engine::Location;
///
/// assert_eq!(avocet::locate("file:///clips/a%20b.mp4").unwrap(), Location::from("/clips/a b.mp4"));
/// ```
///
/// # Errors
/// [`Error::Engine`] for URLs of any other kind.
pub fn locate(url: &str) -> Result<Location, Error> {
    Ok(place::locate(url)?)
}

/// Probes an input, and indexes it when that is needed: near a span of seconds.
fn look_at(
    engine: &Engine,
    location: Location,
    pictures_only: bool,
    index: impl Fn(&MediaInfo) -> Option<Range<f64>>,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Fetched),
) -> Result<Probed, Error> {
    let source = engine.open_observed(&location, cancel, observe)?;
    let media = if pictures_only {
        engine.probe_pictures(&source, cancel)?
    } else {
        engine.probe(&source, cancel)?
    };
    let index = index(&media).map(|near| engine.index(&source, &near, cancel)).transpose()?;
    Ok(Probed { location, media, index })
}

/// Plans a job and runs the plan: the output appears whole, or not at all.
///
/// `observe` is called on this thread with progress that never goes back; `Break` cancels.
///
/// # Errors
/// [`Error::Document`] and [`Error::Engine`]; after one, no output is there and every input is as
/// it was.
pub fn run(
    engine: &Engine,
    job: &CheckedJob,
    target: impl Into<Target>,
    cancel: &CancelToken,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Report, Error> {
    let plan = plan(engine, job, target, cancel)?;
    Ok(engine.run(&plan, cancel, observe)?)
}

/// Pictures of a source in memory: at given times or of a span, upright, in the size and pixel
/// format that `look` names, decoded as the iterator is asked for them.
///
/// ```no_run
/// # fn main() -> Result<(), avocet::Error> {
/// use avocet::{CancelToken, Engine, FrameQuery, Source, FrameTimes};
///
/// let look = FrameQuery { when: FrameTimes::At(vec![1.0, 2.5]), ..FrameQuery::default() };
/// let source = Source::path("holiday.mp4");
/// for picture in avocet::frames(&Engine::default(), &source, &look, &CancelToken::new())? {
///     let picture = picture?;
///     println!("{}x{}: {} bytes", picture.width(), picture.height(), picture.planes()[0].bytes.len());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Engine`] when the source can not be read or has no video; later ones come out of the
/// iterator.
pub fn frames(
    engine: &Engine,
    source: &Source,
    look: &FrameQuery,
    cancel: &CancelToken,
) -> Result<Frames, Error> {
    let media = engine.probe(source, cancel)?;
    let request = look.request(&media, engine.capabilities())?;
    Ok(engine.frames(source, request, cancel)?)
}
