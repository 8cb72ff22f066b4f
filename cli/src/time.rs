//! Parses times on the command line.

/// The accepted forms of a time, for messages and help.
pub(super) const FORMS: &str = "written as 90.5, 90s, 500ms or 1:23:45.5";

/// Parses a time into seconds: a number with a unit (`s`, `ms`, `us`) or without one (seconds), or
/// `M:S` or `H:M:S`. All parts of the latter but the first must be below 60.
///
/// `None` for any other text, and for a number that is not finite.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1.0, size),
        None => (1.0, text),
    };
    let seconds = if size.contains(':') { clock(size)? } else { number_with_unit(size)? };
    seconds.is_finite().then_some(sign * seconds)
}

fn number_with_unit(text: &str) -> Option<f64> {
    // `ms` and `us` are tried first, since they end in `s`, too.
    let units = [("ms", 1e3), ("us", 1e6), ("s", 1.0), ("", 1.0)];
    let (number, parts) = units
        .into_iter()
        .find_map(|(unit, parts)| text.strip_suffix(unit).map(|number| (number, parts)))?;
    // The minus sign was removed before. A second sign is an error, which `parse` would accept.
    let number = number.strip_prefix('+').unwrap_or(number);
    if number.starts_with(['+', '-']) {
        return None;
    }
    Some(number.parse::<f64>().ok()? / parts)
}

/// `H:M:S` or `M:S`; only seconds may have a fraction.
fn clock(text: &str) -> Option<f64> {
    let (rest, seconds) = text.rsplit_once(':')?;
    let whole = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let is_plain = seconds.starts_with(|first: char| first.is_ascii_digit())
        && seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = seconds.parse::<f64>().ok().filter(|seconds| is_plain && *seconds < 60.0)?;
    let minutes = match rest.split_once(':') {
        Some((hours, minutes)) => {
            let minutes = whole(minutes).filter(|minutes| *minutes < 60)?;
            f64::from(whole(hours)?) * 60.0 + f64::from(minutes)
        }
        None => f64::from(whole(rest)?),
    };
    Some(minutes * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_hours_minutes_and_seconds() {
        for (text, expected) in [
            ("90", 90.0),
            ("+90", 90.0),
            ("90s", 90.0),
            ("1.5", 1.5),
            (".5s", 0.5),
            ("500ms", 0.5),
            ("250us", 0.000_25),
            ("1e3", 1000.0),
            ("1:23:45.5", 5025.5),
            ("00:01:00", 60.0),
            ("100:00", 6000.0),
            ("0:07", 7.0),
            ("-1", -1.0),
            ("-0:01.5", -1.5),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "", "s", "-", "--1", "+-1", "1m", "1 s", "inf", "NaN", "1e999", ":", "1:", ":30",
            "1:60", "1:60:00", "1:2:3:4", "1.5:00", "1:-5", "1:+5", "1:5s", "0x10", "1:1e1",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
