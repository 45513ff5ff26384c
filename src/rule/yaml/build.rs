//! From the parser's events to the tree.

use std::collections::HashSet;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::doc::Doc;
use super::{DEPTH_MAX, FILE_BYTES_MAX, Kind, Node, Style, scalar};
use crate::rule::diagnostic::codes;

/// A list or mapping that is not finished.
enum Open {
    List { items: Vec<Node>, span: Range<usize> },
    Map { entries: Vec<(Node, Node)>, names: HashSet<String>, key: Option<(Node, bool)>, span: Range<usize> },
}

/// Reads the one document of a file. `None` where it is empty or not YAML, which is then reported; other problems
/// are reported and reading goes on.
pub(crate) fn parse(doc: &Doc) -> Option<Node> {
    let source = doc.source();
    if source.len() > FILE_BYTES_MAX {
        doc.error_hint(
            codes::FILE_TOO_LARGE,
            0..0,
            format!("the file has {} bytes; at most {FILE_BYTES_MAX} are read", source.len()),
            "split it into several files",
        );
        return None;
    }
    // Names of aliases do not matter: each is refused where it stands.
    let options = granit_parser::options! { emit_unresolved_aliases: true, emit_anchor_events: true };
    let mut build = Build { doc, open: Vec::new(), root: None, documents: 0 };
    for next in Parser::new_from_str_with_options(source, options) {
        match next {
            Ok((event, span)) => build.event(event, span)?,
            Err(error) => {
                let at = doc.floor(error.marker().byte_offset().unwrap_or(0));
                doc.error(codes::YAML_SYNTAX, doc.to_line_end(at), format!("not valid YAML: {}", error.info()));
                return None;
            }
        }
    }
    if build.root.is_none() && build.documents == 0 {
        doc.error(codes::EMPTY, 0..0, "the file holds nothing");
    }
    build.root
}

struct Build<'d> {
    doc: &'d Doc,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

impl Build<'_> {
    /// Takes one event; `None` ends the reading, after a report.
    fn event(&mut self, event: Event<'_>, at: Span) -> Option<()> {
        let range = at.byte_range().unwrap_or(0..0);
        let span = self.doc.floor(range.start)..self.doc.floor(range.end);
        if let Some(tag) = at.tag_span().and_then(|tag| tag.byte_range()) {
            self.doc.error_hint(codes::YAML_TAG, tag, "tags have no meaning here", "remove it");
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.doc.error_hint(
                        codes::YAML_DOCUMENTS,
                        span,
                        "a file holds one document; what follows is not read",
                        "put it into a file of its own, or remove the `---`",
                    );
                    return None;
                }
            }
            Event::Anchor(..) => self.doc.error_hint(
                codes::YAML_ANCHOR,
                span,
                "anchors have no meaning here",
                "write the value out where it is needed",
            ),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.doc.error_hint(
                    codes::YAML_ANCHOR,
                    span.clone(),
                    "aliases have no meaning here",
                    "write the value out",
                );
                self.place(Node { kind: Kind::Null, span });
            }
            Event::Scalar(text, style, _, _) => {
                let node = self.scalar(text.into_owned(), style, span, at.indent);
                self.place(node);
            }
            Event::SequenceStart(..) => {
                self.deeper(&span)?;
                self.open.push(Open::List { items: Vec::new(), span });
            }
            Event::MappingStart(..) => {
                self.deeper(&span)?;
                self.open.push(Open::Map { entries: Vec::new(), names: HashSet::new(), key: None, span });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&span),
            _ => {}
        }
        Some(())
    }

    fn deeper(&self, span: &Range<usize>) -> Option<()> {
        if self.open.len() < DEPTH_MAX {
            return Some(());
        }
        self.doc.error(codes::TOO_DEEP, span.clone(), format!("nested deeper than {DEPTH_MAX} levels"));
        None
    }

    fn is_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn scalar(&self, text: String, style: ScalarStyle, span: Range<usize>, indent: Option<usize>) -> Node {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal { indent: indent.unwrap_or(0) },
            ScalarStyle::Folded => Style::Folded,
        };
        let kind = match style {
            // The parser gives `~` for a value that is not written at all.
            Style::Plain if span.is_empty() => Kind::Null,
            Style::Plain if !self.is_key() => scalar::resolve(&text),
            _ => Kind::Text { text, style },
        };
        Node { kind, span }
    }

    fn close(&mut self, end: &Range<usize>) {
        let node = match self.open.pop() {
            Some(Open::List { items, span }) => {
                let last = items.last().map_or(span.end, |item| item.span.end);
                let start =
                    if span.is_empty() { items.first().map_or(span.start, |item| item.span.start) } else { span.start };
                let end = if end.is_empty() { last } else { end.end };
                Node { kind: Kind::List(items), span: start..end.max(start) }
            }
            Some(Open::Map { entries, span, .. }) => {
                let last = entries.last().map_or(span.end, |(_, value)| value.span.end);
                let end = if end.is_empty() { last } else { end.end };
                Node { kind: Kind::Map(entries), span: span.start..end.max(span.start) }
            }
            None => return,
        };
        self.place(node);
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Node) {
        let doc = self.doc;
        match self.open.last_mut() {
            None => {
                self.root.get_or_insert(node);
            }
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, names, key, .. }) => match key.take() {
                Some((name, true)) => entries.push((name, node)),
                Some((_, false)) => {}
                None => {
                    let keep = match &node.kind {
                        Kind::Text { text, .. } => {
                            let new = names.insert(text.clone());
                            if !new {
                                doc.error_hint(
                                    codes::DUPLICATE_KEY,
                                    node.span.clone(),
                                    format!("`{text}` is already set in this mapping"),
                                    "keep one of the two",
                                );
                            }
                            new
                        }
                        _ => {
                            doc.error(codes::WRONG_TYPE, node.head(), "a key must be text");
                            false
                        }
                    };
                    *key = Some((node, keep));
                }
            },
        }
    }
}
