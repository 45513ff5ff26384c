//! Reading JSON strictly: duplicate keys and deep nesting are refused at every level.
//!
//! `serde_json` keeps the last of two equal keys, so one reader of a body could see another value than the next.
//! It also makes a float of an integer beyond 64 bits, which names another number; here such an integer becomes
//! the text of its digits.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use super::document::{Document, Node, Span};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The marker that starts the message for a key that occurs twice, so that the reader can name the error.
pub(super) const DUPLICATE_KEY: &str = "duplicate key";
/// The marker that starts the message for nesting over the limit.
pub(super) const TOO_DEEP: &str = "nesting deeper than";

/// How much of a key is repeated in a message.
const SHOWN_KEY_CHARS: usize = 64;
/// An object with fewer keys than this is looked through for each new one, which is quicker than hashing them.
const KEYS_LOOKED_THROUGH: usize = 48;
/// The least absolute value of a float that may stand for an integer beyond 64 bits (2^63).
const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;

/// Parses `text`, allowing at most `depth` levels of arrays and objects.
pub(super) fn parse(text: &str, depth: usize) -> Result<Document, serde_json::Error> {
    let (document, saw_huge) = parse_once(text, depth)?;
    if !saw_huge {
        return Ok(document);
    }
    // As good as never: so it costs a second pass over the text, and the common body nothing.
    match quote_huge_integers(text) {
        Cow::Borrowed(_) => Ok(document),
        Cow::Owned(quoted) => parse_once(&quoted, depth).map(|(document, _)| document),
    }
}

/// The document, and whether a number in it may be an integer beyond 64 bits.
fn parse_once(text: &str, depth: usize) -> Result<(Document, bool), serde_json::Error> {
    if u32::try_from(text.len()).is_err() {
        return Err(Error::custom("longer than 4 GiB"));
    }
    let mut builder = Builder::for_text(text);
    let mut reader = serde_json::Deserializer::from_str(text);
    Strict { builder: &mut builder, depth, limit: depth }.deserialize(&mut reader)?;
    reader.end()?;
    Ok((builder.document, builder.saw_huge))
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

/// A document in the making.
struct Builder {
    document: Document,
    /// A number may be an integer beyond 64 bits.
    saw_huge: bool,
}

impl Builder {
    fn for_text(text: &str) -> Self {
        // Strings are no longer than the text that has them; a value takes about twenty bytes of it.
        let nodes = Vec::with_capacity(text.len() / 20 + 1);
        Self { document: Document { nodes, text: String::with_capacity(text.len()) }, saw_huge: false }
    }

    /// The number of the next node.
    fn next(&self) -> u32 {
        // There are fewer nodes than bytes of text, whose number was checked.
        u32::try_from(self.document.nodes.len()).unwrap_or(u32::MAX)
    }

    fn push(&mut self, node: Node) {
        self.document.nodes.push(node);
    }

    fn push_text(&mut self, text: &str) {
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX);
        let start = length(&self.document.text);
        self.document.text.push_str(text);
        self.push(Node::Text(Span { start, end: length(&self.document.text) }));
    }

    /// Puts the end of an array or object, which is known only now, where it was opened.
    fn close(&mut self, at: u32, node: impl FnOnce(u32) -> Node) {
        let end = self.next();
        if let Some(opened) = self.document.nodes.get_mut(at as usize) {
            *opened = node(end);
        }
    }
}

/// The keys of one object, to find the one that comes twice.
#[derive(Default)]
struct Keys {
    count: usize,
    /// A bit for the mark of each key: one whose bit is not set is new, and nothing has to be looked through.
    marks: [u64; 4],
    /// All of them, once there are more than are quickly looked through.
    many: HashSet<Box<str>>,
}

