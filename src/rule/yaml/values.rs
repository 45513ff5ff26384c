//! Reading single values: what each must be, and how it is said where it is not.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::doc::Doc;
use super::fields::{key_text, suggestion};
use super::{Kind, Node};
use crate::rule::diagnostic::codes;
use crate::rule::duration;

/// The most elements of a list whose elements have no limit of their own.
pub(crate) const LIST_MAX: usize = 1000;

impl Doc {
    /// Text that is not empty. A number or bool is not text: it must be quoted.
    pub(crate) fn text<'n>(&self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.kind {
            Kind::Text { text, .. } if text.trim().is_empty() => {
                self.error(codes::EMPTY, node.span.clone(), format!("{what} is empty"));
                None
            }
            Kind::Text { text, .. } => Some(text),
            _ => {
                self.not_text(node, what);
                None
            }
        }
    }

    /// Says why a value is not text.
    pub(crate) fn not_text(&self, node: &Node, what: &str) {
        let written = self.written(&node.span);
        match &node.kind {
            Kind::Ambiguous { reading, .. } => self.error_hint(
                codes::YAML_AMBIGUOUS,
                node.span.clone(),
                format!("unquoted `{written}` is {reading}"),
                format!("write \"{written}\" if text is meant"),
            ),
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => self.error_hint(
                codes::WRONG_TYPE,
                node.span.clone(),
                format!("{what} must be text, not {}", node.kind_name()),
                format!("write \"{written}\""),
            ),
            _ => {
                let message = format!("{what} must be text, not {}", node.kind_name());
                self.error(codes::WRONG_TYPE, node.head(), message);
            }
        }
    }

    /// Text, or the number or bool that is written there, as it is written: for arguments and the like.
    pub(crate) fn argument<'n>(&'n self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.kind {
            Kind::Text { text, .. } => Some(text),
            Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) => Some(self.written(&node.span)),
            _ => {
                self.not_text(node, what);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, node: &Node, what: &str) -> Option<bool> {
        match &node.kind {
            Kind::Bool(value) => Some(*value),
            Kind::Ambiguous { reading, .. } => {
                let message = format!("unquoted `{}` is {reading}", self.written(&node.span));
                self.error_hint(codes::YAML_AMBIGUOUS, node.span.clone(), message, "write true or false");
                None
            }
            _ => {
                let message = format!("{what} must be true or false, not {}", node.kind_name());
                self.error(codes::WRONG_TYPE, node.head(), message);
                None
            }
        }
    }

    /// A whole number in a range.
    pub(crate) fn int(&self, node: &Node, what: &str, range: RangeInclusive<i64>) -> Option<i64> {
        match &node.kind {
            Kind::Int(value) if range.contains(value) => Some(*value),
            Kind::Int(value) => {
                let message = format!("{what} must be from {} to {}, not {value}", range.start(), range.end());
                self.error(codes::INVALID_VALUE, node.span.clone(), message);
                None
            }
            Kind::Ambiguous { .. } => {
                let message = format!("{what}: `{}` is not a plain decimal number", self.written(&node.span));
                self.error_hint(
                    codes::YAML_AMBIGUOUS,
                    node.span.clone(),
                    message,
                    "write it with the digits 0-9 alone",
                );
                None
            }
            _ => {
                let message = format!("{what} must be a whole number, not {}", node.kind_name());
                self.error(codes::WRONG_TYPE, node.head(), message);
                None
            }
        }
    }

    /// A count: a whole number from `least` that fits 32 bits.
    pub(crate) fn count(&self, node: &Node, what: &str, least: u32) -> Option<u32> {
        self.int(node, what, i64::from(least)..=i64::from(u32::MAX)).and_then(|value| u32::try_from(value).ok())
    }

    /// A duration that is not zero.
    pub(crate) fn duration(&self, node: &Node, what: &str) -> Option<Duration> {
        let written = self.written(&node.span);
        let text = match &node.kind {
            Kind::Text { text, .. } => text.as_str(),
            Kind::Int(_) | Kind::Float(_) | Kind::Ambiguous { .. } => written,
            _ => {
                let message = format!("{what} must be a duration, not {}", node.kind_name());
                self.error(codes::WRONG_TYPE, node.head(), message);
                return None;
            }
        };
        match duration::parse(text) {
            Ok(value) if value.is_zero() => {
                self.error(codes::INVALID_DURATION, node.span.clone(), format!("{what} must not be zero"));
                None
            }
            Ok(value) => Some(value),
            Err(problem) => {
                let hint = if matches!(node.kind, Kind::Int(_)) && text != "0" {
                    format!("add the unit: `{text}s`, `{text}m`, `{text}h`")
                } else {
                    "durations are `500ms`, `30s`, `5m`, `1h`, `7d`".to_owned()
                };
                self.error_hint(codes::INVALID_DURATION, node.span.clone(), format!("{what} {problem}"), hint);
                None
            }
        }
    }

    /// One of some fixed words. They are not ambiguous, however YAML 1.1 would read them.
    pub(crate) fn choice<T: Copy>(&self, node: &Node, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let (Kind::Text { text, .. } | Kind::Ambiguous { text, .. }) = &node.kind else {
            let message = format!("{what} must be one of {}, not {}", names().join(", "), node.kind_name());
            self.error(codes::WRONG_TYPE, node.head(), message);
            return None;
        };
        let found = choices.iter().find(|(name, _)| *name == text.as_str()).map(|(_, value)| *value);
        if found.is_none() {
            let message = format!("{what} cannot be `{text}`");
            self.error_hint(codes::INVALID_VALUE, node.span.clone(), message, suggestion(text, &names()));
        }
        found
    }

    /// A list with at least one element and at most `max`.
    pub(crate) fn list<'n>(&self, node: &'n Node, what: &str, max: usize) -> Option<&'n [Node]> {
        let items = self.list_or_empty(node, what, max)?;
        if items.is_empty() {
            let hint = "an empty list never means everything: name what is meant, or remove the key";
            self.error_hint(codes::EMPTY, node.span.clone(), format!("{what} is an empty list"), hint);
            return None;
        }
        Some(items)
    }

    /// A list that may be empty.
    pub(crate) fn list_or_empty<'n>(&self, node: &'n Node, what: &str, max: usize) -> Option<&'n [Node]> {
        match &node.kind {
            Kind::List(items) if items.len() > max => {
                let message = format!("{what} has {} elements; at most {max} are possible", items.len());
                self.error(codes::TOO_MANY, node.head(), message);
                None
            }
            Kind::List(items) => Some(items),
            Kind::Text { .. } | Kind::Ambiguous { .. } | Kind::Int(_) => {
                let message = format!("{what} must be a list, not {}", node.kind_name());
                let hint = format!("write [{}]", self.written(&node.span).lines().next().unwrap_or_default());
                self.error_hint(codes::WRONG_TYPE, node.span.clone(), message, hint);
                None
            }
            _ => {
                let message = format!("{what} must be a list, not {}", node.kind_name());
                self.error(codes::WRONG_TYPE, node.head(), message);
                None
            }
        }
    }

    /// A list of texts, each with its node; elements that are no text are reported and left out.
    pub(crate) fn texts<'n>(&self, node: &'n Node, what: &str) -> Option<Vec<(&'n str, &'n Node)>> {
        let items = self.list(node, what, LIST_MAX)?;
        let element = format!("an element of {what}");
        Some(items.iter().filter_map(|item| self.text(item, &element).map(|text| (text, item))).collect())
    }

    /// The entries of a mapping whose keys are names of the author's choosing.
    pub(crate) fn entries<'n>(&self, node: &'n Node, what: &str) -> Option<Vec<(&'n str, &'n Node, &'n Node)>> {
        match &node.kind {
            Kind::Map(entries) if entries.is_empty() => {
                self.error(codes::EMPTY, node.span.clone(), format!("{what} is empty"));
                None
            }
            Kind::Map(entries) if entries.len() > LIST_MAX => {
                let message = format!("{what} has {} keys; at most {LIST_MAX} are possible", entries.len());
                self.error(codes::TOO_MANY, node.head(), message);
                None
            }
            Kind::Map(entries) => {
                Some(entries.iter().filter_map(|(key, value)| Some((key_text(key)?, key, value))).collect())
            }
            _ => {
                let message = format!("{what} must be a mapping, not {}", node.kind_name());
                self.error(codes::WRONG_TYPE, node.head(), message);
                None
            }
        }
    }

    /// The value as JSON. `None`, after a report, where some of it is ambiguous.
    pub(crate) fn json(&self, node: &Node, what: &str) -> Option<Value> {
        Some(match &node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::Number((*value).into()),
            Kind::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Kind::Text { text, .. } => Value::String(text.clone()),
            Kind::Ambiguous { .. } => {
                self.not_text(node, what);
                return None;
            }
            Kind::List(items) => {
                // Every element is read before giving up, so that all problems are reported.
                let values: Vec<Option<Value>> = items.iter().map(|item| self.json(item, what)).collect();
                Value::Array(values.into_iter().collect::<Option<_>>()?)
            }
            Kind::Map(entries) => {
                let values: Vec<Option<(String, Value)>> = entries
                    .iter()
                    .map(|(key, value)| {
                        let value = self.json(value, what);
                        Some((key_text(key)?.to_owned(), value?))
                    })
                    .collect();
                Value::Object(values.into_iter().collect::<Option<Map<_, _>>>()?)
            }
        })
    }
}
