//! Instants on a stream, and the exact arithmetic between their time bases.

use std::{cmp::Ordering, fmt, num::NonZeroU32, ops::Rem, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A positive ratio of two whole numbers: a time base, a frame rate, a pixel aspect.
///
/// Two ratios are equal when they are written alike: `1/2` is not `2/4`, since a time base is also
/// a promise about which instants can be named. [`reduced`](Self::reduced) makes them comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rational {
    /// Numerator, without unit.
    pub num: NonZeroU32,
    /// Denominator, without unit.
    pub den: NonZeroU32,
}

/// Seconds per tick, as in `1/90000`.
pub type TimeBase = Rational;

impl Rational {
    /// One: square pixels, or one tick a second.
    pub const ONE: Self = Self { num: NonZeroU32::MIN, den: NonZeroU32::MIN };

    /// Microseconds, as a time base.
    pub const MICROSECONDS: Self = match NonZeroU32::new(1_000_000) {
        Some(den) => Self { num: NonZeroU32::MIN, den },
        None => Self::ONE,
    };

    /// The ratio `num/den`, or `None` when either is zero or negative.
    pub fn new(num: impl TryInto<u32>, den: impl TryInto<u32>) -> Option<Self> {
        let num = NonZeroU32::new(num.try_into().ok()?)?;
        let den = NonZeroU32::new(den.try_into().ok()?)?;
        Some(Self { num, den })
    }

    /// The time base of a stream that counts in samples of `rate` Hz.
    pub fn of_rate(rate: NonZeroU32) -> TimeBase {
        Self { num: NonZeroU32::MIN, den: rate }
    }

    /// The reciprocal: frames per second become seconds per frame.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self { num: self.den, den: self.num }
    }

    /// The same ratio in smallest terms.
    #[must_use]
    pub fn reduced(self) -> Self {
        let divisor = greatest_common_divisor(self.num.get(), self.den.get());
        Self::new(self.num.get() / divisor, self.den.get() / divisor).unwrap_or(self)
    }

    /// The ratio as a floating-point number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num.get()) / f64::from(self.den.get())
    }
}

/// The largest number that divides both; `b` when `a` is zero.
pub fn greatest_common_divisor<T>(a: T, b: T) -> T
where
    T: Copy + Default + PartialEq + Rem<Output = T>,
{
    if a == T::default() { b } else { greatest_common_divisor(b % a, a) }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl FromStr for Rational {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(num, den)| Self::new(num.parse::<u32>().ok()?, den.parse::<u32>().ok()?))
            .ok_or_else(|| format!("`{text}` is not a ratio such as `1/90000`"))
    }
}

impl Serialize for Rational {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rational {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// An instant on a stream, or a distance between two: ticks and the time base they count in.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Timestamp {
    /// Ticks of [`base`](Self::base), from the origin of the stream; may be negative.
    pub ticks: i64,
    /// Seconds per tick.
    pub base: TimeBase,
}

impl Timestamp {
    /// The origin of every stream.
    pub const ZERO: Self = Self { ticks: 0, base: Rational::MICROSECONDS };

    /// The largest number of ticks of an instant or a distance, in either direction: 73 years of
    /// nanoseconds. The sum of three such numbers fits 64 bits, whatever a file states. Longer sums
    /// are made by [`plus`](Self::plus), which saturates.
    pub const MAX_TICKS: i64 = 1 << 61;

    /// The instant `ticks` of `base`, clamped to ±[`MAX_TICKS`](Self::MAX_TICKS).
    pub const fn new(ticks: i64, base: TimeBase) -> Self {
        let ticks = if ticks > Self::MAX_TICKS {
            Self::MAX_TICKS
        } else if ticks < -Self::MAX_TICKS {
            -Self::MAX_TICKS
        } else {
            ticks
        };
        Self { ticks, base }
    }

    /// The instant nearest to `seconds` in `base`, clamped to ±[`MAX_TICKS`](Self::MAX_TICKS).
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as wanted")]
    pub fn from_seconds(seconds: f64, base: TimeBase) -> Self {
        Self::new((seconds / base.as_f64()).round() as i64, base)
    }

