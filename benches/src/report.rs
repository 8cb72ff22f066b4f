//! What was measured, where and how, for people and for machines.

use std::{
    env,
    ffi::OsString,
    fs, iter,
    num::{NonZeroU32, NonZeroUsize},
    path::Path,
    process::Command,
    thread,
};

use avocet::Engine;
use serde::Serialize;

use crate::{Result, figure::Figure};

/// All that one run of this program found.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) setting: Setting,
    pub(crate) jobs: Vec<Job>,
}

/// What else decides how long something takes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Setting {
    date: String,
    /// As the kernel names the processor.
    processor: String,
    processors: usize,
    /// Of each decoder, filter graph and encoder.
    threads: NonZeroU32,
    /// The release of FFmpeg that our libav comes from.
    libav: String,
    /// The release of the program.
    program: String,
    /// What this program was called with.
    command: String,
}

/// One job, done by both sides.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) title: &'static str,
    /// The name of the clip.
    pub(crate) clip: String,
    /// The command line of the program, with the names of files alone.
    pub(crate) program: String,
    pub(crate) pair_count: NonZeroUsize,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    /// Writes the report into the folder for results, named by its date.
    pub(crate) fn write(&self) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let path = folder.join(format!("{}-jobs.md", self.setting.date));
        let parts = iter::once(self.setting.to_markdown());
        let parts: Vec<_> = parts.chain(self.jobs.iter().map(Job::to_markdown)).collect();
        write(&path, parts.join("\n"))?;
        write(&path.with_extension("json"), serde_json::to_string_pretty(self)? + "\n")?;
        println!("Written to {} and .json.", path.display());
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "results are no media")]
fn write(path: &Path, text: String) -> Result<()> {
    Ok(fs::write(path, text)?)
}

impl Setting {
    pub(crate) fn find(threads: NonZeroU32) -> Result<Self> {
        let words: Vec<_> = env::args_os().skip(1).collect();
        let ffmpeg = first_line("ffmpeg", "-version")?;
        Ok(Self {
            date: first_line("date", "+%F")?,
            processor: processor().unwrap_or_else(|| env::consts::ARCH.to_owned()),
            processors: thread::available_parallelism()?.get(),
            threads,
            libav: Engine::default().capabilities().version.clone(),
            program: ffmpeg.split(" Copyright").next().unwrap_or(&ffmpeg).to_owned(),
            command: show_command("scripts/bench-jobs", &words),
        })
    }

    pub(crate) fn to_markdown(&self) -> String {
        let Self { date, processor, processors, threads, libav, program, command } = self;
        format!(
            "# Whole jobs, {date}\n\n\
             - machine: {processor}, {processors} processors; {threads} threads on both sides of a transcode\n\
             - libav: {libav}; program: {program}\n\
             - command: `{command}`\n\n\
             Each side runs once a pair, and first in every second one. Ratios are Avocet's figure \
             divided by that of the program, pair by pair; the columns of both sides, ratio and \
             difference are medians.\n"
        )
    }
}

impl Job {
    pub(crate) fn to_markdown(&self) -> String {
        let Self { title, clip, program, pair_count, figures } = self;
        let rows: String = figures.iter().map(Figure::to_row).collect();
        let head = Figure::HEAD;
        format!("## {clip}: {title}\n\n{pair_count} pairs against `{program}`\n\n{head}{rows}")
    }
}

/// A command line, with the names of files without their folders.
pub(crate) fn show_command(program: &str, words: &[OsString]) -> String {
    let name = |word: &OsString| {
        let path = Path::new(word);
        path.file_name().unwrap_or(word).to_string_lossy().into_owned()
    };
    let words: Vec<_> = words.iter().map(name).collect();
    [&[program.to_owned()], &*words].concat().join(" ")
}

/// The first line that a program prints.
fn first_line(program: &str, word: &str) -> Result<String> {
    let output = Command::new(program).arg(word).output();
    let output = output.map_err(|error| format!("{program} can not run: {error}"))?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// What the kernel calls the first processor.
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(": ")?.1.to_owned())
}
