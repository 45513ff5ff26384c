//! Why a condition did not hold: which part of it was false or failed, and on which values.
//!
//! A condition is taken apart when somebody first asks why; then each part is asked by itself, in the order and with
//! the short cuts of the whole. It reads what the condition read and changes nothing.

mod ask;
mod tree;

pub(super) use ask::Asking;
pub(super) use tree::Tree;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most parts that a summary names.
const NAMED_MAX: usize = 3;
/// How many characters of a part, or of a value, are shown.
const SHOWN_CHARS: usize = 120;

/// What a part of a condition gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is true.
    True,
    /// It is false.
    False,
    /// It failed, with the message.
    Error(String),
    /// The parts before it had settled the matter.
    NotAsked,
}

/// A value that a part read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// The path, or the side of a comparison, as it is written.
    pub name: String,
    /// Its value, shortened and quoted.
    pub value: String,
}

/// A part of a condition, held against an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// How deep it stands in the whole.
    pub depth: usize,
    /// As it is written.
    pub expression: String,
    /// What it gave.
    pub verdict: Verdict,
    /// What it read; empty where it consists of further parts.
    pub seen: Vec<Seen>,
    /// Whether it is what the whole failed by.
    pub decisive: bool,
}

/// Every part of a condition, in the order written, each before those that it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// The parts.
    pub parts: Vec<Part>,
}

impl Trace {
    /// What the part that failed had read: "in `labels.a >= 5`, labels.a is \"5\"". `None` where no part failed, or it
    /// read nothing.
    pub fn read_by_failure(&self) -> Option<String> {
        let failed = |part: &&Part| part.decisive && matches!(part.verdict, Verdict::Error(_));
        let part = self.parts.iter().find(failed).filter(|part| !part.seen.is_empty())?;
        let seen: Vec<String> = part.seen.iter().map(ToString::to_string).collect();
        Some(format!("in `{}`, {}", part.expression, seen.join(", ")))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.name, self.value)
    }
}

impl fmt::Display for Trace {
    /// What the condition failed by: "`incident.alert_cnt >= 3` is false: incident.alert_cnt is 1".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decisive: Vec<&Part> = self.parts.iter().filter(|part| part.decisive).collect();
        for (nth, part) in decisive.iter().take(NAMED_MAX).enumerate() {
            if nth > 0 {
                f.write_str("; ")?;
            }
            part.fmt(f)?;
        }
        match decisive.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.expression)?;
        match &self.verdict {
            Verdict::True => f.write_str("is true")?,
            Verdict::False => f.write_str("is false")?,
            Verdict::Error(message) => write!(f, "fails, {message}")?,
            Verdict::NotAsked => f.write_str("was not asked")?,
        }
        for (nth, seen) in self.seen.iter().enumerate() {
            write!(f, "{}{seen}", if nth == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
