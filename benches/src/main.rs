//! The program `avocet-bench`: times whole jobs on your clips against other programs, in pairs.

#![forbid(unsafe_code)]

mod burst;
mod chart;
mod child;
mod clip;
mod contender;
mod error;
mod jobs;
mod memory;
mod pair;
mod report;
mod rivals;
mod row;
mod scratch;
mod statistics;
mod terminal;
mod worker;

use std::{
    env,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use avocet::CancelToken;
use clap::{
    Arg, ArgAction, ArgMatches, builder::PossibleValuesParser, error::ErrorKind, value_parser,
};

use clip::{Clip, Found};
use error::{Error, Result};
use jobs::{Bench, KINDS, Kind, Make, Round, SHORT};
use report::{Report, Setting, Table};
use rivals::{Rivals, Skipped};
use row::Row;
use scratch::Scratch;

/// The least height of a clip for jobs on its pictures, in pixels. The picture beside the sound of an
/// hour is smaller.
const SMALLEST: u32 = 144;

const DIR: &str = "DIR";
const PAIRS: &str = "pairs";
const JOBS: &str = "jobs";
const FFMPEG: &str = "ffmpeg";
const PYTHON: &str = "python";
const EZ_FFMPEG: &str = "ez-ffmpeg";
const WRITE: &str = "write";
const PROGRAM: &str = "avocet";
const JSON: &str = "json";

/// The command line.
fn command() -> clap::Command {
    let path = |name: &'static str| {
        Arg::new(name).long(name).value_name("PATH").value_parser(value_parser!(PathBuf))
    };
    let names = KINDS.iter().map(|kind| kind.name);
    clap::Command::new("avocet-bench")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Times whole jobs on the clips of a folder, against other programs, in pairs")
        .arg(
            Arg::new(DIR)
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The folder with the clips; clips in its subfolders count, too"),
        )
        .arg(
            Arg::new(PAIRS)
                .long(PAIRS)
                .value_name("NUMBER")
                .value_parser(value_parser!(NonZeroUsize))
                .default_value("7")
                .help("Pairs of runs that are counted, 1 or more; one uncounted pair runs first"),
        )
        .arg(
            Arg::new(JOBS)
                .long(JOBS)
                .value_name("NAME,…")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .value_parser(PossibleValuesParser::new(names))
                .help("The jobs to time; default: all that suit a clip"),
        )
        .arg(
            path(FFMPEG)
                .action(ArgAction::Append)
                .help("Another ffmpeg program to time, beside the one on the path"),
        )
        .arg(path(PROGRAM).help("The program `avocet`; default: the one beside this program"))
        .arg(path(PYTHON).help("An interpreter that has PyAV and Pillow, to time them, too"))
        .arg(path(EZ_FFMPEG).help("The program of benches/ez-ffmpeg, to time that library, too"))
        .arg(
            path(WRITE)
                .value_name("FOLDER")
                .overrides_with(WRITE)
                .help("Write <date>-jobs.json, .md and .svg into this folder, too"),
        )
        .arg(
            Arg::new(JSON)
                .long(JSON)
                .action(ArgAction::SetTrue)
                .help("Print one JSON object on standard output"),
        )
}

fn main() -> ExitCode {
    if let Some(status) = as_child() {
        return status;
    }
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let is_asked =
                matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // If this fails, there is no place to report that.
            let _ = error.print();
            return ExitCode::from(if is_asked { 0 } else { 2 });
        }
    };
    let cancel = CancelToken::new();
    let token = cancel.clone();
    // If no handler can be installed, a signal ends the program at once and leaves its folder.
    let _ = ctrlc::set_handler(move || token.cancel());
    match answer(&cancel, &matches) {
        Ok(text) => terminal::print(&text, 0),
        Err(error) => {
            terminal::note(&format!("error: {error}"));
            ExitCode::from(match error {
                Error::Usage(_) => 2,
                Error::Cancelled => 130,
                _ => 1,
            })
        }
    }
}

/// Runs as a measured child or as its parent, if the first argument says so.
fn as_child() -> Option<ExitCode> {
    match env::args_os().nth(1)?.to_str()? {
        child::MEASURE => Some(child::be_parent()),
        burst::BURST => Some(burst::be_child()),
        _ => None,
    }
}

