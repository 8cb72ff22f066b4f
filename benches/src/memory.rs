//! The jobs that give pictures and sound in memory: what avocet's iterators, `PyAV` and torchcodec are
//! compared by.

use std::{num::NonZeroU32, path::PathBuf, sync::atomic::AtomicUsize, thread};

use avocet::{CancelToken, Engine, Settings};
use serde_json::{Value, json};

use super::{
    clip::Clip,
    contender::{Contender, Way},
    error::Result,
    jobs::{Bench, Round, rival_at_least},
};

/// The number of pictures at times.
const PICTURES: u32 = 10;

/// The number of pictures from the start.
const FIRST: usize = 100;

/// The number of clips that are read at once.
const CLIPS: usize = 50;

/// The sizes of pictures, in pixels; `None` is that of the clip.
const SIZES: [Option<(u32, u32)>; 2] = [Some((960, 540)), None];

/// Places in a clip for pictures at random times, as parts of its length: drawn once.
const PLACES: [f64; PICTURES as usize] =
    [0.637, 0.270, 0.041, 0.917, 0.459, 0.873, 0.184, 0.552, 0.731, 0.366];

/// What is wanted of a clip.
#[derive(Clone, Debug)]
struct Wanted {
    clip: PathBuf,
    /// Times of pictures, in seconds; empty for the first ones.
    times: Vec<f64>,
    size: Option<(u32, u32)>,
}

/// Ten pictures, evenly spread.
pub(super) fn uniform(bench: &Bench<'_>, clip: &Clip) -> Vec<Round> {
    let step = clip.seconds / f64::from(PICTURES);
    let times = (0..PICTURES).map(|number| (f64::from(number) + 0.5) * step);
    at_times(bench, clip, &times.collect::<Vec<_>>())
}

/// Ten pictures at random times, in no order.
pub(super) fn random(bench: &Bench<'_>, clip: &Clip) -> Vec<Round> {
    at_times(bench, clip, &PLACES.map(|place| place * clip.seconds))
}

/// The first hundred pictures.
pub(super) fn first(bench: &Bench<'_>, clip: &Clip) -> Vec<Round> {
    at_times(bench, clip, &[])
}

fn at_times(bench: &Bench<'_>, clip: &Clip, times: &[f64]) -> Vec<Round> {
    if clip.height < 1080 || clip.seconds < 10.0 {
        return Vec::new();
    }
    let round = |size: Option<(u32, u32)>| {
        let wanted = Wanted { clip: clip.path.clone(), times: times.to_vec(), size };
        let mut round = Round::new(of_pictures(vec![wanted.clone()], 1));
        round.variant = size.map_or("as large as the clip".to_owned(), |(width, height)| {
            format!("{width}x{height}")
        });
        let order = json!({
            "job": "frames", "clips": [wanted.clip], "times": wanted.times, "first": FIRST,
            "size": wanted.size, "atOnce": 1,
        });
        add_rivals(&mut round, bench, &order);
        round
    };
    SIZES.into_iter().map(round).collect()
}

/// Ten pictures of each of fifty clips, several clips at once.
pub(super) fn many(bench: &Bench<'_>, clips: &[&Clip]) -> Vec<Round> {
    if clips.is_empty() {
        return Vec::new();
    }
    let size = Some((960, 540));
    let of = |number: usize| {
        let clip = clips[number % clips.len()];
        let step = clip.seconds / f64::from(PICTURES);
        let times = (0..PICTURES).map(|picture| (f64::from(picture) + 0.5) * step).collect();
        Wanted { clip: clip.path.clone(), times, size }
    };
    let all: Vec<Wanted> = (0..CLIPS).map(of).collect();
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let mut round = Round::new(of_pictures(all.clone(), at_once));
    round.count = CLIPS;
    let (paths, times): (Vec<_>, Vec<_>) =
        all.iter().map(|wanted| (&wanted.clip, &wanted.times)).unzip();
    let order = json!({
        "job": "frames", "clips": paths, "timesOfEach": times, "size": size, "atOnce": at_once,
    });
    add_rivals(&mut round, bench, &order);
    vec![round]
}

