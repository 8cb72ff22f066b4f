//! Checks bodies against the schemas of the OpenAPI document, and reports all misfits at once.
//!
//! It knows the keywords that our schemas use, and no more of JSON Schema; a test checks that.

use std::collections::HashSet;

use avocet_recipes::{Problem as DocumentProblem, Tree};
use serde_json::Value;

use super::problem::Problem;

/// How many problems are reported.
const MOST: usize = 100;

/// The fields that are missing, unknown, repeated, or do not fit their schema. The values of a body
/// are not repeated in the problems, since they may be secrets.
pub(super) fn misfits(body: &Tree, schema: &Value) -> Vec<DocumentProblem> {
    let Tree::Object(given) = body else {
        return vec![Problem::one("$", found(body), allowed(schema))];
    };
    let Some(known) = schema["properties"].as_object() else { return Vec::new() };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|name| body.field(name).is_none());
    let missing = missing.map(|name| Problem::one(name, "nothing", allowed(&known[name])));
    let mut seen = HashSet::new();
    let unfit = given.iter().filter_map(|(name, value)| {
        let allowed = match known.get(name) {
            _ if !seen.insert(name) => "this field only once".to_owned(),
            None => format!("a known field: {}", one_of(known.keys())),
            Some(schema) if !fits(value, schema) => allowed(schema),
            Some(_) => return None,
        };
        Some(Problem::one(name, found(value), allowed))
    });
    let mut problems: Vec<_> = missing.chain(unfit).take(MOST + 1).collect();
    if problems.len() > MOST {
        problems[MOST] = Problem::one("$", "more problems", "none");
    }
    problems
}

/// Whether a value has the type, the length, and one of the listed texts or the items of a schema.
fn fits(value: &Tree, schema: &Value) -> bool {
    if let Some(schemas) = schema["oneOf"].as_array() {
        return schemas.iter().any(|schema| fits(value, schema));
    }
    let is_known = kinds(schema).any(|kind| kind == kind_of(value));
    if let Tree::Array(items) = value {
        let least = schema["minItems"].as_u64().unwrap_or(0);
        let all_fit = || items.iter().all(|item| fits(item, &schema["items"]));
        return is_known && items.len() as u64 >= least && all_fit();
    }
    let Tree::Text(text) = value else { return is_known };
    let (least, most) = lengths(schema);
    let mut listed = schema["enum"].as_array().into_iter().flatten();
    is_known
        && (least..=most).contains(&(text.chars().count() as u64))
        && (schema["enum"].is_null() || listed.any(|one| one == text.as_str()))
}

