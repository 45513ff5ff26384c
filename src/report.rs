//! What people and machines see. Changes no decision.

mod printable;
pub mod redact;

pub use printable::printable;
