//! Templates: `{{ path }}` and filters, nothing else.

/// A template checked at load.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
}

/// Where a template stands, which decides how a value is written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// Values are written as they are.
    Text,
    /// In a URL: a value becomes one percent-encoded segment.
    Url,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// The byte of the source at which it is.
    pub offset: usize,
}

impl Template {
    /// Checks a template.
    pub fn parse(source: &str, _kind: TemplateKind) -> Result<Self, TemplateError> {
        let open = source.find("{{").filter(|at| source.get(*at..).is_some_and(|rest| !rest.contains("}}")));
        match source.find("{%").or(open) {
            Some(offset) => Err(TemplateError { message: "not a template".into(), offset }),
            None => Ok(Self { source: source.to_owned() }),
        }
    }

    /// Whether it holds no placeholder.
    pub fn is_literal(&self) -> bool {
        !self.source.contains("{{")
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}
