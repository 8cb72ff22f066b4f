//! What is wrong with the form of a body: all of it, by the schema that the OpenAPI document has.

use avocet_recipes::Problem as DocumentProblem;
use serde_json::Value;

use crate::problem::Problem;

/// All fields that a body lacks, has too many, or that do not fit their schema. What a body holds
/// is not repeated: it may be a secret.
pub(super) fn misfits(body: &Value, schema: &Value) -> Vec<DocumentProblem> {
    let Value::Object(given) = body else {
        return vec![Problem::one("$", kind_of(body), allowed(schema))];
    };
    let Some(known) = schema["properties"].as_object() else { return Vec::new() };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|name| !given.contains_key(*name));
    let missing = missing.map(|name| Problem::one(name, "nothing", allowed(&known[name])));
    let unfit = given.iter().filter_map(|(name, value)| match known.get(name) {
        None => {
            let allowed = format!("a known field: {}", one_of(known.keys()));
            Some(Problem::one(name, kind_of(value), allowed))
        }
        Some(schema) if !fits(value, schema) => {
            Some(Problem::one(name, kind_of(value), allowed(schema)))
        }
        Some(_) => None,
    });
    missing.chain(unfit).collect()
}

fn fits(value: &Value, schema: &Value) -> bool {
    if let Some(schemas) = schema["oneOf"].as_array() {
        return schemas.iter().any(|schema| fits(value, schema));
    }
    if let Some(listed) = schema["enum"].as_array() {
        return listed.contains(value);
    }
    let is_known = kinds(schema).any(|kind| kind == name_of(value));
    let length = value.as_str().map_or(0, |text| text.chars().count() as u64);
    let (least, most) = lengths(schema);
    is_known && (!value.is_string() || (least..=most).contains(&length))
}

/// What a schema takes, in words.
fn allowed(schema: &Value) -> String {
    if let Some(schemas) = schema["oneOf"].as_array() {
        return schemas.iter().map(allowed).collect::<Vec<_>>().join(" or ");
    }
    if let Some(listed) = schema["enum"].as_array() {
        return one_of(listed.iter().filter_map(Value::as_str));
    }
    let words = kinds(schema).map(|kind| match (kind, lengths(schema)) {
        ("string", (0, u64::MAX)) => "a text".to_owned(),
        ("string", (least, most)) => format!("a text of {least} to {most} letters"),
        ("object", _) => "an object".to_owned(),
        ("boolean", _) => "true or false".to_owned(),
        (other, _) => other.to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}

fn one_of(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{}`", name.as_ref())).collect();
    format!("one of {}", names.join(", "))
}

/// The types that a schema names.
fn kinds(schema: &Value) -> impl Iterator<Item = &str> {
    let one = schema["type"].as_str();
    one.into_iter().chain(schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// How many letters a text may have, at least and at most.
fn lengths(schema: &Value) -> (u64, u64) {
    let bound = |name: &str, else_: u64| schema[name].as_u64().unwrap_or(else_);
    (bound("minLength", 0), bound("maxLength", u64::MAX))
}

/// The type of a value as schemas call it.
fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::String(text) => format!("a text of {} letters", text.chars().count()),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => match name_of(other) {
            "null" => "null".to_owned(),
            kind => format!("a {kind}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_does_not_fit_is_told_and_nothing_is_repeated() {
        let schema = json!({
            "type": "object",
            "required": ["name", "document"],
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 3 },
                "secret": { "type": ["string", "null"] },
                "document": { "type": "object" },
                "turn": { "oneOf": [{ "type": "string", "enum": ["left"] }, { "type": "null" }] },
            },
        });
        let told = |body: Value| {
            let one = |it: &DocumentProblem| format!("{} | {} | {}", it.path, it.found, it.allowed);
            misfits(&body, &schema).iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(told(json!([])), ["$ | an array | an object"]);
        assert_eq!(
            told(json!({ "name": "four", "secret": 7, "turn": "right", "more": true })),
            [
                "document | nothing | an object",
                "more | a boolean | a known field: one of `document`, `name`, `secret`, `turn`",
                "name | a text of 4 letters | a text of 1 to 3 letters",
                "secret | a number | a text or null",
                "turn | a text of 5 letters | one of `left` or null",
            ]
        );
        let sound = json!({ "name": "abc", "secret": null, "turn": "left", "document": {} });
        assert_eq!(told(sound), [""; 0]);
    }
}