impl Keys {
    /// Notes the last key of the object at `at`, whose end is not set yet. Whether it was there before.
    fn note(&mut self, document: &Document, at: u32, key: &str) -> bool {
        self.count += 1;
        if self.count < KEYS_LOOKED_THROUGH {
            let is_marked = self.mark(key);
            return is_marked && document.keys_so_far(at).take(self.count - 1).any(|earlier| earlier == key);
        }
        if self.many.is_empty() {
            self.many.extend(document.keys_so_far(at).take(self.count - 1).map(Box::from));
        }
        !self.many.insert(key.into())
    }

    /// Sets the bit of a key. Whether it was set before, by this key or another.
    fn mark(&mut self, key: &str) -> bool {
        let bytes = key.as_bytes();
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        // Keys of one object differ in length or in one of these places mostly; where they do not, it only takes longer.
        let mark = [byte(0), byte(bytes.len() / 2), byte(bytes.len().saturating_sub(1))]
            .into_iter()
            .fold(bytes.len() as u8, |mark, byte| mark.wrapping_mul(37).wrapping_add(byte));
        let (word, bit) = (usize::from(mark >> 6), 1 << (mark & 63));
        // There are four words, and two bits name one.
        let Some(word) = self.marks.get_mut(word) else { return true };
        let was = *word & bit != 0;
        *word |= bit;
        was
    }
}

struct Strict<'b> {
    builder: &'b mut Builder,
    depth: usize,
    limit: usize,
}

impl Strict<'_> {
    fn inner<E: Error>(&mut self) -> Result<Strict<'_>, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Strict { builder: self.builder, depth, limit: self.limit }),
            None => Err(E::custom(format_args!("{TOO_DEEP} {} levels", self.limit))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.builder.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.builder.push(Node::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.builder.push(Node::Int(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.builder.push(i64::try_from(value).map_or(Node::UInt(value), Node::Int));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.builder.saw_huge |= value.abs() >= BEYOND_I64;
        self.builder.push(Node::Float(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.builder.push_text(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let at = self.builder.next();
        self.builder.push(Node::Array { end: 0 });
        while items.next_element_seed(self.inner()?)?.is_some() {}
        self.builder.close(at, |end| Node::Array { end });
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let at = self.builder.next();
        self.builder.push(Node::Object { end: 0 });
        // Asked also where the object is empty, as for arrays: its level counts.
        self.inner()?;
        let mut keys = Keys::default();
        while entries.next_key_seed(Key { builder: self.builder, keys: &mut keys, object: at })?.is_some() {
            entries.next_value_seed(self.inner()?)?;
        }
        self.builder.close(at, |end| Node::Object { end });
        Ok(())
    }
}

/// Reads a key of the object at the node `object`.
struct Key<'b> {
    builder: &'b mut Builder,
    keys: &'b mut Keys,
    object: u32,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if self.keys.note(&self.builder.document, self.object, key) {
            let key: String = key.chars().take(SHOWN_KEY_CHARS).collect();
            return Err(E::custom(format_args!("{DUPLICATE_KEY} {key:?}")));
        }
        self.builder.push_text(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: usize = 8;

    fn numbers(text: &str) -> String {
        parse(text, DEPTH).unwrap().root().to_value().to_string()
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

    #[test]
    fn a_key_that_comes_twice_is_found_in_small_and_large_objects() {
        for count in [1, 2, KEYS_LOOKED_THROUGH - 1, KEYS_LOOKED_THROUGH, KEYS_LOOKED_THROUGH + 1, 500] {
            let keys: Vec<String> = (0..count).map(|number| format!(r#""k{number}":{{"k0":[0]}}"#)).collect();
            let single = format!("{{{}}}", keys.join(","));
            assert_eq!(parse(&single, DEPTH).unwrap().root().entries().count(), count);
            for twice in [0, count / 2, count - 1] {
                let double = format!(r#"{{{},"k{twice}":1}}"#, keys.join(","));
                let error = parse(&double, DEPTH).unwrap_err().to_string();
                assert!(error.starts_with(&format!(r#"{DUPLICATE_KEY} "k{twice}""#)), "{count} keys: {error}");
            }
        }
    }
}
