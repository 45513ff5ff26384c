//! The validated `match` block: which events a rule concerns.

use std::fmt;

/// A name, or a glob where it holds `*` or `?`.
#[derive(Debug, Clone)]
pub enum NamePattern {
    /// Equal to this.
    Exact(String),
    /// Matches this glob.
    Glob(TextGlob),
}

impl NamePattern {
    /// Whether `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Glob(glob) => glob.matches(name),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Glob(glob) => f.write_str(glob.source()),
        }
    }
}

/// A channel, by id or by name.
#[derive(Debug, Clone)]
pub enum ChannelPattern {
    /// Any channel, even none: the explicit `"*"`.
    Any,
    /// The channel with this id.
    Id(i64),
    /// The channel whose name fits.
    Name(NamePattern),
    /// Digits in quotes: the channel with this id, or one that has these digits for a name.
    IdOrName(i64, String),
}

impl fmt::Display for ChannelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => name.fmt(f),
            Self::IdOrName(_, digits) => f.write_str(digits),
        }
    }
}

/// A glob over text: `*` any run of characters, `?` one character, `[…]` a class, `{a,b}` alternatives.
/// `/` is a character like any other.
#[derive(Debug, Clone)]
pub struct TextGlob {
    source: String,
    matcher: globset::GlobMatcher,
}

impl TextGlob {
    /// Compiles `source`; the error says what is wrong with it.
    pub fn new(source: &str) -> Result<Self, String> {
        let glob = globset::GlobBuilder::new(source)
            .literal_separator(false)
            .backslash_escape(true)
            .build()
            .map_err(|error| error.kind().to_string())?;
        Ok(Self { source: source.to_owned(), matcher: glob.compile_matcher() })
    }

    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    /// The glob as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// The size limit of one compiled regex, in bytes.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// One test on a text value.
#[derive(Debug, Clone)]
pub enum Test {
    /// `equals`, or a plain scalar.
    Equals(Scalar),
    /// `not`.
    Not(Scalar),
    /// `in`, or a plain list.
    In(Vec<Scalar>),
    /// `not_in`.
    NotIn(Vec<Scalar>),
    /// `contains`.
    Contains(String),
    /// `prefix`.
    Prefix(String),
    /// `suffix`.
    Suffix(String),
    /// `glob`.
    Glob(TextGlob),
    /// `regex`: linear-time, anchored only where written.
    Regex(regex::Regex),
    /// `exists`.
    Exists(bool),
}

impl Test {
    /// Whether it is a negative test: for a list it must hold for every element.
    pub fn is_negative(&self) -> bool {
        matches!(self, Self::Not(_) | Self::NotIn(_))
    }
}

/// A value to compare with. Labels are always text; custom fields may hold numbers and bools.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A bool.
    Bool(bool),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}

/// The tests on one field; all must hold. Never empty.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The tests, in the order written.
    pub tests: Vec<Test>,
}

impl fmt::Display for Test {
    /// As a person would say it: `one of "nj", "sh"`, `not "dev"`, `contains "disk"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, values: &[Scalar]| {
            let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
            f.write_str(&texts.join(", "))
        };
        match self {
            Self::Equals(value) => write!(f, "{value}"),
            Self::Not(value) => write!(f, "not {value}"),
            Self::In(values) => {
                f.write_str("one of ")?;
                list(f, values)
            }
            Self::NotIn(values) => {
                f.write_str("none of ")?;
                list(f, values)
            }
            Self::Contains(text) => write!(f, "contains {text:?}"),
            Self::Prefix(text) => write!(f, "starts with {text:?}"),
            Self::Suffix(text) => write!(f, "ends with {text:?}"),
            Self::Glob(glob) => write!(f, "glob {:?}", glob.source()),
            Self::Regex(regex) => write!(f, "regex {:?}", regex.as_str()),
            Self::Exists(true) => f.write_str("to be there"),
            Self::Exists(false) => f.write_str("to be absent"),
        }
    }
}

/// A `match` block. At the top of a rule `events` and `channels` are never `None`; inside `any` and `not` they
/// may be.
#[derive(Debug, Clone, Default)]
pub struct Match {
    /// Event types.
    pub events: Option<Vec<NamePattern>>,
    /// Channels.
    pub channels: Option<Vec<ChannelPattern>>,
    /// Severities, compared exactly.
    pub severities: Option<Vec<String>>,
    /// Statuses, compared exactly.
    pub statuses: Option<Vec<String>>,
    /// `Triggered`, `Processing`, `Closed`.
    pub progress: Option<Vec<String>>,
    /// Names of configured sources.
    pub sources: Option<Vec<String>>,
    /// The e-mail or id of who acted.
    pub person: Option<Vec<String>>,
    /// The title.
    pub title: Option<Matcher>,
    /// The description.
    pub description: Option<Matcher>,
    /// Labels, by name.
    pub labels: Vec<(String, Matcher)>,
    /// Custom fields, by name.
    pub fields: Vec<(String, Matcher)>,
    /// One of these blocks must hold; empty means the key was not written.
    pub any: Vec<Match>,
    /// This block must not hold.
    pub not: Option<Box<Match>>,
}
