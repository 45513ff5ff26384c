//! Randomness for waits that have to be spread, and nothing else: no decision depends on it.

/// A random number. Without a source of any, waits are merely not spread.
pub(crate) fn chance() -> u64 {
    getrandom::u64().unwrap_or(0)
}
