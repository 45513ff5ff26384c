//! Between JSON and the values of scripts.

use rhai::{Array, Dynamic, Engine, EvalAltResult, Map};
use serde_json::{Number, Value};

use super::compare::type_name;
use super::error::ScriptError;
use super::limits;

/// How deep a value that a script returns may nest.
const DEPTH_MAX: usize = 32;
/// Beyond this a whole number does not fit 64 bits, and JSON readers have rounded it already.
const WHOLE_BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// A number that 64 bits cannot hold exactly. It can be passed around, but every use of it is an error: an id that
/// was rounded would name something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beyond;

/// Makes the uses of [`Beyond`] that would otherwise work quietly errors.
pub(super) fn register(engine: &mut Engine) {
    fn refuse(_: Beyond) -> Result<String, Box<EvalAltResult>> {
        const LOST: &str = "this number does not fit 64 bits, so its digits are lost";
        limits::fail(LOST);
        Err(LOST.into())
    }
    engine.register_type_with_name::<Beyond>("number beyond 64 bits");
    for name in ["to_string", "print", "to_debug", "debug"] {
        engine.register_fn(name, refuse);
    }
}

/// The value as scripts see it. Whole numbers stay whole.
pub(crate) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(fraction)) if fraction.abs() < WHOLE_BEYOND => fraction.into(),
            _ => Dynamic::from(Beyond),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Dynamic::from_array(items.iter().map(to_dynamic).collect::<Array>()),
        Value::Object(entries) => Dynamic::from_map(
            entries.iter().map(|(name, value)| (name.as_str().into(), to_dynamic(value))).collect::<Map>(),
        ),
    }
}

/// What a script returned, as JSON.
pub(super) fn to_json(value: &Dynamic) -> Result<Value, ScriptError> {
    json(value, DEPTH_MAX)
}

fn json(value: &Dynamic, depth: usize) -> Result<Value, ScriptError> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(ScriptError::new(&format!("what the script returned nests deeper than {DEPTH_MAX} levels")));
    };
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(value) = value.as_bool() {
        return Ok(value.into());
    }
    if let Ok(whole) = value.as_int() {
        return Ok(whole.into());
    }
    if let Some(number) = value.as_float().ok().and_then(Number::from_f64) {
        return Ok(Value::Number(number));
    }
    if let Ok(character) = value.as_char() {
        return Ok(character.to_string().into());
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(text.as_str().into());
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().map(|item| json(item, deeper)).collect::<Result<_, _>>().map(Value::Array);
    }
    if let Ok(entries) = value.as_map_ref() {
        let entries = entries.iter().map(|(name, value)| Ok((name.to_string(), json(value, deeper)?)));
        return entries.collect::<Result<_, _>>().map(Value::Object);
    }
    Err(ScriptError::new(&format!("what the script returned holds {}, which no step can use", type_name(value))))
}
