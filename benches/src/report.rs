//! The results with the circumstances of their measurement, as Markdown, JSON and SVG.

use std::{
    env, fs,
    num::NonZeroUsize,
    path::Path,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use avocet::Engine;
use serde::Serialize;

use super::{
    chart,
    child::show,
    clip::Clip,
    error::{Error, Result},
    rivals::{Program, Rivals, Skipped},
    row::Row,
    worker::Version,
};

/// The results of one call of this command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// `completed`, or `partial` while further jobs are to be run.
    pub(super) state: &'static str,
    pub(super) setting: Setting,
    pub(super) clips: Vec<Clip>,
    pub(super) tables: Vec<Table>,
    /// Jobs, clips and rivals without any figures.
    pub(super) skipped: Vec<Skipped>,
}

/// The circumstances of the measurement.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Setting {
    /// The date in UTC, as `YYYY-MM-DD`.
    date: String,
    /// The model name of the processor.
    processor: String,
    /// The number of processors.
    processors: usize,
    avocet: &'static str,
    /// The release of the FFmpeg libraries that Avocet is linked with.
    libav: String,
    programs: Vec<Program>,
    ffprobe: Option<String>,
    /// The versions of libraries, and of the libav in each, by name.
    libraries: Vec<(&'static str, Version)>,
    /// The number of pairs that count.
    pairs: NonZeroUsize,
    /// The command line of this call.
    command: String,
}

/// The results of one job on one clip, or on several together.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table {
    pub(super) job: String,
    pub(super) about: &'static str,
    pub(super) clip: String,
    /// The number of jobs in one run.
    pub(super) count: usize,
    /// The rows; Avocet's is the first.
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<String>,
    /// Rivals that could not be measured.
    pub(super) skipped: Vec<Skipped>,
}

impl Report {
    pub(super) fn to_markdown(&self) -> String {
        let mut parts = vec![self.setting.to_markdown()];
        if !self.skipped.is_empty() {
            let line = |Skipped { name, why }: &Skipped| format!("- {name}: {why}\n");
            let lines: String = self.skipped.iter().map(line).collect();
            parts.push(format!("Left out:\n\n{lines}"));
        }
        parts.extend(self.tables.iter().map(Table::to_markdown));
        parts.join("\n")
    }

    /// Writes the report into a folder as Markdown, JSON and SVG, in files named by the date.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(format!("{}-jobs.md", self.setting.date));
        let json = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        write(&path, &self.to_markdown())?;
        write(&path.with_extension("json"), &json)?;
        write(&path.with_extension("svg"), &chart::draw(&self.title(), &self.tables))
    }

    fn title(&self) -> String {
        let Setting { processors, avocet, libav, date, .. } = &self.setting;
        format!(
            "Wall time ÷ Avocet's; {date}, {processors} processors, avocet {avocet} on libav {libav}"
        )
    }
}

/// Makes the folder of results, and checks that it can be written to before the work begins.
pub(super) fn expect_room(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    tempfile::tempfile_in(folder).map_err(Error::file("write to", folder))?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "results are no media")]
fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::file("write", path))
}

impl Setting {
    pub(super) fn find(rivals: &Rivals, pairs: NonZeroUsize) -> Self {
        let words: Vec<_> = env::args_os().skip(1).collect();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let libraries = [&rivals.python, &rivals.ez_ffmpeg].into_iter().flatten();
        Self {
            date: date(since.as_secs()),
            processor: processor().unwrap_or_else(|| env::consts::ARCH.to_owned()),
            processors: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            avocet: env!("CARGO_PKG_VERSION"),
            libav: Engine::default().capabilities().version.clone(),
            programs: rivals.programs.clone(),
            ffprobe: rivals.ffprobe.clone(),
            libraries: libraries.map(|(launcher, own)| (launcher.library, own.clone())).collect(),
            pairs,
            command: format!("avocet-bench {}", show(&words)),
        }
    }

