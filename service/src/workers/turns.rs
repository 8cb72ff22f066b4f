//! Places for work, taken in turn: of those who wait, each gets one after the other.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use avocet_engine::InputProxy;
use tokio::sync::oneshot;

/// How long a worker may wait for bytes of its inputs before it gives its place up.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the processor time of a worker is looked at for that.
const LOOK: Duration = Duration::from_millis(400);

/// The processor time, in clock ticks, that a worker uses in such a time while it only waits.
const IDLE: u64 = 2;

/// The name by which those wait who come back.
const BACK: &str = "back";

/// A number of places; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How many places there are.
    count: usize,
    state: Mutex<State>,
    /// How many may go on without a place, because they wait for bytes: all, and of one name.
    aside: usize,
    aside_of_one: usize,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Those who wait, in a queue for each name; the first queue is the next to be served.
    queues: VecDeque<(String, VecDeque<oneshot::Sender<Turn>>)>,
    /// How many go on without a place, by their names.
    aside: BTreeMap<String, usize>,
}

/// The right to go on without a place; it ends when this is dropped.
#[derive(Debug)]
struct Aside {
    shared: Arc<Shared>,
    name: String,
}

impl Drop for Aside {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(count) = state.aside.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                state.aside.remove(&self.name);
            }
        }
    }
}

/// A place that is taken; it is free again when this is dropped.
#[derive(Debug)]
struct Turn(Option<Arc<Shared>>);

impl State {
    /// The next who waits. His queue is the last one then.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some((name, mut queue)) = self.queues.pop_front() {
            // Those who wait no longer take no turn.
            queue.retain(|waiting| !waiting.is_closed());
            let Some(next) = queue.pop_front() else { continue };
            if !queue.is_empty() {
                self.queues.push_back((name, queue));
            }
            return Some(next);
        }
        None
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        loop {
            let next = {
                let mut state = shared.state();
                let next = state.next();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Self(Some(Arc::clone(&shared)))) {
                Ok(()) => return,
                // He waits no longer.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

impl Places {
    /// `count` places; `aside` more may wait for bytes without one, and `aside_of_one` of one name.
    pub(crate) fn new(count: usize, aside: usize, aside_of_one: usize) -> Self {
        let (queues, none) = (VecDeque::new(), BTreeMap::new());
        let state = Mutex::new(State { free: count, queues, aside: none });
        Self(Arc::new(Shared { count, state, aside, aside_of_one }))
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.count.saturating_sub(self.0.state().free)
    }

    /// Takes a place, in turn with those of other names.
    pub(crate) async fn take(&self, name: &str) -> Place {
        // Every turn is sent or dropped, so that the sender does not go away.
        let turn = self.line_up(name).await.ok();
        let (places, name) = (self.clone(), name.to_owned());
        Place { places, name, turn, aside: None, back: None, seen: (Instant::now(), 0) }
    }

    fn line_up(&self, name: &str) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.0.state();
        if state.free > 0 {
            state.free -= 1;
            drop(state);
            // The receiver is here.
            let _ = sender.send(Turn(Some(Arc::clone(&self.0))));
            return receiver;
        }
        match state.queues.iter_mut().find(|(known, _)| known == name) {
            Some((_, queue)) => {
                queue.retain(|waiting| !waiting.is_closed());
                queue.push_back(sender);
            }
            None => state.queues.push_back((name.to_owned(), VecDeque::from([sender]))),
        }
        receiver
    }
}

/// A place for one piece of work, which is given up while the work waits for bytes.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    /// Whose it is: of one name only some may step aside.
    name: String,
    turn: Option<Turn>,
    aside: Option<Aside>,
    /// Where the next turn comes to, once there are bytes again.
    back: Option<oneshot::Receiver<Turn>>,
    /// When the processor time was last looked at, and what it was.
    seen: (Instant, u64),
}

impl Place {
    /// Notes whose place it is from now on.
    pub(crate) fn belongs_to(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Whether the place was given up.
    pub(crate) const fn is_aside(&self) -> bool {
        self.turn.is_none()
    }

    /// Gives the place up, unless too many go on without one. Answers whether it is given up.
    pub(crate) fn step_aside(&mut self) -> bool {
        let shared = &self.places.0;
        let mut state = shared.state();
        let all: usize = state.aside.values().sum();
        let own = state.aside.get(&self.name).copied().unwrap_or(0);
        if self.turn.is_some() && all < shared.aside && own < shared.aside_of_one {
            state.aside.insert(self.name.clone(), own + 1);
            drop(state);
            let (shared, name) = (Arc::clone(shared), self.name.clone());
            (self.aside, self.turn) = (Some(Aside { shared, name }), None);
        }
        self.turn.is_none()
    }

    /// Looks at a worker that has used so many clock ticks of processor time. While it waits for
    /// bytes it has no place, and when bytes come it gets them with its next place. `false` when it
    /// waits and can not step aside, so that it is in the way of others.
    pub(crate) fn look(&mut self, inputs: &InputProxy, ticks: u64) -> bool {
        if self.turn.is_some() {
            let (at, before) = self.seen;
            if at.elapsed() < LOOK {
                return true;
            }
            self.seen = (Instant::now(), ticks);
            if inputs.waits_for() < PATIENCE || ticks.saturating_sub(before) > IDLE {
                return true;
            }
            let is_aside = self.step_aside();
            inputs.hold(is_aside);
            return is_aside;
        }
        if let Some(back) = &mut self.back {
            if let Ok(turn) = back.try_recv() {
                (self.turn, self.aside, self.back) = (Some(turn), None, None);
                inputs.hold(false);
            }
        } else if inputs.holds() {
            self.back = Some(self.places.line_up(BACK));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn places_are_given_in_turn_to_each_name() {
        let places = Places::new(1, 0, 0);
        let first = places.take("a").await;
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        for name in ["a", "a", "a", "b", "c", "b"] {
            let (places, sender) = (places.clone(), sender.clone());
            tokio::spawn(async move {
                let _place = places.take(name).await;
                sender.send(name)
            });
            tokio::task::yield_now().await;
        }
        // One who gives up waiting takes no place.
        assert!(timeout(Duration::from_millis(1), places.take("a")).await.is_err());
        drop((first, sender));
        let mut served = Vec::new();
        while let Some(name) = order.recv().await {
            served.push(name);
        }
        assert_eq!(served, ["a", "b", "c", "a", "b", "a"]);
        assert_eq!(places.0.state().free, 1);
    }

    #[tokio::test]
    async fn who_steps_aside_leaves_a_place_as_far_as_there_is_room() {
        let places = Places::new(1, 2, 1);
        let mut one = places.take("a").await;
        assert!(one.step_aside());
        let mut two = places.take("a").await;
        assert!(!two.step_aside());
        assert!(timeout(Duration::from_millis(1), places.take("a")).await.is_err());
        two.belongs_to("b");
        assert!(two.step_aside());
        let mut three = places.take("c").await;
        assert!(!three.step_aside());
        drop(one);
        assert!(three.step_aside());
        let _four = places.take("a").await;
    }
}
