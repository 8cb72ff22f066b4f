//! Job documents: read, checked as a whole, merged over presets, and written.

pub(crate) mod check;
mod document;
pub(crate) mod merge;

use serde::Deserialize;

use crate::{
    job::{CheckedJob, Job},
    words::{
        error::{DocumentError, Problem},
        tree::Tree,
    },
};
use check::{Policy, check};
use document::Document;

impl CheckedJob {
    /// Reads a document that this program, or another process of it, has checked before, as where a
    /// service passes it to its workers.
    ///
    /// # Errors
    ///
    /// [`DocumentError::Syntax`], and [`DocumentError::Invalid`] where a value has another type.
    pub fn from_checked_json(text: &str) -> Result<Self, DocumentError> {
        typed(&Tree::read(text)?)
    }
}

/// The job of a document that was made in code.
///
/// # Errors
///
/// [`DocumentError::Invalid`], with all the problems at once.
pub(crate) fn from_code(document: &Tree, policy: Policy) -> Result<CheckedJob, DocumentError> {
    expect_right(document, policy)?;
    typed(document)
}

/// Fails for a document made in code that breaks the rules. A `null` in it is always a number that
/// is not finite, which JSON can not express.
fn expect_right(document: &Tree, policy: Policy) -> Result<(), DocumentError> {
    let mut problems = check(document, policy);
    for problem in problems.iter_mut().filter(|problem| problem.found == "null") {
        "a number that is not finite".clone_into(&mut problem.found);
    }
    if problems.is_empty() { Ok(()) } else { Err(DocumentError::Invalid { problems }) }
}

fn typed(document: &Tree) -> Result<CheckedJob, DocumentError> {
    let typed = Document::deserialize(document).map_err(|error| {
        let found = "another value".to_owned();
        let problem = Problem { path: "$".to_owned(), found, allowed: error.to_string() };
        DocumentError::Invalid { problems: vec![problem] }
    })?;
    Ok(CheckedJob::new(typed.into()))
}

impl Job {
    /// Reads a job from JSON.
    ///
    /// # Errors
    ///
    /// [`DocumentError`], with all the problems at once.
    pub fn from_json(text: &str, policy: Policy) -> Result<CheckedJob, DocumentError> {
        Self::from_tree(&Tree::read(text)?, policy)
    }

    /// Reads a job from a document that is a tree already, perhaps a merged one.
    ///
    /// # Errors
    ///
    /// [`DocumentError::Invalid`], with all the problems at once.
    pub fn from_tree(document: &Tree, policy: Policy) -> Result<CheckedJob, DocumentError> {
        let problems = check(document, policy);
        if !problems.is_empty() {
            return Err(DocumentError::Invalid { problems });
        }
        // `check` refuses whatever the types refuse. If it does not, this is an error and no panic.
        typed(document)
    }

    /// Checks a job that was made in code against the rules for documents.
    ///
    /// # Errors
    ///
    /// [`DocumentError::Invalid`], with all the problems at once.
    pub fn check(self, policy: Policy) -> Result<CheckedJob, DocumentError> {
        expect_right(&Tree::read(&self.to_json())?, policy)?;
        Ok(CheckedJob::new(self))
    }

