//! Progress of a run on standard error: a bar for people, lines of JSON for programs.

use std::{
    io::{self, IsTerminal},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use avocet::Progress;
use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{arguments::PROGRESS, terminal};

/// The length of the progress bar.
const STEPS: u64 = 1000;

/// How long a run must take before a bar is shown.
const AT_ONCE: Duration = Duration::from_millis(200);

/// The form in which progress is shown.
#[derive(Clone)]
pub(super) enum Show {
    /// The bar, and what it is about.
    Bar(ProgressBar, Arc<Mutex<About>>),
    Json,
    Nothing,
}

/// Which of several inputs is worked at.
pub(super) struct About {
    /// When the command began.
    begun: Instant,
    /// From 0.
    number: u64,
    count: u64,
    /// The text before the bar; empty for an only input.
    prefix: String,
}

impl Show {
    /// The form that `--progress` asks for; by default a bar on a terminal, and nothing elsewhere.
    pub(super) fn asked_for(matches: &ArgMatches) -> Self {
        // Commands that run no plan do not have the flag.
        let Ok(asked) = matches.try_get_one::<String>(PROGRESS) else { return Self::Nothing };
        match asked.map(String::as_str) {
            Some("json") => Self::Json,
            Some("none") => Self::Nothing,
            _ if io::stderr().is_terminal() => {
                let (begun, prefix) = (Instant::now(), String::new());
                let about = About { begun, number: 0, count: 1, prefix };
                Self::Bar(ProgressBar::new(STEPS), Arc::new(Mutex::new(about)))
            }
            _ => Self::Nothing,
        }
    }

    /// Begins with one of several inputs: its number, from 0, of how many, and its name.
    pub(super) fn begin(&self, number: usize, count: usize, name: &str) {
        match self {
            Self::Bar(_, about) => {
                // Nothing is drawn before the run has taken a moment.
                let mut about = about.lock().unwrap_or_else(PoisonError::into_inner);
                (about.number, about.count) = (number as u64, count as u64);
                about.prefix = format!("[{}/{count}] {name} ", number + 1);
            }
            Self::Json => terminal::note(&terminal::json(&Begun { input: name, number, count })),
            Self::Nothing => {}
        }
    }

    /// Shows the progress of the run.
    pub(super) fn observe(&self, progress: &Progress) {
        match self {
            Self::Bar(bar, about) => {
                let about = about.lock().unwrap_or_else(PoisonError::into_inner);
                if about.begun.elapsed() < AT_ONCE {
                    return;
                }
                if bar.is_finished() {
                    // It was removed when the input before this one was done.
                    bar.reset();
                }
                let knows_end = progress.fraction > 0.0 || progress.eta_seconds.is_some();
                bar.set_style(style(knows_end));
                bar.set_length(STEPS * about.count);
                bar.set_prefix(about.prefix.clone());
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the fraction is from 0 to 1"
                )]
                let now = (progress.fraction * STEPS as f64) as u64;
                bar.set_position(STEPS * about.number + now);
                bar.set_message(words(progress));
            }
            Self::Json => terminal::note(&terminal::json(progress)),
            Self::Nothing => {}
        }
    }

    /// Removes the bar from the terminal.
    pub(super) fn clear(&self) {
        if let Self::Bar(bar, _) = self {
            bar.finish_and_clear();
        }
    }
}

/// The line of JSON with which one of several inputs begins.
#[derive(Serialize)]
struct Begun<'a> {
    input: &'a str,
    /// From 0.
    number: usize,
    count: usize,
}

fn style(knows_end: bool) -> ProgressStyle {
    let template = if knows_end {
        "{prefix}{bar:30} {percent:>3} %  {wide_msg}"
    } else {
        "{prefix}{spinner} {wide_msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The text next to the bar.
fn words(progress: &Progress) -> String {
    let mut words = vec![format!("{:.1} s", progress.seconds)];
    words.extend(progress.fps.map(|fps| format!("{fps:.0} fps")));
    words.extend(progress.speed.map(|speed| format!("{speed:.2}x")));
    words.extend(progress.eta_seconds.map(|seconds| format!("ETA {}", clock(seconds))));
    words.join(", ")
}

/// A duration as `m:ss`, or `h:mm:ss` from an hour on; fractions of a second are rounded up.
fn clock(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let seconds = seconds.ceil() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_a_clock() {
        let check = |seconds, expected: &str| assert_eq!(clock(seconds), expected);
        check(0.0, "0:00");
        check(59.2, "1:00");
        check(754.0, "12:34");
        check(3_600.0, "1:00:00");
    }
}
