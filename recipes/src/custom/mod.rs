//! Custom arguments for the `ffmpeg` program: checked against lists of what is allowed, and made
//! into a plan that runs the program.

mod graph;
mod keys;
mod names;
mod parse;
mod table;
mod value;

use std::path::Path;

use avocet_model::{
    error::{Error, Result},
    location::Location,
    plan::{Argument, Content, Output, Plan, Process, Strategy},
    time::Timestamp,
};

use crate::{
    decide::{
        choose,
        context::{CompileContext, Probed},
    },
    job::{Job, JobOutputs},
};
pub use names::{BITSTREAM_FILTERS, CODECS, DEMUXERS, EXTENSIONS, FILTERS, Filter, MUXERS};
use parse::{Parsed, Token};
pub use table::{CustomOption, OPTIONS, OptionGroup, Scope};

/// Checks the arguments of a job, before any media is opened.
///
/// # Errors
/// [`Error::ArgumentRefused`] names the first argument that is refused, and why.
pub(crate) fn check(args: &[String], job: &Job) -> Result<()> {
    parsed(args, job).map(drop)
}

fn parsed(args: &[String], job: &Job) -> Result<Parsed> {
    let parsed = parse::parse(args, &inputs(job), &outputs(job))?;
    for (number, (_, name)) in names(job).iter().enumerate() {
        let used = parsed.tokens.iter().filter(|token| **token == Token::Output(number)).count();
        if used != 1 {
            let placeholder = outputs(job).into_iter().nth(number).unwrap_or_default();
            let why = if used == 0 {
                format!("no argument names the output `{name}`; add `{placeholder}`")
            } else {
                format!("`{placeholder}` stands {used} times; the output is named exactly once")
            };
            return Err(parse::refused(args.len(), "", why));
        }
        muxer_of(name).map_err(|why| parse::refused(args.len(), name, why))?;
    }
    Ok(parsed)
}

/// The placeholders of the inputs, in their order.
fn inputs(job: &Job) -> Vec<String> {
    let keyed = job.inputs.iter().enumerate();
    keyed
        .map(|(number, input)| match &input.key {
            Some(key) => format!("{{{{{key}}}}}"),
            None if job.inputs.len() == 1 => "{{input}}".to_owned(),
            None => format!("{{{{in_{}}}}}", number + 1),
        })
        .collect()
}

fn outputs(job: &Job) -> Vec<String> {
    names(job).into_iter().map(|(key, _)| format!("{{{{{key}}}}}")).collect()
}

/// The keys of the outputs, and the names of their files in the folder that the program works in.
fn names(job: &Job) -> Vec<(String, String)> {
    match &job.outputs {
        JobOutputs::One(format) => {
            vec![("output".to_owned(), format!("output.{}", format.extension()))]
        }
        JobOutputs::Files(files) => files.clone(),
    }
}

/// The muxer for the extension of a file name; the error lists the allowed extensions.
fn muxer_of(name: &str) -> Result<&'static str, String> {
    let extension = Path::new(name).extension().unwrap_or_default().to_string_lossy();
    let extension = extension.to_ascii_lowercase();
    let found = EXTENSIONS.iter().find(|(known, _)| *known == extension);
    found.map(|(_, muxer)| *muxer).ok_or_else(|| {
        let known: Vec<_> = EXTENSIONS.iter().map(|(known, _)| *known).collect();
        let hint = match extension.as_str() {
            "m3u8" | "mpd" => "; HLS and DASH consist of many files, which one output can not hold",
            _ => "",
        };
        format!(
            "files with the extension `.{extension}` can not be made{hint}; allowed are {}",
            known.join(" ")
        )
    })
}

/// The plan that runs the `ffmpeg` program with these arguments.
pub(crate) fn compile(args: &[String], job: &Job, context: &CompileContext<'_>) -> Result<Plan> {
    let parsed = parsed(args, job)?;
    let mut arguments = Vec::new();
    let text = |words: &[&str], arguments: &mut Vec<Argument>| {
        arguments.extend(words.iter().map(|word| Argument::Text((*word).to_owned())));
    };
    for token in parsed.tokens {
        match token {
            Token::Text(word) => arguments.push(Argument::Text(word)),
            Token::Input { number, is_forced } => {
                let probed = context.input_at(number)?;
                choose::expect_open(probed)?;
                let demuxer = demuxer_of(probed)?;
                // Only local files are opened, with the demuxer that probing found.
                if !is_forced {
                    text(&["-f", demuxer], &mut arguments);
                }
                text(&["-protocol_whitelist", "file", "-i"], &mut arguments);
                arguments.push(Argument::Input(number));
            }
            Token::Output(number) => arguments.push(Argument::Output(number)),
        }
    }
    let mut made = Vec::new();
    for (_, name) in names(job) {
        let muxer = muxer_of(&name).map_err(|why| parse::refused(args.len(), &name, why))?;
        made.push(Output {
            location: place_of(context, job, &name),
            replace: context.replace,
            muxer: muxer.to_owned(),
            options: Vec::new(),
            tags: avocet_model::media::Tags::default(),
            chapters: Vec::new(),
            content: Content::OfProcess(name),
            index_first: false,
            moves_index: false,
            at_most: None,
        });
    }
    let seconds = context.inputs.iter().filter_map(|probed| probed.media.duration);
    Ok(Plan {
        strategy: Strategy::Ffmpeg,
        seconds: seconds.map(Timestamp::seconds).reduce(f64::max),
        process: Some(Process { arguments }),
        ..Plan::new(context.plan_inputs(), made)
    })
}

/// The location of an output: that of the job when it has a single output or it is the caller's,
/// else the file `name` in that folder.
fn place_of(context: &CompileContext<'_>, job: &Job, name: &str) -> Location {
    match (&context.output, &job.outputs) {
        (Location::Caller(_), _) | (_, JobOutputs::One(_)) => context.output.clone(),
        (folder, JobOutputs::Files(_)) => folder.join(name, 0),
    }
}

/// The demuxer that an input was opened with; fails unless it is on the list of those that read a
/// single file.
fn demuxer_of(probed: &Probed) -> Result<&'static str> {
    let mut names = probed.media.format.split(',');
    let known = names.find_map(|name| DEMUXERS.iter().find(|known| **known == name));
    known.copied().ok_or_else(|| Error::Lacking {
        location: probed.location.clone(),
        found: format!("the format {}", probed.media.format),
        needed: "a format that is on the list of input formats".to_owned(),
    })
}