/// Describes what a schema allows.
fn allowed(schema: &Value) -> String {
    if let Some(schemas) = schema["oneOf"].as_array() {
        return schemas.iter().map(allowed).collect::<Vec<_>>().join(" or ");
    }
    if let Some(listed) = schema["enum"].as_array() {
        return one_of(listed.iter().filter_map(Value::as_str));
    }
    let words = kinds(schema).map(|kind| match (kind, lengths(schema)) {
        ("string", (0, u64::MAX)) => "a string".to_owned(),
        ("string", (least, most)) => format!("a string of {least} to {most} characters"),
        ("object", _) => "an object".to_owned(),
        ("boolean", _) => "true or false".to_owned(),
        ("array", _) => format!("an array, with items each {}", allowed(&schema["items"])),
        (other, _) => other.to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}

pub(super) fn one_of(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    format!("one of {}", names.join(", "))
}

/// The types that a schema names.
fn kinds(schema: &Value) -> impl Iterator<Item = &str> {
    let one = schema["type"].as_str();
    one.into_iter().chain(schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// The least and the greatest length of a text, in characters.
fn lengths(schema: &Value) -> (u64, u64) {
    let bound = |name: &str, else_: u64| schema[name].as_u64().unwrap_or(else_);
    (bound("minLength", 0), bound("maxLength", u64::MAX))
}

/// The name of a value's type in JSON Schema.
const fn kind_of(value: &Tree) -> &'static str {
    match value {
        Tree::Null => "null",
        Tree::Boolean(_) => "boolean",
        Tree::Number(_) => "number",
        Tree::Text(_) => "string",
        Tree::Array(_) => "array",
        Tree::Object(_) => "object",
    }
}

/// Describes a value without repeating it.
fn found(value: &Tree) -> String {
    match value {
        Tree::Null => "null".to_owned(),
        Tree::Boolean(_) => "true or false".to_owned(),
        Tree::Number(_) => "a number".to_owned(),
        Tree::Text(text) => format!("a string of {} characters", text.chars().count()),
        Tree::Array(_) => "an array".to_owned(),
        Tree::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::PartialSchema;

    use super::{
        super::{
            account::{NewSettings, TokenRequest},
            presets::{NewPreset, PresetChange},
            providers::NewProvider,
        },
        *,
    };

    #[test]
    fn all_that_does_not_fit_is_told_and_nothing_is_repeated() {
        let schema = json!({
            "type": "object",
            "required": ["name", "document"],
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 3 },
                "secret": { "type": ["string", "null"] },
                "hands": {
                    "type": "array", "minItems": 1, "items": { "type": "string", "enum": ["left"] },
                },
                "document": { "type": "object" },
                "turn": { "oneOf": [{ "type": "string", "enum": ["left"] }, { "type": "null" }] },
            },
        });
        let told = |body: &str| {
            let one = |it: &DocumentProblem| format!("{} | {} | {}", it.path, it.found, it.allowed);
            let problems = misfits(&Tree::read(body).unwrap_or(Tree::Null), &schema);
            problems.iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(told("[]"), ["$ | an array | an object"]);
        assert_eq!(
            told(
                r#"{"name":"four","secret":7,"secret":"x","turn":"right","more":true,"hands":["up"]}"#
            ),
            [
                "document | nothing | an object",
                "name | a string of 4 characters | a string of 1 to 3 characters",
                "secret | a number | a string or null",
                "secret | a string of 1 characters | this field only once",
                "turn | a string of 5 characters | one of `left` or null",
                "more | true or false | a known field: one of `document`, `hands`, `name`, `secret`, `turn`",
                "hands | an array | an array, with items each one of `left`",
            ]
        );
        assert_eq!(told(r#"{"name":"a","document":{},"hands":["left","left"]}"#), [""; 0]);
        assert_eq!(told(r#"{"name":"a","document":{},"hands":[]}"#).len(), 1);
        assert_eq!(told(r#"{"name":"abc","secret":null,"turn":"left","document":{}}"#), [""; 0]);
        let many: Vec<String> = (0..1000).map(|number| format!(r#""{number}":1"#)).collect();
        let told = told(&format!("{{{}}}", many.join(",")));
        assert_eq!((told.len(), told[MOST].as_str()), (MOST + 1, "$ | more problems | none"));
    }

    #[test]
    fn the_schemas_of_our_bodies_are_understood() {
        fn check(schema: &Value) {
            for (word, value) in schema.as_object().into_iter().flatten() {
                match word.as_str() {
                    "description" | "writeOnly" => {}
                    "enum" => assert!(value.as_array().is_some(), "{schema}"),
                    "items" => check(value),
                    "minItems" => assert!(!schema["items"].is_null(), "{schema}"),
                    "oneOf" => value.as_array().into_iter().flatten().for_each(check),
                    "minLength" => assert!(schema["maxLength"].is_u64(), "{schema}"),
                    "maxLength" => assert!(schema["minLength"].is_u64(), "{schema}"),
                    "type" => {
                        let known = ["string", "boolean", "object", "array", "null"];
                        assert!(kinds(schema).all(|kind| known.contains(&kind)), "{schema}");
                    }
                    other => assert_eq!(other, "", "a word of {schema}"),
                }
            }
        }
        for schema in [
            TokenRequest::schema(),
            NewSettings::schema(),
            NewPreset::schema(),
            PresetChange::schema(),
            NewProvider::schema(),
        ] {
            let schema = serde_json::to_value(schema).unwrap_or_default();
            let fields = schema["properties"].as_object();
            assert!(fields.is_some_and(|fields| !fields.is_empty()), "{schema}");
            fields.into_iter().flatten().for_each(|(_, field)| check(field));
        }
    }
}
