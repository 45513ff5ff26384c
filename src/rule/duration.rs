//! Durations as the rule language, the config and the command line write them: `500ms`, `30s`, `5m`, `1h`, `7d`.

use std::time::Duration;

/// The longest duration: ten years. Longer ones are slips, and sums with them could overflow.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// The units with their length in milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration. The error says in words what is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms);
    let Some(unit_ms) = unit_ms.filter(|_| !number.is_empty()) else { return Err("is not a duration".into()) };
    let duration = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms)).map(Duration::from_millis);
    duration.filter(|duration| *duration <= DURATION_MAX).ok_or_else(|| "is longer than ten years".into())
}

/// Writes a duration in the largest unit that divides it.
pub fn show(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let divides = |unit_ms: u64| ms > 0 && ms.is_multiple_of(unit_ms);
    match UNITS.into_iter().find(|(_, unit_ms)| divides(*unit_ms)) {
        Some((unit, unit_ms)) => format!("{}{unit}", ms / unit_ms),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in ["1ms", "1500ms", "90s", "1m", "36h", "1d", "0ms"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        for text in ["", "s", "1", "1.5s", "-1s", "1 s", "1w", "99999999999999999999s", "4000d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
