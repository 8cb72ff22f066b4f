//! The header of a whole movie (`mvhd`; ISO/IEC 14496-12, 8.2.2).

use super::Fields;
use crate::time::{Rational, Timestamp};

/// How long the movie says it is; `None` where it does not know, as of live recordings.
pub(super) fn duration(body: &[u8]) -> Option<Timestamp> {
    let mut fields = Fields(body);
    let [version, ..] = fields.take::<4>()?;
    let is_long = version == 1;
    fields.skip(if is_long { 16 } else { 8 })?; // creation, modification
    let base = Rational::new(1, fields.u32()?)?;
    let unknown = if is_long { u64::MAX } else { u32::MAX.into() };
    let ticks = if is_long { u64::from_be_bytes(fields.take()?) } else { fields.u32()?.into() };
    let ticks = i64::try_from(ticks).ok().filter(|_| ticks != unknown && ticks > 0)?;
    (ticks <= Timestamp::MOST_TICKS).then(|| Timestamp::new(ticks, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_headers_state_a_duration_or_none() {
        let body = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let seconds = |body: Vec<u8>| duration(&body).map(Timestamp::seconds);
        assert_eq!(seconds(body(&[0, 1, 1, 1000, 2500])), Some(2.5));
        assert_eq!(seconds(body(&[1 << 24, 0, 1, 0, 1, 1000, 1, 0])), Some(4_294_967.296));
        assert_eq!(seconds(body(&[0, 1, 1, 1000, u32::MAX])), None);
        assert_eq!(seconds(body(&[1 << 24, 0, 1, 0, 1, 1000, u32::MAX, u32::MAX])), None);
        assert_eq!(seconds(body(&[0, 1, 1, 1000, 0])), None);
        assert_eq!(seconds(body(&[0, 1, 1, 0, 5])), None);
        assert_eq!(seconds(body(&[0, 1, 1])), None);
    }
}
