//! Takes secrets out of texts before they are recorded, logged or shown.
//!
//! A secret is recognised as it is and in the forms in which programs print it: base64 (both alphabets, whatever
//! stands before it), percent-encoded and JSON-escaped, each of them also on a page of HTML. It never stores what it
//! took out.

mod forms;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use serde_json::Value;

/// What stands where a secret was.
pub const MASK: &str = "***";

/// Forms shorter than this are not looked for: replacing them would mangle every text, and a secret that short is
/// refused where the config is read. It must be longer than [`MASK`], so that each replacement shortens the text.
const FORM_BYTES_MIN: usize = 8;

/// The secrets are too many or too long to search for at once.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare the search for secrets in output: {reason}; use fewer or shorter secrets")]
pub struct RedactError {
    reason: String,
}

/// Replaces secrets by [`MASK`].
#[derive(Default)]
pub struct Redactor {
    search: Option<AhoCorasick>,
    /// What is looked for, sorted.
    forms: Vec<Vec<u8>>,
    longest: usize,
}

impl fmt::Debug for Redactor {
    /// Says nothing about the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor that knows no secret and changes nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// A redactor for these secrets. Those under 8 bytes are passed over; the config refuses any under 16.
    ///
    /// # Errors
    /// When the search cannot be built, which takes secrets of hundreds of megabytes.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, RedactError> {
        let mut forms: Vec<Vec<u8>> = secrets
            .into_iter()
            .filter(|secret| secret.as_ref().len() >= FORM_BYTES_MIN)
            .flat_map(|secret| forms::of(secret.as_ref()))
            .filter(|form| form.len() >= FORM_BYTES_MIN)
            .collect();
        forms.sort_unstable();
        forms.dedup();
        let Some(longest) = forms.iter().map(Vec::len).max() else { return Ok(Self::none()) };
        let search = AhoCorasick::new(&forms).map_err(|error| RedactError { reason: error.to_string() })?;
        Ok(Self { search: Some(search), forms, longest })
    }

    /// How many bytes at the end of `bytes` are the beginning of a secret whose rest may follow. Whoever shows a stream
    /// that goes on holds so many back.
    pub fn unfinished(&self, bytes: &[u8]) -> usize {
        let most = self.longest.saturating_sub(1).min(bytes.len());
        let begins_a_form = |length: &usize| {
            let end = bytes.get(bytes.len() - length..).unwrap_or_default();
            // The first form that is not before `end` begins with it, if any does.
            let at = self.forms.partition_point(|form| form.as_slice() < end);
            self.forms.get(at).is_some_and(|form| form.len() > end.len() && form.starts_with(end))
                || self.forms.get(at + 1).is_some_and(|form| form.starts_with(end))
        };
        (1..=most).rev().find(begins_a_form).unwrap_or(0)
    }

    /// Bytes of the longest form of a secret; 0 where none is known. Whoever cuts a text keeps so much beyond the cut
    /// until it was redacted, else a piece of a secret could stay unrecognised at the edge.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// `text` without secrets.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// `bytes` without secrets.
    pub fn redact_bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        match &self.search {
            Some(search) if search.is_match(bytes) => Cow::Owned(self.redact_part(bytes, 0..bytes.len())),
            _ => Cow::Borrowed(bytes),
        }
    }

    /// `value` without secrets in any of its texts and names.
    pub fn redact_json(&self, value: Value) -> Value {
        if self.search.is_none() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.redact(&text).into_owned()),
            Value::Array(items) => items.into_iter().map(|item| self.redact_json(item)).collect(),
            Value::Object(fields) => Value::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (self.redact(&name).into_owned(), self.redact_json(value)))
                    .collect(),
            ),
            other => other,
        }
    }

    /// The part `keep` of `bytes` without secrets. What surrounds the part is searched too, so a secret that
    /// reaches over the part's edge is replaced as a whole.
    pub fn redact_part(&self, bytes: &[u8], keep: Range<usize>) -> Vec<u8> {
        let mut out = Vec::with_capacity(keep.len());
        let mut at = keep.start;
        for found in self.found(bytes) {
            if found.end <= at || found.start >= keep.end {
                continue;
            }
            out.extend_from_slice(bytes.get(at..found.start.max(at)).unwrap_or_default());
            out.extend_from_slice(MASK.as_bytes());
            at = found.end;
        }
        out.extend_from_slice(bytes.get(at..keep.end).unwrap_or_default());
        // What a replacement joins could spell a secret that has the mask in it. Each turn shortens the text.
        while !self.found(&out).is_empty() {
            let all = 0..out.len();
            out = self.redact_part(&out, all);
        }
        out
    }

    /// Where secrets are. Occurrences that overlap or touch are one, so that no rest of either stays.
    fn found(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let Some(search) = &self.search else { return Vec::new() };
        let mut ranges: Vec<_> = search.find_overlapping_iter(bytes).map(|found| found.range()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests;
