//! Matchers held against values.

use crate::event::Item;
use crate::rule::matching::{Matcher, Scalar, Test};

/// How many characters of a value a reason shows.
const SHOWN_CHARS: usize = 120;

/// Whether every test of `matcher` holds for `seen`. What is absent (or null) satisfies `exists: false` alone.
pub(super) fn holds(matcher: &Matcher, seen: Option<Item<'_>>) -> bool {
    let seen = seen.filter(|value| !value.is_null());
    matcher.tests.iter().all(|test| match (test, seen) {
        (Test::Exists(wanted), _) => *wanted == seen.is_some(),
        (_, None) => false,
        (test, Some(list)) if list.is_array() && test.is_negative() => list.elements().all(|item| one(test, item)),
        (test, Some(list)) if list.is_array() => list.elements().any(|item| one(test, item)),
        (test, Some(value)) => one(test, value),
    })
}

/// The same for a value that can only be text.
pub(super) fn holds_text(matcher: &Matcher, seen: Option<&str>) -> bool {
    matcher.tests.iter().all(|test| match (test, seen) {
        (Test::Exists(wanted), _) => *wanted == seen.is_some(),
        (_, None) => false,
        (test, Some(text)) => one_text(test, text),
    })
}

fn one(test: &Test, value: Item<'_>) -> bool {
    if let Some(text) = value.as_str() {
        return one_text(test, text);
    }
    match test {
        Test::Equals(wanted) => equals(wanted, value),
        Test::Not(unwanted) => !equals(unwanted, value),
        Test::In(wanted) => wanted.iter().any(|wanted| equals(wanted, value)),
        Test::NotIn(unwanted) => !unwanted.iter().any(|unwanted| equals(unwanted, value)),
        // Tests on text do not hold for what is not text.
        _ => false,
    }
}

fn one_text(test: &Test, text: &str) -> bool {
    let is = |scalar: &Scalar| matches!(scalar, Scalar::Text(wanted) if wanted == text);
    match test {
        Test::Equals(wanted) => is(wanted),
        Test::Not(unwanted) => !is(unwanted),
        Test::In(wanted) => wanted.iter().any(is),
        Test::NotIn(unwanted) => !unwanted.iter().any(is),
        Test::Contains(part) => text.contains(part.as_str()),
        Test::Prefix(part) => text.starts_with(part.as_str()),
        Test::Suffix(part) => text.ends_with(part.as_str()),
        Test::Glob(glob) => glob.matches(text),
        Test::Regex(regex) => regex.is_match(text),
        Test::Exists(wanted) => *wanted,
    }
}

fn equals(scalar: &Scalar, value: Item<'_>) -> bool {
    match scalar {
        Scalar::Text(wanted) => value.as_str() == Some(wanted),
        Scalar::Bool(wanted) => value.as_bool() == Some(*wanted),
        Scalar::Int(wanted) => value.as_i64() == Some(*wanted),
        Scalar::Float(wanted) => value.as_f64() == Some(*wanted),
    }
}

/// A value in the words of a reason.
pub(super) fn describe(seen: Option<Item<'_>>) -> String {
    match seen.filter(|value| !value.is_null()) {
        None => "absent".into(),
        Some(value) => match value.as_str() {
            Some(text) => describe_text(Some(text)),
            None => shorten(&value.to_value().to_string()),
        },
    }
}

/// Text in the words of a reason, quoted so that control characters show as escapes.
pub(super) fn describe_text(seen: Option<&str>) -> String {
    match seen {
        None => "absent".into(),
        Some(text) => format!("{:?}", shorten(text)),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
