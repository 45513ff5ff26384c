//! How long to wait before Flashduty is asked again.

use std::time::Duration;

/// The least wait before the first repetition, doubled before each further one, as the vendor asks.
pub(super) const BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait between two attempts, jitter included.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The wait after so many tries that failed: never shorter than the vendor asks, and longer by up to as much again, as
/// `chance` has it. After an outage all that waited would else come again together, from every bastion of an account.
pub(in crate::report) fn backoff(tries: u32, chance: u64) -> Duration {
    let least = BACKOFF.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(WAIT_MAX / 2);
    let part = u32::try_from(chance % 1024).unwrap_or(0);
    least + least * part / 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_chance_is_the_same_wait_and_other_chances_spread_it() {
        assert_eq!(backoff(1, 7), backoff(1, 7));
        for tries in 1..=20 {
            let waits: std::collections::BTreeSet<Duration> = (0..1024).map(|chance| backoff(tries, chance)).collect();
            assert_eq!(waits.len(), 1024, "after {tries} tries");
        }
    }

    proptest! {
        #[test]
        fn waits_are_never_shorter_than_the_vendor_asks_nor_longer_than_their_limit(tries in 1_u32.., chance: u64) {
            let wait = backoff(tries, chance);
            let asked = BACKOFF.saturating_mul(2_u32.saturating_pow(tries - 1));
            prop_assert!(wait >= asked.min(WAIT_MAX / 2) && wait < asked.saturating_mul(2) && wait < WAIT_MAX, "{wait:?}");
        }
    }
}
