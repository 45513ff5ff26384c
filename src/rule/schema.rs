//! JSON Schema (2020-12) of rule files and of the config, so that editors complete, explain and underline.
//!
//! The readers are the truth: they report what no schema can say, and point at the character. What is here is their
//! keys with a sentence for each. Tests hold the two together: every key that a reader asks for stands here and the
//! other way round, what they accept is valid here, and what they refuse for its shape is not. Nothing is read here.

mod build;
mod common;
mod config;
mod guards;
mod matching;
mod rule;
mod step;
mod test_case;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::read::by;
use build::Schema;

/// The schema of a rule file.
pub fn rules() -> Value {
    rules_schema().to_json()
}

/// The schema of the config.
pub fn config() -> Value {
    config_schema().to_json()
}

/// A schema as text, as files of it hold it.
pub fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

fn rules_schema() -> Schema {
    let mut schema = Schema::new("Rule file of Stanch", rule::file());
    common::add(&mut schema, by::RATE, by::BLAST_RADIUS);
    for add in [matching::add, guards::add, step::add, rule::add, test_case::add] {
        add(&mut schema);
    }
    schema
}

fn config_schema() -> Schema {
    let mut schema = Schema::new("Config of Stanch", config::file());
    common::add(&mut schema, by::BUDGET, by::BUDGET);
    config::add(&mut schema);
    schema
}
