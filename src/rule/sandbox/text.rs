//! Functions on text. Each gives a new value; none makes one that is larger than the limit, not even for a moment.

use rhai::{Array, Engine, EvalAltResult, ImmutableString};

use super::compare::type_name;
use super::limits::{ARRAY_ITEMS_MAX, TEXT_BYTES_MAX};

type Made<T> = Result<T, Box<EvalAltResult>>;

/// Registers all of them.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_get("len", |text: &mut ImmutableString| length(text))
        .register_fn("len", length)
        .register_fn("is_empty", |text: &str| text.is_empty())
        .register_fn("contains", |text: &str, part: &str| text.contains(part))
        .register_fn("starts_with", |text: &str, start: &str| text.starts_with(start))
        .register_fn("ends_with", |text: &str, end: &str| text.ends_with(end))
        .register_fn("to_lower", |text: &str| bounded("to_lower", text.to_lowercase()))
        .register_fn("to_upper", |text: &str| bounded("to_upper", text.to_uppercase()))
        .register_fn("trim", |text: &str| text.trim().to_owned())
        .register_fn("index_of", index_of)
        .register_fn("sub_string", |text: &str, start: i64| sub_string(text, start, i64::MAX))
        .register_fn("sub_string", sub_string)
        .register_fn("replace", replace)
        .register_fn("split", split)
        .register_fn("join", join)
        .register_fn("+", |a: &str, b: &str| concat(a, b))
        .register_fn("+", |a: &str, b: i64| concat(a, &b.to_string()))
        .register_fn("+", |a: &str, b: f64| concat(a, &b.to_string()))
        .register_fn("+", |a: &str, b: char| concat(a, b.encode_utf8(&mut [0; 4])))
        .register_fn("+", |a: char, b: &str| concat(a.encode_utf8(&mut [0; 4]), b));
}

fn too_large(function: &str) -> Box<EvalAltResult> {
    format!("`{function}` would make a text of more than {TEXT_BYTES_MAX} bytes, which is the limit").into()
}

/// Changing case may lengthen a text threefold at most, so it may be measured afterwards.
fn bounded(function: &str, text: String) -> Made<String> {
    if text.len() > TEXT_BYTES_MAX { Err(too_large(function)) } else { Ok(text) }
}

fn length(text: &str) -> i64 {
    count(text.chars().count())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn concat(a: &str, b: &str) -> Made<String> {
    if a.len() + b.len() > TEXT_BYTES_MAX { Err(too_large("+")) } else { Ok([a, b].concat()) }
}

/// In characters, from 0; −1 where it is not there, as Rhai's own has it.
fn index_of(text: &str, part: &str) -> i64 {
    text.find(part).map_or(-1, |at| count(text.get(..at).unwrap_or_default().chars().count()))
}

/// In characters; a negative start counts from the end.
fn sub_string(text: &str, start: i64, length: i64) -> String {
    let skipped = if start < 0 { self::length(text).saturating_add(start).max(0) } else { start };
    let (skipped, taken) = (usize::try_from(skipped).unwrap_or(usize::MAX), usize::try_from(length).unwrap_or(0));
    text.chars().skip(skipped).take(taken).collect()
}

fn replace(text: &str, from: &str, to: &str) -> Made<String> {
    if from.is_empty() {
        return Err("`replace` needs something to look for".into());
    }
    // Measured first: two texts within the limit could make gigabytes.
    let found = text.matches(from).count();
    let made = text.len().saturating_sub(found * from.len()).saturating_add(found.saturating_mul(to.len()));
    if made > TEXT_BYTES_MAX { Err(too_large("replace")) } else { Ok(text.replace(from, to)) }
}

fn split(text: &str, separator: &str) -> Made<Array> {
    if separator.is_empty() {
        return Err("`split` needs a separator".into());
    }
    let parts: Array = text.split(separator).take(ARRAY_ITEMS_MAX + 1).map(|part| part.to_owned().into()).collect();
    if parts.len() > ARRAY_ITEMS_MAX {
        return Err(format!("`split` would make more than {ARRAY_ITEMS_MAX} items, which is the limit").into());
    }
    Ok(parts)
}

fn join(items: Array, separator: &str) -> Made<String> {
    let mut joined = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            joined.push_str(separator);
        }
        match item.as_immutable_string_ref() {
            Ok(text) => joined.push_str(&text),
            Err(_) if item.is_int() || item.is_bool() || item.is_float() || item.is_char() => {
                joined.push_str(&item.to_string());
            }
            Err(_) => return Err(format!("`join` takes texts, numbers and bools, not {}", type_name(item)).into()),
        }
        if joined.len() > TEXT_BYTES_MAX {
            return Err(too_large("join"));
        }
    }
    Ok(joined)
}
