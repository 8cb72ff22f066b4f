//! Checks filter graphs, which are parsed as libavfilter does it: chains of filters, each a name
//! with options.

use super::{
    names::{FILTERS, Filter, Takes},
    value::one_of,
};

/// The white space that libavfilter skips between words; any other is an ordinary character.
const BLANKS: [char; 4] = [' ', '\n', '\t', '\r'];

/// Checks a filter graph; the error says in words why it is refused.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let mut rest = Reader { text };
    rest.skip_space();
    if let Some(flags) = rest.text.strip_prefix("sws_flags=") {
        let end = flags.find(';').ok_or("`sws_flags=` must end with a semicolon")?;
        let is_flag = |sign: char| sign.is_ascii_alphanumeric() || "_+-".contains(sign);
        if !flags[..end].chars().all(is_flag) {
            return Err("`sws_flags` must be words of letters, digits, `_`, `+` and `-`".to_owned());
        }
        rest.text = &flags[end + 1..];
    }
    loop {
        rest.labels()?;
        let filter = rest.token("[],;");
        check_filter(&filter)?;
        rest.labels()?;
        match rest.next() {
            None => return Ok(()),
            Some(',' | ';') => {}
            Some(other) => return Err(format!("`{other}` is out of place in the filter graph")),
        }
    }
}

/// Checks one filter, as `name@instance=options`.
fn check_filter(text: &str) -> Result<(), String> {
    let (name, options) = text.split_once('=').unwrap_or((text, ""));
    let (name, instance) = name.split_once('@').unwrap_or((name, ""));
    let (name, instance) = (name.trim_matches(BLANKS), instance.trim_matches(BLANKS));
    if !instance.chars().all(|sign| sign.is_ascii_alphanumeric() || "_-".contains(sign)) {
        return Err(format!(
            "`{instance}` is not a name for a filter; use letters, digits, `_` and `-`"
        ));
    }
    let known = FILTERS.iter().find(|filter| filter.name == name);
    let Some(Filter { takes, .. }) = known else {
        let names: Vec<_> = FILTERS.iter().map(|filter| filter.name).collect();
        return one_of(name, &names, "filter");
    };
    let mut rest = Reader { text: options };
    let mut unnamed = 0;
    while !rest.text.is_empty() {
        let before = rest.text;
        let key = rest.key();
        if before.trim_start_matches(BLANKS).starts_with('/') {
            return Err(format!("an option of `{name}` would be read from a file"));
        }
        let value = rest.token(":");
        match (takes, key) {
            (Takes::Any, _) => {}
            (Takes::Only(keys, _), Some(key)) => one_of(key, keys, &format!("option of `{name}`"))?,
            (Takes::Only(_, first), None) if unnamed < *first => unnamed += 1,
            (Takes::Only(..), None) => {
                return Err(format!("options of `{name}` are written as `key=value`"));
            }
        }
        // A pattern of fontconfig can name a file, so only the name of a family is allowed.
        let is_family = |sign: char| sign.is_alphanumeric() || " _-".contains(sign);
        if key == Some("font") && !value.chars().all(is_family) {
            return Err("`font` must be the name of a font family".to_owned());
        }
        rest.next();
    }
    Ok(())
}

/// The part of a text that is not parsed yet.
struct Reader<'a> {
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<char> {
        let next = self.text.chars().next()?;
        self.text = &self.text[next.len_utf8()..];
        Some(next)
    }

    fn skip_space(&mut self) {
        self.text = self.text.trim_start_matches(BLANKS);
    }

    /// Skips labels in brackets; fails where one is not valid.
    fn labels(&mut self) -> Result<(), String> {
        self.skip_space();
        while let Some(label) = self.text.strip_prefix('[') {
            let end = label.find(']').ok_or("a label in the filter graph has no closing `]`")?;
            let is_label = |sign: char| sign.is_ascii_alphanumeric() || "_-:.#".contains(sign);
            if label[..end].is_empty() || !label[..end].chars().all(is_label) {
                return Err(format!("`[{}]` is not a label", &label[..end]));
            }
            self.text = &label[end + 1..];
            self.skip_space();
        }
        Ok(())
    }

    /// Reads a key and its equals sign; `None`, with nothing consumed, where none follows.
    fn key(&mut self) -> Option<&'a str> {
        let text = self.text.trim_start_matches(BLANKS);
        let (key, value) = text.split_once('=')?;
        let key = key.trim_end_matches(BLANKS);
        let is_key = |sign: char| sign.is_ascii_alphanumeric() || sign == '_' || sign == '-';
        if key.is_empty() || !key.chars().all(is_key) {
            return None;
        }
        self.text = value;
        Some(key)
    }

    /// The text up to one of `ends`, with quotes and backslashes resolved as `av_get_token` does.
    fn token(&mut self, ends: &str) -> String {
        self.skip_space();
        let mut token = String::new();
        while let Some(sign) = self.text.chars().next() {
            if ends.contains(sign) {
                break;
            }
            self.next();
            match sign {
                '\\' => token.extend(self.next()),
                '\'' => {
                    while let Some(quoted) = self.next().filter(|quoted| *quoted != '\'') {
                        token.push(quoted);
                    }
                }
                sign => token.push(sign),
            }
        }
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_are_taken_apart() {
        let check = |text: &str, expected: &str| {
            assert_eq!(check(text).err().unwrap_or_default(), expected, "{text}");
        };
        check("scale=640:-2,fps=30", "");
        check("[0:v]scale=w=640:h=-2[a];[a][1:v]overlay=10:10:enable='between(t,1,2)'[out]", "");
        check("sws_flags=bicubic+accurate_rnd;[in] scale@big = 2*iw:2*ih [out]", "");
        check("split[a][b];[a]palettegen[p];[b][p]paletteuse", "");
        check("drawtext=text='a\\:b, c':x=10:y=(h-th)/2:fontsize=24", "");
        check(r"drawtext=text=a\\\:b", "");
        check(
            "drawtext=textfile=/etc/passwd",
            "the option of `drawtext` `textfile` is not on the list (nearest: `text`)",
        );
        check(
            r"drawtext=t\extfile=/etc/passwd",
            "the option of `drawtext` `textfile` is not on the list (nearest: `text`)",
        );
        check("drawtext=/text=/etc/passwd", "an option of `drawtext` would be read from a file");
        check("scale=/w=/etc/passwd", "an option of `scale` would be read from a file");
        check(r"drawtext=font=a\\\:file=/b", "`font` must be the name of a font family");
        check("psnr=\u{b}stats_version=1", "options of `psnr` are written as `key=value`");
        check("curves=vintage", "");
        check("curves=vintage:a", "options of `curves` are written as `key=value`");
        check("psnr=a.log", "options of `psnr` are written as `key=value`");
        check("movie=a.mp4", "the filter `movie` is not on the list");
        check("null,movie=a.mp4", "the filter `movie` is not on the list");
        check("'movie=a'", "the filter `movie` is not on the list");
        check(r"m\ovie=a", "the filter `movie` is not on the list");
        check("scal", "the filter `scal` is not on the list (nearest: `scale`)");
        check("", "the filter `` is not on the list");
        check("null]", "`]` is out of place in the filter graph");
        check("[a", "a label in the filter graph has no closing `]`");
    }
}