    /// The document of this job, as compact JSON.
    pub fn to_json(&self) -> String {
        // Documents are strings, numbers and objects with string keys, none of which can fail.
        serde_json::to_string(&Document::from(self)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::RecipeName;
    use crate::{Concat, Preset, Resize, Thumbnail, Transcode, VideoCodec, WebReady};
    use crate::{
        job::{JobInput, Task},
        recipe::Recipe,
        words::format::Format,
    };

    /// Document in, document out; what is read again is the same job.
    fn check_round(document: &str, expected: &str) -> Result<(), DocumentError> {
        let job = Job::from_json(document, Policy::Service)?;
        assert_eq!(job.to_json(), expected);
        assert_eq!(Job::from_json(expected, Policy::Service)?, job);
        Ok(())
    }

    #[test]
    fn documents_come_back() -> Result<(), DocumentError> {
        check_round(
            r#"{"recipe": {"seekSeconds": 1, "name": "thumbnail"}, "output": {"format": "jpg"},
                "mode": "recipe", "input": {"url": "https://host/video.mp4"}}"#,
            r#"{"mode":"recipe","input":{"url":"https://host/video.mp4"},"output":{"format":"jpg"},"recipe":{"name":"thumbnail","seekSeconds":1.0,"quality":90,"accuracy":"exact","lenient":false}}"#,
        )?;
        check_round(
            r#"{"mode": "ffmpeg", "ffmpeg": {"args": ["-i", "{{in_a}}", "{{out_a}}"]},
                "input_files": {"in_a": "https://host/a"}, "output_files": {"out_a": "a-1.mp4"},
                "presetId": "p", "webhookUrl": "https://host/hook"}"#,
            r#"{"mode":"ffmpeg","input_files":{"in_a":"https://host/a"},"output_files":{"out_a":"a-1.mp4"},"ffmpeg":{"args":["-i","{{in_a}}","{{out_a}}"]},"presetId":"p","webhookUrl":"https://host/hook"}"#,
        )?;
        check_round(
            r#"{"mode": "recipe", "input": {"url": "https://host/a"}, "output": {"format": "mp3"},
                "recipe": {"name": "extractAudio", "stageInput": false}}"#,
            r#"{"mode":"recipe","input":{"url":"https://host/a"},"output":{"format":"mp3"},"recipe":{"name":"extractAudio","startSeconds":0.0,"lenient":false},"stageInput":false}"#,
        )
    }

    #[test]
    fn every_recipe_comes_back() -> Result<(), DocumentError> {
        for name in RecipeName::ALL {
            for format in name.formats() {
                let recipe = match name {
                    RecipeName::Resize => {
                        Recipe::Resize(Resize { width: 2.try_into().ok(), ..Resize::default() })
                    }
                    name => {
                        let text = format!(r#"{{"name":"{}"}}"#, name.name());
                        Recipe::deserialize(&Tree::read(&text)?).map_err(|error| {
                            DocumentError::Syntax { line: 0, column: 0, message: error.to_string() }
                        })?
                    }
                };
                let mut job = Job::new(recipe, "a.mp4", *format);
                if name == RecipeName::Concat {
                    job.inputs = ["in_1", "in_2"]
                        .map(|key| JobInput { key: Some(key.to_owned()), url: "a".to_owned() })
                        .into();
                }
                let job = job.check(Policy::Program)?;
                assert_eq!(Job::from_json(&job.to_json(), Policy::Program)?, job);
                assert_eq!(CheckedJob::from_checked_json(&job.to_json())?, job);
            }
        }
        Ok(())
    }

    #[test]
    fn presets_are_names_or_numbers() -> Result<(), DocumentError> {
        let read = |format: &str, recipe: &str| {
            let text = format!(
                r#"{{"mode":"recipe","input":{{"url":"a"}},"output":{{"format":"{format}"}},"recipe":{{"name":"transcode",{recipe}}}}}"#
            );
            Job::from_json(&text, Policy::Program)
        };
        let expected = |preset, codec, crf| {
            let preset = Some(preset);
            Task::Recipe(Recipe::Transcode(Transcode { codec, crf, preset, ..Default::default() }))
        };
        assert_eq!(
            read("webm", r#""preset":8,"crf":60.0"#)?.task,
            expected(Preset::Number(8), None, Some(60))
        );
        assert_eq!(
            read("mp4", r#""preset":"slow","codec":"hevc""#)?.task,
            expected(Preset::Name("slow".to_owned()), Some(VideoCodec::Hevc), None)
        );
        Ok(())
    }

    #[test]
    fn the_order_of_inputs_survives_reading() -> Result<(), DocumentError> {
        let job = Job::from_json(
            r#"{"mode":"recipe","recipe":{"name":"concat"},"output":{"format":"mp4"},
                "input_files":{"in_z":"z","in_b":"b","in_a":"a"}}"#,
            Policy::Program,
        )?;
        let urls: Vec<&str> = job.inputs.iter().map(|input| input.url.as_str()).collect();
        assert_eq!(urls, ["z", "b", "a"]);
        Ok(())
    }

    fn check_made(job: &Job, expected: &str) {
        let met = job
            .clone()
            .check(Policy::Program)
            .map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(met, expected);
    }

    #[test]
    fn jobs_made_in_code_meet_the_same_rules() {
        let thumbnail = |seek_seconds| {
            let recipe = Recipe::Thumbnail(Thumbnail { seek_seconds, ..Default::default() });
            Job::new(recipe, "a.mp4", Format::Jpg)
        };
        let refused = |found| {
            format!(
                "1 problem in the job document: `recipe.seekSeconds`: found {found}, allowed: a \
                 finite number of seconds, 0 or more"
            )
        };
        check_made(&thumbnail(1.5), "");
        check_made(&thumbnail(-1.0), &refused("-1"));
        check_made(&thumbnail(f64::NAN), &refused("a number that is not finite"));
        check_made(&thumbnail(f64::INFINITY), &refused("a number that is not finite"));
        let endless = WebReady { duration_seconds: Some(f64::INFINITY), ..Default::default() };
        check_made(
            &Job::new(Recipe::WebReady(endless), "a.mp4", Format::Mp4),
            "1 problem in the job document: `recipe.durationSeconds`: found a number that is not \
             finite, allowed: a finite number of seconds, more than 0",
        );
    }

    #[test]
    fn inputs_made_in_code_are_numbered() {
        let mut job = Job::new(Recipe::Concat(Concat::default()), "a.mp4", Format::Mp4);
        check_made(
            &job,
            "2 problems in the job document: `input_files`: found nothing, allowed: an object of \
             inputs, each under a key such as `in_1`; `input`: found {\"url\":\"a.mp4\"}, \
             allowed: nothing, as `concat` takes `input_files` and `output`",
        );
        job.inputs.push(JobInput { key: None, url: "b.mp4".to_owned() });
        check_made(&job, "");
        assert!(job.to_json().contains(r#""input_files":{"in_1":"a.mp4","in_2":"b.mp4"}"#));
        job.inputs.clear();
        assert!(job.check(Policy::Program).is_err());
    }
}