/// The report of a benchmark, as Markdown or as JSON.
fn answer(cancel: &CancelToken, matches: &ArgMatches) -> Result<String> {
    let folder = matches.get_one::<PathBuf>(DIR).map_or(Path::new("."), PathBuf::as_path);
    let scratch = Scratch::new(cancel)?;
    let found = find_clips(cancel, folder)?;
    let results = matches.get_one::<PathBuf>(WRITE);
    if let Some(folder) = results {
        report::expect_room(folder)?;
    }
    let given: Vec<_> = matches.get_many::<PathBuf>(FFMPEG).unwrap_or_default().collect();
    let program = matches.get_one::<PathBuf>(PROGRAM).cloned();
    let program = program.map_or_else(child::beside, Ok)?;
    let rivals = Rivals::find(
        &scratch,
        &given,
        matches.get_one(PYTHON).cloned(),
        matches.get_one(EZ_FFMPEG).cloned(),
    )?;
    let pairs = matches.get_one(PAIRS).copied().unwrap_or(NonZeroUsize::MIN);
    let mut report = Report {
        state: "partial",
        setting: Setting::find(&rivals, pairs),
        clips: found.clips,
        tables: Vec::new(),
        skipped: rivals.skipped.iter().cloned().chain(found.unusable).collect(),
    };
    let asked: Vec<&String> = matches.get_many(JOBS).unwrap_or_default().collect();
    let is_asked = |kind: &&Kind| asked.is_empty() || asked.iter().any(|name| *name == kind.name);
    for kind in KINDS.iter().filter(is_asked) {
        time(
            &Bench { scratch: &scratch, rivals: &rivals, program: &program },
            kind,
            pairs,
            &mut report,
        )?;
        // Write the results so far, in case the rest is cancelled.
        if let Some(folder) = results.filter(|_| !report.tables.is_empty()) {
            report.write(folder)?;
        }
    }
    report.state = "completed";
    if report.tables.is_empty() {
        let why: Vec<_> =
            report.skipped.iter().map(|Skipped { name, why }| format!("{name}: {why}")).collect();
        return Err(Error::Usage(format!("nothing could be timed: {}", why.join("; "))));
    }
    if let Some(folder) = results {
        report.write(folder)?;
    }
    Ok(if matches.get_flag(JSON) { terminal::json(&report) } else { report.to_markdown() })
}

fn find_clips(cancel: &CancelToken, folder: &Path) -> Result<Found> {
    let name = folder.display();
    if !folder.is_dir() {
        let what = if folder.exists() { "is not a folder" } else { "does not exist" };
        return Err(Error::Usage(format!("`{name}` {what}; DIR is a folder with clips")));
    }
    let found = clip::find(folder, cancel)?;
    if found.clips.is_empty() {
        let files = found.files;
        let extensions = clip::extensions();
        return Err(Error::Usage(format!(
            "`{name}` has {files} files and no clip among them; a clip is media with video whose \
             name ends in one of {extensions}"
        )));
    }
    Ok(found)
}

/// Measures one kind of job on all clips that suit it.
fn time(bench: &Bench<'_>, kind: &Kind, pairs: NonZeroUsize, report: &mut Report) -> Result<()> {
    let (tables, mut skipped) = (report.tables.len(), Vec::new());
    let mut skip = |name: String, error: Error| match error {
        Error::Cancelled => Err(Error::Cancelled),
        _ if bench.scratch.check().is_err() => Err(Error::Cancelled),
        error => {
            skipped.push(Skipped { name, why: error.to_string() });
            Ok(())
        }
    };
    let clips = report.clips.clone();
    match kind.make {
        Make::Each(make) => {
            for clip in choose(&clips).into_iter().filter(|clip| clip.height >= SMALLEST) {
                let name = format!("{}, {}", kind.name, clip.name);
                let table = make(bench, clip).and_then(|round| {
                    round.map(|round| compete(bench, kind, &clip.name, round, pairs)).transpose()
                });
                match table {
                    Ok(table) => report.tables.extend(table),
                    Err(error) => skip(name, error)?,
                }
            }
        }
        Make::Variants(make) => {
            for clip in choose(&clips) {
                let name = format!("{}, {}", kind.name, clip.name);
                let tables = make(bench, clip).and_then(|rounds| {
                    let rounds = rounds.into_iter();
                    rounds
                        .map(|round| compete(bench, kind, &clip.name, round, pairs))
                        .collect::<Result<Vec<_>>>()
                });
                match tables {
                    Ok(tables) => report.tables.extend(tables),
                    Err(error) => skip(name, error)?,
                }
            }
        }
        Make::Together(make) => {
            let short: Vec<_> = clips.iter().filter(|clip| clip.seconds <= SHORT).collect();
            match make(bench, &short) {
                Err(error) => skip(kind.name.to_owned(), error)?,
                Ok(rounds) => {
                    for round in rounds {
                        let name = format!("{}, {}", kind.name, round.variant);
                        let clips = format!("{} short clips", short.len());
                        match compete(bench, kind, &clips, round, pairs) {
                            Ok(table) => report.tables.push(table),
                            Err(error) => skip(name, error)?,
                        }
                    }
                }
            }
        }
    }
    if report.tables.len() == tables && skipped.is_empty() {
        let why = "no clip in the folder suits it".to_owned();
        skipped.push(Skipped { name: kind.name.to_owned(), why });
    }
    report.skipped.extend(skipped);
    Ok(())
}