    /// The last tick of `base` at or before `seconds`, which is the PTS of the picture on screen
    /// then.
    ///
    /// Callers write times in milliseconds, so a tick up to half a millisecond after `seconds`
    /// counts as well, unless it is more than half a tick later.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as wanted")]
    pub fn on_screen(seconds: f64, base: TimeBase) -> Self {
        Self::new((seconds / base.as_f64() + slack(base)).floor() as i64, base)
    }

    /// The first tick of `base` at or after `seconds`. One that is earlier by the tolerance of
    /// [`on_screen`](Self::on_screen) counts as well.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as wanted")]
    pub fn first_from(seconds: f64, base: TimeBase) -> Self {
        Self::new((seconds / base.as_f64() - slack(base)).ceil() as i64, base)
    }

    /// This instant in ticks of `base`, rounded to the nearest, halves away from zero.
    ///
    /// Returns `None` when that is beyond [`MAX_TICKS`](Self::MAX_TICKS).
    pub fn rescale(self, base: TimeBase) -> Option<Self> {
        self.since(Self::ZERO, base)
    }

    /// The distance from `origin` to this instant in ticks of `base`, rounded once, at the end.
    ///
    /// Returns `None` when that is beyond [`MAX_TICKS`](Self::MAX_TICKS).
    pub fn since(self, origin: Self, base: TimeBase) -> Option<Self> {
        // a·an/ad − o·on/od, in units of bn/bd: everything over the common denominator ad·od·bn.
        let [an, ad, on, od, bn, bd] = [self.base.num, self.base.den, origin.base.num]
            .into_iter()
            .chain([origin.base.den, base.num, base.den])
            .map(|part| i128::from(part.get()))
            .collect::<Vec<_>>()
            .try_into()
            .ok()?;
        let mine = i128::from(self.ticks).checked_mul(an)?.checked_mul(od)?;
        let theirs = i128::from(origin.ticks).checked_mul(on)?.checked_mul(ad)?;
        let (scaled, divisor) = reduce(mine.checked_sub(theirs)?, ad * od, bn, bd)?;
        let half = divisor / 2 * scaled.signum();
        let ticks = i64::try_from(scaled.checked_add(half)? / divisor).ok()?;
        (ticks.unsigned_abs() <= Self::MAX_TICKS.unsigned_abs()).then_some(Self { ticks, base })
    }

    /// Seconds from the origin.
    pub fn seconds(self) -> f64 {
        self.ticks as f64 * self.base.as_f64()
    }

    /// The span from the origin to here; zero for an instant before it.
    pub fn to_duration(self) -> Duration {
        Duration::try_from_secs_f64(self.seconds()).unwrap_or_default()
    }

