//! The grammars of option values. No value of any kind can name a file.

use super::{
    graph,
    names::{BITSTREAM_FILTERS, CODECS, DEMUXERS, MUXERS},
};

/// What an option's value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// There is no value.
    Flag,
    /// The placeholder of an input.
    Input,
    /// A number, as libav reads it: with a unit, a ratio, or a short expression of numbers.
    Number,
    /// An instant or a span, in seconds or as `hours:minutes:seconds`.
    Time,
    /// One plain word.
    Name,
    /// Words with the punctuation of lists and flags.
    Words,
    /// Numbers and words with the punctuation of stream specifiers and sizes.
    Specification,
    /// Which streams are taken: of inputs, or the label of a filter graph's output.
    Map,
    /// Any text. Options of this kind only store it, or evaluate it as an expression.
    Text,
    /// A demuxer before an input, a muxer before an output.
    Format,
    /// A decoder before an input; an encoder, or `copy`, before an output.
    Codec,
    /// Bitstream filters, separated by commas.
    BitstreamFilters,
    /// A filter graph.
    Graph,
    /// `key=value:key=value` for an encoder, with these keys.
    Keys(&'static [&'static str]),
}

/// The file that an option stands before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Input,
    Output,
}

impl Kind {
    /// What the value may be, in words; `None` for an option without a value.
    pub(crate) fn describe(self) -> Option<String> {
        Some(match self {
            Self::Flag => return None,
            Self::Input => "an input's placeholder".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Time => "a time".to_owned(),
            Self::Name => "a plain word".to_owned(),
            Self::Words => "words".to_owned(),
            Self::Specification => "numbers and words".to_owned(),
            Self::Map => "a stream specifier or a label".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Format => "a format of the list below".to_owned(),
            Self::Codec => "a codec of the list below".to_owned(),
            Self::BitstreamFilters => "bitstream filters of the list below".to_owned(),
            Self::Graph => "a filter graph of the filters below".to_owned(),
            Self::Keys(keys) => format!("`key=value` with these keys: {}", keys.join(", ")),
        })
    }

    /// Checks a value; the error says in words why it is refused.
    pub(crate) fn check(self, value: &str, side: Side) -> Result<(), String> {
        let made_of = |signs: &str| {
            let is_allowed = |sign: char| sign.is_ascii_alphanumeric() || signs.contains(sign);
            match value.chars().find(|sign| !is_allowed(*sign)) {
                _ if value.is_empty() => Err("the value is empty".to_owned()),
                Some(sign) => Err(format!("the value may not hold `{}`", sign.escape_default())),
                None => Ok(()),
            }
        };
        match self {
            Self::Flag | Self::Input | Self::Text => Ok(()),
            Self::Number => number(value),
            Self::Time => time(value),
            Self::Name => made_of("_-.+"),
            Self::Words => made_of("_-+.,| ()").and_then(|()| no_report(value)),
            Self::Specification => made_of("_-.:").and_then(|()| numbered(value)),
            Self::Map => made_of("_-.:[]?#").and_then(|()| map(value)),
            Self::Format => {
                let known = if side == Side::Input { DEMUXERS } else { MUXERS };
                one_of(value, known, "format")
            }
            Self::Codec => one_of(value, CODECS, "codec"),
            Self::BitstreamFilters => bitstream_filters(value),
            Self::Graph => graph::check(value),
            Self::Keys(keys) => key_values(value, keys),
        }
    }
}

/// Checks for one number, or two or three with `/`, `:` or `*` between them, each with an optional
/// unit; or for one word that names a number, as `ntsc` does.
fn number(value: &str) -> Result<(), String> {
    let is_name = !value.is_empty() && value.chars().all(|sign| sign.is_ascii_alphabetic());
    let is_number = |part: &str| {
        let part = part.strip_prefix(['+', '-']).unwrap_or(part);
        let digits = part.trim_end_matches(|sign: char| sign.is_ascii_alphabetic());
        let unit = part.len() - digits.len();
        unit <= 3 && digits.parse::<f64>().is_ok() || part.parse::<f64>().is_ok()
    };
    let mut parts = value.splitn(4, ['/', ':', '*']);
    if is_name || (parts.clone().count() <= 3 && parts.all(is_number)) {
        return Ok(());
    }
    Err("the value is not a number".to_owned())
}