/// The clips for jobs on one clip: those longer than [`SHORT`] if there are any, else all.
fn choose(clips: &[Clip]) -> Vec<&Clip> {
    let long: Vec<_> = clips.iter().filter(|clip| clip.seconds > SHORT).collect();
    if long.is_empty() { clips.iter().collect() } else { long }
}

/// Runs each rival in pairs with ours.
fn compete(
    bench: &Bench<'_>,
    kind: &Kind,
    clip: &str,
    round: Round,
    pairs: NonZeroUsize,
) -> Result<Table> {
    let Round { variant, mut ours, rivals, notes, count, leftover } = round;
    let job =
        if variant.is_empty() { kind.name.to_owned() } else { format!("{}, {variant}", kind.name) };
    terminal::note(&format!("{job}, {clip}"));
    // If our own run fails, there is nothing to compare with.
    ours.run(bench.scratch)?;
    let (mut costs, mut rows, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for mut rival in rivals {
        let name = rival.name.clone();
        let run = || ours.run(bench.scratch);
        match pair::alternate(pairs, run, || rival.run(bench.scratch)) {
            Ok(pairs) => {
                costs.extend(pairs.iter().map(|pair| pair.ours));
                let row = Row::of_rival((name, rival.what), &rival.goals, &pairs);
                rows.extend(row.map(|row| Row { is_limit: rival.is_limit, ..row }));
            }
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => skipped.push(Skipped { name, why: error.to_string() }),
        }
    }
    if let Some(path) = leftover {
        scratch::clear(&path)?;
    }
    if costs.is_empty() {
        costs.push(ours.run(bench.scratch)?);
    }
    let own = Row::of_ours((ours.name.clone(), ours.what.clone()), &costs);
    rows.splice(..0, own);
    Ok(Table { job, about: kind.about, clip: clip.to_owned(), count, rows, notes, skipped })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(usize, &[&str])>) {
        let matches = command().try_get_matches_from(line.split(' ')).ok();
        let found = matches.as_ref().map(|matches| {
            let jobs: Vec<_> = matches.get_many::<String>(JOBS).unwrap_or_default().collect();
            (matches.get_one(PAIRS).copied().map_or(0, NonZeroUsize::get), jobs)
        });
        let expected = expected.map(|(pairs, jobs)| {
            (pairs, jobs.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        });
        let found = found.map(|(pairs, jobs)| (pairs, jobs.into_iter().cloned().collect()));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn jobs_are_chosen_by_their_names() {
        check("avocet-bench clips", Some((7, &[])));
        check("avocet-bench clips --pairs 3 --jobs trim,remux", Some((3, &["trim", "remux"])));
        check("avocet-bench clips --jobs trim --jobs burst", Some((7, &["trim", "burst"])));
        check("avocet-bench clips --jobs nothing", None);
        check("avocet-bench clips --pairs 0", None);
        check("avocet-bench", None);
    }

    #[test]
    fn short_clips_are_left_to_bursts() {
        let clip = |seconds| Clip { seconds, ..Clip::default() };
        let all = [clip(5.0), clip(60.0), clip(10.0)];
        let seconds: Vec<_> = choose(&all).iter().map(|clip| clip.seconds).collect();
        assert_eq!(seconds, [60.0]);
        assert_eq!(choose(&all[..1]).len(), 1);
    }
}
