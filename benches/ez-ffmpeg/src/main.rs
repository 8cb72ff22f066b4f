//! Does jobs with ez-ffmpeg, one for each line of JSON on standard input, and answers with seconds: the
//! counterpart of `benches/src/worker.py`. `avocet-bench --ez-ffmpeg PATH` starts it.

#![forbid(unsafe_code)]

use std::{
    error::Error,
    io::{BufRead, Write},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use ez_ffmpeg::frame_export::{FrameExtractor, SampleExtractor, VideoFrame};
use serde::Deserialize;
use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

/// What is to be done.
#[derive(Deserialize)]
#[serde(tag = "job", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Order {
    /// Pictures of clips in memory.
    Frames {
        clips: Vec<String>,
        /// Times in every clip, in seconds; empty for the first frames.
        #[serde(default)]
        times: Vec<f64>,
        /// Times in each clip, in seconds, if they differ.
        #[serde(default)]
        times_of_each: Vec<Vec<f64>>,
        #[serde(default)]
        first: usize,
        size: Option<(u32, u32)>,
        /// The number of clips that are read at once.
        at_once: usize,
    },
    /// All sound of a clip at 16 kHz in one channel, as 32-bit floating point.
    Sound { clips: Vec<String> },
}

/// Pictures at times by a seek to each, or the first ones by one run.
fn pictures(
    clip: &str,
    times: &[f64],
    first: usize,
    size: Option<(u32, u32)>,
) -> Result<(), Failure> {
    let extractor = || {
        let extractor = FrameExtractor::new(clip);
        match size {
            Some((width, height)) => extractor.width(width).height(height),
            None => extractor,
        }
    };
    let mut made: Vec<VideoFrame> = Vec::new();
    if times.is_empty() {
        made.extend(extractor().max_frames(first as u64).collect_frames()?);
    }
    for seconds in times {
        let at = (seconds * 1e6).round() as i64;
        made.extend(extractor().start_time_us(at).max_frames(1).collect_frames()?);
    }
    let wanted = if times.is_empty() { first } else { times.len() };
    if made.len() == wanted { Ok(()) } else { Err("less than all pictures came".into()) }
}

fn work(order: &Order) -> Result<(), Failure> {
    match order {
        Order::Frames { clips, times, times_of_each, first, size, at_once } => {
            let next = AtomicUsize::new(0);
            let one = || -> Result<(), Failure> {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(clip) = clips.get(number) else { return Ok(()) };
                    pictures(clip, times_of_each.get(number).unwrap_or(times), *first, *size)?;
                }
            };
            thread::scope(|scope| {
                let workers: Vec<_> = (0..*at_once).map(|_| scope.spawn(one)).collect();
                workers.into_iter().try_for_each(|worker| {
                    worker.join().unwrap_or_else(|_| Err("a worker panicked".into()))
                })
            })
        }
        Order::Sound { clips } => {
            let clip = clips.first().ok_or("no clip is named")?;
            let samples = SampleExtractor::for_whisper(clip.as_str()).collect_samples()?;
            if samples.len() < 16_000 { Err("less than all sound came".into()) } else { Ok(()) }
        }
    }
}

/// A number in a file of the kernel's accounts, after the field `name`.
fn account(path: &str, name: &str) -> Option<f64> {
    let accounts = std::fs::read_to_string(path).ok()?;
    let line = accounts.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Processor time in user mode, in seconds: the 14th field, in hundredths.
fn user_seconds() -> Option<f64> {
    let accounts = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = accounts.rsplit_once(')')?.1;
    Some(fields.split_whitespace().nth(11)?.parse::<f64>().ok()? / 100.0)
}

fn answer(line: &str) -> Result<Value, Failure> {
    let order: Order = serde_json::from_str(line)?;
    let read = || account("/proc/self/io", "rchar:");
    let (read_before, user_before, begin) = (read(), user_seconds(), Instant::now());
    work(&order)?;
    let wall = begin.elapsed().as_secs_f64();
    Ok(json!({
        "wall": wall,
        "user": user_seconds().zip(user_before).map(|(end, begin)| end - begin),
        "peak": account("/proc/self/status", "VmHWM:").map(|kibibytes| kibibytes * 1024.0),
        "read": read().zip(read_before).map(|(end, begin)| end - begin),
    }))
}

/// The linked libavcodec, by its version.
fn libav() -> String {
    let version = ffmpeg_next::codec::version();
    format!("libavcodec {}.{}", version >> 16, version >> 8 & 0xff)
}

fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "{}", json!({ "version": "0.19.3", "libav": libav() }))?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let found = answer(&line?).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(out, "{found}")?;
        out.flush()?;
    }
    Ok(())
}