/// All sound at 16 kHz in one channel, as 32-bit floating point.
pub(super) fn sound(bench: &Bench<'_>, clip: &Clip) -> Vec<Round> {
    if clip.audio.is_none() || clip.seconds < 3000.0 {
        return Vec::new();
    }
    let path = clip.path.clone();
    let read = move |cancel: &CancelToken| {
        let blocks = avocet::audio(&path).mono().rate(16_000).f32().cancel(cancel).iter()?;
        let mut samples = Vec::new();
        for block in blocks {
            samples.extend_from_slice(block?.f32().unwrap_or_default());
        }
        expect(samples.len() > 16_000, "sound")
    };
    let what = "`avocet::audio(…).mono().rate(16_000).f32()`, all blocks into one vector";
    let mut round = Round::new(Contender::new("Avocet", what, Way::Memory(Box::new(read))));
    add_rivals(&mut round, bench, &json!({ "job": "sound", "clips": [clip.path] }));
    vec![round]
}

/// Avocet, on so many clips at once.
fn of_pictures(all: Vec<Wanted>, at_once: usize) -> Contender {
    let what = match (at_once, all.first().is_some_and(|wanted| wanted.times.is_empty())) {
        (1, true) => "`avocet::frames(…)`, the first hundred",
        (1, false) => "`avocet::frames(…).at(times).threads(processors)`",
        _ => {
            "`avocet::frames(…).engine(&one).at(times)` on as many threads as there are processors; \
             `one` is an engine whose decoders have one thread"
        }
    };
    let read = move |cancel: &CancelToken| {
        let next = AtomicUsize::new(0);
        let one = (at_once > 1)
            .then(|| Engine::new(Settings { threads: NonZeroU32::MIN, ..Settings::default() }));
        thread::scope(|scope| {
            let work = || -> Result<()> {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(wanted) = all.get(number) else { return Ok(()) };
                    pictures(wanted, one.as_ref(), cancel)?;
                }
            };
            let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    };
    Contender::new("Avocet", what, Way::Memory(Box::new(read)))
}

/// Reads the pictures of a clip: by this engine, or with all processors.
fn pictures(wanted: &Wanted, engine: Option<&Engine>, cancel: &CancelToken) -> Result<()> {
    let mut frames = avocet::frames(&wanted.clip).rgb24().cancel(cancel);
    if let Some(engine) = engine {
        frames = frames.engine(engine);
    }
    if let Some((width, height)) = wanted.size {
        frames = frames.size(width, height);
    }
    let (frames, count) = if wanted.times.is_empty() {
        (frames, FIRST)
    } else {
        let threads =
            thread::available_parallelism().map_or(1, |all| u32::try_from(all.get()).unwrap_or(1));
        let threads = if engine.is_none() { threads } else { 1 };
        (frames.at(wanted.times.iter().copied()).threads(threads), wanted.times.len())
    };
    let mut pictures = Vec::new();
    for picture in frames.iter()?.take(count) {
        pictures.push(picture?);
    }
    let bytes: usize =
        pictures.iter().flat_map(avocet::Picture::planes).map(|it| it.bytes.len()).sum();
    expect(pictures.len() == count && bytes > 0, "pictures")
}

fn expect(is_there: bool, what: &str) -> Result<()> {
    if is_there {
        return Ok(());
    }
    let (command, log) = ("Avocet".to_owned(), format!("less than all {what} came"));
    Err(super::error::Error::Failed { command, log })
}

/// Adds `PyAV`, torchcodec and ez-ffmpeg.
fn add_rivals(round: &mut Round, bench: &Bench<'_>, order: &Value) {
    for (by, name) in
        [("av", "PyAV"), ("torchcodec", "torchcodec"), ("approximate", "torchcodec, approximate")]
    {
        let mut order = order.clone();
        order["by"] = json!(by);
        let python = bench.rivals.python.as_ref().map(|(launcher, _)| launcher);
        round.add_library(bench, python, name, order, rival_at_least(1.0));
    }
    let ez_ffmpeg = bench.rivals.ez_ffmpeg.as_ref().map(|(launcher, _)| launcher);
    round.add_library(bench, ez_ffmpeg, "ez-ffmpeg", order.clone(), rival_at_least(1.0));
    round.notes.push(
        "torchcodec: as it is by default, which reads the whole file for exact seeks first, with one \
         thread in its decoder; “approximate” does not, and has as many threads as there are processors. \
         All decode by the libav of this system, but PyAV by its own."
            .to_owned(),
    );
}
