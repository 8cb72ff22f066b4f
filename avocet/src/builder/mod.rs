//! Jobs that are put together in code: what is done to which inputs, where the result goes, and how
//! the run is watched and stopped.

mod recipes;
#[cfg(feature = "tokio")]
mod spawn;

use std::{
    fmt,
    io::Write,
    marker::PhantomData,
    ops::{ControlFlow, Range},
    sync::OnceLock,
    time::{Duration, Instant},
};

use avocet_engine::{
    CancelToken, Engine, Fetched, OpenOptions, ProbeOptions, Progress, Report, RunOptions, Source,
};
use avocet_model::{location::Location, plan::Plan};
use avocet_recipes::{
    CheckedJob, CompileContext, Format, JobDraft, Policy, Probed, Problem, Sampling, Thumbnails,
    Tree,
};

use crate::{Error, Input, place::Target};

pub use recipes::*;
#[cfg(feature = "tokio")]
pub use spawn::{ProgressStream, Running};

/// The engine of those who name none: default settings, made when it is first used, and kept.
pub(crate) fn shared_engine() -> &'static Engine {
    static SHARED: OnceLock<Engine> = OnceLock::new();
    SHARED.get_or_init(Engine::default)
}

/// A job that is put together step by step.
///
/// It is made by the function of a recipe, as [`trim`](crate::trim()), or by [`job`](crate::job())
/// from a document; `R` is the recipe, and tells which parameters there are. Nothing is opened or
/// written before [`plan`](Self::plan), [`run`](Self::run) or `spawn`, which first check all values
/// and tell all that is wrong with them at once.
#[must_use = "nothing is done before `run`, `plan` or `spawn` is called"]
pub struct Builder<'a, R> {
    work: Work,
    inputs: Vec<Input>,
    target: Option<Target>,
    overwrite: Option<bool>,
    writer: Option<Box<dyn Write + Send + 'a>>,
    engine: Option<Engine>,
    cancel: CancelToken,
    progress: Option<Observer<'a>>,
    timeout: Option<Duration>,
    recipe: PhantomData<fn() -> R>,
}

/// What sees the progress of a run.
type Observer<'a> = Box<dyn FnMut(&Progress) + Send + 'a>;

/// What is done to the inputs.
#[derive(Clone, Debug)]
enum Work {
    /// A recipe whose values are not checked yet.
    Draft(JobDraft),
    /// A job that was checked as a document.
    Job(Box<CheckedJob>),
    /// Many thumbnails: the values of each, and how they are spread.
    Thumbnails(JobDraft, Sampling),
}

/// The same, checked.
enum Checked {
    Job(Box<CheckedJob>),
    Thumbnails(Box<Thumbnails>, Format),
}

/// Runs or plans a job that was read from a document.
///
/// ```no_run
/// # fn main() -> Result<(), avocet::Error> {
/// use avocet::{Job, Policy};
///
/// let job = Job::from_json(
///     r#"{ "mode": "recipe", "input": { "url": "holiday.mp4" }, "output": { "format": "jpg" },
///          "recipe": { "name": "thumbnail", "seekSeconds": 1 } }"#,
///     Policy::Program,
/// )?;
/// let report = avocet::job(job).output("holiday.jpg").run()?;
/// println!("{} bytes", report.outputs[0].size_bytes);
/// # Ok(())
/// # }
/// ```
pub fn job<'a>(job: CheckedJob) -> Builder<'a, CheckedJob> {
    let inputs = job.inputs.iter().map(|input| input.url.as_str().into()).collect();
    Builder::new(Work::Job(Box::new(job)), inputs)
}

impl<'a, R> Builder<'a, R> {
    fn new(work: Work, inputs: Vec<Input>) -> Self {
        Self {
            work,
            inputs,
            target: None,
            overwrite: None,
            writer: None,
            engine: None,
            cancel: CancelToken::new(),
            progress: None,
            timeout: None,
            recipe: PhantomData,
        }
    }

    /// The draft whose parameters the methods of recipes set; a document has none.
    const fn draft(&mut self) -> Option<&mut JobDraft> {
        match &mut self.work {
            Work::Draft(draft) | Work::Thumbnails(draft, _) => Some(draft),
            Work::Job(_) => None,
        }
    }

