//! A job that is put together value by value, as a builder or a command line does it.

use crate::{
    job::{CheckedJob, Job, Task},
    read::{check::Policy, from_code},
    recipe::{
        Recipe, RecipeName, sampling::Sampling, thumbnail::Thumbnail, thumbnails::Thumbnails,
    },
    words::{
        error::{DocumentError, Problem},
        format::Format,
        parameter::Accuracy,
        tree::Tree,
    },
};

/// A recipe, its inputs and its parameters before they are checked.
///
/// It is a document under construction: nothing is wrong with it until [`check`](Self::check) looks
/// at the whole, and then all that is wrong is told at once, by the paths of the document.
///
/// ```
/// use avocet_recipes::{Format, JobDraft, Policy, RecipeName};
///
/// let mut draft = JobDraft::new(RecipeName::Thumbnail);
/// draft.input("holiday.mp4");
/// draft.format(Format::Jpg);
/// draft.set("seekSeconds", 1.5.into());
/// assert!(draft.check(Policy::Program).is_ok());
///
/// draft.set("width", 0_u32.into());
/// let error = draft.check(Policy::Program).unwrap_err();
/// assert_eq!(error.problems()[0].path, "recipe.width");
/// ```
#[derive(Clone, Debug)]
pub struct JobDraft {
    recipe: RecipeName,
    inputs: Vec<String>,
    format: Option<Format>,
    /// The extension of the output's name; `None` where there is no name to go by.
    extension: Option<String>,
    /// Values of parameters, by their names in documents.
    values: Vec<(String, Tree)>,
    stage_input: Option<bool>,
}

impl JobDraft {
    /// A job of this recipe without inputs, in the recipe's usual format.
    pub const fn new(recipe: RecipeName) -> Self {
        Self {
            recipe,
            inputs: Vec::new(),
            format: None,
            extension: None,
            values: Vec::new(),
            stage_input: None,
        }
    }

    /// Which recipe it is.
    pub const fn recipe(&self) -> RecipeName {
        self.recipe
    }

    /// Adds an input behind those that are there: a path or a URL.
    pub fn input(&mut self, url: impl Into<String>) {
        self.inputs.push(url.into());
    }

    /// The format of the output. An [`extension`](Self::extension) of another format is a problem.
    pub fn format(&mut self, format: Format) {
        self.format = Some(format);
    }

    /// The extension of the output's name, without the dot, which tells the format; empty for a
    /// name without one.
    pub fn extension(&mut self, extension: impl Into<String>) {
        self.extension = Some(extension.into());
    }

    /// Whether an input elsewhere is copied to this machine before the run; the planner decides
    /// where nothing is said.
    pub fn stage_input(&mut self, stages: bool) {
        self.stage_input = Some(stages);
    }

    /// Gives the parameter of that name in documents a value; the last one counts.
    pub fn set(&mut self, parameter: &str, value: Tree) {
        match self.values.iter_mut().find(|(name, _)| name == parameter) {
            Some((_, old)) => *old = value,
            None => self.values.push((parameter.to_owned(), value)),
        }
    }

    /// Whether a parameter has a value.
    pub fn has(&self, parameter: &str) -> bool {
        self.values.iter().any(|(name, _)| name == parameter)
    }

    /// Takes over the values of another draft, and the format that it asks for.
    pub fn take_values(&mut self, other: &Self) {
        for (name, value) in &other.values {
            self.set(name, value.clone());
        }
        self.format = other.format.or(self.format);
        self.stage_input = other.stage_input.or(self.stage_input);
    }

    /// Checks the whole.
    ///
    /// # Errors
    /// [`DocumentError::Invalid`], with all the problems at once.
    pub fn check(&self, policy: Policy) -> Result<CheckedJob, DocumentError> {
        let asked = self.asked_format();
        let (job, mut problems) = match from_code(&self.document(), policy) {
            Ok(job) => (Some(job), Vec::new()),
            Err(DocumentError::Invalid { problems }) => (None, problems),
            Err(error) => return Err(error),
        };
        problems.splice(..0, asked.err());
        match job.filter(|_| problems.is_empty()) {
            Some(job) => Ok(job),
            None => Err(DocumentError::Invalid { problems }),
        }
    }

