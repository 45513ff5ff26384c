//! The filters. Each takes a value and gives one; what it cannot do with a value is an error, never an empty text.

use std::borrow::Cow;

use serde_json::Value;

use super::parse::Argument;
use super::render::{OUTPUT_BYTES_MAX, kind, written};

/// One filter, as documented.
#[derive(Debug)]
pub struct Filter {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub signature: &'static str,
    /// What it does, in one sentence.
    pub does: &'static str,
    takes: &'static [Takes],
    apply: fn(&Value, &[Argument]) -> Result<Value, String>,
}

/// What a filter's argument must be.
#[derive(Debug, Clone, Copy)]
enum Takes {
    Text,
    Number,
}

/// Every filter.
pub const FILTERS: &[Filter] = &[
    Filter {
        name: "lower",
        signature: "lower",
        does: "The text in lower case.",
        takes: &[],
        apply: |value, _| text(value).map(|text| text.to_lowercase().into()),
    },
    Filter {
        name: "upper",
        signature: "upper",
        does: "The text in upper case.",
        takes: &[],
        apply: |value, _| text(value).map(|text| text.to_uppercase().into()),
    },
    Filter {
        name: "trim",
        signature: "trim",
        does: "The text without white space at both ends.",
        takes: &[],
        apply: |value, _| text(value).map(|text| text.trim().into()),
    },
    Filter {
        name: "replace",
        signature: "replace(\"from\", \"to\")",
        does: "The text with every occurrence replaced.",
        takes: &[Takes::Text, Takes::Text],
        apply: replace,
    },
    Filter {
        name: "truncate",
        signature: "truncate(length)",
        does: "At most that many characters of the text.",
        takes: &[Takes::Number],
        apply: |value, arguments| {
            let length = arguments.first().map_or(0, Argument::number);
            text(value).map(|text| text.chars().take(length).collect::<String>().into())
        },
    },
    Filter {
        name: "first",
        signature: "first",
        does: "The first item of the list; an error where it is empty.",
        takes: &[],
        apply: |value, _| list(value)?.first().cloned().ok_or_else(|| "is an empty list".to_owned()),
    },
    Filter {
        name: "last",
        signature: "last",
        does: "The last item of the list; an error where it is empty.",
        takes: &[],
        apply: |value, _| list(value)?.last().cloned().ok_or_else(|| "is an empty list".to_owned()),
    },
    Filter {
        name: "join",
        signature: "join(\", \")",
        does: "The items of the list as one text.",
        takes: &[Takes::Text],
        apply: join,
    },
    Filter {
        name: "length",
        signature: "length",
        does: "The number of characters, items or entries.",
        takes: &[],
        apply: |value, _| match value {
            Value::String(text) => Ok(text.chars().count().into()),
            Value::Array(items) => Ok(items.len().into()),
            Value::Object(entries) => Ok(entries.len().into()),
            other => Err(format!("is {}, which has no length", kind(other))),
        },
    },
    Filter {
        name: "tojson",
        signature: "tojson",
        does: "The value as JSON.",
        takes: &[],
        apply: |value, _| {
            exact(value)?;
            Ok(value.to_string().into())
        },
    },
];

impl Argument {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Number(_) => "",
        }
    }

    fn number(&self) -> usize {
        match self {
            Self::Text(_) => 0,
            Self::Number(number) => *number,
        }
    }
}

impl Filter {
    /// Whether it can be called with these arguments.
    pub(super) fn check(&self, arguments: &[Argument]) -> Result<(), String> {
        let fits = self.takes.len() == arguments.len()
            && self.takes.iter().zip(arguments).all(|(takes, given)| {
                matches!((takes, given), (Takes::Text, Argument::Text(_)) | (Takes::Number, Argument::Number(_)))
            });
        let empty = self.name == "replace" && arguments.first().is_some_and(|from| from.text().is_empty());
        if empty {
            Err("`replace` needs something to look for".into())
        } else if fits {
            Ok(())
        } else {
            Err(format!("the filter is written `{}`", self.signature))
        }
    }

    /// What it makes of `value`.
    pub(super) fn apply<'v>(&self, value: &Value, arguments: &[Argument]) -> Result<Cow<'v, Value>, String> {
        (self.apply)(value, arguments).map(Cow::Owned)
    }
}

fn text(value: &Value) -> Result<Cow<'_, str>, String> {
    written(value)
}

fn list(value: &Value) -> Result<&[Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("is {}, and a list is needed", kind(value)))
}

fn too_long() -> String {
    format!("would become longer than {OUTPUT_BYTES_MAX} bytes, which is the limit")
}

fn replace(value: &Value, arguments: &[Argument]) -> Result<Value, String> {
    let (from, to) = match arguments {
        [from, to] => (from.text(), to.text()),
        _ => return Err("`replace` takes two texts".into()),
    };
    let text = text(value)?;
    // Measured first, since two long texts could make gigabytes.
    let grown = text.len().saturating_add(text.matches(from).count().saturating_mul(to.len()));
    if grown > 2 * OUTPUT_BYTES_MAX { Err(too_long()) } else { Ok(text.replace(from, to).into()) }
}

fn join(value: &Value, arguments: &[Argument]) -> Result<Value, String> {
    let separator = arguments.first().map_or("", Argument::text);
    let mut joined = String::new();
    for (at, item) in list(value)?.iter().enumerate() {
        if at > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&written(item).map_err(|fault| format!("has an item that {fault}"))?);
        if joined.len() > OUTPUT_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(joined.into())
}

/// Refuses a value that holds a number whose digits are lost.
fn exact(value: &Value) -> Result<(), String> {
    match value {
        Value::Number(_) => written(value).map(|_| ()),
        Value::Array(items) => items.iter().try_for_each(exact),
        Value::Object(entries) => entries.values().try_for_each(exact),
        _ => Ok(()),
    }
}
