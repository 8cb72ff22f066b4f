//! A place in a document, and the list of what is wrong at such places.

use std::collections::HashSet;

use crate::words::{error::Problem, tree::Tree};

/// The largest number of problems that are listed, so that the answer to a hostile document is not
/// many times larger than the document.
const MOST: usize = 1_000;

/// The largest number of characters of a value and of a key that are shown.
const SHOWN: usize = 80;

/// A place in a document: its path, and the value there; `None` when nothing is there.
#[derive(Clone)]
pub(super) struct Spot<'a> {
    pub(super) path: String,
    pub(super) value: Option<&'a Tree>,
}

impl<'a> Spot<'a> {
    pub(super) const fn root(document: &'a Tree) -> Self {
        Self { path: String::new(), value: Some(document) }
    }

    /// The place of a field, whether or not it is there.
    pub(super) fn field(&self, name: &str) -> Self {
        let value = self.value.and_then(|value| value.field(name));
        Self { path: self.path_of(name), value }
    }

    /// The fields; of those with the same key, only the first.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let mut met = HashSet::new();
        self.entries()
            .iter()
            .filter(move |(key, _)| met.insert(key.as_str()))
            .map(|(key, value)| (key.as_str(), self.child(key, value)))
    }

    /// The fields whose key has occurred before.
    pub(super) fn repeated(&self) -> impl Iterator<Item = Self> {
        let mut met = HashSet::new();
        self.entries()
            .iter()
            .filter(move |(key, _)| !met.insert(key.as_str()))
            .map(|(key, value)| self.child(key, value))
    }

    /// The items of an array.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> {
        let items = match self.value {
            Some(Tree::Array(items)) => items.as_slice(),
            _ => &[],
        };
        items.iter().enumerate().map(|(index, item)| Self {
            path: format!("{}[{index}]", self.path),
            value: Some(item),
        })
    }

    pub(super) const fn is_given(&self) -> bool {
        self.value.is_some()
    }

    pub(super) const fn is_object(&self) -> bool {
        matches!(self.value, Some(Tree::Object(_)))
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value {
            Some(Tree::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn entries(&self) -> &'a [(String, Tree)] {
        match self.value {
            Some(Tree::Object(fields)) => fields,
            _ => &[],
        }
    }

    fn child(&self, key: &str, value: &'a Tree) -> Self {
        Self { path: self.path_of(key), value: Some(value) }
    }

    fn path_of(&self, key: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if key.is_empty() || key.len() > SHOWN || !key.chars().all(plain) {
            return format!("{}[{}]", self.path, shown(&Tree::Text(key.to_owned())));
        }
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The problems of a document, in the order in which they were found.
#[derive(Default)]
pub(super) struct Problems {
    listed: Vec<Problem>,
    unlisted: usize,
}

impl Problems {
    /// Adds a problem: the value at a place, or its absence, is wrong.
    pub(super) fn add(&mut self, spot: &Spot<'_>, allowed: impl Into<String>) {
        if self.listed.len() == MOST {
            self.unlisted += 1;
            return;
        }
        let path = if spot.path.is_empty() { "$".to_owned() } else { spot.path.clone() };
        let found = spot.value.map_or_else(|| "nothing".to_owned(), shown);
        self.listed.push(Problem { path, found, allowed: allowed.into() });
    }

    pub(super) fn into_list(mut self) -> Vec<Problem> {
        if self.unlisted > 0 {
            let found = format!("{} more problems", self.unlisted);
            self.listed.push(Problem { path: "$".to_owned(), found, allowed: "none".to_owned() });
        }
        self.listed
    }
}

/// A value as compact JSON, shortened and without secrets.
fn shown(value: &Tree) -> String {
    let text = without_secrets(value).to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The value without the user names and queries of locations in its strings: these can be
/// credentials, and problems end up in logs.
fn without_secrets(value: &Tree) -> Tree {
    match value {
        Tree::Text(text) => Tree::Text(location_without_secrets(text)),
        Tree::Array(items) => Tree::Array(items.iter().map(without_secrets).collect()),
        Tree::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| (location_without_secrets(key), without_secrets(value)));
            Tree::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn location_without_secrets(text: &str) -> String {
    if let Some((scheme, _)) = text.split_once(':')
        && text.contains('@')
    {
        return format!("{scheme}:…");
    }
    match text.find(['?', '#']) {
        Some(end) if text.contains("://") => format!("{}…", &text[..=end]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_length_stay_out_of_problems() {
        let check = |text: &str, expected: &str| {
            assert_eq!(shown(&Tree::Text(text.to_owned())), format!("\"{expected}\""));
        };
        check("ftp://host/a.mp4", "ftp://host/a.mp4");
        check("ftp://host/a.mp4?token=1", "ftp://host/a.mp4?…");
        check("ftp://me:pass@host/a.mp4", "ftp:…");
        check("https:me:pa?ss@host", "https:…");
        check("what? a name", "what? a name");
        let long = shown(&Tree::Text("é".repeat(200)));
        assert_eq!(long.chars().count(), SHOWN + 1);
        assert!(long.ends_with("é…"));
    }

    #[test]
    fn paths_quote_what_is_no_name() {
        let root = Spot { path: "recipe".to_owned(), value: None };
        assert_eq!(root.field("seekSeconds").path, "recipe.seekSeconds");
        assert_eq!(root.field("a.b").path, "recipe[\"a.b\"]");
        assert_eq!(root.field("").path, "recipe[\"\"]");
    }
}
