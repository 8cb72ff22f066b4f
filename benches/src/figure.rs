//! One thing measured over all pairs of a job, and what is wanted of it.

use serde::Serialize;

use crate::{pair::Pair, statistics::Summary};

/// What a figure counts.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    Seconds,
    Bytes,
}

/// What is wanted of a figure, by the median over all pairs.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Goal {
    /// Ours divided by the program's is no more than this.
    Ratio(f64),
    /// Ours less the program's is no more than this, in the unit of the figure.
    Difference(f64),
}

/// One thing measured over all pairs of a job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figure {
    name: &'static str,
    unit: Unit,
    /// Of our side alone.
    ours: Summary,
    /// Of the program alone.
    program: Summary,
    /// Ours divided by the program's, pair by pair.
    ratio: Summary,
    /// Ours less the program's, pair by pair.
    difference: Summary,
    goal: Option<Goal>,
    is_met: Option<bool>,
    /// All that was measured: ours, the program's.
    pairs: Vec<(f64, f64)>,
}

impl Figure {
    /// Column heads of [`to_row`](Self::to_row), as Markdown.
    pub(crate) const HEAD: &str = "\
        | | Avocet | ffmpeg | ratio | 95 % interval | min to max | difference, 95 % interval | goal | met |\n\
        |---|---|---|---|---|---|---|---|---|\n";

    /// Sums up one figure of all pairs; `None` when there are none.
    pub(crate) fn of<T>(
        name: &'static str,
        unit: Unit,
        goal: Option<Goal>,
        pairs: &[Pair<T>],
        read: impl Fn(&T) -> f64,
    ) -> Option<Self> {
        let pairs: Vec<_> =
            pairs.iter().map(|pair| (read(&pair.ours), read(&pair.program))).collect();
        let sum_up = |of: fn(&(f64, f64)) -> f64| Summary::of(pairs.iter().map(of));
        let ratio = sum_up(|(ours, program)| ours / program)?;
        let difference = sum_up(|(ours, program)| ours - program)?;
        let is_met = goal.map(|goal| match goal {
            Goal::Ratio(most) => ratio.median <= most,
            Goal::Difference(most) => difference.median <= most,
        });
        Some(Self {
            name,
            unit,
            ours: sum_up(|(ours, _)| *ours)?,
            program: sum_up(|(_, program)| *program)?,
            ratio,
            difference,
            goal,
            is_met,
            pairs,
        })
    }

    /// A row of a Markdown table.
    pub(crate) fn to_row(&self) -> String {
        let plain = |value: f64| format!("{value:.3}");
        let unit = |value: f64| self.unit.show(value);
        let goal = match self.goal {
            Some(Goal::Ratio(most)) => format!("ratio ≤ {most}"),
            Some(Goal::Difference(most)) => format!("difference ≤ {}", unit(most)),
            None => "–".to_owned(),
        };
        let is_met = self.is_met.map_or("–", |is_met| if is_met { "yes" } else { "no" });
        format!(
            "| {} | {} | {} | **{}** | {} | {} to {} | {}, {} | {goal} | {is_met} |\n",
            self.name,
            unit(self.ours.median),
            unit(self.program.median),
            plain(self.ratio.median),
            show_interval(&self.ratio, plain),
            plain(self.ratio.least),
            plain(self.ratio.most),
            unit(self.difference.median),
            show_interval(&self.difference, unit),
        )
    }
}

fn show_interval(summary: &Summary, show: impl Fn(f64) -> String) -> String {
    match summary.interval {
        Some((low, high)) => format!("{} to {}", show(low), show(high)),
        None => "too few pairs".to_owned(),
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Seconds if value.abs() < 1.0 => format!("{:.1} ms", value * 1e3),
            Self::Seconds => format!("{value:.3} s"),
            Self::Bytes => format!("{:.1} MB", value / 1e6),
        }
    }
}
