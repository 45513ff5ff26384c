//! One binary for all integration tests, one file a behaviour.

mod demo;
mod docs;
mod explain;
mod init;
mod program;
mod rules_library;
mod send;