    /// This instant moved on by `ticks` of its own base, clamped to
    /// ±[`MAX_TICKS`](Self::MAX_TICKS).
    #[must_use]
    pub const fn plus(self, ticks: i64) -> Self {
        Self::new(self.ticks.saturating_add(ticks), self.base)
    }
}

/// The tolerance of [`Timestamp::on_screen`], in ticks: half a millisecond, but at most half a
/// tick.
fn slack(base: TimeBase) -> f64 {
    f64::min(0.5, 0.000_5 / base.as_f64())
}

/// `(value · bd, divisor · bn)`, with common factors taken out first so that it seldom overflows;
/// `None` when it does.
fn reduce(value: i128, divisor: i128, bn: i128, bd: i128) -> Option<(i128, i128)> {
    let mut common = (bd, divisor);
    while common.1 != 0 {
        common = (common.1, common.0 % common.1);
    }
    Some((value.checked_mul(bd / common.0)?, (divisor / common.0).checked_mul(bn)?))
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    /// Compares instants, not numbers: `1 × 1/2` equals `2 × 1/4`.
    fn cmp(&self, other: &Self) -> Ordering {
        let scaled = |this: &Self, that: &Self| {
            // 63 + 32 + 32 bits: always fits.
            i128::from(this.ticks)
                * i128::from(this.base.num.get())
                * i128::from(that.base.den.get())
        };
        scaled(self, other).cmp(&scaled(other, self))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    fn at(ticks: i64, base: &str) -> Timestamp {
        Timestamp::new(ticks, base.parse().expect("a ratio"))
    }

    #[test]
    fn rescaling_rounds_to_the_nearest_and_halves_away_from_zero() {
        let check = |ticks, from, to: &str, expected| {
            let found = at(ticks, from).rescale(to.parse().expect("a ratio"));
            assert_eq!(found.map(|found| found.ticks), expected, "{ticks} of {from} in {to}");
        };
        check(1, "1/2", "1/4", Some(2));
        check(1, "1/3", "1/1000", Some(333));
        check(2, "1/3", "1/1000", Some(667));
        check(1, "1/2000", "1/1000", Some(1));
        check(-1, "1/2000", "1/1000", Some(-1));
        check(Timestamp::MAX_TICKS, "1/90000", "1/90000", Some(Timestamp::MAX_TICKS));
        check(Timestamp::MAX_TICKS, "1/1", "1/90000", None);
        check(-Timestamp::MAX_TICKS, "1/1000", "1/1", Some(-2_305_843_009_213_694));
    }

    #[test]
    fn no_sum_of_three_instants_overflows() {
        let (last, first) = (at(i64::MAX, "1/1"), at(i64::MIN, "1/1"));
        assert!(last.ticks.checked_mul(3).is_some() && first.ticks.checked_mul(3).is_some());
        assert_eq!(last.plus(i64::MAX), last);
        assert_eq!(first.plus(i64::MIN), first);
        assert_eq!(first.since(last, last.base), None);
    }

    #[test]
    fn a_distance_is_rounded_once() {
        let distance = |a, b, base: &str| {
            Timestamp::since(a, b, base.parse().expect("a ratio")).map(|found| found.ticks)
        };
        assert_eq!(distance(at(8550, "1/90000"), at(8549, "1/90000"), "1/22050"), Some(0));
        assert_eq!(distance(at(1, "1/3"), at(1, "1/6"), "1/6"), Some(1));
        assert_eq!(distance(at(0, "1/1000"), at(62, "1/1000"), "1/48000"), Some(-2976));
    }

    #[test]
    fn instants_compare_across_bases() {
        assert_eq!(at(1, "1/2"), at(2, "1/4"));
        assert!(at(1001, "1/30000") > at(33, "1/1000"));
        assert!(at(Timestamp::MAX_TICKS, "1/1") > at(Timestamp::MAX_TICKS, "1/2"));
    }

    #[test]
    fn the_picture_on_screen_is_the_last_that_began() {
        let check = |seconds, base: &str, expected| {
            let found = Timestamp::on_screen(seconds, base.parse().expect("a ratio"));
            assert_eq!(found.ticks, expected, "{seconds} s in {base}");
        };
        check(1.039, "1/25", 25);
        check(1.04, "1/25", 26);
        check(1.039_6, "1/25", 26);
        check(0.032, "1/30", 0);
        check(0.033, "1/30", 1);
        check(0.033, "1/90000", 2970);
        check(0.000_6, "1/1000", 1);
        check(-0.01, "1/25", -1);
        check(1e300, "1/25", Timestamp::MAX_TICKS);
        let first = |seconds, base: &str| {
            Timestamp::first_from(seconds, base.parse().expect("a ratio")).ticks
        };
        assert_eq!([first(1.0, "1/25"), first(1.01, "1/25"), first(1.039, "1/25")], [25, 26, 26]);
        assert_eq!([first(0.066_667, "1/30"), first(0.034, "1/30")], [2, 2]);
    }

    #[test]
    fn seconds_become_the_nearest_tick() {
        let base = "1/25".parse().expect("a ratio");
        assert_eq!(Timestamp::from_seconds(1.019, base).ticks, 25);
        assert_eq!(Timestamp::from_seconds(1.021, base).ticks, 26);
        assert_eq!(Timestamp::from_seconds(1e300, base).ticks, Timestamp::MAX_TICKS);
    }
}
