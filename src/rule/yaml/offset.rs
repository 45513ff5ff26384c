//! From a place in decoded text back to the place in the file.
//!
//! Code and templates are checked after YAML has decoded them; their problems are shown where they are written.

use super::{Kind, Node, Style};

/// The byte of `source` at which byte `offset` of the decoded text of `node` is written. For folded blocks, where
/// that is lost, the beginning of the text.
pub(super) fn in_source(source: &str, node: &Node, offset: usize) -> usize {
    let (text, style) = match &node.kind {
        Kind::Text { text, style } => (text.as_str(), *style),
        Kind::Ambiguous { text, .. } => (text.as_str(), Style::Plain),
        _ => return node.span.start,
    };
    let written = source.get(node.span.clone()).unwrap_or_default();
    let within = match style {
        Style::Folded => 0,
        Style::Literal { indent } => {
            // The parser leaves out the indentation of the first line.
            let before = source.get(..node.span.start).unwrap_or_default();
            let left_out = before.bytes().rev().take_while(|byte| *byte == b' ').count();
            literal(written, text, indent, left_out, offset)
        }
        Style::Plain => flow(written, text, 0, offset),
        Style::Single | Style::Double => flow(written, text, 1, offset),
    };
    node.span.start + within.min(written.len())
}

/// In a `|` block each line is the decoded line after its indentation.
fn literal(written: &str, text: &str, indent: usize, left_out: usize, offset: usize) -> usize {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    // Empty lines at the beginning belong to the text, but not to the span.
    let is_break = |c: &char| matches!(c, '\n' | '\r');
    let skipped = if written.starts_with(['\n', '\r']) { 0 } else { text.chars().take_while(is_break).count() };
    let Some(line) = before.matches('\n').count().checked_sub(skipped) else { return 0 };
    let in_line = before.len() - before.rfind('\n').map_or(0, |brk| brk + 1);
    let mut start = 0;
    for _ in 0..line {
        let rest = written.get(start..).unwrap_or_default();
        match rest.find(['\n', '\r']) {
            Some(brk) => {
                let two = rest.get(brk..).is_some_and(|at| at.starts_with("\r\n"));
                start += brk + if two { 2 } else { 1 };
            }
            None => return written.len(),
        }
    }
    let rest = written.get(start..).unwrap_or_default();
    let indent = if line == 0 { indent.saturating_sub(left_out) } else { indent };
    let indent = rest.bytes().take(indent).take_while(|byte| *byte == b' ').count();
    start + indent + in_line
}

/// Walks written and decoded text side by side, through folded line breaks and escapes.
fn flow(written: &str, text: &str, quote: usize, offset: usize) -> usize {
    let quoted = written.chars().next().filter(|_| quote == 1);
    let mut at = quote;
    let mut decoded = text.char_indices().peekable();
    while let Some((done, _)) = decoded.peek().copied() {
        if done >= offset {
            break;
        }
        let rest = written.get(at..).unwrap_or_default();
        let Some(c) = rest.chars().next() else { break };
        let blank = rest.find(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')).unwrap_or(rest.len());
        let breaks = rest.get(..blank).map_or(0, |run| run.replace("\r\n", "\n").matches(['\n', '\r']).count());
        if breaks > 0 {
            // One break is a space, each further one a line feed.
            for _ in 0..breaks.saturating_sub(1).max(1) {
                decoded.next();
            }
            at += blank;
        } else if c == '\\' && quoted == Some('"') {
            let (length, decodes) = escape(rest);
            if decodes {
                decoded.next();
            }
            at += length;
        } else {
            at += if quoted == Some('\'') && rest.starts_with("''") { 2 } else { c.len_utf8() };
            decoded.next();
        }
    }
    at
}

/// The length of the escape at the start of `rest`, and whether it stands for a character.
fn escape(rest: &str) -> (usize, bool) {
    match rest.chars().nth(1) {
        Some('x') => (4, true),
        Some('u') => (6, true),
        Some('U') => (10, true),
        Some('\n' | '\r') => {
            let after = rest.get(1..).unwrap_or_default();
            (1 + after.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(after.len()), false)
        }
        Some(c) => (1 + c.len_utf8(), true),
        None => (1, false),
    }
}
