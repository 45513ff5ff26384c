//! How long to wait before a step is tried again.

use std::time::Duration;

use crate::rule::step::Retry;

/// The longest wait between two tries, jitter included: after that, doubling further only hides that it is hopeless.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// The wait after the failed try `attempt` (from 1): doubled each time, capped, and cut by up to half by `chance`, so
/// that runs that failed together do not come again together. `None` where no try is left.
pub(super) fn backoff(retry: Option<Retry>, attempt: u32, chance: u64) -> Option<Duration> {
    let retry = retry.filter(|retry| attempt < retry.attempts)?;
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let full = retry.backoff.saturating_mul(doubled).min(BACKOFF_MAX);
    let half = full / 2;
    let part = u32::try_from(chance % 1024).unwrap_or(0);
    Some(half + half * part / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tries_end() {
        let retry = Some(Retry { attempts: 2, backoff: Duration::from_secs(1) });
        assert!(backoff(retry, 1, 0).is_some());
        assert_eq!(backoff(retry, 2, 0), None);
        assert_eq!(backoff(None, 1, 0), None);
    }

    proptest! {
        #[test]
        fn waits_double_within_the_jitter_and_the_cap(
            millis in 0_u64..10_000_000, attempt in 1_u32..100, chance in any::<u64>(),
        ) {
            let first = Duration::from_millis(millis);
            let retry = Some(Retry { attempts: u32::MAX, backoff: first });
            let full = first.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(BACKOFF_MAX);
            let wait = backoff(retry, attempt, chance).expect("a try is left");
            prop_assert!(wait >= full / 2 && wait <= full, "{wait:?} of {full:?}");
        }
    }
}