/// Checks for seconds or `hours:minutes:seconds` with an optional unit, for a time code, which may
/// hold `;`, or for `now`.
fn time(value: &str) -> Result<(), String> {
    let plain = value.strip_prefix(['+', '-']).unwrap_or(value);
    let units = ["us", "ms", "s"];
    let plain = units.iter().find_map(|unit| plain.strip_suffix(unit)).unwrap_or(plain);
    let is_number = |part: &str| {
        let begins = part.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        begins && part.parse::<f64>().is_ok()
    };
    if value == "now" {
        return Ok(());
    }
    if plain.split([':', ';']).count() <= 4 && plain.split([':', ';']).all(is_number) {
        return Ok(());
    }
    Err("the value is not a time".to_owned())
}

/// Refuses a value with `:` that does not begin with a digit, which is the number of an input.
fn numbered(value: &str) -> Result<(), String> {
    if !value.contains(':') || value.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(());
    }
    Err("the value must begin with the number of an input".to_owned())
}

/// Checks for streams of an input, as in `0:v:1?`, or the label of a filter graph's output.
fn map(value: &str) -> Result<(), String> {
    let input = value.strip_prefix('-').unwrap_or(value);
    let is_label = value.starts_with('[') && value.ends_with(']');
    if is_label || input.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(());
    }
    Err("the value must begin with the number of an input, or be a label in brackets".to_owned())
}

/// Refuses `report`, with which a log level makes libav write a file.
fn no_report(value: &str) -> Result<(), String> {
    if value.contains("report") { Err("`report` would write a file".to_owned()) } else { Ok(()) }
}

pub(super) fn one_of(value: &str, known: &[&str], what: &str) -> Result<(), String> {
    if known.contains(&value) {
        return Ok(());
    }
    let nearest = crate::words::nearest::nearest(known, value);
    let nearest = nearest.map(|name| format!(" (nearest: `{name}`)")).unwrap_or_default();
    Err(format!("the {what} `{value}` is not on the list{nearest}"))
}

/// Checks `name=key=value:key=value,name`, in which values are numbers and words.
fn bitstream_filters(value: &str) -> Result<(), String> {
    for filter in value.split(',') {
        let (name, options) = filter.split_once('=').unwrap_or((filter, ""));
        one_of(name, BITSTREAM_FILTERS, "bitstream filter")?;
        // Only `setts` takes expressions, in which `/` divides. Elsewhere it could be a part of a
        // path.
        let signs = if name == "setts" { "_-+.:=|()*/" } else { "_-+.:=|()*" };
        let is_allowed = |sign: char| sign.is_ascii_alphanumeric() || signs.contains(sign);
        if let Some(sign) = options.chars().find(|sign| !is_allowed(*sign)) {
            return Err(format!("options of `{name}` may not hold `{}`", sign.escape_default()));
        }
        if !options.is_empty() && !options.split(':').all(|option| option.contains('=')) {
            return Err(format!("options of `{name}` are written as `key=value`"));
        }
    }
    Ok(())
}

/// Checks `key=value:key=value` of an encoder: no key names a file, and no value holds a path.
fn key_values(value: &str, keys: &[&str]) -> Result<(), String> {
    for pair in value.split(':').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Encoders accept `_` and `-` alike between the words of a key.
        let plain = key.replace('_', "-");
        let bare = plain.strip_prefix("no-").unwrap_or(&plain);
        if !keys.contains(&bare) && !keys.contains(&plain.as_str()) {
            return one_of(key, keys, "key");
        }
        let is_allowed = |sign: char| sign.is_ascii_alphanumeric() || "_-+.,|()".contains(sign);
        if let Some(sign) = value.chars().find(|sign| !is_allowed(*sign)) {
            return Err(format!("the value of `{key}` may not hold `{}`", sign.escape_default()));
        }
    }
    Ok(())
}