    /// Sets a parameter of the recipe, by its name in documents.
    fn set(mut self, parameter: &str, value: impl Into<Tree>) -> Self {
        if let Some(draft) = self.draft() {
            draft.set(parameter, value.into());
        }
        self
    }

    /// Reads these in the place of the inputs that were named before, in order.
    pub fn inputs(mut self, inputs: impl IntoIterator<Item = Input>) -> Self {
        self.inputs = inputs.into_iter().collect();
        self
    }

    /// Where the output goes: a path, a URL of an object store (feature `remote`), or a [`Target`];
    /// a folder for jobs that make several files. The extension tells the format.
    ///
    /// An existing file is replaced at the moment when the new one is whole.
    pub fn output(mut self, target: impl Into<Target>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Whether an existing output may be replaced; by default it may. Where it may not, an existing
    /// file is an error before anything is read.
    pub fn overwrite(mut self, may: bool) -> Self {
        self.overwrite = Some(may);
        self
    }

    /// Writes the output into a writer of the caller's, once it is whole and verified; the format is
    /// to be said.
    ///
    /// The output is made in a temporary file, since most containers are not written in order. The
    /// job of a document has a format of its own.
    pub fn output_writer(mut self, writer: impl Write + Send + 'a, format: Format) -> Self {
        self.writer = Some(Box::new(writer));
        self.in_format(format)
    }

    /// The engine that does the work, with its settings and its cache of indexes; by default one
    /// with default settings that all jobs without an engine share.
    pub fn engine(mut self, engine: &Engine) -> Self {
        self.engine = Some(engine.clone());
        self
    }

    /// A token that stops the work from another thread; the job then fails with
    /// [`Cancelled`](avocet_engine::Error::Cancelled), and no output is there.
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Is called with the progress of the run, on the thread that runs it: at the start, four times
    /// a second, and once more when the outputs are in place. Progress never goes back: its fraction
    /// is at most 0.999 until then, and 1 when [`phase`](Progress::phase) is
    /// [`Done`](avocet_engine::Phase::Done).
    pub fn progress(mut self, observe: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.progress = Some(Box::new(observe));
        self
    }

    /// How long the job may take, planning included; it is then stopped, with the error
    /// [`TimedOut`](avocet_engine::Error::TimedOut), and no output is there. By default as long as it
    /// takes. The time between [`plan`](Self::plan) and [`Planned::run`] does not count.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the format of the output; a document has its own.
    fn in_format(mut self, format: Format) -> Self {
        if let Some(draft) = self.draft() {
            draft.format(format);
        }
        self
    }

    /// Checks all values, probes the inputs and makes the plan, without running it.
    ///
    /// # Errors
    /// [`Error::Values`] with all that is wrong with the values; [`Error::Engine`] when an input
    /// can not be read or has not what the recipe needs.
    pub fn plan(mut self) -> Result<Planned<'a>, Error> {
        let engine = self.engine.take().unwrap_or_else(|| shared_engine().clone());
        let mut progress = self.progress.take();
        // Of an input that is copied to this machine before it can be looked at.
        let mut fetching = Progress::default();
        let mut observe = |fetched| {
            fetching.fetched = Some(fetched);
            if let Some(progress) = &mut progress {
                progress(&fetching);
            }
        };
        let begun = Instant::now();
        let deadline = self.timeout.and_then(|timeout| begun.checked_add(timeout));
        let cancel = self.cancel.child_until(deadline);
        let plan = self.compile(&engine, &mut observe, &cancel);
        let opened = OpenInputs { engine, locations: self.locations() };
        let is_late = cancel.is_cancelled() && !self.cancel.is_cancelled();
        let plan = match (plan, self.timeout) {
            (Err(_), Some(timeout)) if is_late => return Err(timed_out(timeout)),
            (plan, _) => plan?,
        };
        Ok(Planned {
            plan,
            took: begun.elapsed(),
            sources: self.inputs.iter().filter_map(Input::source).cloned().collect(),
            writer: self.writer,
            cancel: self.cancel,
            progress,
            timeout: self.timeout,
            opened,
        })
    }

