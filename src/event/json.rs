//! Reading JSON strictly: duplicate keys and deep nesting are refused at every level.
//!
//! `serde_json` keeps the last of two equal keys, so one reader of a body could see another value than the next.
//! It also makes a float of an integer beyond 64 bits, which names another number; here such an integer becomes
//! the text of its digits.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The marker that starts the message for a key that occurs twice, so that the reader can name the error.
pub(super) const DUPLICATE_KEY: &str = "duplicate key";
/// The marker that starts the message for nesting over the limit.
pub(super) const TOO_DEEP: &str = "nesting deeper than";

/// How much of a key is repeated in a message.
const SHOWN_KEY_CHARS: usize = 64;
/// The least absolute value of a float that may stand for an integer beyond 64 bits (2^63).
const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;

/// Parses `text`, allowing at most `depth` levels of arrays and objects.
pub(super) fn parse(text: &str, depth: usize) -> Result<Value, serde_json::Error> {
    let saw_huge = Cell::new(false);
    let value = parse_once(text, depth, &saw_huge)?;
    if !saw_huge.get() {
        return Ok(value);
    }
    // As good as never: so it costs a second pass over the text, and the common body nothing.
    match quote_huge_integers(text) {
        Cow::Borrowed(_) => Ok(value),
        Cow::Owned(quoted) => parse_once(&quoted, depth, &saw_huge),
    }
}

fn parse_once(text: &str, depth: usize, saw_huge: &Cell<bool>) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth, limit: depth, saw_huge }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Puts quotes around integers that fit neither `i64` nor `u64`. `text` must be valid JSON.
fn quote_huge_integers(text: &str) -> Cow<'_, str> {
    let mut quoted = String::new();
    let mut copied = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let is_number = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = bytes.iter().skip(at).take_while(|byte| is_number(byte)).count();
                let number = text.get(at..at + length).unwrap_or_default();
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    quoted.push_str(text.get(copied..at).unwrap_or_default());
                    quoted.push('"');
                    quoted.push_str(number);
                    quoted.push('"');
                    copied = at + length;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(quoted)
}

/// The offset after the string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') | None => return at + 1,
            Some(_) => at += 1,
        }
    }
}

#[derive(Clone, Copy)]
struct Strict<'s> {
    depth: usize,
    limit: usize,
    /// Set where a number may be an integer beyond 64 bits.
    saw_huge: &'s Cell<bool>,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(E::custom(format_args!("{TOO_DEEP} {} levels", self.limit))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= BEYOND_I64 {
            self.saw_huge.set(true);
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            match map.entry(key) {
                serde_json::map::Entry::Vacant(place) => {
                    place.insert(value);
                }
                serde_json::map::Entry::Occupied(place) => {
                    let key: String = place.key().chars().take(SHOWN_KEY_CHARS).collect();
                    return Err(A::Error::custom(format_args!("{DUPLICATE_KEY} {key:?}")));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: usize = 8;

    fn numbers(text: &str) -> String {
        parse(text, DEPTH).unwrap().to_string()
    }

    #[test]
    fn integers_stay_exact() {
        for exact in [
            "[74058170041504,9007199254740993,-9007199254740993]",
            "[9223372036854775807,-9223372036854775808,18446744073709551615]",
        ] {
            assert_eq!(numbers(exact), exact);
        }
        assert_eq!(
            numbers(r#"{"a":18446744073709551616,"b":[-9223372036854775809, 1],"c":"\\\"18446744073709551616"}"#),
            r#"{"a":"18446744073709551616","b":["-9223372036854775809",1],"c":"\\\"18446744073709551616"}"#
        );
    }

    #[test]
    fn floats_stay_floats() {
        assert_eq!(numbers("[1.5,1e30]"), "[1.5,1e+30]");
        assert_eq!(numbers("[18446744073709551616.0]"), "[1.8446744073709552e+19]");
        assert!(parse("[1e400]", DEPTH).is_err());
    }
}
