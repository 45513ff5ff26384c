//! Time. The only module that reads a clock.
//!
//! Everything that decides takes `now: Timestamp` as an argument. The engine asks a [`Clock`]; `test`,
//! `backtest` and the tests of the core drive a simulated one.

#![expect(clippy::disallowed_methods, reason = "this is the place that reads clocks")]

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The timestamp `ms` milliseconds after the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// `self + by`, stopping at the end of the range instead of wrapping.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// `self - by`, stopping at the end of the range instead of wrapping.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How long after `earlier` this is; zero where it is before it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds; a value outside the calendar prints as its number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// What the engine asks for the time.
pub trait Clock: Send + Sync {
    /// The current time. Never goes backwards within one clock.
    fn now(&self) -> Timestamp;
}

/// How far the wall clock may stray from the steady one before the difference counts as a jump.
const JUMP_MS: i64 = 2_000;

/// The machine's clock, made steady.
///
/// It starts at the wall clock and then advances with the monotonic one, following small corrections of the
/// wall clock (as NTP makes them) but not jumps, so that setting the clock neither resets a rate limit nor
/// makes a cooldown last for ever.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    state: Mutex<Steady>,
}

#[derive(Debug)]
struct Steady {
    /// Wall time minus monotonic time, in milliseconds.
    offset_ms: i64,
    last_ms: i64,
}

impl SystemClock {
    /// A clock that never says anything earlier than `not_before`, the time of the journal's last record:
    /// time does not go back over a restart.
    pub fn starting_at(not_before: Timestamp) -> Self {
        let offset_ms = wall_ms().max(not_before.as_millis());
        Self { start: Instant::now(), state: Mutex::new(Steady { offset_ms, last_ms: offset_ms }) }
    }

    /// A clock that starts at the wall clock.
    pub fn new() -> Self {
        Self::starting_at(Timestamp::default())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed_ms = millis(self.start.elapsed());
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Timestamp(state.tell(elapsed_ms, wall_ms()))
    }
}

impl Steady {
    /// The time, `elapsed_ms` after the start by the monotonic clock, when the wall clock shows `wall_ms`.
    fn tell(&mut self, elapsed_ms: i64, wall_ms: i64) -> i64 {
        let stray_ms = wall_ms.saturating_sub(self.offset_ms.saturating_add(elapsed_ms));
        if stray_ms.saturating_abs() <= JUMP_MS {
            self.offset_ms += stray_ms;
        }
        self.last_ms = self.last_ms.max(self.offset_ms.saturating_add(elapsed_ms));
        self.last_ms
    }
}

fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// The wall clock, for payloads that a person sends and files that a person reads. The engine asks a [`Clock`].
pub fn wall_now() -> Timestamp {
    Timestamp(wall_ms())
}

/// Measures how long something takes, by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The time since the start in whole milliseconds.
    pub fn elapsed_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands until it is moved, for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicI64);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(at.as_millis().into())
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_clock_never_goes_back_past_its_start() {
        let ahead = wall_now().plus(Duration::from_secs(3600));
        let clock = SystemClock::starting_at(ahead);
        assert!(clock.now() >= ahead);
        let first = clock.now();
        assert!(clock.now() >= first);
    }

    #[test]
    fn jumps_of_the_wall_clock_neither_stop_nor_skip_time() {
        let start = 1_772_625_600_000;
        let mut steady = Steady { offset_ms: start, last_ms: start };
        let year = 365 * 86_400_000;
        for (elapsed, wall) in [(1_000, start + 1_000), (2_000, start + year), (3_000, start - year), (4_000, 0)] {
            assert_eq!(steady.tell(elapsed, wall), start + elapsed);
        }
        // A correction that comes little by little is followed, and one backwards never shows an earlier time.
        assert_eq!(steady.tell(5_000, start + 6_500), start + 6_500);
        assert_eq!(steady.tell(5_100, start + 5_200), start + 6_500);
        assert_eq!(steady.tell(7_000, start + 7_100), start + 7_100);
        steady.tell(i64::MAX, i64::MIN);
    }

    #[test]
    fn timestamps_print_as_rfc_3339_and_never_panic() {
        assert_eq!(Timestamp::from_millis(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), format!("{} ms", i64::MAX));
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::from_secs(1)).as_millis(), i64::MAX);
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
