//! What systemd is told of the daemon (`Type=notify`): that it is ready, that it stops, and that it still works.
//!
//! Where no service manager listens, all of this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::engine::Handle;

/// How much of the watchdog's time passes between two signs of life: two may get lost or come late.
const SIGNS_PER_WATCHDOG: u32 = 3;

/// How long the start may take after each sign that it goes on, in microseconds. A disk on which not even a thousand
/// records are read in that time, or a few megabytes copied, will not have it ready either.
const START_STEP_USEC: u32 = 60_000_000;

/// Says that the start goes on: on a large journal it takes longer than the unit's `TimeoutStartSec`, and one that hangs
/// is to be ended all the same.
pub(super) fn starting() {
    tell(&[NotifyState::ExtendTimeoutUsec(START_STEP_USEC)]);
}

/// Says that the daemon is ready, with a line for `systemctl status`.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the daemon is stopping, and for how long it may take to let running actions end.
pub(super) fn stopping(grace: Duration) {
    let usec = u32::try_from(grace.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(usec)]);
}

/// Gives signs of life as often as the unit's `WatchdogSec` asks for; never returns. A sign is given only when the
/// task that decides has answered, so a daemon that hangs there is restarted, and one that is merely busy is not.
pub(super) async fn keep_alive(handle: Handle) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut pace = tokio::time::interval(limit / SIGNS_PER_WATCHDOG);
    loop {
        pace.tick().await;
        if handle.inspect(|_, _, _| ()).await.is_ok() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told how things stand");
    }
}