    /// Checks all values, plans the job and runs it on this thread. The output appears whole and
    /// verified, or not at all.
    ///
    /// # Errors
    /// As for [`plan`](Self::plan) and [`Planned::run`]; after one, no output is there and every
    /// input is as it was.
    pub fn run(self) -> Result<Report, Error> {
        self.plan()?.run()
    }

    /// Where the inputs are; sources of the caller's are numbered among themselves.
    fn locations(&self) -> Vec<Location> {
        let mut sources = 0;
        let locations = self.inputs.iter().map(|input| {
            let location = input.location(sources);
            sources += usize::from(input.source().is_some());
            location
        });
        // What names no place is refused before any input is opened.
        locations.filter_map(Result::ok).collect()
    }

    /// The values, checked by the rules for documents.
    fn checked(&self) -> Result<Checked, Error> {
        let mut draft = match &self.work {
            Work::Job(job) => return Ok(Checked::Job(job.clone())),
            Work::Draft(draft) | Work::Thumbnails(draft, _) => draft.clone(),
        };
        for (number, input) in self.inputs.iter().enumerate() {
            draft.input(input.url(number));
        }
        if let Work::Thumbnails(_, sampling) = &self.work {
            let stem = self.inputs.first().and_then(Input::stem);
            let stem = stem.unwrap_or_else(|| "picture".to_owned());
            let checked = draft.check_many(sampling.clone(), &stem, Policy::Program);
            let (many, format) = checked.map_err(Error::of_draft)?;
            return Ok(Checked::Thumbnails(Box::new(many), format));
        }
        let target = self.target.as_ref().filter(|_| !draft.recipe().makes_several());
        if let Some(Target { location, .. }) = target {
            draft.extension(location.extension().unwrap_or_default());
        }
        let job = draft.check(Policy::Program).map_err(Error::of_draft)?;
        Ok(Checked::Job(Box::new(job)))
    }

    /// Refuses inputs and outputs of another number than a checked job has.
    fn expect_fit(&self, checked: &Checked) -> Result<(), Error> {
        let problem = |path: &str, found: String, allowed: String| {
            let path = path.to_owned();
            Err(Error::of_values(vec![Problem { path, found, allowed }]))
        };
        let fills_folder = match checked {
            Checked::Thumbnails(..) => true,
            Checked::Job(job) => job.fills_folder(),
        };
        if self.writer.is_some() && fills_folder {
            let allowed = "a folder by `output`, since it makes files in one".to_owned();
            return problem("output_writer", "a writer".to_owned(), allowed);
        }
        match checked {
            // `inputs` may have put others in the place of the document's.
            Checked::Job(job) if self.inputs.len() != job.inputs.len() => {
                let allowed = format!("{}, as the document has", job.inputs.len());
                problem("inputs", self.inputs.len().to_string(), allowed)
            }
            _ => Ok(()),
        }
    }

    /// Checks the values, looks at the inputs and compiles.
    fn compile(
        &self,
        engine: &Engine,
        observe: &mut dyn FnMut(Fetched),
        cancel: &CancelToken,
    ) -> Result<Plan, Error> {
        let checked = self.checked()?;
        let Target { location: output, mut replace, named } = match (&self.writer, &self.target) {
            (Some(_), _) => Target { location: Location::Caller(0), replace: true, named: true },
            (None, Some(target)) => target.clone(),
            (None, None) => return Err(no_output()),
        };
        replace = self.overwrite.unwrap_or(replace);
        if let Checked::Job(job) = &checked {
            job.check_arguments()?;
        }
        self.expect_fit(&checked)?;
        for input in &self.inputs {
            input.location(0)?;
        }
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for (input, location) in self.inputs.iter().zip(self.locations()) {
            let options = OpenOptions::default().cancel(cancel).observe(&mut *observe);
            let source = input.open(engine, options)?;
            inputs.push(checked.look_at(engine, location, &source, cancel)?);
        }
        let capabilities = engine.capabilities();
        let context = CompileContext {
            inputs: &inputs,
            output,
            replace,
            named,
            has_gaps: false,
            capabilities,
        };
        Ok(match &checked {
            Checked::Job(job) => job.compile(&context)?,
            Checked::Thumbnails(thumbnails, format) => thumbnails.compile(*format, &context)?,
        })
    }
}

