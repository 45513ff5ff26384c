//! One binary for all integration tests, one file a behaviour.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "sweeps, storms and soaks tell their figures")]
#![expect(clippy::disallowed_methods, reason = "tests start the daemon that they test, and stamp pushes with the time")]

mod admin;
mod aged;
mod api;
mod backtest;
mod browser;
mod check;
mod checkpoints;
mod closed_loop;
mod commands;
mod console;
mod console_acts;
mod console_pages;
mod crash;
mod custom_action;
mod damage;
mod demo;
mod docs;
mod dry_run;
mod each;
mod explain;
mod fail_closed;
mod faults;
mod flashduty;
mod full_disk;
mod fuzz;
mod guards;
mod hostile;
mod hot_reload;
mod init;
mod isolation;
mod library_scripts;
mod live_output;
mod monitoring;
mod once;
mod openapi;
mod operating;
mod ordering;
mod packaging;
mod pause;
mod people;
mod program;
mod pushes;
mod recipes;
mod reload;
mod replay;
mod restarts;
mod rule_language;
mod rules_index;
mod rules_library;
mod scripted;
mod secrets;
mod send;
mod service;
mod soak;
mod ssh;
mod sshd;
mod storm;
mod stream;
mod support;
mod sweep;
mod test_command;
#[cfg(feature = "otlp")]
mod traces;
mod tutorial;
mod versions;
mod visitor;
mod waiting;
mod webdriver;
