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

/// After a jump, the steady clock goes towards the wall clock by this part of the time that passes: a window of an hour
/// still takes 54 minutes at the least, and a clock that was set an hour ahead is caught up with in ten.
const SLEW_DIVISOR: i64 = 10;

/// The machine's clock, made steady.
///
/// It starts at the wall clock and then advances with the time since boot, which goes on while the machine is suspended.
/// It follows small corrections of the wall clock (as NTP makes them) at once and jumps slowly, so that setting the clock
/// neither resets a rate limit nor makes a cooldown last for ever, and yet ends in both agreeing. It never goes back.
#[derive(Debug)]
pub struct SystemClock {
    start_ms: i64,
    state: Mutex<Steady>,
}

#[derive(Debug)]
struct Steady {
    /// What this clock shows minus the time since its start, in milliseconds.
    offset_ms: i64,
    /// The time since its start when it was last asked.
    asked_at_ms: i64,
    last_ms: i64,
}

impl Steady {
    fn starting_at(at_ms: i64) -> Self {
        Self { offset_ms: at_ms, asked_at_ms: 0, last_ms: at_ms }
    }

    /// What it shows when so much time has passed since its start, and the wall clock shows `wall_ms`.
    fn at(&mut self, elapsed_ms: i64, wall_ms: i64) -> i64 {
        let stray_ms = wall_ms.saturating_sub(self.offset_ms.saturating_add(elapsed_ms));
        let passed_ms = elapsed_ms.saturating_sub(self.asked_at_ms).max(0);
        if stray_ms.saturating_abs() <= JUMP_MS {
            self.offset_ms += stray_ms;
            self.asked_at_ms = elapsed_ms;
        } else if passed_ms >= SLEW_DIVISOR {
            let step_ms = passed_ms / SLEW_DIVISOR;
            self.offset_ms = self.offset_ms.saturating_add(stray_ms.clamp(-step_ms, step_ms));
            self.asked_at_ms = elapsed_ms;
        }
        self.last_ms = self.last_ms.max(self.offset_ms.saturating_add(elapsed_ms));
        self.last_ms
    }
}

impl SystemClock {
    /// A clock that never says anything earlier than `not_before`, the time of the journal's last record:
    /// time does not go back over a restart.
    pub fn starting_at(not_before: Timestamp) -> Self {
        Self { start_ms: boot_ms(), state: Mutex::new(Steady::starting_at(wall_ms().max(not_before.as_millis()))) }
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
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Timestamp(state.at(boot_ms() - self.start_ms, wall_ms()))
    }
}

/// Milliseconds since boot, suspended ones included. Nobody can set it.
fn boot_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000)
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

    /// What a clock that starts at 0 shows, asked every second while the wall clock is `wall_ms` ahead of the time gone by.
    fn shown(seconds: std::ops::Range<i64>, wall_ahead_ms: i64, steady: &mut Steady) -> Vec<i64> {
        seconds.map(|second| steady.at(second * 1_000, second * 1_000 + wall_ahead_ms)).collect()
    }

    #[test]
    fn a_small_correction_is_followed_at_once() {
        let mut steady = Steady::starting_at(0);
        assert_eq!(shown(1..3, 1_500, &mut steady), [2_500, 3_500]);
        // Back again: it waits rather than going back.
        assert_eq!(shown(3..6, -300, &mut steady), [3_500, 3_700, 4_700]);
    }

    #[test]
    fn a_jump_forward_shortens_no_window_by_more_than_a_tenth() {
        let mut steady = Steady::starting_at(0);
        let year_ms = 365 * 86_400_000;
        let hour = shown(1..3_601, year_ms, &mut steady);
        assert!(*hour.last().unwrap() <= 3_600_000 * 11 / 10, "{:?}", hour.last());
    }

    #[test]
    fn a_jump_back_neither_stops_the_clock_nor_lengthens_a_window_by_more_than_a_tenth() {
        let mut steady = Steady::starting_at(0);
        let shown = shown(1..3_601, -86_400_000, &mut steady);
        assert!(shown.is_sorted_by(|a, b| a < b), "it stood still or went back");
        assert!(*shown.last().unwrap() >= 3_600_000 * 9 / 10 - 1_000, "{:?}", shown.last());
    }

    #[test]
    fn after_a_jump_both_clocks_agree_in_the_end() {
        let mut steady = Steady::starting_at(0);
        let shown = shown(1..40_000, 3_600_000, &mut steady);
        assert_eq!(*shown.last().unwrap(), 39_999_000 + 3_600_000);
    }

    #[test]
    fn no_reading_of_any_clock_overflows() {
        for (elapsed, wall) in [(i64::MAX, i64::MIN), (i64::MAX, i64::MAX), (0, i64::MIN), (i64::MIN, i64::MAX)] {
            let mut steady = Steady::starting_at(i64::MAX / 2);
            let first = steady.at(elapsed, wall);
            assert!(steady.at(elapsed, wall) >= first);
        }
    }

    #[test]
    fn timestamps_print_as_rfc_3339_and_never_panic() {
        assert_eq!(Timestamp::from_millis(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), format!("{} ms", i64::MAX));
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::from_secs(1)).as_millis(), i64::MAX);
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