/// A plan with all that its run needs: made by [`Builder::plan`].
///
/// The plan can be printed, kept as JSON, and edited before it is run. Inputs elsewhere stay open
/// until it is run or dropped.
pub struct Planned<'a> {
    /// What a run does.
    pub plan: Plan,
    sources: Vec<Source>,
    writer: Option<Box<dyn Write + Send + 'a>>,
    cancel: CancelToken,
    progress: Option<Observer<'a>>,
    timeout: Option<Duration>,
    /// How long planning took.
    took: Duration,
    opened: OpenInputs,
}

/// What an engine keeps of inputs between a plan and its run; dropped, it is let go of.
struct OpenInputs {
    engine: Engine,
    locations: Vec<Location>,
}

impl Drop for OpenInputs {
    fn drop(&mut self) {
        for location in &self.locations {
            self.engine.close(location);
        }
    }
}

impl<'a> Planned<'a> {
    /// As [`Builder::progress`], for a plan that was looked at first.
    #[must_use = "nothing is done before `run` is called"]
    pub fn progress(mut self, observe: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.progress = Some(Box::new(observe));
        self
    }

    /// Runs the plan on this thread. The output appears whole and verified, or not at all.
    ///
    /// # Errors
    /// [`Error::Engine`]; after one, no output is there and every input is as it was.
    pub fn run(self) -> Result<Report, Error> {
        let Self { plan, sources, writer, cancel, mut progress, timeout, took, opened } = self;
        let mut options = RunOptions::default().cancel(&cancel).sources(sources);
        if let Some(writer) = writer {
            options = options.writer(writer);
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(took));
        if let Some(left) = left {
            options = options.timeout(left);
        }
        let options = options.observe(|now| {
            if let Some(progress) = &mut progress {
                progress(now);
            }
            ControlFlow::Continue(())
        });
        // The `ffmpeg` program has another limit, of the engine.
        let is_ours =
            |seconds: f64| left.is_some_and(|left| (left.as_secs_f64() - seconds).abs() < 1e-6);
        match (opened.engine.run(&plan, options), timeout) {
            // The whole time is told, not what was left of it.
            (Err(avocet_engine::Error::TimedOut { seconds }), Some(timeout))
                if is_ours(seconds) =>
            {
                Err(timed_out(timeout))
            }
            (result, _) => Ok(result?),
        }
    }
}

fn timed_out(timeout: Duration) -> Error {
    avocet_engine::Error::TimedOut { seconds: timeout.as_secs_f64() }.into()
}

impl fmt::Debug for Planned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl fmt::Display for Planned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

impl Checked {
    /// Probes an input as closely as the plan needs it, and indexes it where that is needed.
    fn look_at(
        &self,
        engine: &Engine,
        location: Location,
        source: &Source,
        cancel: &CancelToken,
    ) -> Result<Probed, Error> {
        let pictures_only = match self {
            Self::Job(job) => job.needs_pictures_only(),
            Self::Thumbnails(..) => true,
        };
        let options = ProbeOptions::default().cancel(cancel).pictures_only(pictures_only);
        let media = engine.probe(source, options)?;
        let near: Option<Range<f64>> = match self {
            Self::Job(job) => job.needs_index(&media).then(|| job.section()),
            // Any keyframe will do, of closed and open groups alike.
            Self::Thumbnails(thumbnails, _) => thumbnails.needs_index(&media).then_some(0.0..0.0),
        };
        let index = near.map(|near| engine.index(source, &near, cancel)).transpose()?;
        Ok(Probed { location, media, index })
    }
}

/// A job that nobody gave a place for its output.
fn no_output() -> Error {
    let problem = Problem {
        path: "output".to_owned(),
        found: "nothing".to_owned(),
        allowed: "a path, a URL or a writer, by `output` or `output_writer`".to_owned(),
    };
    Error::of_values(vec![problem])
}

impl<R> fmt::Debug for Builder<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("work", &self.work)
            .field("inputs", &self.inputs)
            .field("target", &self.target)
            .field("writer", &self.writer.is_some())
            .field("progress", &self.progress.is_some())
            .finish_non_exhaustive()
    }
}
