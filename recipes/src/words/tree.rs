//! A JSON tree that keeps the order of fields, and keys that occur twice.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Number, Value};

use super::error::DocumentError;

/// 2^53, up to which an `f64` represents every whole number exactly.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// A JSON value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A finite number; one without a fraction is an integer, however it was written.
    Number(Number),
    /// A string.
    Text(String),
    /// The items of an array.
    Array(Vec<Tree>),
    /// The fields of an object in their order; a key may stand there more than once.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads JSON.
    ///
    /// # Errors
    ///
    /// [`DocumentError::Syntax`] when the text is not JSON, holds a number that no `f64` holds,
    /// or nests deeper than 127 levels.
    pub fn read(text: &str) -> Result<Self, DocumentError> {
        serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let place = format!(" at line {line} column {column}");
            let message = error.to_string();
            let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
            DocumentError::Syntax { line, column, message }
        })
    }

    /// The first field of that name; `None` when there is none, or when this is no object.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl From<bool> for Tree {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<u32> for Tree {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<f64> for Tree {
    /// `null` for a number that is not finite, which JSON can not write.
    fn from(value: f64) -> Self {
        whole(value).or_else(|| Number::from_f64(value)).map_or(Self::Null, Self::Number)
    }
}

impl From<&str> for Tree {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// The integer that a number is, where it is one that an `f64` holds exactly.
fn whole(value: f64) -> Option<Number> {
    let is_whole = value.fract() == 0.0 && value.abs() <= WHOLE;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
    is_whole.then(|| (value as i64).into())
}

/// Compact JSON.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => Value::from(value.as_str()).fmt(f),
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (index, (key, value)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", Value::from(key.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Tree, E> {
        let number = whole(value).or_else(|| Number::from_f64(value));
        number.map(Tree::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Object(fields))
    }
}

/// Makes typed values of a tree directly, so that the order of its fields is kept.
impl<'de> Deserializer<'de> for &'de Tree {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Tree::Null => visitor.visit_unit(),
            Tree::Boolean(value) => visitor.visit_bool(*value),
            Tree::Number(value) => value.deserialize_any(visitor),
            Tree::Text(value) => visitor.visit_borrowed_str(value),
            Tree::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter())),
            Tree::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key.as_str(), value));
                visitor.visit_map(MapDeserializer::new(fields))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Tree::Null => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let Tree::Text(name) = self else {
            return Err(Self::Error::custom("the name of a variant is a string"));
        };
        visitor.visit_enum(name.as_str().into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for &'de Tree {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text in, compact text out; a syntax error as `line:column message`.
    fn check(text: &str, expected: &str) {
        let met = match Tree::read(text) {
            Ok(tree) => tree.to_string(),
            Err(DocumentError::Syntax { line, column, message }) => {
                format!("{line}:{column} {message}")
            }
            Err(other) => other.to_string(),
        };
        assert_eq!(met, expected, "{text}");
    }

    #[test]
    fn order_and_duplicates_are_kept() {
        check(r#"{"b": 1, "a": [true, null], "b": {}}"#, r#"{"b":1,"a":[true,null],"b":{}}"#);
        check(r#""line\nbreak \u00e9 \"x\"""#, r#""line\nbreak é \"x\"""#);
        check("[]", "[]");
    }

    #[test]
    fn whole_numbers_are_integers() {
        check("[23.0, 2.3e1, 0.5, -0.0, 1e15, 1e300]", "[23,23,0.5,0,1000000000000000,1e+300]");
        check("18446744073709551615", "18446744073709551615");
        check("-9223372036854775808", "-9223372036854775808");
    }

    #[test]
    fn syntax_errors_have_a_place() {
        check("{\"a\":\n  NaN}", "2:3 expected value");
        check(r#"{"a": 1e999}"#, "1:11 number out of range");
        check("[1, Infinity]", "1:5 expected value");
        check("{'a': 1}", "1:2 key must be a string");
        check("{\"a\": 1,}", "1:9 trailing comma");
        check("{} {}", "1:4 trailing characters");
        check("", "1:0 EOF while parsing a value");
        check(r#""\ud800""#, "1:8 unexpected end of hex escape");
        check(&"[".repeat(200), "1:128 recursion limit exceeded");
    }

    #[test]
    fn a_field_is_the_first_of_its_name() -> Result<(), DocumentError> {
        let tree = Tree::read(r#"{"a": 1, "a": 2}"#)?;
        assert_eq!(tree.field("a").map(Tree::to_string).as_deref(), Some("1"));
        assert_eq!(tree.field("b"), None);
        assert_eq!(Tree::Null.field("a"), None);
        Ok(())
    }
}
