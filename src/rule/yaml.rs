//! YAML as rule files and the config use it: a tree of values, each with its place.
//!
//! The tree is read loosely and checked by its readers, so that every problem is reported at once. What could
//! make a file mean something else than it shows is refused here: tags, anchors and aliases, duplicate keys,
//! further documents, and unquoted values that YAML versions disagree on.

mod build;
pub(crate) mod doc;
pub(crate) mod fields;
mod offset;
mod scalar;
pub(crate) mod values;

use std::ops::Range;

pub(crate) use build::parse;

/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// How many levels of lists and mappings a file may have; bounds the recursion of every reader.
pub const DEPTH_MAX: usize = 64;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Bytes of the file's text. For a block scalar those of its content, without the header.
    pub span: Range<usize>,
}

/// The kinds of value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A decimal whole number.
    Int(i64),
    /// A decimal number with a fraction or an exponent.
    Float(f64),
    /// Text. Keys of mappings are always text.
    Text {
        /// The decoded text.
        text: String,
        /// How it is written.
        style: Style,
    },
    /// An unquoted value that YAML versions read differently.
    Ambiguous {
        /// As it is written.
        text: String,
        /// What an older parser would make of it.
        reading: &'static str,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order written, keys unique.
    Map(Vec<(Node, Node)>),
}

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In `'`.
    Single,
    /// In `"`.
    Double,
    /// A `|` block; every line begins with so many bytes of indentation.
    Literal {
        /// How many bytes.
        indent: usize,
    },
    /// A `>` block.
    Folded,
}

impl Node {
    /// Where a message about this value points: for a mapping or list to its beginning, not to all of it.
    pub fn head(&self) -> Range<usize> {
        match &self.kind {
            Kind::Map(entries) => match entries.first() {
                Some((key, _)) if key.span.start == self.span.start => key.span.clone(),
                _ => self.span.clone(),
            },
            Kind::List(items) => match items.first() {
                Some(first) if first.span.start == self.span.start => first.head(),
                _ => self.span.clone(),
            },
            _ => self.span.clone(),
        }
    }

    /// What it is, in words, for messages.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a bool",
            Kind::Int(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Text { .. } | Kind::Ambiguous { .. } => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }
}

#[cfg(test)]
mod tests;
