//! Comparison operators that refuse unequal types.
//!
//! Rhai answers `labels.disk > 90` with `false` and `labels.disk != 90` with `true` where the label is text. Here
//! both are errors. Whole numbers and fractions compare with each other, exactly.

use std::cmp::Ordering;

use rhai::{Dynamic, Engine, EvalAltResult};

type Answer = Result<bool, Box<EvalAltResult>>;

/// Registers `==`, `!=`, `<`, `<=`, `>`, `>=`, `!`, `min` and `max`.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("==", |a: Dynamic, b: Dynamic| -> Answer { equal(&a, &b, "==") })
        .register_fn("!=", |a: Dynamic, b: Dynamic| -> Answer { Ok(!equal(&a, &b, "!=")?) })
        .register_fn("<", |a: Dynamic, b: Dynamic| -> Answer { Ok(order(&a, &b, "<")?.is_lt()) })
        .register_fn("<=", |a: Dynamic, b: Dynamic| -> Answer { Ok(order(&a, &b, "<=")?.is_le()) })
        .register_fn(">", |a: Dynamic, b: Dynamic| -> Answer { Ok(order(&a, &b, ">")?.is_gt()) })
        .register_fn(">=", |a: Dynamic, b: Dynamic| -> Answer { Ok(order(&a, &b, ">=")?.is_ge()) })
        .register_fn("!", |value: bool| !value)
        .register_fn("min", |a: Dynamic, b: Dynamic| -> Result<Dynamic, Box<EvalAltResult>> {
            Ok(if order(&a, &b, "min")?.is_le() { a } else { b })
        })
        .register_fn("max", |a: Dynamic, b: Dynamic| -> Result<Dynamic, Box<EvalAltResult>> {
            Ok(if order(&a, &b, "max")?.is_ge() { a } else { b })
        });
}

fn equal(a: &Dynamic, b: &Dynamic, operator: &str) -> Answer {
    if a.is_array() && b.is_array() {
        let (a, b) = (a.as_array_ref()?, b.as_array_ref()?);
        return if a.len() == b.len() { all_equal(a.iter().zip(b.iter()), operator) } else { Ok(false) };
    }
    if a.is_map() && b.is_map() {
        let (a, b) = (a.as_map_ref()?, b.as_map_ref()?);
        return if a.keys().eq(b.keys()) { all_equal(a.values().zip(b.values()), operator) } else { Ok(false) };
    }
    if a.is_unit() && b.is_unit() {
        return Ok(true);
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Ok(a == b);
    }
    Ok(order(a, b, operator)?.is_eq())
}

fn all_equal<'v>(pairs: impl Iterator<Item = (&'v Dynamic, &'v Dynamic)>, operator: &str) -> Answer {
    for (a, b) in pairs {
        if !equal(a, b, operator)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn order(a: &Dynamic, b: &Dynamic, operator: &str) -> Result<Ordering, Box<EvalAltResult>> {
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return Ok(a.as_str().cmp(b.as_str()));
    }
    let ordering = match (a.as_int(), b.as_int(), a.as_float(), b.as_float()) {
        (Ok(a), Ok(b), ..) => Some(a.cmp(&b)),
        (Ok(a), _, _, Ok(b)) => whole_with_fraction(a, b),
        (_, Ok(b), Ok(a), _) => whole_with_fraction(b, a).map(Ordering::reverse),
        (_, _, Ok(a), Ok(b)) => a.partial_cmp(&b),
        _ => match (character_or_text(a), character_or_text(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => None,
        },
    };
    ordering.ok_or_else(|| {
        format!(
            "cannot compare {} with {} by `{operator}`: both sides must have the same type",
            type_name(a),
            type_name(b)
        )
        .into()
    })
}

fn character_or_text(value: &Dynamic) -> Option<String> {
    match value.as_char() {
        Ok(character) => Some(character.to_string()),
        Err(_) => value.as_immutable_string_ref().ok().map(|text| text.to_string()),
    }
}

/// Compares without rounding `whole` to a fraction, which loses digits above 2^53.
fn whole_with_fraction(whole: i64, fraction: f64) -> Option<Ordering> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if fraction.is_nan() {
        None
    } else if fraction >= BEYOND {
        Some(Ordering::Less)
    } else if fraction < -BEYOND {
        Some(Ordering::Greater)
    } else {
        let floor = fraction.floor() as i64;
        let rest = if fraction.fract() == 0.0 { Ordering::Equal } else { Ordering::Less };
        Some(whole.cmp(&floor).then(rest))
    }
}

/// A value's type as a rule author would call it.
pub(super) fn type_name(value: &Dynamic) -> &'static str {
    match value {
        _ if value.is_unit() => "nothing (null)",
        _ if value.is_bool() => "a bool",
        _ if value.is_int() => "a whole number",
        _ if value.is_float() => "a number with a fraction",
        _ if value.is_string() => "text",
        _ if value.is_char() => "a character",
        _ if value.is_array() => "a list",
        _ if value.is_map() => "a map",
        _ if value.is_fnptr() => "a function",
        _ if value.is::<super::convert::Beyond>() => "a number that 64 bits cannot hold",
        _ => "a value of another type",
    }
}
