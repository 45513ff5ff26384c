//! Reading the keys of a mapping: each is asked for once, and what nobody asked for is unknown.

use std::cell::RefCell;
use std::ops::Range;

use super::doc::Doc;
use super::{Kind, Node};
use crate::rule::diagnostic::codes;

#[cfg(test)]
thread_local! {
    /// Every mapping that was read on this thread with the keys that were asked for, so that the schema can be held
    /// against the readers.
    pub(crate) static READ: RefCell<std::collections::BTreeMap<String, std::collections::BTreeSet<&'static str>>> =
        RefCell::default();
}

/// The keys of one mapping.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    doc: &'a Doc,
    entries: &'a [(Node, Node)],
    /// Where a message about what is missing points.
    head: Range<usize>,
    /// What the mapping is, in messages.
    what: &'a str,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    /// Opens a mapping; `None`, after a report, where the value is something else or empty.
    pub(crate) fn open(doc: &'a Doc, node: &'a Node, what: &'a str) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            doc.error(codes::WRONG_TYPE, node.head(), format!("{what} must be a mapping, not {}", node.kind_name()));
            return None;
        };
        if entries.is_empty() {
            doc.error(codes::EMPTY, node.span.clone(), format!("{what} is empty"));
            return None;
        }
        Some(Self { doc, entries, head: node.head(), what, asked: RefCell::default() })
    }

    /// The value of a key; `None` where it is not written, or, after a report, where it has no value.
    pub(crate) fn get(&self, name: &'static str) -> Option<&'a Node> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The key itself and its value.
    pub(crate) fn entry(&self, name: &'static str) -> Option<(&'a Node, &'a Node)> {
        self.asked.borrow_mut().push(name);
        let (key, value) = self.entries.iter().find(|(key, _)| key_text(key) == Some(name))?;
        if value.kind == Kind::Null {
            // An alias stands as nothing, and was reported as such.
            if self.doc.written(&value.span).starts_with('*') {
                return None;
            }
            self.doc.error_hint(
                codes::EMPTY,
                key.span.clone(),
                format!("`{name}` has no value"),
                "give it one, or remove the key",
            );
            return None;
        }
        Some((key, value))
    }

    /// The value of a key that must be there.
    pub(crate) fn require(&self, name: &'static str, hint: &str) -> Option<&'a Node> {
        let value = self.get(name);
        if value.is_none() && !self.has(name) {
            self.doc.error_hint(
                codes::MISSING_KEY,
                self.head.clone(),
                format!("{} has no `{name}`", self.what),
                hint.to_owned(),
            );
        }
        value
    }

    /// Whether a key is written, with a value or without. Does not make it known.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key_text(key) == Some(name))
    }

    /// The key as it is written.
    pub(crate) fn key(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().map(|(key, _)| key).find(|key| key_text(key) == Some(name))
    }

    /// Where a message about the whole mapping points.
    pub(crate) fn head(&self) -> Range<usize> {
        self.head.clone()
    }

    /// Reports every key that was not asked for.
    pub(crate) fn close(self) {
        let asked = self.asked.borrow();
        #[cfg(test)]
        READ.with_borrow_mut(|read| read.entry(self.what.to_owned()).or_default().extend(asked.iter().copied()));
        for (key, _) in self.entries {
            let Some(name) = key_text(key) else { continue };
            if asked.contains(&name) {
                continue;
            }
            let message = format!("{} has no key `{name}`", self.what);
            self.doc.error_hint(codes::UNKNOWN_KEY, key.span.clone(), message, suggestion(name, &asked));
        }
    }
}

/// The text of a key.
pub(crate) fn key_text(key: &Node) -> Option<&str> {
    match &key.kind {
        Kind::Text { text, .. } => Some(text),
        _ => None,
    }
}

/// The known word that a person most likely meant.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    /// How alike two words must be: `titel` and `title` are, `host` and `user` are not.
    const ALIKE: f64 = 0.7;
    known
        .iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), *candidate))
        .filter(|(score, candidate)| {
            *score >= ALIKE || word.replace('-', "_").eq_ignore_ascii_case(&candidate.replace('-', "_"))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `did you mean …`, or else what is possible.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let mut known = known.to_vec();
            known.sort_unstable();
            known.dedup();
            format!("possible are: {}", known.join(", "))
        }
    }
}
