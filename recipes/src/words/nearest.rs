//! Lists of allowed words, with the one that a misspelled word is nearest to.

use super::parameter::one_of;

/// The allowed words in one phrase, naming the one that was probably meant.
pub(crate) fn allowed_words(names: &[&str], given: Option<&str>) -> String {
    let list = one_of(names);
    match given.and_then(|given| nearest(names, given)) {
        Some(name) if names.len() > 1 => format!("{list} (nearest: `{name}`)"),
        _ => list,
    }
}

/// The name nearest to the word, if it differs in at most a third of its letters, or one of the two
/// begins with the other.
pub(crate) fn nearest<'a>(names: &[&'a str], word: &str) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let word = letters(word);
    let near = |name: &&str| {
        let name = letters(name);
        let begins = word.len() >= 3 && (starts(&name, &word) || starts(&word, &name));
        begins || distance(&name, &word) <= name.len() / 3
    };
    let near = names.iter().copied().filter(near);
    near.min_by_key(|name| distance(&letters(name), &word))
}

fn starts(long: &[char], short: &[char]) -> bool {
    !short.is_empty() && long.starts_with(short)
}

/// The letters and digits of a word in lower case, so that `start_seconds` equals `startSeconds`.
fn letters(word: &str) -> Vec<char> {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance: the fewest letters to add, drop or replace.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, a) in from.iter().enumerate() {
        let mut corner = above;
        row[0] = above + 1;
        for (column, b) in to.iter().enumerate() {
            let replaced = corner + usize::from(a != b);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name() {
        let names = ["startSeconds", "durationSeconds", "crf", "bitrateKbps", "gop"];
        let check = |word, expected| assert_eq!(nearest(&names, word), expected, "{word}");
        check("start_seconds", Some("startSeconds"));
        check("startSecond", Some("startSeconds"));
        check("duration", Some("durationSeconds"));
        check("bitrate", Some("bitrateKbps"));
        check("CRF", Some("crf"));
        check("crt", Some("crf"));
        check("gopSize", Some("gop"));
        check("st", None);
        check("", None);
        check("colour", None);
        check(&"x".repeat(1000), None);
    }

    #[test]
    fn distances() {
        let check = |from, to, expected| {
            assert_eq!(distance(&letters(from), &letters(to)), expected, "{from} {to}");
        };
        check("kitten", "sitting", 3);
        check("", "abc", 3);
        check("abc", "abc", 0);
        check("width", "widht", 2);
    }
}
