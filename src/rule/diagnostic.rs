//! What is wrong with a rule file, a script or the config, and where: every problem at once, each with a stable
//! code, a place and, where there is one, a hint.
//!
//! Nothing here decides what is wrong; readers report and this module keeps and shows.

pub mod codes;
mod human;
mod machine;
pub(crate) mod place;
mod printable;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use codes::CODES;
pub use printable::printable;

use place::LineIndex;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Keeps the set from loading.
    Error,
    /// Never keeps anything from loading, unless `check --deny warnings` says so.
    Warning,
}

impl Severity {
    /// The word for it: `error`, `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A code of [`CODES`]; stable over versions.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file, as it was found.
    pub file: Arc<PathBuf>,
    /// Bytes of the file's text; `0..0` where the problem is the file itself.
    pub span: Range<usize>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A problem with a file as a whole: one that cannot be read, or a folder.
    pub fn of_file(code: &'static str, file: &Path, message: impl Into<String>, hint: Option<String>) -> Self {
        let file = Arc::new(file.to_owned());
        Self { severity: Severity::Error, code, message: message.into(), file, span: 0..0, hint }
    }
}

/// The texts that diagnostics point into.
#[derive(Debug, Clone, Default)]
pub struct Sources(BTreeMap<PathBuf, Arc<str>>);

impl Sources {
    /// Keeps the text of a file.
    pub fn insert(&mut self, file: &Path, text: Arc<str>) {
        self.0.insert(file.to_owned(), text);
    }

    /// Takes over the texts of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The text of a file; `None` where it could not be read.
    pub fn get(&self, file: &Path) -> Option<&str> {
        self.0.get(file).map(|text| &**text)
    }

    /// All files with their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.0.iter().map(|(file, text)| (file.as_path(), &**text))
    }
}

/// How diagnostics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: the source line with the place underlined.
    Human {
        /// Whether to use ANSI colours.
        colour: bool,
    },
    /// One JSON array with an object for each.
    Json,
    /// Workflow commands that GitHub turns into annotations.
    Github,
}

/// Where a diagnostic stands, in one-based lines and columns (characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A diagnostic with its position worked out.
struct Located<'d> {
    diagnostic: &'d Diagnostic,
    start: Position,
    end: Position,
    /// The text of its file; empty where it could not be read.
    text: &'d str,
}

/// Orders diagnostics by file, then place, and drops repetitions.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        (&a.file, a.span.start, a.severity, a.code, &a.message).cmp(&(
            &b.file,
            b.span.start,
            b.severity,
            b.code,
            &b.message,
        ))
    });
    diagnostics.dedup();
}

/// Shows diagnostics, ordered by file, then place. Empty for none, but for JSON, which is then `[]`.
pub fn render(format: Format, diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut ordered = diagnostics.to_vec();
    sort(&mut ordered);
    let located = locate(&ordered, sources);
    match format {
        Format::Human { colour } => human::render(&located, colour),
        Format::Json => machine::json(&located),
        Format::Github => machine::github(&located),
    }
}

/// Finds lines and columns, indexing each file's lines once.
fn locate<'d>(ordered: &'d [Diagnostic], sources: &'d Sources) -> Vec<Located<'d>> {
    let mut indexed: Option<(&Path, LineIndex, &str)> = None;
    let mut located = Vec::with_capacity(ordered.len());
    for diagnostic in ordered {
        let file = diagnostic.file.as_path();
        if indexed.as_ref().is_none_or(|(of, _, _)| *of != file) {
            let text = sources.get(file).unwrap_or_default();
            indexed = Some((file, LineIndex::new(text), text));
        }
        if let Some((_, lines, text)) = &indexed {
            let (start, end) = (lines.position(text, diagnostic.span.start), lines.position(text, diagnostic.span.end));
            located.push(Located { diagnostic, start, end, text });
        }
    }
    located
}

#[cfg(test)]
mod tests;
