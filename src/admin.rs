//! The admin interface: a unix socket, and a TCP listener with a token besides it. Never bypasses the engine.

pub mod api;
mod listen;
mod routes;
pub mod views;

pub use listen::{AdminError, Served, serve};
