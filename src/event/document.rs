//! A parsed JSON body in two allocations: its values in the order of the text, and all of its strings in one.
//!
//! A tree of small allocations costs more than the parsing itself, most of all where one thread makes it and another
//! drops it, as receiver and decider do. Nearly every push concerns no rule; for it this is all that is ever made.
//! What needs a tree, as Rhai and the templates do, asks for one with [`Item::to_value`].

use std::fmt;

use serde_json::{Map, Value};

/// A value, an array or object being followed by what is in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(Span),
    /// Elements follow, up to the node `end`.
    Array {
        end: u32,
    },
    /// Keys and values follow by turns, up to the node `end`. Keys are `Text`.
    Object {
        end: u32,
    },
}

/// A part of the document's text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A whole body.
#[derive(Clone, PartialEq, Default)]
pub struct Document {
    pub(super) nodes: Vec<Node>,
    pub(super) text: String,
}

impl Document {
    /// The outermost value.
    pub fn root(&self) -> Item<'_> {
        Item { document: self, at: 0 }
    }

    /// The value at a place that [`Item::place`] gave.
    pub(super) fn item(&self, place: u32) -> Item<'_> {
        Item { document: self, at: place }
    }

    fn node(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or(Node::Null)
    }

    /// The keys of the object at `at` as far as they were read, its end not being set yet. What follows the last key
    /// read must not be asked for: it is the caller who knows how many there are.
    pub(super) fn keys_so_far(&self, at: u32) -> impl Iterator<Item = &str> {
        Entries { document: self, at: at + 1, end: u32::MAX }.map(|(key, _)| key)
    }

    fn text(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The node after the value at `at`, what is in it included.
    fn after(&self, at: u32) -> u32 {
        match self.node(at) {
            Node::Array { end } | Node::Object { end } => end,
            _ => at + 1,
        }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root().to_value())
    }
}

/// A value in a [`Document`].
#[derive(Clone, Copy)]
pub struct Item<'d> {
    document: &'d Document,
    at: u32,
}

impl<'d> Item<'d> {
    /// A value without anything in it, which stands in for an object that is not there.
    pub fn empty() -> Self {
        static EMPTY: Document = Document { nodes: Vec::new(), text: String::new() };
        EMPTY.root()
    }

    /// Where it stands in its document. Only the outermost value stands at 0.
    pub(super) fn place(self) -> u32 {
        self.at
    }

    /// The text, where it is a string.
    pub fn as_str(self) -> Option<&'d str> {
        match self.document.node(self.at) {
            Node::Text(span) => Some(self.document.text(span)),
            _ => None,
        }
    }

    /// The number, where it is an integer of 64 bits with a sign.
    pub fn as_i64(self) -> Option<i64> {
        match self.document.node(self.at) {
            Node::Int(number) => Some(number),
            Node::UInt(number) => i64::try_from(number).ok(),
            _ => None,
        }
    }

    /// The number, where it is one; an integer may be rounded.
    pub fn as_f64(self) -> Option<f64> {
        match self.document.node(self.at) {
            Node::Int(number) => Some(number as f64),
            Node::UInt(number) => Some(number as f64),
            Node::Float(number) => Some(number),
            _ => None,
        }
    }

    /// The truth value, where it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.document.node(self.at) {
            Node::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.document.node(self.at), Node::Null)
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        matches!(self.document.node(self.at), Node::Object { .. })
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        matches!(self.document.node(self.at), Node::Array { .. })
    }

    /// The value under a key, where it is an object that has it.
    pub fn get(self, name: &str) -> Option<Item<'d>> {
        self.entries().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Keys and values in the order of the body; none where it is no object.
    pub fn entries(self) -> Entries<'d> {
        let end = match self.document.node(self.at) {
            Node::Object { end } => end,
            _ => 0,
        };
        Entries { document: self.document, at: self.at + 1, end }
    }

    /// The elements; none where it is no array.
    pub fn elements(self) -> Elements<'d> {
        let end = match self.document.node(self.at) {
            Node::Array { end } => end,
            _ => 0,
        };
        Elements { document: self.document, at: self.at + 1, end }
    }

    /// The value as a tree of its own.
    pub fn to_value(self) -> Value {
        match self.document.node(self.at) {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Int(number) => Value::from(number),
            Node::UInt(number) => Value::from(number),
            Node::Float(number) => Value::from(number),
            Node::Text(span) => Value::from(self.document.text(span)),
            Node::Array { .. } => Value::Array(self.elements().map(Item::to_value).collect()),
            Node::Object { .. } => Value::Object(self.to_map()),
        }
    }

    /// The object as a map of its own; empty where it is none.
    pub fn to_map(self) -> Map<String, Value> {
        self.entries().map(|(key, value)| (key.to_owned(), value.to_value())).collect()
    }
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_value())
    }
}

/// Keys and values of an object.
#[derive(Debug, Clone)]
pub struct Entries<'d> {
    document: &'d Document,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Entries<'d> {
    type Item = (&'d str, Item<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let key = Item { document: self.document, at: self.at }.as_str().unwrap_or_default();
        let value = Item { document: self.document, at: self.at + 1 };
        self.at = self.document.after(value.at);
        Some((key, value))
    }
}

/// Elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'d> {
    document: &'d Document,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Elements<'d> {
    type Item = Item<'d>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let item = Item { document: self.document, at: self.at };
        self.at = self.document.after(self.at);
        Some(item)
    }
}
