//! One binary for all integration tests, one file a behaviour.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests start the daemon that they test, and stamp pushes with the time")]

mod admin;
mod backtest;
mod commands;
mod crash;
mod demo;
mod docs;
mod dry_run;
mod explain;
mod fail_closed;
mod guards;
mod hostile;
mod hot_reload;
mod init;
mod once;
mod ordering;
mod program;
mod pushes;
mod reload;
mod rules_library;
mod scripted;
mod send;
mod support;
mod test_command;
mod waiting;
