//! `avocet ffmpeg`: custom arguments, run by the ffmpeg program.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use avocet::{
    Format, Policy,
    io::{Location, Target},
    recipes::{ForService, Job, JobInput, JobOutputs, Task},
};
use clap::ArgMatches;

use super::{
    Answer, Context,
    arguments::{ARGS, CUSTOM_INPUT, CUSTOM_OUTPUT, NO_CLOBBER},
    failure::Failure,
    job::{self, Act},
    name,
};

pub(super) fn answer(context: &Context, matches: &ArgMatches) -> Result<Answer, Failure> {
    let inputs: Vec<_> = matches.get_many::<OsString>(CUSTOM_INPUT).unwrap_or_default().collect();
    let outputs: Vec<_> = matches.get_many::<PathBuf>(CUSTOM_OUTPUT).unwrap_or_default().collect();
    let is_stream = |path: &Path| path == Path::new("-");
    if inputs.iter().any(|input| is_stream(input.as_ref()))
        || outputs.iter().any(|it| is_stream(it))
    {
        let message = "the ffmpeg mode takes files, and `-` is none; name one".to_owned();
        return Err(Failure::Usage(message));
    }
    for output in outputs.iter().filter(|output| !output.to_string_lossy().contains("://")) {
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let (output, folder) = (output.display(), folder.display());
            return Err(Failure::Usage(format!(
                "can not write {output}: its folder, {folder}, does not exist"
            )));
        }
    }
    let format = |path: &Path| Format::from_extension(&path.extension()?.to_string_lossy());
    // A document may name a single input and a single output of a known format without keys.
    let alone = match (&inputs[..], &outputs[..]) {
        ([_], [output]) => format(output).map(|format| (format, (*output).clone())),
        _ => None,
    };
    let input = |(number, url): (usize, &&OsString)| JobInput {
        key: alone.is_none().then(|| format!("in_{}", number + 1)),
        url: avocet::io::input_url(url),
    };
    // With a single file, both its placeholder with a key and the one without are accepted.
    let keyed = |argument: &String| match argument.as_str() {
        "{{input}}" if alone.is_none() && inputs.len() == 1 => "{{in_1}}".to_owned(),
        "{{output}}" if alone.is_none() && outputs.len() == 1 => "{{out_1}}".to_owned(),
        "{{in_1}}" if alone.is_some() => "{{input}}".to_owned(),
        "{{out_1}}" if alone.is_some() => "{{output}}".to_owned(),
        argument => argument.to_owned(),
    };
    let args = matches.get_many::<String>(ARGS).unwrap_or_default().map(keyed).collect();
    let (outputs, location) = match alone.clone() {
        Some((format, path)) => (JobOutputs::One(format), name::place(&path)),
        None => in_folder(&outputs)?,
    };
    let job = Job {
        task: Task::Ffmpeg(args),
        inputs: inputs.iter().enumerate().map(input).collect(),
        outputs,
        stage_input: None,
        service: ForService::default(),
    };
    let job = job.check(Policy::Program).map_err(avocet::Error::from)?;
    let target = Target { location, replace: !matches.get_flag(NO_CLOBBER), named: true };
    job::carry_out(context, avocet::job(job).output(target), Act::of(matches))
}

/// The outputs by their keys, and the common folder that they are written to.
fn in_folder(outputs: &[&PathBuf]) -> Result<(JobOutputs, Location), Failure> {
    let folder = |path: &Path| path.parent().unwrap_or(Path::new("")).to_owned();
    let common = outputs.first().map(|path| folder(path)).unwrap_or_default();
    if outputs.iter().any(|path| folder(path) != common) {
        let message =
            "all outputs must be in one folder, but the `--output` paths are in several".to_owned();
        return Err(Failure::Usage(message));
    }
    let file = |(number, path): (usize, &&PathBuf)| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (format!("out_{}", number + 1), name)
    };
    let files = outputs.iter().enumerate().map(file).collect();
    Ok((JobOutputs::Files(files), name::place(&common)))
}
