//! Merges a job over a preset.

use std::collections::{HashMap, HashSet};

use super::check::refuse_duplicates;
use crate::words::{error::DocumentError, tree::Tree};

/// The job merged over the preset as a JSON Merge Patch (RFC 7396), keeping the preset's order.
///
/// When the job names another `mode` or another `recipe.name`, the preset's `recipe` and `ffmpeg`
/// are left out instead of being mixed with what belongs to something else. The result is a
/// document to be checked as a whole.
///
/// # Errors
///
/// [`DocumentError::Invalid`] when a key stands twice in either, since one of the two would be
/// lost.
pub fn merge(preset: &Tree, job: &Tree) -> Result<Tree, DocumentError> {
    refuse_duplicates(preset)?;
    refuse_duplicates(job)?;
    let name = |document: &Tree| document.field("recipe")?.field("name").cloned();
    let mode = |document: &Tree| document.field("mode").cloned();
    if differ(mode(preset), mode(job)) || differ(name(preset), name(job)) {
        return Ok(patched(&without_work(preset), job));
    }
    Ok(patched(preset, job))
}

/// Whether both are there and differ.
fn differ(preset: Option<Tree>, job: Option<Tree>) -> bool {
    preset.zip(job).is_some_and(|(preset, job)| preset != job)
}

fn without_work(preset: &Tree) -> Tree {
    let Tree::Object(fields) = preset else { return preset.clone() };
    let rest = fields.iter().filter(|(key, _)| key != "recipe" && key != "ffmpeg");
    Tree::Object(rest.cloned().collect())
}

/// `MergePatch` of RFC 7396, section 2.
fn patched(target: &Tree, patch: &Tree) -> Tree {
    let Tree::Object(changes) = patch else { return patch.clone() };
    let fields = match target {
        Tree::Object(fields) => fields.as_slice(),
        _ => &[],
    };
    let known: HashSet<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
    let by_key: HashMap<&str, &Tree> =
        changes.iter().map(|(key, change)| (key.as_str(), change)).collect();

    let kept = fields.iter().filter_map(|(key, value)| match by_key.get(key.as_str()) {
        None => Some((key.clone(), value.clone())),
        Some(Tree::Null) => None,
        Some(change) => Some((key.clone(), patched(value, change))),
    });
    let added = changes
        .iter()
        .filter(|(key, change)| !known.contains(key.as_str()) && *change != Tree::Null)
        .map(|(key, change)| (key.clone(), patched(&Tree::Null, change)));
    Tree::Object(kept.chain(added).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(preset: &str, job: &str, expected: &str) {
        let merged = Tree::read(preset).and_then(|preset| merge(&preset, &Tree::read(job)?));
        let merged = merged.map_or_else(|error| error.to_string(), |tree| tree.to_string());
        assert_eq!(merged, expected, "{preset} {job}");
    }

    /// The cases of RFC 7396, appendix A.
    #[test]
    fn merge_patch() {
        check(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"a":null}"#, r"{}");
        check(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#);
        check(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#);
        check(r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#);
        check(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#);
        check(r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#);
        check(r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#);
        check(r#"{"a":"foo"}"#, r"null", r"null");
        check(r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#);
        check(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#);
        check(r"[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#);
        check(r"{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
    }

    #[test]
    fn the_order_of_the_preset_is_kept() {
        check(
            r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"proxy","crf":30}}"#,
            r#"{"input":{"url":"a"},"recipe":{"gop":"all_intra","crf":null},"output":{}}"#,
            r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"proxy","gop":"all_intra"},"input":{"url":"a"}}"#,
        );
    }

    #[test]
    fn another_recipe_or_mode_replaces() {
        check(
            r#"{"mode":"recipe","recipe":{"name":"proxy","crf":30}}"#,
            r#"{"recipe":{"name":"trim","startSeconds":1}}"#,
            r#"{"mode":"recipe","recipe":{"name":"trim","startSeconds":1}}"#,
        );
        check(
            r#"{"mode":"recipe","recipe":{"name":"proxy","crf":30}}"#,
            r#"{"recipe":{"name":"proxy","gop":"all_intra"}}"#,
            r#"{"mode":"recipe","recipe":{"name":"proxy","crf":30,"gop":"all_intra"}}"#,
        );
        check(
            r#"{"mode":"recipe","recipe":{"name":"proxy","crf":30},"output":{"format":"mp4"}}"#,
            r#"{"mode":"ffmpeg","ffmpeg":{"args":["-i"]}}"#,
            r#"{"mode":"ffmpeg","output":{"format":"mp4"},"ffmpeg":{"args":["-i"]}}"#,
        );
        check(
            r#"{"mode":"ffmpeg","ffmpeg":{"args":["-y"]}}"#,
            r#"{"mode":"ffmpeg","ffmpeg":{"args":["-i"]}}"#,
            r#"{"mode":"ffmpeg","ffmpeg":{"args":["-i"]}}"#,
        );
    }

    #[test]
    fn duplicates_are_refused_rather_than_lost() {
        check(
            r"{}",
            r#"{"recipe":{"crf":null,"crf":20}}"#,
            "1 problem in the job document: `recipe.crf`: found 20, allowed: this key only once",
        );
    }
}
