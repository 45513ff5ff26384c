//! Where the text of a condition can be taken apart, so that each part can be asked by itself.
//!
//! Rhai's own tokens say where parts begin; its tree does not say where they end. What cannot be taken apart for
//! certain stays whole. Nothing here evaluates.

use std::ops::Range;

use rhai::{Engine, Token};

/// How many tokens are looked at; a longer condition stays whole.
const TOKENS_MAX: usize = 4096;

/// What a part of a condition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Parts joined by `||`.
    Or(Vec<Range<usize>>),
    /// Parts joined by `&&`.
    And(Vec<Range<usize>>),
    /// What is behind `!`.
    Not(Range<usize>),
    /// Two sides of a comparison.
    Compare(Range<usize>, Range<usize>),
    /// Anything else.
    Whole,
}

/// The tokens of a condition with where they begin.
#[derive(Debug)]
pub(super) struct Tokens<'s> {
    source: &'s str,
    list: Vec<(Token, usize)>,
}

impl<'s> Tokens<'s> {
    /// The tokens of `source`; none where it has texts with code in them, whose end only the parser knows.
    pub(super) fn new(engine: &Engine, source: &'s str) -> Self {
        let starts: Vec<usize> = std::iter::once(0).chain(source.match_indices('\n').map(|(brk, _)| brk + 1)).collect();
        let mut list = Vec::new();
        let inputs = [source];
        let (tokens, _) = engine.lex(&inputs);
        for (token, position) in tokens {
            let is_unsure = matches!(token, Token::LexError(_) | Token::InterpolatedString(_));
            if is_unsure || list.len() >= TOKENS_MAX {
                return Self { source, list: Vec::new() };
            }
            if token == Token::EOF {
                break;
            }
            let (Some(line), Some(column)) = (position.line(), position.position()) else { continue };
            let start = starts.get(line - 1).copied().unwrap_or(source.len());
            let rest = source.get(start..).unwrap_or_default();
            let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
            list.push((token, start + within));
        }
        Self { source, list }
    }

    /// The last expression of the script: what gives its value. Everything before it prepares for it.
    pub(super) fn last_expression(&self) -> Range<usize> {
        let mut depth = 0_usize;
        let mut begins = 0;
        let mut is_block = false;
        let mut at_start = true;
        for (at, (token, start)) in self.list.iter().enumerate() {
            if at_start {
                begins = *start;
                is_block = matches!(token, Token::Fn | Token::Private | Token::For | Token::While | Token::Loop);
                at_start = false;
            }
            depth = deeper(depth, token);
            let ends_block = is_block && depth == 0 && *token == Token::RightBrace;
            if depth == 0 && (*token == Token::SemiColon || ends_block) && at + 1 < self.list.len() {
                at_start = true;
            }
        }
        self.trimmed(begins..self.source.len())
    }

    /// What the text in `range` is, taken apart at its loosest operator.
    pub(super) fn shape(&self, range: &Range<usize>) -> Shape {
        let inside: Vec<&(Token, usize)> = self.list.iter().filter(|(_, start)| range.contains(start)).collect();
        let Some((first, _)) = inside.first() else { return Shape::Whole };
        // Here `||`, `|` and `&&` are not between two values.
        if matches!(first, Token::If | Token::Switch | Token::Let | Token::Const | Token::Return | Token::Do) {
            return Shape::Whole;
        }
        let outer = |wanted: &dyn Fn(&Token) -> bool| -> Vec<usize> {
            let mut depth = 0;
            let mut found = Vec::new();
            for (token, start) in &inside {
                depth = deeper(depth, token);
                if depth == 0 && wanted(token) {
                    found.push(*start);
                }
            }
            found
        };
        let is_bitwise = |token: &Token| matches!(token, Token::Pipe | Token::Ampersand | Token::XOr);
        if !outer(&is_bitwise).is_empty() {
            return Shape::Whole;
        }
        let ors = outer(&|token| *token == Token::Or);
        if !ors.is_empty() {
            return Shape::Or(self.between(range, &ors));
        }
        let ands = outer(&|token| *token == Token::And);
        if !ands.is_empty() {
            return Shape::And(self.between(range, &ands));
        }
        for tier in [is_equality as fn(&Token) -> bool, is_membership, is_order] {
            // Of several, the last is applied last.
            let operators = outer(&tier);
            if let Some(at) = operators.last() {
                let operator = inside.iter().find(|(_, start)| start == at).map_or("", |(token, _)| operator(token));
                // `!in` is one token of two words, which may be apart.
                let behind = if operator.is_empty() { return Shape::Whole } else { at + operator.len() };
                return Shape::Compare(self.trimmed(range.start..*at), self.trimmed(behind..range.end));
            }
        }
        match inside.as_slice() {
            [(Token::Bang, at), ..] => Shape::Not(self.trimmed(at + 1..range.end)),
            [(Token::LeftParen, at), .., (Token::RightParen, end)] if self.encloses(&inside) => {
                self.shape_inside(at + 1..*end)
            }
            _ => Shape::Whole,
        }
    }

    /// The shape of what parentheses enclose; a comparison or a call in them is itself a whole.
    fn shape_inside(&self, range: Range<usize>) -> Shape {
        let range = self.trimmed(range);
        match self.shape(&range) {
            Shape::Whole => Shape::And(vec![range]),
            shape => shape,
        }
    }

    /// Whether the first parenthesis is closed by the last one.
    fn encloses(&self, inside: &[&(Token, usize)]) -> bool {
        let mut depth = 0;
        inside.iter().enumerate().all(|(at, (token, _))| {
            depth = deeper(depth, token);
            depth > 0 || at + 1 == inside.len()
        })
    }

    /// What stands between operators of two characters.
    fn between(&self, range: &Range<usize>, operators: &[usize]) -> Vec<Range<usize>> {
        let starts = std::iter::once(range.start).chain(operators.iter().map(|at| at + 2));
        let ends = operators.iter().copied().chain([range.end]);
        starts.zip(ends).map(|(start, end)| self.trimmed(start..end)).collect()
    }

    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = self.source.get(range.clone()).unwrap_or_default();
        let start = range.start + (text.len() - text.trim_start().len());
        let length = text.trim().trim_end_matches(';').trim_end().len();
        start..start + length
    }
}

fn deeper(depth: usize, token: &Token) -> usize {
    match token {
        Token::LeftParen | Token::LeftBracket | Token::LeftBrace | Token::MapStart | Token::QuestionBracket => {
            depth + 1
        }
        Token::RightParen | Token::RightBracket | Token::RightBrace => depth.saturating_sub(1),
        _ => depth,
    }
}

fn is_equality(token: &Token) -> bool {
    matches!(token, Token::EqualsTo | Token::NotEqualsTo)
}

fn is_membership(token: &Token) -> bool {
    matches!(token, Token::In | Token::NotIn)
}

fn is_order(token: &Token) -> bool {
    matches!(token, Token::LessThan | Token::LessThanEqualsTo | Token::GreaterThan | Token::GreaterThanEqualsTo)
}

/// How an operator is written; empty for the one that may be written in several ways.
fn operator(token: &Token) -> &'static str {
    match token {
        Token::EqualsTo => "==",
        Token::NotEqualsTo => "!=",
        Token::In => "in",
        Token::LessThan => "<",
        Token::LessThanEqualsTo => "<=",
        Token::GreaterThan => ">",
        Token::GreaterThanEqualsTo => ">=",
        _ => "",
    }
}
