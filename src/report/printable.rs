//! Text of others, made safe for terminals and logs.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with every character escaped that could steer a terminal or make a line read otherwise than it is:
/// control characters (so escape sequences and line breaks too), and the invisible ones that reorder or hide text.
///
/// Everything else, other scripts included, stays as it is.
pub fn printable(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(is_steering) else { return Cow::Borrowed(text) };
    let (clean, rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(clean);
    for c in rest.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_steering(c) => {
                // Writing into a string cannot fail.
                write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A JSON text with every such character inside its strings written as `\u` escape: it stays the same value, and can be
/// read on a terminal. Line breaks between its parts stay.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    // Outside of strings JSON knows no such character but line breaks and tabs, and inside of them no raw one of those.
    let must_go = |c: char| is_steering(c) && !matches!(c, '\n' | '\r' | '\t');
    let Some(first) = json.find(must_go) else { return Cow::Borrowed(json) };
    let (clean, rest) = json.split_at(first);
    let mut out = String::with_capacity(json.len() + 16);
    out.push_str(clean);
    for c in rest.chars() {
        if !must_go(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing into a string cannot fail.
            write!(out, "\\u{unit:04x}").unwrap_or_default();
        }
    }
    Cow::Owned(out)
}

/// Controls (C0, DEL, C1), directional marks, embeddings, overrides and isolates, zero-width characters, line and
/// paragraph separators, and the tag characters that can carry hidden text.
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_text_is_lent_and_steering_text_is_escaped() {
        assert!(matches!(printable("磁盘满 on db-07 — 93 %"), Cow::Borrowed(_)));
        assert_eq!(printable("\u{1b}[31mred\r\n"), "\\u{1b}[31mred\\r\\n");
        assert_eq!(printable("a\u{202e}b\u{9b}2J"), "a\\u{202e}b\\u{9b}2J");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_comes_through(text in any::<String>()) {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(is_steering));
        }

        #[test]
        fn json_made_printable_is_the_same_value(text in any::<String>(), hidden in "[\u{7f}-\u{a0}\u{202a}-\u{202e}\u{e0000}-\u{e007f}]{0,4}") {
            let value = serde_json::json!({ "key": format!("{text}{hidden}"), "list": [text] });
            let json = serde_json::to_string_pretty(&value).unwrap();
            let shown = printable_json(&json);
            prop_assert!(!shown.chars().any(|c| is_steering(c) && c != '\n'));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