    fn to_markdown(&self) -> String {
        let Self { date, processor, processors, avocet, libav, pairs, command, .. } = self;
        let mut rivals: Vec<_> = self
            .programs
            .iter()
            .map(|program| format!("{} ({})", program.name, program.version))
            .collect();
        rivals.extend(self.ffprobe.as_ref().map(|version| format!("ffprobe ({version})")));
        rivals.extend(self.libraries.iter().map(|(name, Version { version, libav })| {
            format!("{name} {version} (FFmpeg {libav})")
        }));
        let rivals = if rivals.is_empty() { "none".to_owned() } else { rivals.join(", ") };
        format!(
            "# Whole jobs, {date}\n\n\
             - machine: {processor}, {processors} processors\n\
             - Avocet: {avocet} on libav {libav}\n\
             - rivals: {rivals}\n\
             - command: `{command}`\n\n\
             Each rival runs in {pairs} pairs with Avocet, after one that is not counted; every \
             second pair begins with the rival. The column “÷ ours” is the median of the rival's \
             wall time divided by Avocet's, pair by pair: more than 1 means that Avocet is faster. \
             Wall, user, memory and read are medians; memory is the largest resident size, where \
             it is more than that of the process that measures, about 40 MB; read is what system \
             calls brought, so it leaves out what is mapped.\n"
        )
    }
}

impl Table {
    fn to_markdown(&self) -> String {
        let Self { job, about, clip, count, rows, notes, skipped } = self;
        let mut text = format!("## {clip}: {job}\n\n{about}\n\n{}", Row::HEAD);
        text.extend(rows.iter().map(Row::to_markdown));
        text.push('\n');
        if *count > 1 {
            let per_second =
                |row: &Row| format!("{} {:.1}", row.name, *count as f64 / row.wall.median);
            let list: Vec<_> = rows.iter().map(per_second).collect();
            text.push_str(&format!("- jobs per second: {}\n", list.join(", ")));
        }
        text.extend(rows.iter().map(|row| format!("- {}: {}\n", row.name, row.what)));
        text.extend(notes.iter().map(|note| format!("- {note}\n")));
        text.extend(
            skipped.iter().map(|Skipped { name, why }| format!("- left out: {name}: {why}\n")),
        );
        text
    }
}

/// The date in UTC, as `YYYY-MM-DD`, of a time in seconds since 1970.
fn date(seconds: u64) -> String {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut days, mut year, mut month) = (seconds / 86_400, 1970, 1);
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

/// The model name of the first processor.
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(": ")?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::pairs;

    #[test]
    fn days_are_those_of_the_calendar() {
        let check = |seconds, expected: &str| assert_eq!(date(seconds), expected);
        check(0, "1970-01-01");
        check(951_782_400, "2000-02-29");
        check(1_735_603_200, "2024-12-31");
        check(1_735_689_599, "2024-12-31");
        check(1_735_689_600, "2025-01-01");
        check(4_107_542_400, "2100-03-01");
    }

    #[test]
    fn a_table_says_who_did_what() {
        let name = |name: &str| (name.to_owned(), format!("`{name}`"));
        let pairs = pairs(&[(0.5, 1.0)]);
        let ours = Row::of_ours(name("Avocet"), &[pairs[0].ours]);
        let rival = Row::of_rival(name("ffmpeg"), &[], &pairs);
        let table = Table {
            job: "burst, 4 at once".to_owned(),
            about: "Pictures.",
            clip: "a.mp4".to_owned(),
            count: 200,
            rows: ours.into_iter().chain(rival).collect(),
            notes: vec!["A note.".to_owned()],
            skipped: vec![Skipped { name: "PyAV".to_owned(), why: "it failed".to_owned() }],
        };
        let text = table.to_markdown();
        assert!(
            text.starts_with("## a.mp4: burst, 4 at once\n\nPictures.\n\n| | wall |"),
            "{text}"
        );
        let end = "\n\n- jobs per second: Avocet 400.0, ffmpeg 200.0\n- Avocet: `Avocet`\n\
                   - ffmpeg: `ffmpeg`\n- A note.\n- left out: PyAV: it failed\n";
        assert!(text.ends_with(end), "{text}");
    }
}
