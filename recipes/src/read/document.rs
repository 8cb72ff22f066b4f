//! The shape of documents in JSON, between the tree and the job.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    job::{ForService, Job, JobInput, JobOutputs, Task},
    recipe::Recipe,
    words::format::Format,
};

/// The shape of documents: what is read after the check, which refuses unknown fields, and what is
/// written.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Input>,
    #[serde(rename = "input_files", skip_serializing_if = "Option::is_none")]
    input_files: Option<Files>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Output>,
    #[serde(rename = "output_files", skip_serializing_if = "Option::is_none")]
    output_files: Option<Files>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipe: Option<Staged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ffmpeg: Option<Ffmpeg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_input: Option<bool>,
    #[serde(flatten)]
    service: ForService,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Mode {
    Recipe,
    Ffmpeg,
}

#[derive(Deserialize, Serialize)]
struct Input {
    url: String,
}

#[derive(Deserialize, Serialize)]
struct Output {
    format: Format,
}

#[derive(Deserialize, Serialize)]
struct Ffmpeg {
    args: Vec<String>,
}

/// A recipe with the `stageInput` that may stand inside it; it is written outside.
#[derive(Deserialize, Serialize)]
struct Staged {
    #[serde(flatten)]
    recipe: Recipe,
    #[serde(rename = "stageInput", skip_serializing)]
    stage_input: Option<bool>,
}

impl From<Document> for Job {
    fn from(document: Document) -> Self {
        let mut stage_input = document.stage_input;
        let task = match document.recipe {
            Some(staged) => {
                stage_input = stage_input.or(staged.stage_input);
                Task::Recipe(staged.recipe)
            }
            None => Task::Ffmpeg(document.ffmpeg.map(|ffmpeg| ffmpeg.args).unwrap_or_default()),
        };
        let inputs = match document.input {
            Some(input) => vec![JobInput { key: None, url: input.url }],
            None => in_order(document.input_files.unwrap_or_default()),
        };
        let outputs = match document.output {
            Some(output) => JobOutputs::One(output.format),
            None => JobOutputs::Files(document.output_files.unwrap_or_default().0),
        };
        Self { task, inputs, outputs, stage_input, service: document.service }
    }
}

/// The inputs by number when every key is `in_<number>`, else as they were written.
fn in_order(files: Files) -> Vec<JobInput> {
    let mut files = files.0;
    if files.iter().all(|(key, _)| number(key).is_some()) {
        files.sort_by(|(one, _), (other, _)| number(one).cmp(&number(other)));
    }
    files.into_iter().map(|(key, url)| JobInput { key: Some(key), url }).collect()
}

/// The number of a key `in_<number>`, in a form that compares like it however long it is.
fn number(key: &str) -> Option<(usize, &str)> {
    let digits = key.strip_prefix("in_")?;
    let significant = digits.trim_start_matches('0');
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((significant.len(), significant))
}

impl From<&Job> for Document {
    fn from(job: &Job) -> Self {
        let (mode, recipe, ffmpeg) = match job.task.clone() {
            Task::Recipe(recipe) => {
                (Mode::Recipe, Some(Staged { recipe, stage_input: None }), None)
            }
            Task::Ffmpeg(args) => (Mode::Ffmpeg, None, Some(Ffmpeg { args })),
        };
        let (input, input_files) = match job.inputs.as_slice() {
            [JobInput { key: None, url }] => (Some(Input { url: url.clone() }), None),
            inputs => (None, Some(numbered(inputs))),
        };
        let (output, output_files) = match job.outputs.clone() {
            JobOutputs::One(format) => (Some(Output { format }), None),
            JobOutputs::Files(files) => (None, Some(Files(files))),
        };
        Self {
            mode,
            input,
            input_files,
            output,
            output_files,
            recipe,
            ffmpeg,
            stage_input: job.stage_input,
            service: job.service.clone(),
        }
    }
}

/// The inputs under their keys, or under `in_1`, `in_2` and so on by their places.
fn numbered(inputs: &[JobInput]) -> Files {
    let key = |(place, input): (usize, &JobInput)| {
        let key = input.key.clone().unwrap_or_else(|| format!("in_{}", place + 1));
        (key, input.url.clone())
    };
    Files(inputs.iter().enumerate().map(key).collect())
}

/// An object of strings, in its order.
#[derive(Default)]
struct Files(Vec<(String, String)>);

impl Serialize for Files {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FilesVisitor)
    }
}

struct FilesVisitor;

impl<'de> Visitor<'de> for FilesVisitor {
    type Value = Files;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Files, A::Error> {
        let mut files = Vec::new();
        while let Some(file) = access.next_entry()? {
            files.push(file);
        }
        Ok(Files(files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_order(keys: &[&str], expected: &[&str]) {
        let files = keys.iter().map(|&key| (key.to_owned(), String::new())).collect();
        let met: Vec<_> = in_order(Files(files)).into_iter().filter_map(|file| file.key).collect();
        assert_eq!(met, expected);
    }

    #[test]
    fn inputs_are_ordered_by_number_or_as_written() {
        check_order(&["in_10", "in_2", "in_1"], &["in_1", "in_2", "in_10"]);
        check_order(&["in_10", "in_2", "in_a"], &["in_10", "in_2", "in_a"]);
        check_order(&["in_03", "in_0", "in_2"], &["in_0", "in_2", "in_03"]);
        check_order(&["in_1_0", "in_0"], &["in_1_0", "in_0"]);
        check_order(
            &["in_100000000000000000000000000000000000000001", "in_99", "in_1"],
            &["in_1", "in_99", "in_100000000000000000000000000000000000000001"],
        );
    }
}
