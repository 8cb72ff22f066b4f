//! Subtitles of one text format become those of another.

use avocet_model::error::{Error, LibavError, Step};

use super::{Outlet, Stage, Stop};
use crate::libav::{Cue, Packet, SubtitleCoder};

/// The encoder of 3GPP timed text (TS 26.245), where a text ends when the next one begins: texts
/// that are shown at the same time have to become one.
const WITHOUT_OVERLAP: &str = "mov_text";

/// Decodes and encodes subtitles.
pub(crate) struct Convert {
    coder: SubtitleCoder,
    name: String,
    /// Merges cues, for a format in which texts can not overlap.
    screen: Option<Screen>,
}

impl Convert {
    /// A stage over an open coder.
    pub(crate) fn new(coder: SubtitleCoder, name: &str) -> Self {
        let screen = (name == WITHOUT_OVERLAP).then(Screen::new);
        Self { coder, name: name.to_owned(), screen }
    }

    fn failed(&self, source: LibavError) -> Stop {
        let component = self.name.clone();
        Stop::Failed(Error::Libav { step: Step::Encode, component, source })
    }

    /// Encodes cues and hands them on.
    fn hand_on(&mut self, cues: Vec<Cue>, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        for Cue { start, end, events } in cues {
            let duration = end.map_or(0, |end| end - start);
            let encoded = self.coder.encode(start, duration, &events);
            if let Some(packet) = encoded.map_err(|error| self.failed(error))? {
                outlet.send(packet)?;
            }
        }
        Ok(())
    }
}

impl Stage for Convert {
    type In = Packet;
    type Out = Packet;

    fn push(&mut self, packet: Packet, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        let decoded = self.coder.decode(&packet);
        let Some(cue) = decoded.map_err(|error| self.failed(error))? else { return Ok(()) };
        let ready = match &mut self.screen {
            Some(screen) => screen.add(cue),
            None => vec![cue],
        };
        self.hand_on(ready, outlet)
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        let rest = self.screen.as_mut().map(Screen::clear).unwrap_or_default();
        self.hand_on(rest, outlet)
    }
}

/// Turns cues that overlap into cues that follow each other: a new one begins where any cue appears
/// or goes.
#[derive(Debug)]
struct Screen {
    /// Cues that are shown from `from` on, in the order in which they appeared.
    shown: Vec<Cue>,
    /// The instant up to which cues were handed on, in microseconds.
    from: i64,
}

impl Screen {
    const fn new() -> Self {
        Self { shown: Vec::new(), from: i64::MIN }
    }

    /// Takes the next cue, in order of start times, and answers the merged cues up to its start.
    fn add(&mut self, cue: Cue) -> Vec<Cue> {
        let ready = self.up_to(cue.start);
        self.shown.push(cue);
        ready
    }

    /// The merged cues that are left, when no cue follows.
    fn clear(&mut self) -> Vec<Cue> {
        let last = self.shown.iter().filter_map(|cue| cue.end).max();
        let mut ready = last.map(|last| self.up_to(last)).unwrap_or_default();
        ready.extend(self.piece(None));
        self.shown.clear();
        ready
    }

    /// The merged cues from `from` up to `until`, in microseconds.
    fn up_to(&mut self, until: i64) -> Vec<Cue> {
        let mut ready = Vec::new();
        while self.from < until && !self.shown.is_empty() {
            let next = self.shown.iter().filter_map(|cue| cue.end).fold(until, i64::min);
            if next > self.from {
                ready.extend(self.piece(Some(next)));
                self.from = next;
            }
            // A cue without a known end goes when the next one appears.
            self.shown.retain(|cue| cue.end.map_or(next < until, |end| end > next));
        }
        self.from = self.from.max(until);
        ready
    }

    /// One cue that merges all that are shown, from `from` up to `end`.
    fn piece(&self, end: Option<i64>) -> Option<Cue> {
        let events = self.shown.iter().flat_map(|cue| &cue.events);
        let event = events.cloned().reduce(|above, below| above + "\\N{\\r}" + text_of(&below))?;
        Some(Cue { start: self.from, end, events: vec![event] })
    }
}

/// The text of an event: what follows its eight other fields (`ReadOrder`, `Layer`, `Style`,
/// `Name`, three margins and `Effect`).
fn text_of(event: &str) -> &str {
    event.splitn(9, ',').nth(8).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cues as `(start, end, text)`, put on screen one after the other.
    fn check(cues: &[(i64, i64, &str)], expected: &[(i64, i64, &str)]) {
        let event = |text: &str| format!("0,0,Default,,0,0,0,,{text}");
        let known = |end: i64| (end > 0).then_some(end);
        let mut screen = Screen::new();
        let cues = cues.iter().map(|&(start, end, text)| Cue {
            start,
            end: known(end),
            events: vec![event(text)],
        });
        let mut made: Vec<_> = cues.flat_map(|cue| screen.add(cue)).collect();
        made.extend(screen.clear());
        let expected = expected.iter().map(|&(start, end, text)| Cue {
            start,
            end: known(end),
            events: vec![event(&text.replace('/', "\\N{\\r}"))],
        });
        assert_eq!(made, expected.collect::<Vec<_>>());
    }

    #[test]
    fn cues_that_overlap_are_shown_together() {
        check(&[(1, 3, "a"), (2, 4, "b")], &[(1, 2, "a"), (2, 3, "a/b"), (3, 4, "b")]);
        check(&[(1, 4, "a"), (1, 4, "b")], &[(1, 4, "a/b")]);
        check(&[(1, 9, "a"), (2, 3, "b")], &[(1, 2, "a"), (2, 3, "a/b"), (3, 9, "a")]);
        check(
            &[(1, 4, "a"), (2, 6, "b"), (3, 5, "c, d")],
            &[(1, 2, "a"), (2, 3, "a/b"), (3, 4, "a/b/c, d"), (4, 5, "b/c, d"), (5, 6, "b")],
        );
    }

    #[test]
    fn cues_that_do_not_overlap_stay_as_they_are() {
        let apart = [(1, 2, "a"), (2, 3, "b"), (5, 6, "c")];
        check(&apart, &apart);
    }

    #[test]
    fn a_cue_without_an_end_is_shown_until_the_next_one() {
        check(&[(1, 0, "a"), (3, 4, "b")], &[(1, 3, "a"), (3, 4, "b")]);
        check(&[(1, 2, "a"), (3, 0, "b")], &[(1, 2, "a"), (3, 0, "b")]);
    }
}
