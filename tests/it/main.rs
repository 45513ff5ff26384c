//! One binary for all integration tests, one file a behaviour.

mod admin;
mod docs;
