//! What an unquoted scalar is: YAML 1.2's core schema, minus what YAML 1.1 reads differently.

use super::{Kind, Style};

/// The kind of an unquoted scalar.
pub(super) fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" => return Kind::Bool(true),
        "false" => return Kind::Bool(false),
        _ => {}
    }
    if let Some(reading) = ambiguity(text) {
        return Kind::Ambiguous { text: text.to_owned(), reading };
    }
    if is_int(text) {
        return match text.parse() {
            Ok(value) => Kind::Int(value),
            Err(_) => Kind::Ambiguous { text: text.to_owned(), reading: "a number that does not fit 64 bits" },
        };
    }
    if is_float(text)
        && let Ok(value) = text.parse::<f64>()
        && value.is_finite()
    {
        return Kind::Float(value);
    }
    Kind::Text { text: text.to_owned(), style: Style::Plain }
}

/// What another YAML version makes of the text, where that is not what it looks like.
pub(super) fn ambiguity(text: &str) -> Option<&'static str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let first = unsigned.as_bytes().first()?;
    if !first.is_ascii_digit() && *first != b'.' {
        let lower = text.to_ascii_lowercase();
        return match lower.as_str() {
            "yes" | "no" | "on" | "off" | "y" | "n" => Some("a bool in YAML 1.1"),
            // Only the lower-case words are bools here, so the others would silently be text.
            "true" | "false" if text != lower => Some("a bool"),
            _ => None,
        };
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return Some("an infinite number or none");
    }
    if unsigned.len() > 1 && *first == b'0' && digits(unsigned) {
        return Some("an octal number in YAML 1.1");
    }
    if let Some(rest) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"))
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'_')
    {
        return Some("a hexadecimal number");
    }
    if let Some(rest) = unsigned.strip_prefix("0o").or_else(|| unsigned.strip_prefix("0b"))
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return Some("an octal or binary number");
    }
    if unsigned.contains('_') && unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.')) {
        return Some("a number in YAML 1.1");
    }
    if unsigned.contains(':') && unsigned.split(':').all(digits) {
        return Some("a number to the base of 60 in YAML 1.1");
    }
    None
}

fn is_int(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
}
