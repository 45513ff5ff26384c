//! One file that is being read, and what was found wrong with it.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Node, offset};
use crate::rule::Place;
use crate::rule::diagnostic::place::{LineIndex, floor_char_boundary};
use crate::rule::diagnostic::{Diagnostic, Severity, codes};

/// How many problems of one file are kept. Past this a person would fix the first ones anyway.
pub(crate) const PROBLEMS_MAX: usize = 500;

/// A file's text with its problems so far. Readers share it, hence the cell.
#[derive(Debug)]
pub(crate) struct Doc {
    file: Arc<PathBuf>,
    source: Arc<str>,
    lines: LineIndex,
    /// Where everything stands, if the text is not that of a file.
    stands_at: Option<Place>,
    found: RefCell<Vec<Diagnostic>>,
}

impl Doc {
    pub(crate) fn new(file: &Path, source: Arc<str>) -> Self {
        let lines = LineIndex::new(&source);
        Self { file: Arc::new(file.to_owned()), source, lines, stands_at: None, found: RefCell::default() }
    }

    /// A text that was made rather than written, at the place in a file that had it made.
    pub(crate) fn made(place: Place, source: Arc<str>) -> Self {
        let lines = LineIndex::new(&source);
        let file = Arc::clone(&place.file);
        Self { file, source, lines, stands_at: Some(place), found: RefCell::default() }
    }

    pub(crate) fn file(&self) -> &Arc<PathBuf> {
        &self.file
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// What was found, leaving nothing.
    pub(crate) fn take(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }

    /// Whether an error was found so far.
    pub(crate) fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|found| found.severity == Severity::Error)
    }

    pub(crate) fn error(&self, code: &'static str, span: Range<usize>, message: impl Into<String>) {
        self.report(Severity::Error, code, span, message.into(), None);
    }

    pub(crate) fn error_hint(
        &self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report(Severity::Error, code, span, message.into(), Some(hint.into()));
    }

    pub(crate) fn warn(
        &self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report(Severity::Warning, code, span, message.into(), Some(hint.into()));
    }

    pub(crate) fn report(
        &self,
        severity: Severity,
        code: &'static str,
        span: Range<usize>,
        message: String,
        hint: Option<String>,
    ) {
        let mut found = self.found.borrow_mut();
        if found.len() < PROBLEMS_MAX {
            let start = self.floor(span.start);
            let end = self.floor(span.end).max(start);
            found.push(Diagnostic { severity, code, message, file: self.file.clone(), span: start..end, hint });
        } else if found.len() == PROBLEMS_MAX {
            found.push(Diagnostic {
                severity: Severity::Error,
                code: codes::TOO_MANY,
                message: format!("more than {PROBLEMS_MAX} problems in this file; the rest is not shown"),
                file: self.file.clone(),
                span: 0..0,
                hint: None,
            });
        }
    }

    /// The nearest char boundary at or before `offset`.
    pub(crate) fn floor(&self, offset: usize) -> usize {
        floor_char_boundary(&self.source, offset)
    }

    /// From `at` to the end of its line.
    pub(crate) fn to_line_end(&self, at: usize) -> Range<usize> {
        let rest = self.source.get(at..).unwrap_or_default();
        at..at + rest.find(['\n', '\r']).unwrap_or(rest.len())
    }

    /// The place of a byte of the text.
    pub(crate) fn place(&self, at: usize) -> Place {
        if let Some(place) = &self.stands_at {
            return place.clone();
        }
        let position = self.lines.position(&self.source, at);
        Place { file: self.file.clone(), line: position.line, column: position.column }
    }

    /// Where byte `offset` of a text value is written, as a span of one character.
    pub(crate) fn inside(&self, node: &Node, offset: usize) -> Range<usize> {
        let at = self.floor(offset::in_source(&self.source, node, offset));
        let rest = self.source.get(at..).unwrap_or_default();
        let length = rest.chars().next().filter(|c| !matches!(c, '\n' | '\r')).map_or(0, char::len_utf8);
        at..at + length
    }

    /// What is written at `span`.
    pub(crate) fn written(&self, span: &Range<usize>) -> &str {
        self.source.get(span.clone()).unwrap_or_default()
    }
}
