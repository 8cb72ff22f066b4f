//! Frames at many instants, one after the other.

use std::collections::VecDeque;

use avocet_model::{error::Result, plan::FramePick};

use super::{FrameReader, Shown};
use crate::read::retries::Damage;

/// The largest distance of two instants, in seconds, whose frames are decoded in one go: what lies
/// between them is read for that.
const NEAR: f64 = 2.0;

/// How many frames are decoded in one go and held at most. Where more follow each other closely, the
/// decoder is kept and gives them one by one.
const GROUP: usize = 8;

/// Frames at a list of instants, found in its order. Neighboring instants share what is read and
/// decoded for them, and few frames are held at a time.
pub(crate) struct Picks {
    rest: VecDeque<FramePick>,
    /// Frames that were decoded together.
    found: VecDeque<(Shown, FramePick)>,
    /// The last frame, where the decoder goes on behind it.
    last: Option<Shown>,
}

impl Picks {
    pub(crate) fn new(picks: impl IntoIterator<Item = FramePick>) -> Self {
        Self { rest: picks.into_iter().collect(), found: VecDeque::new(), last: None }
    }

    /// The next frame; `None` when all were found.
    pub(crate) fn next(&mut self, reader: &mut FrameReader) -> Option<Result<Shown>> {
        if self.found.is_empty() {
            let rest: &[FramePick] = self.rest.make_contiguous();
            let first = *rest.first()?;
            let near = 1 + rest.windows(2).take_while(|two| is_near(two[0], two[1])).count();
            let last = self.last.take().filter(|last| follows(last, first));
            if last.is_some() || (near > GROUP && reader.has_steady_clock()) {
                self.rest.pop_front();
                return Some(reader.in_order(last, first).map(|(shown, last)| {
                    self.last = last;
                    shown
                }));
            }
            match reader.find(&rest[..near.min(GROUP)]) {
                Ok(found) => {
                    let picks = self.rest.drain(..found.len());
                    self.found = found.into_iter().zip(picks).collect();
                }
                Err(error) => {
                    self.rest.pop_front();
                    return Some(Err(error));
                }
            }
        }
        let (shown, pick) = self.found.pop_front()?;
        Some(reader.mended(shown, &pick))
    }
}

impl FrameReader {
    /// The frame at `pick`, with a decoder that goes on behind it. `last` is the frame that this
    /// answered before; where it is near, decoding goes on from there without a seek. Also answers
    /// the frame to go on from next time.
    pub(crate) fn in_order(
        &mut self,
        last: Option<Shown>,
        pick: FramePick,
    ) -> Result<(Shown, Option<Shown>)> {
        if !self.has_steady_clock() || pick.neighbors {
            return self.at(&pick).map(|shown| (shown, None));
        }
        let shown = match last.filter(|last| follows(last, pick)) {
            Some(last) => self.read_on(last, &pick)?,
            None => self.go_to(&pick)?,
        };
        if shown.damage > Damage::None {
            // To mend it, the reader goes elsewhere.
            return self.mended(shown, &pick).map(|shown| (shown, None));
        }
        let last = shown.share()?;
        Ok((shown, Some(last)))
    }
}

/// Whether an instant follows a frame closely, so that decoding goes on.
fn follows(last: &Shown, pick: FramePick) -> bool {
    let apart = pick.time.seconds() - last.time.seconds();
    (0.0..=NEAR).contains(&apart) && !pick.keyframe && !pick.neighbors
}

/// Whether the second instant follows the first closely, so that their frames are decoded together.
fn is_near(first: FramePick, second: FramePick) -> bool {
    let apart = second.time.seconds() - first.time.seconds();
    let is_exact = |pick: FramePick| !pick.keyframe && !pick.neighbors;
    (0.0..=NEAR).contains(&apart) && is_exact(first) && is_exact(second)
}
