//! Stanch: an auto-remediation rule engine for Flashduty incidents.
//!
//! The modules stand in the order in which data passes through them:
//!
//! ```text
//! push → receiver → journal: received → matcher → guard → journal: decided + intent → runner → journal: outcome
//!                                       └─── decide(event, rules, history, now) ───┘
//! ```
//!
//! Data flows one way. What decides is pure; what acts is at the edge; everything that happens is one
//! append-only journal, and all state is the fold of it. See `ARCHITECTURE.md` for the map and the invariants.

mod chance;
pub mod clock;
pub mod config;

pub mod action;
pub mod admin;
pub mod cli;
pub mod decide;
pub mod engine;
pub mod event;
pub mod fake_flashduty;
pub mod guard;
pub mod journal;
pub mod matcher;
pub mod plan;
pub mod receiver;
pub mod replay;
pub mod report;
pub mod rule;
pub mod runner;
pub mod simulate;
