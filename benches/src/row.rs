//! The row of one contender over all its pairs, and the goals that it is held against.

use serde::Serialize;

use super::{child::Cost, pair::Pair, statistics::Summary};

/// The figure that a goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Measure {
    /// Wall time, in seconds.
    Wall,
    /// Processor time in user mode, in seconds.
    User,
    /// Peak memory, in bytes.
    Memory,
}

/// The bound of a figure, for the median over all pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Bound {
    /// The rival's figure divided by ours is at least this.
    RivalAtLeast(f64),
    /// Our figure divided by the rival's is at most this.
    OursAtMost(f64),
    /// Our figure minus the rival's is at most this, in the unit of the figure.
    MoreAtMost(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Goal {
    pub(super) measure: Measure,
    pub(super) bound: Bound,
}

/// A goal with the value that was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Judged {
    #[serde(flatten)]
    pub(super) goal: Goal,
    /// The median of the quantity that the bound limits.
    pub(super) found: f64,
    pub(super) is_met: bool,
}

/// A row of a table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) name: String,
    /// What was run: a command line or a description.
    pub(super) what: String,
    /// Whether it does only a part of the job that every contender must do.
    pub(super) is_limit: bool,
    /// Wall time of this contender, in seconds.
    pub(super) wall: Summary,
    /// Its wall time divided by ours, pair by pair; `None` for ours.
    pub(super) ratio: Option<Summary>,
    /// The median processor time in user mode, in seconds.
    pub(super) user: Option<f64>,
    /// The median of the peak memory, in bytes.
    pub(super) memory: Option<f64>,
    /// The median number of bytes that were read by system calls.
    pub(super) read: Option<f64>,
    pub(super) goals: Vec<Judged>,
    /// The wall times of all pairs, in seconds: ours, then the rival's.
    pub(super) pairs: Vec<(f64, f64)>,
}

impl Goal {
    pub(super) const fn wall(bound: Bound) -> Self {
        Self { measure: Measure::Wall, bound }
    }

    /// Compares the goal with pairs; `None` when a figure is unknown.
    fn judge(self, pairs: &[Pair<Cost>]) -> Option<Judged> {
        let of = |pair: &Pair<Cost>| {
            let (ours, rival) = (self.measure.read(&pair.ours)?, self.measure.read(&pair.rival)?);
            Some(match self.bound {
                Bound::RivalAtLeast(_) => rival / ours,
                Bound::OursAtMost(_) => ours / rival,
                Bound::MoreAtMost(_) => ours - rival,
            })
        };
        let found = Summary::of(pairs.iter().map(of).collect::<Option<Vec<_>>>()?)?.median;
        let is_met = match self.bound {
            Bound::RivalAtLeast(least) => found >= least,
            Bound::OursAtMost(most) | Bound::MoreAtMost(most) => found <= most,
        };
        Some(Judged { goal: self, found, is_met })
    }
}

impl Measure {
    fn read(self, cost: &Cost) -> Option<f64> {
        match self {
            Self::Wall => Some(cost.wall),
            Self::User => cost.user,
            Self::Memory => cost.peak,
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Wall | Self::User => seconds(value),
            Self::Memory => bytes(value),
        }
    }
}

impl Judged {
    /// The cell of a table: the bound, and whether it was met.
    pub(super) fn to_cell(&self) -> String {
        let Self { goal: Goal { measure, bound }, found, is_met } = self;
        let of = match measure {
            Measure::Wall => "",
            Measure::User => "user: ",
            Measure::Memory => "memory: ",
        };
        let (wanted, found) = match bound {
            Bound::RivalAtLeast(least) => (format!("≥ {least}"), format!("{found:.2}")),
            Bound::OursAtMost(most) => (format!("ours ≤ {most} ×"), format!("{found:.2}")),
            Bound::MoreAtMost(most) => {
                (format!("ours ≤ +{}", measure.show(*most)), measure.show(*found))
            }
        };
        format!("{of}{wanted}: {} ({found})", if *is_met { "met" } else { "**missed**" })
    }
}

impl Row {
    /// The row of a rival; `None` when there are no pairs.
    pub(super) fn of_rival(
        (name, what): (String, String),
        goals: &[Goal],
        pairs: &[Pair<Cost>],
    ) -> Option<Self> {
        let costs: Vec<_> = pairs.iter().map(|pair| pair.rival).collect();
        Some(Self {
            ratio: Summary::of(pairs.iter().map(|pair| pair.rival.wall / pair.ours.wall)),
            goals: goals.iter().filter_map(|goal| goal.judge(pairs)).collect(),
            pairs: pairs.iter().map(|pair| (pair.ours.wall, pair.rival.wall)).collect(),
            ..Self::of_ours((name, what), &costs)?
        })
    }

    /// The row of our own runs; `None` when there are none.
    pub(super) fn of_ours((name, what): (String, String), costs: &[Cost]) -> Option<Self> {
        let median = |of: fn(&Cost) -> Option<f64>| {
            let known: Option<Vec<_>> = costs.iter().map(of).collect();
            Some(Summary::of(known?)?.median)
        };
        Some(Self {
            name,
            what,
            is_limit: false,
            wall: Summary::of(costs.iter().map(|cost| cost.wall))?,
            ratio: None,
            user: median(|cost| cost.user),
            memory: median(|cost| cost.peak),
            read: median(|cost| cost.read),
            goals: Vec::new(),
            pairs: Vec::new(),
        })
    }

