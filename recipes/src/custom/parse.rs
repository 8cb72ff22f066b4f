//! Parses arguments as the `ffmpeg` program does: options with their values, each before the file
//! that it applies to. Unknown options are refused.

use avocet_model::error::{Error, Result};

use super::{
    table::{self, CustomOption, Scope},
    value::{Kind, Side},
};

/// One argument that was accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// Text that is passed on as it is.
    Text(String),
    /// `-i` and the input with this number, from 0, and whether `-f` named its demuxer before.
    Input { number: usize, is_forced: bool },
    /// The output with this number, from 0.
    Output(usize),
}

/// Arguments that were accepted.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) tokens: Vec<Token>,
}

/// An option whose file has not been read yet.
struct Pending<'a> {
    index: usize,
    option: &'static CustomOption,
    value: Option<(usize, &'a str)>,
}

/// The error for the argument at `index`, from 0; `argument` is shortened.
pub(super) fn refused(index: usize, argument: &str, why: String) -> Error {
    /// The largest number of characters of the argument that are shown.
    const SHOWN: usize = 80;
    let argument =
        argument.chars().take(SHOWN).map(|sign| if sign.is_control() { '?' } else { sign });
    let argument = argument.collect();
    Error::ArgumentRefused { index, argument, why }
}

/// Parses arguments, and checks each option and value against the table. `inputs` and `outputs` are
/// the placeholders.
///
/// # Errors
/// [`Error::ArgumentRefused`] for the first argument that is refused.
pub(super) fn parse(args: &[String], inputs: &[String], outputs: &[String]) -> Result<Parsed> {
    let mut tokens = Vec::new();
    let mut pending: Vec<Pending<'_>> = Vec::new();
    let mut begun_outputs = false;
    let mut rest = args.iter().map(String::as_str).enumerate();
    while let Some((index, argument)) = rest.next() {
        let refuse = |why: String| refused(index, argument, why);
        let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else {
            let number = placeholder(argument, outputs, "output").map_err(refuse)?;
            settle(&pending, Side::Output, args)?;
            pending.clear();
            begun_outputs = true;
            tokens.push(Token::Output(number));
            continue;
        };
        let option = find(name).map_err(refuse)?;
        if let Kind::Flag = option.kind {
            pending.push(Pending { index, option, value: None });
            // These two are left out: the program writes into an empty folder, and the plan says
            // whether an output may be replaced.
            if !matches!(option.name, "y" | "n") {
                tokens.push(Token::Text(argument.to_owned()));
            }
            continue;
        }
        let missing = || refuse("its value is missing".to_owned());
        let (place, value) = rest.next().ok_or_else(missing)?;
        if let Kind::Input = option.kind {
            let number = placeholder(value, inputs, "input");
            let number = number.map_err(|why| refused(place, value, why))?;
            if begun_outputs {
                return Err(refuse("inputs come before outputs".to_owned()));
            }
            settle(&pending, Side::Input, args)?;
            let is_forced = pending.iter().any(|one| matches!(one.option.kind, Kind::Format));
            pending.clear();
            tokens.push(Token::Input { number, is_forced });
            continue;
        }
        if value.contains("{{") || value.contains("}}") {
            let why =
                "a placeholder must be a whole argument: an input after `-i`, an output by itself"
                    .to_owned();
            return Err(refused(place, value, why));
        }
        pending.push(Pending { index, option, value: Some((place, value)) });
        tokens.push(Token::Text(argument.to_owned()));
        tokens.push(Token::Text(value.to_owned()));
    }
    if let Some(Pending { index, .. }) = pending.first() {
        let why = "no output follows it".to_owned();
        return Err(refused(*index, &args[*index], why));
    }
    Ok(Parsed { tokens })
}

/// The option with this name, behind which a stream specifier may stand.
fn find(name: &str) -> Result<&'static CustomOption, String> {
    let (name, specifier) = name.split_once(':').unwrap_or((name, ""));
    if let Some(name) = name.strip_prefix('/') {
        return Err(format!("the value of `-{name}` would be read from a file"));
    }
    let option = table::find(name).ok_or_else(|| {
        let names: Vec<_> = table::all().map(|option| option.name).collect();
        let nearest = crate::words::nearest::nearest(&names, name);
        let nearest = nearest.map(|name| format!(" (nearest: `-{name}`)")).unwrap_or_default();
        format!("it is not on the list of options{nearest}")
    })?;
    if specifier.is_empty() || (option.is_of_streams() && is_specifier(specifier)) {
        return Ok(option);
    }
    Err(format!("`-{name}` takes no stream specifier `{specifier}`"))
}

/// Whether a text names streams, or what metadata belongs to, as in `v:0`, `s:a:1` or
/// `m:language:eng`.
fn is_specifier(text: &str) -> bool {
    let is_kind = |part: &str| {
        let is_letter = part.len() == 1 && part.starts_with(|sign| "vVasdtgcpimu".contains(sign));
        let digits = part.strip_prefix("0x").unwrap_or(part);
        is_letter || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let is_word =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match text.strip_prefix("m:") {
        Some(tag) => tag.split(':').count() <= 2 && tag.split(':').all(is_word),
        None => text.split(':').all(is_kind),
    }
}

/// The number of the input or output that a placeholder names, from 0.
fn placeholder(argument: &str, known: &[String], what: &str) -> Result<usize, String> {
    known.iter().position(|placeholder| placeholder == argument).ok_or_else(|| {
        let known: Vec<_> = known.iter().map(|one| format!("`{one}`")).collect();
        format!("an {what} is named by its placeholder: {}", known.join(", "))
    })
}

/// Checks that options may stand before this kind of file, and that it allows their values.
fn settle(pending: &[Pending<'_>], side: Side, args: &[String]) -> Result<()> {
    for Pending { index, option, value } in pending {
        let fits = match (option.scope, side) {
            (Scope::Global | Scope::Either, _)
            | (Scope::Input, Side::Input)
            | (Scope::Output, Side::Output) => true,
            (Scope::Input, Side::Output) | (Scope::Output, Side::Input) => false,
        };
        if !fits {
            let why = format!("it applies to an {}, but none follows it", option.scope.name());
            return Err(refused(*index, &args[*index], why));
        }
        if let Some((place, value)) = value {
            option.kind.check(value, side).map_err(|why| refused(*place, value, why))?;
        }
    }
    Ok(())
}
