//! Templates: `{{ path }}` and filters, nothing else.
//!
//! The syntax is that of minijinja, cut down to what cannot surprise: no statements, no comments, no arithmetic, no
//! calls. What is left is small enough to evaluate directly on the event's JSON, so numbers stay exact, an error can
//! name the path, and a URL can encode each value as it goes in. An undefined name is an error; so is a value that is
//! no text, number or bool. A rendered value is never parsed again.
//!
//! There is no `default` filter: what a command acts on is there, or the command does not run.

mod filter;
mod parse;
mod render;
#[cfg(test)]
mod tests;

pub use filter::{FILTERS, Filter};
pub use render::{OUTPUT_BYTES_MAX, RenderError, TemplateNames};

use parse::Part;

/// The longest template in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// A template checked at load.
#[derive(Debug, Clone)]
pub struct Template {
    source: Box<str>,
    kind: TemplateKind,
    /// Empty for a literal, so that the many templates of a rule set that hold no value cost one allocation.
    parts: Box<[Part]>,
    names: Box<[String]>,
    /// Whether its text may hold what an event brought.
    from_event: bool,
}

/// Where a template stands, which decides how a value is written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// Values are written as they are.
    Text,
    /// In a URL: a value becomes one percent-encoded segment.
    Url,
}

/// What is wrong with a template, with its place inside the template's own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes from the start of the template.
    pub offset: usize,
}

impl Template {
    /// Checks `source` for a place of `kind`.
    ///
    /// # Errors
    /// The first thing that is no path with filters, or a template over [`TEMPLATE_BYTES_MAX`].
    pub fn parse(source: &str, kind: TemplateKind) -> Result<Self, TemplateError> {
        if source.len() > TEMPLATE_BYTES_MAX {
            let message = format!("the template has {} bytes, the limit is {TEMPLATE_BYTES_MAX}", source.len());
            return Err(TemplateError { message, offset: TEMPLATE_BYTES_MAX });
        }
        let parts = parse::parts(source)?;
        let is_literal = parts.iter().all(|part| matches!(part, Part::Literal(_)));
        let mut names: Vec<String> = Vec::new();
        for part in &parts {
            if let Part::Value(value) = part
                && let Some(name) = value.name()
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        Ok(Self {
            source: source.into(),
            kind,
            parts: if is_literal { Box::default() } else { parts.into() },
            names: names.into(),
            from_event: false,
        })
    }

    /// A finished text, which is never parsed. `from_event` says that it may hold what an event brought, so that it is
    /// checked like a value wherever code or a program is expected.
    pub fn data(text: &str, kind: TemplateKind, from_event: bool) -> Self {
        Self { source: text.into(), kind, parts: Box::default(), names: Box::default(), from_event }
    }

    /// The text with the values in it.
    ///
    /// # Errors
    /// A name that is not there, a value that cannot stand in text, a URL that would name something else, output
    /// over [`OUTPUT_BYTES_MAX`].
    pub fn render(&self, names: &TemplateNames<'_>) -> Result<String, RenderError> {
        if self.is_literal() {
            return Ok(self.source.to_string());
        }
        match self.kind {
            TemplateKind::Text => render::text(&self.source, &self.parts, names),
            TemplateKind::Url => render::url(&self.source, &self.parts, names),
        }
    }

    /// Whether it holds no value at all.
    pub fn is_literal(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether an event cannot change what it gives.
    pub fn is_constant(&self) -> bool {
        self.is_literal() && !self.from_event
    }

    /// The template as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it stands.
    pub fn kind(&self) -> TemplateKind {
        self.kind
    }

    /// The paths that it reads, each once: `labels.resource`. A name in brackets stands like one after a dot:
    /// `labels["a/b.c"]` is `labels.a/b.c`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it reads `root` or something in it.
    pub fn mentions(&self, root: &str) -> bool {
        self.names.iter().any(|name| name.split('.').next() == Some(root))
    }
}