    /// The head of the table that [`to_markdown`](Self::to_markdown) makes rows for.
    pub(super) const HEAD: &str = "\
        | | wall | least to most | ÷ ours | 95 % interval | min to max | user | memory | read | goal |\n\
        |---|---|---|---|---|---|---|---|---|---|\n";

    /// A row of a Markdown table.
    pub(super) fn to_markdown(&self) -> String {
        let known = |value: Option<f64>, show: fn(f64) -> String| {
            value.map_or_else(|| "–".to_owned(), show)
        };
        let (ratio, interval, extremes) = match &self.ratio {
            Some(ratio) => {
                let interval = match ratio.interval {
                    Some((low, high)) => format!("{} to {}", show_ratio(low), show_ratio(high)),
                    None => "too few pairs".to_owned(),
                };
                let extremes = format!("{} to {}", show_ratio(ratio.least), show_ratio(ratio.most));
                (format!("**{}**", show_ratio(ratio.median)), interval, extremes)
            }
            None => ("1".to_owned(), "–".to_owned(), "–".to_owned()),
        };
        let goals: Vec<_> = self.goals.iter().map(Judged::to_cell).collect();
        let goals = if goals.is_empty() { "–".to_owned() } else { goals.join("; ") };
        format!(
            "| {} | {} | {} to {} | {ratio} | {interval} | {extremes} | {} | {} | {} | {goals} |\n",
            self.name,
            seconds(self.wall.median),
            seconds(self.wall.least),
            seconds(self.wall.most),
            known(self.user, seconds),
            known(self.memory, bytes),
            known(self.read, bytes),
        )
    }
}

/// A ratio for people.
pub(super) fn show_ratio(value: f64) -> String {
    let digits = if value < 0.095 { 4 } else { 2 };
    format!("{value:.digits$}")
}

/// Seconds for people.
pub(super) fn seconds(value: f64) -> String {
    match value.abs() {
        size if size < 0.01 => format!("{:.2} ms", value * 1e3),
        size if size < 1.0 => format!("{:.1} ms", value * 1e3),
        _ => format!("{value:.2} s"),
    }
}

/// Bytes for people, in decimal units.
pub(super) fn bytes(value: f64) -> String {
    match value.abs() {
        size if size < 1e6 => format!("{:.1} kB", value / 1e3),
        _ => format!("{:.1} MB", value / 1e6),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Pairs of wall times in seconds: ours, then the rival's. The memory is the same number in MB.
    pub(crate) fn pairs(of: &[(f64, f64)]) -> Vec<Pair<Cost>> {
        let cost = |wall: f64| Cost { wall, peak: Some(wall * 1e6), ..Cost::default() };
        of.iter().map(|&(ours, rival)| Pair { ours: cost(ours), rival: cost(rival) }).collect()
    }

    fn check(measure: Measure, bound: Bound, expected: Option<(f64, bool)>, cell: &str) {
        let pairs = pairs(&[(1.0, 2.0), (2.0, 6.0), (1.0, 4.0)]);
        let judged = Goal { measure, bound }.judge(&pairs);
        assert_eq!(judged.as_ref().map(|judged| (judged.found, judged.is_met)), expected);
        assert_eq!(judged.map(|judged| judged.to_cell()).unwrap_or_default(), cell);
    }

    #[test]
    fn goals_are_held_against_medians() {
        check(Measure::Wall, Bound::RivalAtLeast(2.5), Some((3.0, true)), "≥ 2.5: met (3.00)");
        check(
            Measure::Wall,
            Bound::OursAtMost(0.25),
            Some((1.0 / 3.0, false)),
            "ours ≤ 0.25 ×: **missed** (0.33)",
        );
        check(
            Measure::Memory,
            Bound::MoreAtMost(0.0),
            Some((-3e6, true)),
            "memory: ours ≤ +0.0 kB: met (-3.0 MB)",
        );
        check(Measure::User, Bound::OursAtMost(1.0), None, "");
    }

    #[test]
    fn a_rival_is_one_row() {
        let name = ("ffmpeg 5".to_owned(), "ffmpeg -i a b".to_owned());
        let goal = Goal::wall(Bound::RivalAtLeast(2.0));
        let row = Row::of_rival(name, &[goal], &pairs(&[(0.5, 1.0), (0.5, 1.5)]));
        assert_eq!(
            row.map(|row| row.to_markdown()).unwrap_or_default(),
            "| ffmpeg 5 | 1.25 s | 1.00 s to 1.50 s | **2.50** | too few pairs | 2.00 to 3.00 \
             | – | 1.2 MB | – | ≥ 2: met (2.50) |\n"
        );
        assert!(Row::of_rival((String::new(), String::new()), &[], &[]).is_none());
    }

    #[test]
    fn small_ratios_are_not_nothing() {
        assert_eq!([12.345, 0.5, 0.0012].map(show_ratio), ["12.35", "0.50", "0.0012"]);
    }

    #[test]
    fn our_own_row_has_no_ratio() {
        let cost = Cost { wall: 0.0015, user: Some(2.0), peak: None, read: Some(1e3) };
        let row = Row::of_ours(("Avocet".to_owned(), String::new()), &[cost]);
        assert_eq!(
            row.map(|row| row.to_markdown()).unwrap_or_default(),
            "| Avocet | 1.50 ms | 1.50 ms to 1.50 ms | 1 | – | – | 2.00 s | – | 1.0 kB | – |\n"
        );
    }
}