    /// Checks a draft of `thumbnail` as the way that each of many thumbnails is made, in files whose
    /// names begin with `stem`; its `seekSeconds` is not looked at. Pictures that are spread over the
    /// input are keyframes unless the draft says otherwise.
    ///
    /// # Errors
    /// [`DocumentError::Invalid`], with all the problems of the draft and the sampling at once.
    pub fn check_many(
        &self,
        sampling: Sampling,
        stem: &str,
        policy: Policy,
    ) -> Result<(Thumbnails, Format), DocumentError> {
        let mut draft = self.clone();
        if !draft.has("accuracy") && !matches!(sampling, Sampling::At(_)) {
            draft.set("accuracy", Accuracy::Keyframe.name().into());
        }
        let job = draft.check(policy);
        let thumbnail = match job.as_deref() {
            Ok(Job { task: Task::Recipe(Recipe::Thumbnail(thumbnail)), .. }) => thumbnail.clone(),
            _ => Thumbnail::default(),
        };
        let many = Thumbnails::new(thumbnail, sampling, stem);
        let format = self.asked_format().unwrap_or(self.usual_format());
        match (job, many) {
            (Ok(_), Ok(many)) => Ok((many, format)),
            (Ok(_), Err(problems)) => Err(DocumentError::Invalid { problems }),
            (Err(DocumentError::Invalid { mut problems }), Err(more)) => {
                problems.extend(more);
                Err(DocumentError::Invalid { problems })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The format that was asked for, by itself or by the extension; else the usual one.
    fn asked_format(&self) -> Result<Format, Problem> {
        if let Some(format) = self.format {
            let extension = self.extension.as_deref().unwrap_or_default();
            let Some(other) = Format::from_extension(extension).filter(|it| *it != format) else {
                return Ok(format);
            };
            let (path, found) = ("output.format".to_owned(), format!("`{}`", format.name()));
            let allowed = format!("`{}`, as the name of the output ends so", other.name());
            return Err(Problem { path, found, allowed });
        }
        let Some(extension) = &self.extension else { return Ok(self.usual_format()) };
        let formats = self.recipe.formats();
        let format = Format::from_extension(extension).filter(|format| formats.contains(format));
        format.ok_or_else(|| {
            let names: Vec<_> =
                formats.iter().map(|format| format!("`.{}`", format.extension())).collect();
            let found = match extension.as_str() {
                "" => "no extension".to_owned(),
                extension => format!("`.{extension}`"),
            };
            let allowed = match names.as_slice() {
                [name] => name.clone(),
                names => format!("one of {}", names.join(", ")),
            };
            Problem { path: "output.format".to_owned(), found, allowed }
        })
    }

    fn usual_format(&self) -> Format {
        self.recipe.formats().first().copied().unwrap_or(Format::Mp4)
    }

    /// The document that asks for the same, right or wrong.
    pub fn document(&self) -> Tree {
        let format = self.asked_format().unwrap_or(self.usual_format());
        let text = |text: &str| Tree::Text(text.to_owned());
        let object = |fields: Vec<(&str, Tree)>| {
            Tree::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        let input = match self.inputs.as_slice() {
            [url] if self.recipe != RecipeName::Concat => {
                ("input", object(vec![("url", text(url))]))
            }
            urls => {
                let keyed = urls.iter().enumerate();
                let files = keyed.map(|(index, url)| (format!("in_{}", index + 1), text(url)));
                ("input_files", Tree::Object(files.collect()))
            }
        };
        let mut recipe = vec![("name".to_owned(), text(self.recipe.name()))];
        recipe.extend(self.values.iter().cloned());
        let mut document = vec![
            ("mode", text("recipe")),
            input,
            ("output", object(vec![("format", text(format.name()))])),
            ("recipe", Tree::Object(recipe)),
        ];
        document.extend(self.stage_input.map(|stages| ("stageInput", Tree::Boolean(stages))));
        object(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(draft: &JobDraft, expected: &[&str]) {
        let met = match draft.check(Policy::Program) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems().iter().map(ToString::to_string).collect(),
        };
        assert_eq!(met, expected);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let mut draft = JobDraft::new(RecipeName::Resize);
        draft.input("a.mp4");
        draft.extension("mkz");
        draft.set("width", 0_u32.into());
        draft.set("height", f64::NAN.into());
        check(
            &draft,
            &[
                "`output.format`: found `.mkz`, allowed: one of `.mp4`, `.webm`, `.mov`, `.mkv`",
                "`recipe.width`: found 0, allowed: an integer 1 to 16384",
                "`recipe.height`: found a number that is not finite, allowed: an integer 1 to \
                 16384",
            ],
        );
        draft.format(Format::Mov);
        draft.extension("mp4");
        draft.set("height", 180_u32.into());
        draft.set("width", 320_u32.into());
        check(
            &draft,
            &["`output.format`: found `mov`, allowed: `mp4`, as the name of the output ends so"],
        );
        draft.extension("");
        draft.set("width", 320_u32.into());
        draft.set("height", 180_u32.into());
        check(&draft, &[]);
    }

    #[test]
    fn a_value_that_is_set_twice_is_the_last_one() {
        let mut draft = JobDraft::new(RecipeName::Thumbnail);
        draft.input("a.mp4");
        draft.set("seekSeconds", (-1.0).into());
        draft.set("seekSeconds", 1.0.into());
        check(&draft, &[]);
    }
}
