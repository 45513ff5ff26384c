//! What is wrong with a script, said in the words of the rule language.

use rhai::{EvalAltResult, ParseError, ParseErrorType, Position};

use super::{NAMES, limits};

/// The longest message, in characters. Event text can stand in it.
const MESSAGE_CHARS_MAX: usize = 400;
/// How many levels of "in function" a message unwraps.
const CALLS_SHOWN_MAX: usize = 4;

/// What is wrong with a script, with its place inside the script's own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// What went wrong. Bounded, and free of control characters.
    pub message: String,
    /// One-based line in the script's text, where known.
    pub line: Option<usize>,
    /// One-based column, in characters.
    pub column: Option<usize>,
    /// Whether a limit stopped the script, so that it is better not asked again.
    pub is_limit: bool,
}

impl ScriptError {
    /// An error without a place. Makes `message` fit for logs and terminals.
    pub(super) fn new(message: &str) -> Self {
        Self { message: printable(message), line: None, column: None, is_limit: false }
    }

    /// The same error at `position`.
    pub(super) fn at(self, position: Position) -> Self {
        Self { line: position.line(), column: position.line().map(|_| position.position().unwrap_or(1)), ..self }
    }

    /// An error while evaluating. `calls_modules` says that the position may lie in another text: Rhai does not
    /// wrap the errors of limits in the call that led to them.
    pub(super) fn from_rhai(error: &EvalAltResult, calls_modules: bool) -> Self {
        let is_limit = matches!(
            error.unwrap_inner(),
            EvalAltResult::ErrorTooManyOperations(_)
                | EvalAltResult::ErrorStackOverflow(_)
                | EvalAltResult::ErrorTerminated(..)
                | EvalAltResult::ErrorDataTooLarge(..)
        );
        let said = Self { is_limit, ..Self::new(&describe(error, 0)) };
        if is_limit && calls_modules { said } else { said.at(error.position()) }
    }

    /// An error of the parser, with the nearest known name where one is unknown.
    pub(super) fn from_parser<'m>(error: &ParseError, modules: impl Iterator<Item = &'m str>) -> Self {
        let message = match error.err_type() {
            ParseErrorType::VariableUndefined(name) => {
                format!("there is no variable `{name}`{}", hint(name, NAMES.iter().copied()))
            }
            ParseErrorType::ModuleUndefined(name) => {
                format!("there is no script module `{name}`{}", hint(name, modules))
            }
            ParseErrorType::ExprTooDeep => {
                format!(
                    "it is nested deeper than {} levels, which is the limit; each operator of a chain counts",
                    limits::EXPRESSION_DEPTH_MAX
                )
            }
            other => other.to_string(),
        };
        Self::new(&message).at(error.position())
    }
}

/// ` (did you mean …?)`, where one of `known` is near to `name`.
pub(super) fn hint<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min();
    near.map(|(_, candidate)| format!(" (did you mean `{candidate}`?)")).unwrap_or_default()
}

fn describe(error: &EvalAltResult, depth: usize) -> String {
    use EvalAltResult as E;
    match error {
        E::ErrorVariableNotFound(name, _) if NAMES.contains(&name.as_str()) => {
            format!("`{name}` is not there in this event")
        }
        E::ErrorVariableNotFound(name, _) => format!("there is no variable `{name}`"),
        E::ErrorPropertyNotFound(name, _) => {
            format!("`{name}` is not there in this event (`has` tests for it, `get` reads with a default)")
        }
        E::ErrorFunctionNotFound(signature, _) => format!("no function takes these types: {signature}"),
        E::ErrorTooManyOperations(_) => {
            format!("stopped after {} operations, which is the limit", limits::OPERATIONS_MAX)
        }
        E::ErrorTerminated(..) => format!("stopped after {} ms, which is the limit", limits::DEADLINE.as_millis()),
        E::ErrorStackOverflow(_) => {
            format!("stopped at {} nested calls, which is the limit", limits::CALL_LEVELS_MAX)
        }
        E::ErrorDataTooLarge(what, _) => format!("stopped because a value became too large: {what} is over the limit"),
        E::ErrorInFunctionCall(name, _, inner, _) if depth < CALLS_SHOWN_MAX => {
            let place = match inner.position().line() {
                Some(line) => format!("{}:{}", line, inner.position().position().unwrap_or(1)),
                None => "?".to_owned(),
            };
            let inner = describe(inner, depth + 1);
            if name.starts_with("anon$") { inner } else { format!("in `{name}` at {place}: {inner}") }
        }
        E::ErrorInFunctionCall(_, _, inner, _) => describe(inner.unwrap_inner(), depth),
        E::ErrorNonPureMethodCallOnConstant(name, _) => {
            format!("`{name}` would change what belongs to the event, and scripts can change nothing")
        }
        E::ErrorAssignmentToConstant(name, _) => format!("`{name}` is constant: scripts can change nothing"),
        E::ErrorRuntime(value, _) => match value.as_immutable_string_ref() {
            Ok(text) => text.to_string(),
            Err(_) => format!("the script gave up with a value of type {}", value.type_name()),
        },
        E::ErrorDataRace(..) => "a closure cannot use the value that its own caller works on: copy it with `let` \
                                 first"
            .to_owned(),
        E::ErrorParsing(kind, _) => kind.to_string(),
        E::ErrorMismatchDataType(wanted, seen, _) => format!("{wanted} is needed here, this is {seen}"),
        E::ErrorMismatchOutputType(wanted, seen, _) => format!("the result must be {wanted}, this is {seen}"),
        E::ErrorArithmetic(what, _) => what.clone(),
        other => {
            // Rhai appends the position, which is reported apart.
            let text = other.to_string();
            text.split(" (line ").next().unwrap_or_default().to_owned()
        }
    }
}

/// `text` with control and direction-changing characters escaped, cut at the limit.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == MESSAGE_CHARS_MAX {
            printable.push('…');
            break;
        }
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}
