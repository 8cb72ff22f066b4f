//! The jobs: what Avocet and each rival are to do, and the goals of the comparison.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use avocet::{CheckedJob, Job, Policy, plan::Strategy};
use serde_json::{Value, json};

use super::{
    burst,
    child::{Lines, measure, own_program},
    clip::Clip,
    contender::{Contender, Output, Way},
    error::{Error, Result},
    memory,
    rivals::{Origin, Program, Rivals},
    row::{Bound, Goal, Measure},
    scratch::Scratch,
    worker::{Launcher, Worker},
};

/// The longest clip in seconds that bursts use. Other jobs use longer clips, if there are any.
pub(super) const SHORT: f64 = 15.0;

/// The number of frames in a storyboard.
const PICTURES: u32 = 100;

/// The number of thumbnails in a burst.
const BURST: usize = 200;

/// The most bytes of raw frames that are written for the encoder-only limit of a transcode.
const MAX_RAW: f64 = 2e9;

/// What all jobs share.
pub(super) struct Bench<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) rivals: &'a Rivals,
    /// The path of the program `avocet`.
    pub(super) program: &'a Path,
}

/// A kind of job, as `--jobs` names it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// What is done, in one sentence.
    pub(super) about: &'static str,
    pub(super) make: Make,
}

/// How the contenders for a kind of job are made.
pub(super) enum Make {
    /// For one clip; `None` when the clip does not suit the job.
    Each(fn(&Bench<'_>, &Clip) -> Result<Option<Round>>),
    /// For one clip, in several variants; none when the clip does not suit the job.
    Variants(fn(&Bench<'_>, &Clip) -> Result<Vec<Round>>),
    /// On all short clips together.
    Together(fn(&Bench<'_>, &[&Clip]) -> Result<Vec<Round>>),
}

/// The contenders for one job.
pub(super) struct Round {
    /// What tells this round from others of the same kind on the same clips.
    pub(super) variant: String,
    pub(super) ours: Contender,
    pub(super) rivals: Vec<Contender>,
    pub(super) notes: Vec<String>,
    /// The number of jobs in one run.
    pub(super) count: usize,
    /// A file to remove after the round.
    pub(super) leftover: Option<PathBuf>,
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "thumbnail-exact-1s",
        about: "The frame on screen at 1 s as a JPEG, in process against started programs.",
        make: Make::Each(|bench, clip| picture(bench, clip, 1.0, 2.0, &exact_1s(clip))),
    },
    Kind {
        name: "thumbnail-exact-15s",
        about: "The frame on screen at 15 s as a JPEG, in process against started programs.",
        make: Make::Each(|bench, clip| picture(bench, clip, 15.0, 20.0, &exact_15s(clip))),
    },
    Kind {
        name: "thumbnail-keyframe",
        about: "The keyframe at or before 15 s as a JPEG, in process against started programs.",
        make: Make::Each(keyframe),
    },
    Kind {
        name: "thumbnail-process",
        about: "The frame on screen at 1 s as a JPEG, all as started programs.",
        make: Make::Each(picture_process),
    },
    Kind {
        name: "storyboard",
        about: "100 pictures of 160 pixels across the whole clip, on one sheet.",
        make: Make::Each(storyboard),
    },
    Kind {
        name: "trim",
        about: "A section from the middle of the clip, exact to the frame.",
        make: Make::Each(trim),
    },
    Kind {
        name: "remux",
        about: "An MP4 with unchanged streams and its `moov` first.",
        make: Make::Each(remux),
    },
    Kind {
        name: "web-ready",
        about: "The decision that a clip plays in every browser as it is, against ffprobe, which \
                only says what is in it.",
        make: Make::Each(web_ready),
    },
    Kind {
        name: "extract-audio",
        about: "The first audio stream in a file of its own, copied.",
        make: Make::Each(extract_audio),
    },
    Kind {
        name: "transcode",
        about: "1080 lines to 720, H.264 at preset medium and CRF 23, all as started programs.",
        make: Make::Each(transcode),
    },
    Kind {
        name: "burst",
        about: "200 thumbnails of short clips, in one process on threads against a started \
                program for each; the memory of programs is that of one, as often as run at once.",
        make: Make::Together(bursts),
    },
    Kind {
        name: "frames-uniform",
        about: "Ten pictures in memory, evenly spread, in RGB.",
        make: Make::Variants(|bench, clip| Ok(memory::uniform(bench, clip))),
    },
    Kind {
        name: "frames-random",
        about: "Ten pictures in memory at random times, in RGB.",
        make: Make::Variants(|bench, clip| Ok(memory::random(bench, clip))),
    },
    Kind {
        name: "frames-first",
        about: "The first hundred pictures in memory, in RGB.",
        make: Make::Variants(|bench, clip| Ok(memory::first(bench, clip))),
    },
    Kind {
        name: "frames-many",
        about: "Ten pictures in memory of each of fifty short clips, in RGB at 960x540.",
        make: Make::Together(|bench, clips| Ok(memory::many(bench, clips))),
    },
    Kind {
        name: "sound-16k",
        about: "All sound of an hour at 16 kHz, mono, as 32-bit floating point in memory.",
        make: Make::Variants(|bench, clip| Ok(memory::sound(bench, clip))),
    },
];

/// The goals for a thumbnail: the least ratio of the rival's wall time to ours, and for `limit` the
/// most of ours to the limit's.
#[derive(Default)]
struct PictureGoals {
    path: Option<f64>,
    given: Option<f64>,
    python: Option<f64>,
    limit: Option<f64>,
}

fn exact_1s(clip: &Clip) -> PictureGoals {
    if !clip.is_of(720) {
        return PictureGoals::default();
    }
    PictureGoals { path: Some(2.5), given: Some(1.8), python: Some(1.4), limit: Some(1.15) }
}

fn exact_15s(clip: &Clip) -> PictureGoals {
    if !clip.is_of(1080) {
        return PictureGoals::default();
    }
    PictureGoals { given: Some(1.5), python: Some(1.7), ..PictureGoals::default() }
}

/// The options before the arguments of every `ffmpeg` command.
const FFMPEG: &str = "-v error -nostdin -y";

fn picture(
    bench: &Bench<'_>,
    clip: &Clip,
    at: f64,
    least_seconds: f64,
    goals: &PictureGoals,
) -> Result<Option<Round>> {
    if clip.seconds < least_seconds {
        return Ok(None);
    }
    let output = Output::File(bench.scratch.path("out.jpg"));
    let document = document(clip, "jpg", &json!({ "name": "thumbnail", "seekSeconds": at }));
    let mut round = Round::in_process(bench, &document, &output)?;
    let words = format!("-ss {at} -i {{in}} -map 0:v:0 -frames:v 1 -q:v 3 {{out}}");
    round.add_programs(bench, clip, &output, &words, |program| match program.origin {
        Origin::Path => goals.path.map(rival_at_least),
        Origin::Given => goals.given.map(rival_at_least),
    });
    let order = order(clip, &output, json!({ "job": "picture", "at": at, "keyframe": false }));
    round.add_python(bench, None, order, &output, goals.python.map(rival_at_least));
    let order = json!({ "job": "decodeEncode", "input": clip.path, "at": at });
    let limit = (
        "decoder and encoder alone",
        "packets from the keyframe on, read before the clock starts, through libavcodec's decoder, \
         and one frame through its JPEG encoder; by the libav in PyAV, which may be newer than ours",
    );
    let goal = goals.limit.map(ours_at_most);
    round.add_python(bench, Some(limit), order, &output, goal);
    Ok(Some(round))
}

fn keyframe(bench: &Bench<'_>, clip: &Clip) -> Result<Option<Round>> {
    if clip.seconds < 20.0 {
        return Ok(None);
    }
    let output = Output::File(bench.scratch.path("out.jpg"));
    let recipe = json!({ "name": "thumbnail", "seekSeconds": 15, "accuracy": "keyframe" });
    let mut round = Round::in_process(bench, &document(clip, "jpg", &recipe), &output)?;
    let words =
        "-noaccurate_seek -skip_frame nokey -ss 15 -i {in} -map 0:v:0 -frames:v 1 -q:v 3 {out}";
    round.add_programs(bench, clip, &output, words, |_| {
        clip.is_of(1080).then_some(rival_at_least(8.0))
    });
    let order = order(clip, &output, json!({ "job": "picture", "at": 15, "keyframe": true }));
    round.add_python(bench, None, order, &output, None);
    Ok(Some(round))
}

#[expect(clippy::unnecessary_wraps, reason = "the table of jobs calls all of them alike")]
fn picture_process(bench: &Bench<'_>, clip: &Clip) -> Result<Option<Round>> {
    if clip.seconds < 2.0 {
        return Ok(None);
    }
    let output = Output::File(bench.scratch.path("out.jpg"));
    let words = "thumbnail {in} -o {out} --seek-seconds 1";
    let mut round = Round::process(bench, words, clip, &output);
    let words = "-ss 1 -i {in} -map 0:v:0 -frames:v 1 -q:v 3 {out}";
    round.add_programs(bench, clip, &output, words, |program| {
        (program.origin == Origin::Path).then_some(ours_at_most(0.75))
    });
    Ok(Some(round))
}

fn storyboard(bench: &Bench<'_>, clip: &Clip) -> Result<Option<Round>> {
    if clip.seconds < 20.0 {
        return Ok(None);
    }
    let folder = Output::Folder(bench.scratch.path("storyboard"));
    let recipe = json!({ "name": "storyboard", "count": PICTURES, "columns": 10, "width": 160 });
    let mut round = Round::in_process(bench, &document(clip, "jpg", &recipe), &folder)?;
    let output = Output::File(bench.scratch.path("sheet.jpg"));
    let is_long = clip.is_of(1080) && clip.seconds >= 599.0;
    let sheet = format!(
        "-i {{in}} -map 0:v:0 -vf fps={PICTURES}/{:.3},scale=160:-2,tile=10x10 -frames:v 1 -q:v 3 {{out}}",
        clip.seconds
    );
    round.add_programs(bench, clip, &output, &sheet, |_| is_long.then_some(rival_at_least(10.0)));
    let keys = format!("-skip_frame nokey {sheet}");
    round.add_named_programs(bench, clip, &output, &keys, " nokey", |_| {
        is_long.then_some(rival_at_least(2.0))
    });
    let order = json!({ "job": "decodeKeys", "input": clip.path, "count": PICTURES });
    let limit = (
        "decoder alone",
        "the keyframes before 100 evenly spaced times, read before the clock starts, through \
         libavcodec's decoder in PyAV; nothing is scaled or encoded",
    );
    round.add_python(bench, Some(limit), order, &output, None);
    Ok(Some(round))
}

/// The start and the duration of the section to cut, in seconds.
fn section(seconds: f64) -> (f64, f64) {
    let start = seconds / 3.0 + 1.3;
    if start + 30.0 <= seconds { (start, 30.0) } else { (start, seconds / 3.0) }
}

fn trim(bench: &Bench<'_>, clip: &Clip) -> Result<Option<Round>> {
    if clip.seconds < 6.0 || clip.video != "h264" {
        return Ok(None);
    }
    let (start, duration) = section(clip.seconds);
    let (start, duration) = (format!("{start:.3}"), format!("{duration:.3}"));
    let output = Output::File(bench.scratch.path("out.mp4"));
    let number = |text: &str| text.parse::<f64>().unwrap_or_default();
    let recipe = json!({
        "name": "trim", "startSeconds": number(&start), "durationSeconds": number(&duration),
    });
    let document = document(clip, "mp4", &recipe);
    let mut round = Round::in_process(bench, &document, &output)?;
    let words = format!(
        "-ss {start} -i {{in}} -t {duration} -c:v libx264 -crf 18 -preset medium -c:a aac {{out}}"
    );
    round.add_programs(bench, clip, &output, &words, |_| Some(rival_at_least(30.0)));
    let made = Output::File(bench.scratch.path("trimmed.mp4"));
    let mut once = Contender::new("", "", Way::Library(job(&document)?)).making(&made);
    once.run(bench.scratch)?;
    round.add_copies("of the result", made.path(), &output, None);
    Ok(Some(round))
}

fn remux(bench: &Bench<'_>, clip: &Clip) -> Result<Option<Round>> {
    if !clip.is_mp4 {
        return Ok(None);
    }
    let output = Output::File(bench.scratch.path("out.mp4"));
    let document = document(clip, "mp4", &json!({ "name": "transcode" }));
    let strategy = strategy(bench, &document, &output)?;
    if strategy == Strategy::Encode {
        return Ok(None);
    }
    let is_large = clip.size >= 200_000_000;
    let mut round = Round::in_process(bench, &document, &output)?;
    round.notes.push(format!("Avocet's plan: {}.", strategy.name()));
    let words = "-i {in} -map 0:v -map 0:a? -c copy -movflags +faststart {out}";
    round.add_programs(bench, clip, &output, words, |_| is_large.then_some(rival_at_least(1.4)));
    let order = order(clip, &output, json!({ "job": "remux" }));
    round.add_python(bench, None, order, &output, None);
    round.add_copies("of the clip", &clip.path, &output, is_large.then_some(ours_at_most(1.5)));
    Ok(Some(round))
}

fn web_ready(bench: &Bench<'_>, clip: &Clip) -> Result<Option<Round>> {
    let output = Output::File(bench.scratch.path("out.mp4"));
    let document = document(clip, "mp4", &json!({ "name": "webReady" }));
    if strategy(bench, &document, &output)? != Strategy::Passthrough {
        return Ok(None);
    }
    let what = "the plan alone, by a new engine";
    let ours = Contender::new("Avocet", what, Way::Decision(job(&document)?)).making(&output);
    let mut round = Round::new(ours);
    if let Some(version) = &bench.rivals.ffprobe {
        let line =
            line("ffprobe", "-v error -show_streams -show_format -of json {in}", clip, &output);
        let short = version.split('-').next().unwrap_or(version);
        let rival = Contender::program(format!("ffprobe {short}"), line);
        round.rivals.push(rival.wanting([rival_at_least(20.0)]));
    }
    Ok(Some(round))
}

fn extract_audio(bench: &Bench<'_>, clip: &Clip) -> Result<Option<Round>> {
    let format = match clip.audio.as_deref() {
        Some("aac") => "m4a",
        Some("mp3") => "mp3",
        _ => return Ok(None),
    };
    let output = Output::File(bench.scratch.path(&format!("out.{format}")));
    let document = document(clip, format, &json!({ "name": "extractAudio" }));
    let mut round = Round::in_process(bench, &document, &output)?;
    let words = "-i {in} -map 0:a:0 -vn -c:a copy {out}";
    round.add_programs(bench, clip, &output, words, |_| Some(rival_at_least(3.0)));
    Ok(Some(round))
}

fn transcode(bench: &Bench<'_>, clip: &Clip) -> Result<Option<Round>> {
    if clip.video != "h264" || clip.height != 1080 || clip.seconds > 90.0 {
        return Ok(None);
    }
    let output = Output::File(bench.scratch.path("out.mp4"));
    let mut round = Round::process(bench, "resize {in} -o {out} --height 720", clip, &output);
    let frame = f64::from(clip.width) * f64::from(clip.height) * 1.5;
    let words = "-i {in} -vf scale=-2:720:flags=bicubic+accurate_rnd -c:v libx264 -crf 23 -preset medium -c:a copy \
                 -movflags +faststart {out}";
    round.add_programs(bench, clip, &output, words, |program| {
        let of = |measure, bound| Goal { measure, bound };
        let goals = [
            of(Measure::Wall, Bound::OursAtMost(1.03)),
            of(Measure::User, Bound::OursAtMost(1.03)),
            of(Measure::Memory, Bound::MoreAtMost(8.0 * frame)),
        ];
        // An FFmpeg of another release has other codecs, so it gets no goals.
        let is_alike = program.origin == Origin::Path;
        goals.into_iter().filter(move |_| is_alike)
    });
    round.add_encoder(bench, clip)?;
    Ok(Some(round))
}

fn bursts(bench: &Bench<'_>, clips: &[&Clip]) -> Result<Vec<Round>> {
    let clips: Vec<_> = clips.iter().copied().filter(|clip| clip.seconds >= 2.0).collect();
    if clips.is_empty() {
        return Ok(Vec::new());
    }
    [1, 4, 16].into_iter().map(|at_once| one_burst(bench, &clips, at_once)).collect()
}

fn one_burst(bench: &Bench<'_>, clips: &[&Clip], at_once: usize) -> Result<Round> {
    let folder = Output::Folder(bench.scratch.path("burst"));
    let mut ours: Vec<OsString> = vec![own_program()?.into(), burst::BURST.into()];
    ours.extend([at_once.to_string().into(), BURST.to_string().into(), folder.path().into()]);
    ours.extend(clips.iter().map(|clip| clip.path.clone().into()));
    let what =
        "the library on threads of one process, a new engine for each picture; its start counts";
    let ours = Contender::new("Avocet", what, Way::Programs(Lines::one(ours))).making(&folder);
    let mut round = Round::new(ours);
    round.variant = format!("{at_once} at once");
    round.count = BURST;
    for program in &bench.rivals.programs {
        let words = format!("{FFMPEG} -ss 1 -i {{in}} -map 0:v:0 -frames:v 1 -q:v 3 {{out}}");
        let number = |number: usize| {
            let output = Output::File(folder.path().join(format!("{number}.jpg")));
            line(&program.path, &words, clips[number % clips.len()], &output)
        };
        let lines: Vec<_> = (0..BURST).map(number).collect();
        let shown = lines.first().map(|line| super::child::show(line)).unwrap_or_default();
        let way = Way::Programs(Lines { lines, at_once });
        let least = if program.origin == Origin::Path { 3.0 } else { 1.8 };
        let memory = Goal { measure: Measure::Memory, bound: Bound::OursAtMost(0.5) };
        // The peak is estimated for several programs at once only.
        let memory = (at_once > 1).then_some(memory);
        let rival = Contender::new(&program.name, format!("`{shown}` and so on"), way);
        let goals = [rival_at_least(least)].into_iter().chain(memory);
        round.rivals.push(rival.making(&folder).wanting(goals));
    }
    Ok(round)
}

impl Round {
    pub(super) fn new(ours: Contender) -> Self {
        let variant = String::new();
        Self { variant, ours, rivals: Vec::new(), notes: Vec::new(), count: 1, leftover: None }
    }

    /// The library in this process. Its first rival is a started `avocet` program.
    fn in_process(bench: &Bench<'_>, document: &Value, output: &Output) -> Result<Self> {
        let what = "the library in this process, a new engine for each run";
        let ours = Contender::new("Avocet", what, Way::Library(job(document)?)).making(output);
        let mut round = Self::new(ours);
        let path = bench.scratch.path("job.json");
        write(&path, &document.to_string())?;
        let line = [bench.program.into(), "run".into(), path.into(), "-o".into()];
        let line = line.into_iter().chain([output.path().into()]).collect();
        round.rivals.push(Contender::program("Avocet, started", line).making(output));
        Ok(round)
    }

    /// The program `avocet`, started for each run.
    fn process(bench: &Bench<'_>, words: &str, clip: &Clip, output: &Output) -> Self {
        let line = line(bench.program, words, clip, output);
        Self::new(Contender::program("Avocet, started", line).making(output))
    }

    fn add_programs<G: IntoIterator<Item = Goal>>(
        &mut self,
        bench: &Bench<'_>,
        clip: &Clip,
        output: &Output,
        words: &str,
        goals: impl Fn(&Program) -> G,
    ) {
        self.add_named_programs(bench, clip, output, words, "", goals);
    }

    /// Adds every `ffmpeg` program as a rival, with `suffix` behind its name.
    fn add_named_programs<G: IntoIterator<Item = Goal>>(
        &mut self,
        bench: &Bench<'_>,
        clip: &Clip,
        output: &Output,
        words: &str,
        suffix: &str,
        goals: impl Fn(&Program) -> G,
    ) {
        for program in &bench.rivals.programs {
            let line = line(&program.path, &format!("{FFMPEG} {words}"), clip, output);
            let rival = Contender::program(format!("{}{suffix}", program.name), line);
            self.rivals.push(rival.making(output).wanting(goals(program)));
        }
    }

    /// Adds `PyAV` as a rival, if it is installed. A limit has a name and a description.
    fn add_python(
        &mut self,
        bench: &Bench<'_>,
        limit: Option<(&str, &str)>,
        order: Value,
        output: &Output,
        goal: Option<Goal>,
    ) {
        let Some((python, version)) = &bench.rivals.python else { return };
        let worker = match Worker::start(bench.scratch, python) {
            Ok(worker) => worker,
            Err(error) => return self.notes.push(format!("PyAV is left out: {error}.")),
        };
        let job = order["job"].as_str().unwrap_or_default().to_owned();
        let own = || format!("PyAV {}", version.version);
        let name = limit.map_or_else(own, |(name, _)| name.to_owned());
        let what = format!("`{job}` of worker.py, PyAV {} in one process", version.version);
        let way = Way::Worker(Box::new(worker), order);
        let mut rival = Contender::new(&name, what, way).making(output).wanting(goal);
        rival.is_limit = limit.is_some();
        self.rivals.push(rival);
        self.notes.extend(limit.map(|(name, what)| format!("{name}: {what}.")));
    }

    /// Adds a library as a rival, if there is a program with it.
    pub(super) fn add_library(
        &mut self,
        bench: &Bench<'_>,
        launcher: Option<&Launcher>,
        name: &str,
        order: Value,
        goal: Goal,
    ) {
        let Some(launcher) = launcher else { return };
        let worker = match Worker::start(bench.scratch, launcher) {
            Ok(worker) => worker,
            Err(error) => return self.notes.push(format!("{name} is left out: {error}.")),
        };
        let job = order["job"].as_str().unwrap_or_default();
        let what = format!("`{job}` of {}, in one process", launcher.name);
        let rival = Contender::new(name, what, Way::Worker(Box::new(worker), order));
        self.rivals.push(rival.wanting([goal]));
    }

    /// Adds plain copies of a file as limits for jobs that copy.
    fn add_copies(&mut self, of: &str, from: &Path, output: &Output, goal: Option<Goal>) {
        let way = Way::KernelCopy(from.to_owned());
        let copy = Contender::new("cp", format!("a copy {of} by the kernel"), way);
        self.rivals.push(copy.making(output).wanting(goal).limiting());
        let way = Way::PlainCopy(from.to_owned());
        let copy = Contender::new("cp, plain", format!("a copy {of} by reads and writes"), way);
        self.rivals.push(copy.making(output).limiting());
    }

    /// Adds the limit of a transcode: the encoder alone, on frames decoded and scaled before.
    fn add_encoder(&mut self, bench: &Bench<'_>, clip: &Clip) -> Result<()> {
        let Some(program) = bench.rivals.programs.first() else { return Ok(()) };
        let width = (f64::from(clip.width) * 720.0 / f64::from(clip.height) / 2.0).round() * 2.0;
        let bytes = width * 720.0 * 1.5 * clip.frame_rate * clip.seconds;
        if bytes > MAX_RAW || clip.frame_rate <= 0.0 {
            self.notes.push(format!(
                "The encoder alone is left out: {:.1} GB of pictures are more than {:.1} GB.",
                bytes / 1e9,
                MAX_RAW / 1e9
            ));
            return Ok(());
        }
        let raw = Output::File(bench.scratch.path("raw.yuv"));
        let words = format!(
            "{FFMPEG} -i {{in}} -map 0:v:0 -vf scale={width}:720 -pix_fmt yuv420p -f rawvideo {{out}}"
        );
        measure(bench.scratch, &Lines::one(line(&program.path, &words, clip, &raw)))?;
        let words = format!(
            "{FFMPEG} -f rawvideo -pix_fmt yuv420p -s {width}x720 -r {} -i {{out}} -c:v libx264 \
             -crf 23 -preset medium -f null -",
            clip.frame_rate
        );
        let line = line(&program.path, &words, clip, &raw);
        let name = format!("{}, encoder alone", program.name);
        self.rivals.push(Contender::program(name, line).limiting());
        self.leftover = Some(raw.path().to_owned());
        self.notes.push(
            "Encoder alone: pictures that were decoded and scaled before, to the same encoder, \
             into nothing; sound is left out."
                .to_owned(),
        );
        Ok(())
    }
}

pub(super) const fn rival_at_least(least: f64) -> Goal {
    Goal::wall(Bound::RivalAtLeast(least))
}

const fn ours_at_most(most: f64) -> Goal {
    Goal::wall(Bound::OursAtMost(most))
}

/// A command line of these words, with `{in}` and `{out}` replaced by the paths.
fn line(program: impl Into<OsString>, words: &str, clip: &Clip, output: &Output) -> Vec<OsString> {
    let word = |word: &str| match word {
        "{in}" => clip.path.clone().into(),
        "{out}" => output.path().into(),
        word => word.into(),
    };
    [program.into()].into_iter().chain(words.split_whitespace().map(word)).collect()
}

/// The job document for a recipe.
fn document(clip: &Clip, format: &str, recipe: &Value) -> Value {
    json!({
        "mode": "recipe",
        "input": { "url": avocet::io::input_url(clip.path.as_os_str()) },
        "output": { "format": format },
        "recipe": recipe,
    })
}

/// The order for the `PyAV` worker.
fn order(clip: &Clip, output: &Output, mut order: Value) -> Value {
    order["input"] = json!(clip.path);
    order["output"] = json!(output.path());
    order
}

fn job(document: &Value) -> Result<CheckedJob> {
    Ok(Job::from_json(&document.to_string(), Policy::Program).map_err(avocet::Error::from)?)
}

fn strategy(bench: &Bench<'_>, document: &Value, output: &Output) -> Result<Strategy> {
    let job = avocet::job(job(document)?).output(output.path()).cancel(bench.scratch.cancel());
    Ok(job.plan()?.plan.strategy)
}

#[expect(clippy::disallowed_methods, reason = "a document is no media")]
fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_jobs_share_a_name() {
        let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KINDS.len());
        assert!(KINDS.iter().all(|kind| kind.about.ends_with('.')));
    }

    #[test]
    fn a_section_lies_in_the_clip() {
        let check = |seconds: f64, expected: (f64, f64)| {
            let (start, duration) = section(seconds);
            assert!((start - expected.0).abs() < 1e-9 && (duration - expected.1).abs() < 1e-9);
            assert!(start + duration <= seconds, "{seconds}");
        };
        check(600.0, (201.3, 30.0));
        check(52.0, (52.0 / 3.0 + 1.3, 30.0));
        check(42.0, (15.3, 14.0));
        check(6.0, (3.3, 2.0));
    }

    #[test]
    fn words_have_their_places() {
        let clip = Clip { path: "/a b.mp4".into(), ..Clip::default() };
        let output = Output::File("/out".into());
        let words = line("ffmpeg", "-i {in}  -f null {out}", &clip, &output);
        assert_eq!(words, ["ffmpeg", "-i", "/a b.mp4", "-f", "null", "/out"].map(OsString::from));
    }

    #[test]
    fn documents_are_read() {
        let clip = Clip { path: "/a.mp4".into(), ..Clip::default() };
        let check = |recipe: Value, is_read| {
            let document = document(&clip, "mp4", &recipe);
            assert_eq!(job(&document).is_ok(), is_read, "{document}");
        };
        check(json!({ "name": "trim", "startSeconds": 1.5, "durationSeconds": 2 }), true);
        check(json!({ "name": "webReady" }), true);
        check(json!({ "name": "nothing" }), false);
    }

    #[test]
    fn goals_are_for_the_clips_that_they_were_set_for() {
        let of = |width, height| Clip { width, height, ..Clip::default() };
        assert_eq!(exact_1s(&of(1280, 720)).path, Some(2.5));
        assert_eq!(exact_1s(&of(1920, 1080)).path, None);
        assert_eq!(exact_15s(&of(1920, 1080)).given, Some(1.5));
    }
}
