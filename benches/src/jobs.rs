//! The jobs: what each side is given to do.

use std::{
    ffi::{OsStr, OsString},
    num::{NonZeroU32, NonZeroUsize},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use avocet::{
    CancelToken, Engine, Format, Recipe, Source,
    engine::Settings,
    recipes::{Thumbnail, Transcode},
};
use tempfile::TempDir;

use crate::{
    Result, child,
    figure::{Figure, Goal, Unit},
    pair::{Pair, alternate},
    report::{Job, show_command},
};

/// How many times as long as the program an in-process thumbnail may take.
const THUMBNAIL_WALL: Goal = Goal::Ratio(0.5);

/// How many times as long as the program a transcode may take.
const TRANSCODE_TIME: Goal = Goal::Ratio(1.03);

/// How many uncompressed pictures more than the program a transcode may hold.
const MORE_FRAMES: f64 = 8.0;

/// When the picture of a thumbnail is on screen, in seconds.
const SEEK_SECONDS: f64 = 1.0;

/// Does the whole of a thumbnail: probes, plans and runs.
pub(crate) fn thumbnail(engine: &Engine, input: &Path, output: &Path) -> Result<()> {
    let recipe = Thumbnail { seek_seconds: SEEK_SECONDS, ..Thumbnail::default() };
    run(engine, Recipe::Thumbnail(recipe), Format::Jpg, input, output)
}

/// Does the whole of a transcode: probes, plans and runs.
pub(crate) fn transcode(engine: &Engine, input: &Path, output: &Path) -> Result<()> {
    let recipe = Transcode { reencode: true, ..Transcode::default() };
    run(engine, Recipe::Transcode(recipe), Format::Mp4, input, output)
}

fn run(engine: &Engine, recipe: Recipe, format: Format, input: &Path, output: &Path) -> Result<()> {
    let input = input.to_str().ok_or("the path of a clip is not UTF-8")?;
    let job = avocet::Job::new(recipe, input, format);
    avocet::run(engine, &job, output, &CancelToken::new(), |_| ControlFlow::Continue(()))?;
    Ok(())
}

/// As a measured child: does a job on a new engine. The words are `IN OUT THREADS`.
pub(crate) fn be_child(
    mut words: impl Iterator<Item = OsString>,
    job: fn(&Engine, &Path, &Path) -> Result<()>,
) -> Result<()> {
    let mut word = || words.next().ok_or("a child takes IN OUT THREADS");
    let (input, output, threads) = (word()?, word()?, word()?);
    let threads = threads.to_str().ok_or("the number of threads is no text")?.parse()?;
    job(&Engine::new(Settings { threads, ..Settings::default() }), input.as_ref(), output.as_ref())
}

/// A clip and how to bench with it.
pub(crate) struct Bench {
    clip: PathBuf,
    threads: NonZeroU32,
    pairs: NonZeroUsize,
    /// One uncompressed picture, in bytes.
    frame_bytes: f64,
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new(clip: &Path, threads: NonZeroU32, pairs: NonZeroUsize) -> Result<Self> {
        let media = Engine::default().probe(&Source::path(clip), &CancelToken::new())?;
        let (_, video) = media.videos().next().ok_or("a clip has no pictures")?;
        let frame_bytes = f64::from(video.width) * f64::from(video.height) * 1.5;
        let (clip, folder) = (clip.to_owned(), tempfile::tempdir()?);
        Ok(Self { clip, threads, pairs, frame_bytes, folder })
    }

    /// A thumbnail inside a program that has the library loaded, against starting the program.
    pub(crate) fn thumbnail(&self) -> Result<Job> {
        let engine = Engine::new(Settings { threads: self.threads, ..Settings::default() });
        let output = self.folder.path().join("ours.jpg");
        let ours = || {
            let begun = Instant::now();
            thumbnail(&engine, &self.clip, &output)?;
            Ok(begun.elapsed().as_secs_f64())
        };
        let (_, program) = self.thumbnail_sides();
        let pairs = alternate(self.pairs, ours, || Ok(program.run()?.wall))?;
        let goal = Some(THUMBNAIL_WALL);
        let wall = Figure::of("wall", Unit::Seconds, goal, &pairs, |seconds| *seconds);
        let title = "thumbnail, in process against a started program";
        Ok(self.job(title, &program, wall.into_iter().collect()))
    }

    /// A thumbnail by two started programs, for comparison.
    pub(crate) fn thumbnail_process(&self) -> Result<Job> {
        let (ours, program) = self.thumbnail_sides();
        let figures = figures(&self.run(&ours, &program)?, None, None);
        Ok(self.job("thumbnail, both as started programs", &program, figures))
    }

    /// A transcode by two started programs, so that the accounts of both are kept alike.
    pub(crate) fn transcode(&self) -> Result<Job> {
        let (ours, program) = self.transcode_sides();
        let goal = Goal::Difference(MORE_FRAMES * self.frame_bytes);
        let figures = figures(&self.run(&ours, &program)?, Some(TRANSCODE_TIME), Some(goal));
        Ok(self.job("transcode", &program, figures))
    }

    fn run(&self, ours: &Side, program: &Side) -> Result<Vec<Pair<child::Usage>>> {
        alternate(self.pairs, || ours.run(), || program.run())
    }

    /// Both write the whole picture, with quantizer 3, which is our quality 90.
    fn thumbnail_sides(&self) -> (Side, Side) {
        let clip = self.clip.as_os_str();
        let output = self.folder.path().join("program.jpg");
        let program = Side::ffmpeg(["-ss", &SEEK_SECONDS.to_string(), "-i"])
            .words([clip])
            .words(["-frames:v", "1", "-q:v", "3"])
            .words([output]);
        (self.child(child::THUMBNAIL, "ours.jpg"), program)
    }

    fn transcode_sides(&self) -> (Side, Side) {
        let threads = &self.threads.to_string();
        let program = Side::ffmpeg(["-threads", threads, "-i"])
            .words([&self.clip])
            .words(["-threads", threads, "-filter_threads", threads])
            .words(["-c:v", "libx264", "-crf", "23", "-preset", "medium", "-pix_fmt", "yuv420p"])
            .words(["-c:a", "aac", "-b:a", "160k", "-sn", "-movflags", "+faststart"])
            .words([self.folder.path().join("program.mp4")]);
        (self.child(child::TRANSCODE, "ours.mp4"), program)
    }

    fn child(&self, kind: &str, output: &str) -> Side {
        Side { program: None, words: vec![kind.into()] }
            .words([&self.clip, &self.folder.path().join(output)])
            .words([self.threads.to_string()])
    }

    fn job(&self, title: &'static str, program: &Side, figures: Vec<Figure>) -> Job {
        let clip = self.clip.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let program = show_command(program.program.unwrap_or("bench-jobs"), &program.words);
        Job { title, clip, program, pair_count: self.pairs, figures }
    }
}

/// One side of a comparison: a command line.
struct Side {
    /// `None` is this program.
    program: Option<&'static str>,
    words: Vec<OsString>,
}

impl Side {
    fn ffmpeg<const N: usize>(words: [&str; N]) -> Self {
        Self { program: Some("ffmpeg"), words: Vec::new() }
            .words(["-v", "error", "-nostdin", "-y"])
            .words(words)
    }

    fn words<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    fn run(&self) -> Result<child::Usage> {
        match self.program {
            Some(program) => child::measure(program, &self.words),
            None => child::measure(std::env::current_exe()?, &self.words),
        }
    }
}

/// All that is known of two finished programs.
fn figures(pairs: &[Pair<child::Usage>], time: Option<Goal>, memory: Option<Goal>) -> Vec<Figure> {
    let figures = [
        Figure::of("wall", Unit::Seconds, time, pairs, |usage| usage.wall),
        Figure::of("user", Unit::Seconds, time, pairs, |usage| usage.user),
        Figure::of("system", Unit::Seconds, None, pairs, |usage| usage.system),
        Figure::of("peak memory", Unit::Bytes, memory, pairs, |usage| usage.peak),
    ];
    figures.into_iter().flatten().collect()
}
