//! Diagnostics for people: the source line with the place underlined.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anstyle::{AnsiColor, Effects, Style};

use super::place::floor_char_boundary;
use super::printable::{printable, push_printable};
use super::{Located, Severity, codes};

/// How many bytes of a line are shown on either side of the place; a whole file may be one line.
const LINE_WINDOW_BYTES: usize = 160;

/// Problems with a secret: what is written from their place on is not shown.
const HIDING: &[&str] = &[codes::SECRET, codes::INLINE_SECRET];

/// Renders every diagnostic, with an empty line between two.
pub(super) fn render(located: &[Located<'_>], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for (nth, at) in located.iter().enumerate() {
        if nth > 0 {
            text.push('\n');
        }
        text.push_str(&one(at, &renderer, colour));
    }
    text
}

fn one(at: &Located<'_>, renderer: &Renderer, colour: bool) -> String {
    let diagnostic = at.diagnostic;
    let path = printable(&diagnostic.file.display().to_string());
    let place = if at.text.is_empty() { path } else { format!("{path}:{}:{}", at.start.line, at.start.column) };
    let (word, paint) = match diagnostic.severity {
        Severity::Error => ("error", AnsiColor::Red),
        Severity::Warning => ("warning", AnsiColor::Yellow),
    };
    let (head, bold) = if colour {
        (paint.on_default().effects(Effects::BOLD), Style::new().effects(Effects::BOLD))
    } else {
        (Style::new(), Style::new())
    };
    let mut text = format!(
        "{head}{word}[{}]{head:#}{bold}: {}{bold:#}\n  --> {place}\n",
        diagnostic.code,
        printable(&diagnostic.message)
    );
    if !at.text.is_empty() {
        text.push_str(&excerpt(at, renderer));
        text.push('\n');
    }
    if let Some(hint) = &diagnostic.hint {
        text.push_str(&format!("  = {bold}help{bold:#}: {}\n", printable(hint)));
    }
    text
}

/// The line with its place underlined. The crate that draws it gets text that is already safe to print, and so
/// must not work out columns by itself: those of the file are in the line above.
fn excerpt(at: &Located<'_>, renderer: &Renderer) -> String {
    let (shown, span) = window(at);
    let kind = AnnotationKind::Primary.span(span);
    let level = match at.diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let group = annotate_snippets::Group::with_level(level)
        .element(Snippet::source(shown).line_start(at.start.line).annotation(kind));
    renderer.render(&[group])
}

/// The printable part of the line around the place, and where in it the place is.
fn window(at: &Located<'_>) -> (String, std::ops::Range<usize>) {
    let text = at.text;
    let start = floor_char_boundary(text, at.diagnostic.span.start);
    let end = floor_char_boundary(text, at.diagnostic.span.end.max(start));
    let is_break = |c: char| c == '\n' || c == '\r';
    let line_start = text.get(..start).and_then(|before| before.rfind(is_break)).map_or(0, |brk| brk + 1);
    let line_end = text.get(start..).and_then(|after| after.find(is_break)).map_or(text.len(), |brk| start + brk);
    let from = line_start.max(floor_char_boundary(text, start.saturating_sub(LINE_WINDOW_BYTES)));
    let hides = at.diagnostic.span.is_empty() && HIDING.contains(&at.diagnostic.code);
    let to = if hides { start } else { line_end.min(floor_char_boundary(text, start + LINE_WINDOW_BYTES)) };
    // Only the first line of a longer place is shown.
    let end = end.clamp(start, to.max(start));

    let mut shown = String::new();
    let (mut first, mut last) = (0, 0);
    for (offset, c) in text.get(from..to).unwrap_or_default().char_indices() {
        if from + offset == start {
            first = shown.len();
        }
        push_printable(&mut shown, c);
        if from + offset < end {
            last = shown.len();
        }
    }
    if start >= to {
        first = shown.len();
    }
    if hides {
        shown.push('…');
        last = shown.len();
    }
    (shown, first..last.max(first))
}
