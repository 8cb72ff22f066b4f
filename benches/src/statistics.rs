//! What a sample says about the quantity behind it, without assuming how that is distributed.

use serde::Serialize;

/// A summary of a sample, in the unit of the sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    /// The median.
    pub(super) median: f64,
    /// The 95 % confidence interval of the median; `None` when the sample is too small for one.
    pub(super) interval: Option<(f64, f64)>,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Summary {
    /// Sums up a sample; `None` when it is empty.
    pub(super) fn of(sample: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = sample.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (sorted.first()?, sorted.last()?);
        let half = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[half - 1], sorted[half]),
            _ => sorted[half],
        };
        let cut = outside(sorted.len());
        let interval = cut.map(|cut| (sorted[cut], sorted[sorted.len() - 1 - cut]));
        Some(Self { median, interval, least: *first, most: *last })
    }
}

/// How many values at each end lie outside of the 95 % confidence interval of the median.
///
/// Each value is below the true median with a probability of one half, so the number of values
/// below it follows a binomial distribution. As many values are left out at each end as keep the
/// probability of missing the median below 2.5 %.
fn outside(length: usize) -> Option<usize> {
    let mut tail = 0.0;
    let mut probability = 0.5_f64.powf(length as f64);
    for below in 0..length {
        tail += probability;
        if tail > 0.025 {
            return below.checked_sub(1);
        }
        probability *= (length - below) as f64 / (below + 1) as f64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sample: &[f64], median: f64, interval: Option<(f64, f64)>) {
        let found = Summary::of(sample.iter().copied());
        let found = found.map(|summary| (summary.median, summary.interval));
        assert_eq!(found, Some((median, interval)), "{sample:?}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        check(&[3.0], 3.0, None);
        check(&[3.0, 1.0, 2.0], 2.0, None);
        check(&[4.0, 1.0, 3.0, 2.0], 2.5, None);
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn extremes_are_the_extremes() {
        let found = Summary::of([2.0, 3.0, 1.0]).map(|summary| (summary.least, summary.most));
        assert_eq!(found, Some((1.0, 3.0)));
    }

    #[test]
    fn the_interval_is_that_of_the_tables_of_the_sign_test() {
        let interval = |length: u32| {
            Summary::of((1..=length).map(f64::from)).and_then(|summary| summary.interval)
        };
        assert_eq!(interval(5), None);
        assert_eq!(interval(6), Some((1.0, 6.0)));
        assert_eq!(interval(9), Some((2.0, 8.0)));
        assert_eq!(interval(20), Some((6.0, 15.0)));
        assert_eq!(interval(21), Some((6.0, 16.0)));
        assert_eq!(interval(100), Some((40.0, 61.0)));
    }
}
