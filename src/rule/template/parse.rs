//! Reading the parts of a template.

use std::ops::Range;

use super::TemplateError;
use super::filter::{FILTERS, Filter};

/// The most filters on one value.
const FILTERS_MAX: usize = 8;
/// The most steps of one path. A body nests at most 32 levels.
const STEPS_MAX: usize = 32;

/// One part of a template.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// This range of the source, as it stands.
    Literal(Range<usize>),
    /// A value.
    Value(Expression),
}

/// What stands between `{{` and `}}`.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    pub(super) start: Start,
    pub(super) filters: Box<[Applied]>,
}

/// A filter with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Applied {
    pub(super) filter: &'static Filter,
    pub(super) arguments: Box<[Argument]>,
}

/// Where an expression begins.
#[derive(Debug, Clone)]
pub(super) enum Start {
    /// A path: the name and what follows it.
    Path(Box<str>, Box<[Step]>),
    /// A text, which is how `{{` itself is written: `{{ "{{" }}`.
    Text(Box<str>),
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `.name` or `["name"]`.
    Name(Box<str>),
    /// `.0` or `[0]`.
    Index(usize),
}

/// An argument of a filter. Always a literal.
#[derive(Debug, Clone)]
pub(super) enum Argument {
    Text(Box<str>),
    Number(usize),
}

impl Expression {
    /// Its path with dots, if it has one.
    pub(super) fn name(&self) -> Option<String> {
        match &self.start {
            Start::Path(root, steps) => Some(path(root, steps)),
            Start::Text(_) => None,
        }
    }
}

/// A path as people write it.
pub(super) fn path(root: &str, steps: &[Step]) -> String {
    let mut path = root.to_owned();
    for step in steps {
        path.push('.');
        match step {
            Step::Name(name) => path.push_str(name),
            Step::Index(index) => path.push_str(&index.to_string()),
        }
    }
    path
}

/// Splits `source` into its parts.
pub(super) fn parts(source: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let brace = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min();
        let Some(brace) = brace else {
            parts.push(Part::Literal(at..source.len()));
            break;
        };
        if brace > 0 {
            parts.push(Part::Literal(at..at + brace));
        }
        at += brace;
        if !rest.get(brace..).is_some_and(|open| open.starts_with("{{")) {
            return Err(TemplateError {
                message: "only `{{ path }}` is allowed in a template, no `{%` and no `{#` (to write the characters \
                          themselves: `{{ \"{%\" }}`)"
                    .into(),
                offset: at,
            });
        }
        let mut reader = Reader { source, at: at + 2, opened: at };
        parts.push(Part::Value(reader.expression()?));
        at = reader.at;
    }
    Ok(parts)
}

struct Reader<'s> {
    source: &'s str,
    at: usize,
    opened: usize,
}

impl<'s> Reader<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError { message: message.into(), offset: self.at })
    }

    fn skip_space(&mut self) {
        self.at = self.source.len() - self.rest().trim_start().len();
    }

    /// Steps over `token`, if it is next.
    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn expression(&mut self) -> Result<Expression, TemplateError> {
        self.skip_space();
        let start = if self.rest().starts_with(['"', '\'']) { Start::Text(self.text()?) } else { self.path()? };
        let mut filters = Vec::new();
        while self.take("|") {
            if filters.len() == FILTERS_MAX {
                return self.error(format!("more than {FILTERS_MAX} filters on one value"));
            }
            filters.push(self.filter()?);
        }
        if self.take("}}") {
            return Ok(Expression { start, filters: filters.into() });
        }
        match self.rest().chars().next() {
            None => {
                self.at = self.opened;
                self.error("this `{{` has no `}}`")
            }
            Some('-') => self.error("a name with `-` in it is written in brackets: labels[\"a-b\"]"),
            Some('/') => self.error("a name with `/` in it is written in brackets: labels[\"a/b\"]"),
            Some('(') => {
                self.error("functions cannot be called in a template; filters are written `{{ path | filter }}`")
            }
            Some(c) => {
                self.error(format!("`{}` cannot stand here: a template takes a path and filters", c.escape_default()))
            }
        }
    }

    fn path(&mut self) -> Result<Start, TemplateError> {
        let root = self.run(is_name);
        if root.is_empty() || root.starts_with(|c: char| c.is_ascii_digit()) {
            self.at -= root.len();
            return self.error("a path like `labels.resource` is expected here");
        }
        let mut steps = Vec::new();
        loop {
            if self.take(".") {
                let name = self.run(is_name);
                match name.parse() {
                    _ if name.is_empty() => return self.error("a name is expected after the dot"),
                    Ok(index) => steps.push(Step::Index(index)),
                    Err(_) if name.starts_with(|c: char| c.is_ascii_digit()) => {
                        return self.error("a name that starts with a digit is written in brackets: labels[\"0a\"]");
                    }
                    Err(_) => steps.push(Step::Name(name.into())),
                }
            } else if self.take("[") {
                self.skip_space();
                steps.push(if self.rest().starts_with(['"', '\'']) {
                    Step::Name(self.text()?)
                } else {
                    Step::Index(self.number()?)
                });
                if !self.take("]") {
                    return self.error("`]` is expected here");
                }
            } else {
                break;
            }
            if steps.len() > STEPS_MAX {
                return self.error(format!("a path has at most {STEPS_MAX} steps"));
            }
        }
        Ok(Start::Path(root.into(), steps.into()))
    }

    fn number(&mut self) -> Result<usize, TemplateError> {
        let digits = self.run(|c| c.is_ascii_digit());
        digits.parse().or_else(|_| self.error("a text in quotes or a whole number is expected here"))
    }

    fn text(&mut self) -> Result<Box<str>, TemplateError> {
        let opened = self.at;
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        let quote = characters.next().map_or('"', |(_, quote)| quote);
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c @ ('\\' | '"' | '\''))) => text.push(c),
                    _ => {
                        self.at += at;
                        return self.error("this escape is not known; \\\\ \\\" \\' \\n \\t are");
                    }
                },
                c if c == quote => {
                    self.at += at + c.len_utf8();
                    return Ok(text.into());
                }
                c => text.push(c),
            }
        }
        self.at = opened;
        self.error("this quote is not closed")
    }

    fn filter(&mut self) -> Result<Applied, TemplateError> {
        self.skip_space();
        let began = self.at;
        let name = self.run(is_name);
        let Some(filter) = FILTERS.iter().find(|filter| filter.name == name) else {
            self.at = began;
            let known: Vec<&str> = FILTERS.iter().map(|filter| filter.name).collect();
            return self.error(format!("there is no filter `{name}`; there are {}", known.join(", ")));
        };
        let mut arguments = Vec::new();
        if self.take("(") && !self.take(")") {
            loop {
                self.skip_space();
                arguments.push(if self.rest().starts_with(['"', '\'']) {
                    Argument::Text(self.text()?)
                } else {
                    Argument::Number(self.number()?)
                });
                if self.take(")") {
                    break;
                }
                if !self.take(",") || arguments.len() > 2 {
                    return self.error("`)` is expected here");
                }
            }
        }
        if let Err(message) = filter.check(&arguments) {
            self.at = began;
            return self.error(message);
        }
        Ok(Applied { filter, arguments: arguments.into() })
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
