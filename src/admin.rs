//! The admin interface: a unix socket, and a TCP listener with tokens besides it. Never bypasses the engine.
//!
//! A request is read once (`request`), asked who it comes from (`access`), and answered by an entry of the `table`,
//! which is the API, or by the `console`, which is the same for people. `headers` go on every answer.

mod access;
mod answer;
pub mod api;
mod console;
mod listen;
mod openapi;
mod request;
mod routes;
mod stream;
mod table;
pub mod views;
mod work;

pub use listen::{AdminError, Served, serve};
