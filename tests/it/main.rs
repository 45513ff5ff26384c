//! One binary for all integration tests, one file a behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod admin;
mod docs;
