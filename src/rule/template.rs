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
