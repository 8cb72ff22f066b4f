//! Times whole jobs against the ffmpeg program with the same libav, the same settings, on one
//! machine, in one run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints its results")]

mod child;
mod figure;
mod jobs;
mod pair;
mod report;
mod statistics;

use std::{
    env, error,
    ffi::OsStr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    process::ExitCode,
};

use avocet::engine::Settings;
use clap::Parser;

use crate::report::{Job, Report, Setting};

/// What can not run is told and ends the program; there is nobody to tell such failures apart.
type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

/// Times whole jobs against the ffmpeg program, in pairs, and prints ratios with their spread.
///
/// Timing never decides the exit status; only what can not run is a failure.
#[derive(Parser)]
#[command(name = "bench-jobs")]
struct Arguments {
    /// Pairs of runs that are counted; one more warms both sides up.
    #[arg(long, default_value = "21")]
    pairs: NonZeroUsize,
    /// Threads of each decoder, filter graph and encoder of a transcode [default: all processors].
    #[arg(long)]
    threads: Option<NonZeroU32>,
    /// Leave the results in benches/results, too.
    #[arg(long)]
    write: bool,
    /// Clips of your own with pictures, instead of ten seconds of 720p.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let mut words = env::args_os().skip(1);
    // This program is also each of the processes that it measures.
    let done = match words.next().as_deref().and_then(OsStr::to_str) {
        Some(child::MEASURE) => child::measure_here(words),
        Some(child::THUMBNAIL) => jobs::be_child(words, jobs::thumbnail),
        Some(child::TRANSCODE) => jobs::be_child(words, jobs::transcode),
        _ => compare(&Arguments::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<()> {
    let clips = match &*arguments.files {
        [] => vec![fixtures::get("hd-720p.mp4")],
        files => files.to_vec(),
    };
    let threads = arguments.threads.unwrap_or(Settings::default().threads);
    let mut report = Report { setting: Setting::find(threads)?, jobs: Vec::new() };
    println!("{}", report.setting.to_markdown());
    for clip in &clips {
        let bench = jobs::Bench::new(clip, threads, arguments.pairs)?;
        for run in [jobs::Bench::thumbnail, jobs::Bench::thumbnail_process, jobs::Bench::transcode]
        {
            let job: Job = run(&bench)?;
            println!("{}", job.to_markdown());
            report.jobs.push(job);
        }
    }
    if arguments.write { report.write() } else { Ok(()) }
}
