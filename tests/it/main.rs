//! One binary for all integration tests, one file a behaviour.

#![expect(clippy::disallowed_methods, reason = "tests start the daemon that they test, and stamp pushes with the time")]

mod commands;
mod crash;
mod docs;
mod dry_run;
mod fail_closed;
mod guards;
mod hostile;
mod once;
mod ordering;
mod pushes;
mod reload;
mod support;
mod waiting;
