//! Runs of both sides in pairs, so that disturbances of the machine affect both alike.

use std::num::NonZeroUsize;

/// One run of each side, one right after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<T> {
    pub(super) ours: T,
    pub(super) rival: T,
}

/// Runs both sides in `count` pairs; which side is first alternates.
///
/// One more pair before those warms up the caches, and is not counted.
pub(super) fn alternate<T, E>(
    count: NonZeroUsize,
    mut ours: impl FnMut() -> Result<T, E>,
    mut rival: impl FnMut() -> Result<T, E>,
) -> Result<Vec<Pair<T>>, E> {
    let mut pairs = Vec::new();
    for number in 0..=count.get() {
        let pair = if number % 2 == 0 {
            let ours = ours()?;
            Pair { ours, rival: rival()? }
        } else {
            let rival = rival()?;
            Pair { ours: ours()?, rival }
        };
        if number > 0 {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn sides_take_turns_at_being_first() -> Result<(), String> {
        let runs = RefCell::new(String::new());
        let run = |side| {
            runs.borrow_mut().push(side);
            Ok(runs.borrow().len())
        };
        let count = NonZeroUsize::new(3).ok_or("zero")?;
        let pairs = alternate::<_, String>(count, || run('a'), || run('b'))?;
        assert_eq!(*runs.borrow(), "abbaabba");
        let places: Vec<_> = pairs.iter().map(|pair| (pair.ours, pair.rival)).collect();
        assert_eq!(places, [(4, 3), (5, 6), (8, 7)]);
        Ok(())
    }
}
