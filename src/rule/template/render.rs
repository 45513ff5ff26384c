//! Writing values into templates.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::parse::{Applied, Expression, Part, Start, Step, path};
use crate::clock::Timestamp;
use crate::rule::view::EventView;

/// The longest text that a template may render to, in bytes: as much as one argument of a program may have.
pub const OUTPUT_BYTES_MAX: usize = 128 * 1024;
/// From here on a number without a fraction did not fit 64 bits, and its digits are lost.
const WHOLE_BEYOND: f64 = 9_223_372_036_854_775_808.0;
/// The longest name of a value in a message, in characters. Names come from templates, hints from events.
const NAME_CHARS_MAX: usize = 100;
/// Everything but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The names that a template sees.
#[derive(Debug, Clone, Copy)]
pub struct TemplateNames<'a> {
    /// The event's own names.
    pub view: &'a EventView<'a>,
    /// The rendered target; `None` before it is known.
    pub target: Option<&'a str>,
    /// The time of the run or of the test; `now` is it in Unix seconds.
    pub now: Timestamp,
    /// Further names: `steps`, `run`.
    pub names: &'a [(&'a str, Value)],
}

/// Why a template could not be rendered for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RenderError {
    /// What is wrong, naming the path.
    pub message: String,
}

impl<'a> TemplateNames<'a> {
    fn root(&self, name: &str) -> Option<Cow<'a, Value>> {
        if let Some((_, value)) = self.names.iter().find(|(known, _)| *known == name) {
            return Some(Cow::Borrowed(value));
        }
        match name {
            "target" => self.target.map(|target| Cow::Owned(target.into())),
            "now" => Some(Cow::Owned(self.now.as_secs().into())),
            _ => self.view.names().get(name).map(Cow::Borrowed),
        }
    }

    fn find(&self, root: &str, steps: &[Step]) -> Result<Cow<'a, Value>, String> {
        let Some(mut value) = self.root(root) else {
            return Err(format!("`{root}` is not there in this event"));
        };
        for (at, step) in steps.iter().enumerate() {
            let found = match &value {
                Cow::Borrowed(value) => inner(value, step).map(Cow::Borrowed),
                Cow::Owned(value) => inner(value, step).cloned().map(Cow::Owned),
            };
            value = match found {
                Some(found) => found,
                None => return Err(absent(root, steps, at, &value)),
            };
        }
        Ok(value)
    }
}

fn inner<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match (value, step) {
        (Value::Object(entries), Step::Name(name)) => entries.get(&**name),
        (Value::Object(entries), Step::Index(index)) => entries.get(&index.to_string()),
        (Value::Array(items), Step::Index(index)) => items.get(*index),
        _ => None,
    }
}

fn absent(root: &str, steps: &[Step], at: usize, above: &Value) -> String {
    let name = short(&path(root, steps.get(..=at).unwrap_or(steps)));
    let whole = path("", steps.get(at..).unwrap_or_default());
    let whole = whole.strip_prefix('.').unwrap_or_default();
    let hint = match (above.as_object(), steps.get(at)) {
        (Some(entries), _) if entries.contains_key(whole) => {
            format!(" (a name with dots is written {}[{whole:?}])", path(root, steps.get(..at).unwrap_or_default()))
        }
        (Some(entries), Some(Step::Name(name))) => {
            let near = entries
                .keys()
                .filter(|known| known.len() <= NAME_CHARS_MAX)
                .map(|known| (strsim::damerau_levenshtein(name, known), known));
            match near.filter(|(distance, known)| *distance <= (known.len() / 3).max(1)).min() {
                Some((_, known)) => format!(" (did you mean `{}`?)", short(known)),
                None => String::new(),
            }
        }
        _ => String::new(),
    };
    format!("`{name}` is not there in this event{hint}")
}

/// `text` without control characters, cut at [`NAME_CHARS_MAX`].
fn short(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Renders parts into plain text.
pub(super) fn text(source: &str, parts: &[Part], names: &TemplateNames<'_>) -> Result<String, RenderError> {
    let mut output = String::with_capacity(source.len());
    for part in parts {
        match part {
            Part::Literal(range) => output.push_str(source.get(range.clone()).unwrap_or_default()),
            Part::Value(expression) => output.push_str(&value(expression, names)?),
        }
        check_length(&output)?;
    }
    Ok(output)
}

/// Renders parts into a URL, each value as one percent-encoded segment.
pub(super) fn url(source: &str, parts: &[Part], names: &TemplateNames<'_>) -> Result<String, RenderError> {
    let mut output = String::with_capacity(source.len());
    for part in parts {
        match part {
            Part::Literal(range) => output.push_str(source.get(range.clone()).unwrap_or_default()),
            Part::Value(expression) => {
                let value = value(expression, names)?;
                // `DELETE /hosts/` is another request than `DELETE /hosts/db-07`.
                if value.is_empty() && !output.contains(['?', '#']) {
                    return Err(failed(expression, "is empty, and a segment of a URL's path cannot be"));
                }
                output.extend(utf8_percent_encode(&value, SEGMENT));
            }
        }
        check_length(&output)?;
    }
    // A URL reader takes `.` and `..` out of a path, even where they are written with `%2e`.
    let path = output.split(['?', '#']).next().unwrap_or_default();
    if path.split(['/', '\\']).any(|segment| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")) {
        let message = "the URL has a segment `.` or `..`, which would lead elsewhere".to_owned();
        return Err(RenderError { message });
    }
    Ok(output)
}

fn check_length(output: &str) -> Result<(), RenderError> {
    if output.len() <= OUTPUT_BYTES_MAX {
        return Ok(());
    }
    Err(RenderError { message: format!("the text is longer than {OUTPUT_BYTES_MAX} bytes, which is the limit") })
}

fn failed(expression: &Expression, fault: &str) -> RenderError {
    let name = expression.name().unwrap_or_else(|| "the text".to_owned());
    RenderError { message: format!("`{}` {fault}", short(&name)) }
}

fn value(expression: &Expression, names: &TemplateNames<'_>) -> Result<String, RenderError> {
    let mut value = match &expression.start {
        Start::Path(root, steps) => names.find(root, steps).map_err(|message| RenderError { message })?,
        Start::Text(text) => Cow::Owned(Value::String(text.to_string())),
    };
    for Applied { filter, arguments } in &expression.filters {
        value = filter
            .apply(&value, arguments)
            .map_err(|fault| failed(expression, &format!("{fault} (filter `{}`)", filter.name)))?;
    }
    written(&value).map(Cow::into_owned).map_err(|fault| failed(expression, &fault))
}

/// A value as it stands in text.
pub(super) fn written(value: &Value) -> Result<Cow<'_, str>, String> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text.as_str())),
        Value::Bool(value) => Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.abs() < WHOLE_BEYOND => Ok(Cow::Owned(number.to_string())),
            _ if number.is_u64() || number.is_i64() => Ok(Cow::Owned(number.to_string())),
            _ => Err("is a number that 64 bits cannot hold, so its digits are lost".into()),
        },
        other => Err(format!("is {}: only text, numbers and bools can stand here", kind(other))),
    }
}

/// A value's type as a rule author would call it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
