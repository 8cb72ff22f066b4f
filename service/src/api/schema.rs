//! The JSON Schema of job documents, made from the tables that documents are checked by.

use avocet_recipes::{Format, Kind, MAX_METADATA, Parameter, Priority, RecipeName};
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// A job document.
#[derive(Debug)]
pub(super) struct Document;

impl ToSchema for Document {}

impl PartialSchema for Document {
    fn schema() -> RefOr<Schema> {
        // A test checks that this parses.
        serde_json::from_value(document()).unwrap_or_else(|_| RefOr::T(Schema::default()))
    }
}

/// The bytes of a file.
#[derive(Debug)]
pub(super) struct Octets;

impl ToSchema for Octets {}

impl PartialSchema for Octets {
    fn schema() -> RefOr<Schema> {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        let bytes = ObjectBuilder::new().schema_type(Type::String).format(Some(binary));
        RefOr::T(Schema::Object(bytes.build()))
    }
}

fn document() -> Value {
    let formats: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    let url = json!({
        "type": "string", "format": "uri", "maxLength": 8192,
        "description": "An https: URL of a public address; upload:ID of an upload; root:name/path of a file that the operator offers",
    });
    let files = |what: &str, of: &Value| json!({ "type": "object", "additionalProperties": of, "description": what });
    json!({
        "examples": examples(),
        "type": "object",
        "description": "A job: a recipe, or arguments of the ffmpeg program. Absent fields come \
                        from the preset, where one is named.",
        "additionalProperties": false,
        "properties": {
            "mode": { "type": "string", "enum": ["recipe", "ffmpeg"] },
            "input": {
                "type": "object", "additionalProperties": false, "required": ["url"],
                "properties": { "url": url },
            },
            "input_files": files("Several inputs, under keys such as `in_1`", &url),
            "output": {
                "type": "object", "additionalProperties": false,
                "properties": { "format": { "type": "string", "enum": formats } },
            },
            "output_files": files(
                "Several outputs: file names, under keys such as `out_1`",
                &json!({ "type": "string", "maxLength": 255 }),
            ),
            "recipe": { "anyOf": RecipeName::ALL.map(recipe) },
            "ffmpeg": {
                "type": "object", "additionalProperties": false, "required": ["args"],
                "properties": { "args": {
                    "type": "array", "minItems": 1, "items": { "type": "string" },
                    "description": "Arguments, with `{{input}}` and `{{output}}`, or `{{in_1}}` and `{{out_1}}`, for files",
                } },
            },
            "presetId": { "type": "string",
                "description": "The preset that this document is merged over" },
            "webhookUrl": { "type": "string", "format": "uri",
                "description": "The URL that receives the webhook when the job ends" },
            "outputUrl": { "type": "string", "pattern": "^root:",
                "description": "Where on the machine of the service the output goes, as in `root:films/a.mp4`; a folder for several outputs. Its operator names the folders" },
            "stageInput": { "type": "boolean", "description":
                "Whether inputs are copied before the run. Default: the planner decides" },
            "priority": { "type": "string", "enum": Priority::ALL.map(Priority::name),
                "description": "The order among the jobs of the project. Default: normal" },
            "timeoutSeconds": { "type": "integer", "minimum": 1, "maximum": 604_800,
                "description": "The longest time that the job may run. Default, and most: that of the service" },
            "maxOutputBytes": { "type": "integer", "minimum": 1, "maximum": 9_007_199_254_740_992_u64,
                "description": "The most bytes of all outputs together. Default, and most: that of the service" },
            "metadata": { "type": "object", "maxProperties": MAX_METADATA,
                "additionalProperties": { "type": "string", "maxLength": 512 },
                "description": "Pairs of your own, by which jobs can be listed" },
        },
    })
}

/// Documents that are jobs of a service once their URLs are those of media.
fn examples() -> Value {
    let input = json!({ "url": "https://media.example.com/clip.mp4" });
    json!([
        {
            "mode": "recipe", "input": input, "output": { "format": "jpg" },
            "recipe": { "name": "thumbnail", "seekSeconds": 1 },
        },
        {
            "mode": "recipe", "input": input, "output": { "format": "mp4" },
            "recipe": { "name": "webReady", "height": 720 },
            "priority": "high", "timeoutSeconds": 600, "metadata": { "user": "17" },
        },
        {
            "mode": "recipe", "output": { "format": "mp4" }, "recipe": { "name": "concat" },
            "input_files": {
                "in_1": "https://media.example.com/clip.mp4",
                "in_2": "https://media.example.com/clip.mp4",
            },
        },
        {
            "mode": "ffmpeg", "input": input, "output": { "format": "gif" },
            "ffmpeg": { "args": ["-i", "{{input}}", "-vf", "fps=8,scale=320:-1", "{{output}}"] },
        },
    ])
}

fn recipe(name: RecipeName) -> Value {
    let named = ("name".to_owned(), json!({ "type": "string", "const": name.name() }));
    let parameters = name.parameters();
    let properties = parameters.iter().map(|each| (each.name.to_owned(), parameter(each)));
    json!({
        "type": "object",
        "title": name.name(),
        "x-formats": name.formats().iter().map(|format| format.name()).collect::<Vec<_>>(),
        // Names in a JSON object have no order, and those of a form have.
        "x-order": parameters.iter().map(|each| each.name).collect::<Vec<_>>(),
        "description": name.summary(),
        "additionalProperties": false,
        "properties": std::iter::once(named).chain(properties).collect::<Map<_, _>>(),
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let mut schema = match parameter.kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Seconds => json!({ "type": "number", "minimum": 0 }),
        Kind::PositiveSeconds => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Kind::Integer { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Choice(names) => json!({ "type": "string", "enum": names }),
        Kind::Crf => json!({ "type": "integer", "minimum": 0, "maximum": 63 }),
        Kind::Preset => json!({ "type": ["string", "integer"] }),
        Kind::Ranges => json!({ "type": "array", "minItems": 1, "items": {
            "type": "object", "additionalProperties": false,
            "required": ["startSeconds", "durationSeconds"],
            "properties": {
                "startSeconds": { "type": "number", "minimum": 0 },
                "durationSeconds": { "type": "number", "exclusiveMinimum": 0 },
            },
        } }),
        // Kinds of parameters that are added later have no schema, only a description.
        _ => json!({}),
    };
    schema["description"] = Value::from(parameter.describe());
    schema
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_schema_of_documents_is_one_and_has_every_parameter() {
        let schema: RefOr<Schema> = serde_json::from_value(document()).unwrap();
        let text = serde_json::to_string(&schema).unwrap();
        for recipe in RecipeName::ALL {
            assert!(text.contains(recipe.summary()), "{}", recipe.name());
            for parameter in recipe.parameters() {
                assert!(text.contains(&format!("\"{}\":", parameter.name)), "{}", parameter.name);
            }
        }
    }
}
