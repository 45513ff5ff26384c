//! Taking a condition apart, and what can be told of it without an event.

use std::ops::Range;

use rhai::{AST, Dynamic, Scope};

use super::{one_line, shorten};
use crate::rule::sandbox::split::{Shape, Tokens};
use crate::rule::sandbox::{Sandbox, check, limits};

/// The most parts of one condition that are asked; the rest is told as one.
const PARTS_MAX: usize = 64;
/// How deep parts are taken apart.
const DEPTH_MAX: usize = 16;

/// A condition taken apart.
#[derive(Debug)]
pub(in crate::rule::sandbox) struct Tree {
    pub(super) root: Node,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) expression: String,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    Leaf(Box<Leaf>),
}

/// A part that is asked as it stands.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) ast: Option<AST>,
    pub(super) paths: Vec<String>,
    /// Sides of a comparison that are neither a path nor constant.
    pub(super) sides: Vec<(String, AST)>,
}

/// Takes conditions apart.
struct Cutter<'s> {
    sandbox: &'s Sandbox,
    source: &'s str,
    tokens: Tokens<'s>,
    /// What stands before the last expression, and prepares for each of its parts.
    before: &'s str,
    parts: usize,
}

impl Tree {
    pub(in crate::rule::sandbox) fn new(sandbox: &Sandbox, source: &str) -> Self {
        let tokens = Tokens::new(&sandbox.engine, source);
        let last = tokens.last_expression();
        let before = source.get(..last.start).unwrap_or_default();
        let mut cutter = Cutter { sandbox, source, tokens, before, parts: 0 };
        Self { root: cutter.cut(last, 0) }
    }

    /// What it gives for every event, where that can be told.
    pub(in crate::rule::sandbox) fn constant(&self, sandbox: &Sandbox) -> Option<bool> {
        self.root.constant(sandbox)
    }
}

impl Node {
    fn constant(&self, sandbox: &Sandbox) -> Option<bool> {
        match &self.kind {
            Kind::Or(inner) => {
                let each: Vec<Option<bool>> = inner.iter().map(|node| node.constant(sandbox)).collect();
                // A part before it could fail, and then the whole does not hold.
                if each.first() == Some(&Some(true)) || each.iter().all(Option::is_some) && each.contains(&Some(true)) {
                    return Some(true);
                }
                each.iter().all(|given| *given == Some(false)).then_some(false)
            }
            Kind::And(inner) => {
                let each: Vec<Option<bool>> = inner.iter().map(|node| node.constant(sandbox)).collect();
                if each.contains(&Some(false)) {
                    return Some(false);
                }
                each.iter().all(|given| *given == Some(true)).then_some(true)
            }
            Kind::Not(inner) => inner.constant(sandbox).map(|given| !given),
            Kind::Leaf(leaf) => leaf.constant(sandbox),
        }
    }
}

impl Leaf {
    fn constant(&self, sandbox: &Sandbox) -> Option<bool> {
        let ast = self.ast.as_ref()?;
        let seen = check::paths(ast);
        if !seen.paths.is_empty() || seen.asks_the_time {
            return None;
        }
        let mut scope = Scope::new();
        let value = limits::bounded(0, || sandbox.engine.eval_ast_with_scope::<Dynamic>(&mut scope, ast));
        value.ok()?.ok()?.as_bool().ok()
    }
}

impl Cutter<'_> {
    fn cut(&mut self, range: Range<usize>, depth: usize) -> Node {
        self.parts += 1;
        let expression = shorten(&one_line(self.text(&range)));
        let shape = if depth < DEPTH_MAX && self.parts < PARTS_MAX { self.tokens.shape(&range) } else { Shape::Whole };
        let kind = match shape {
            Shape::And(parts) if parts.len() == 1 => {
                // Parentheses around a whole.
                return parts
                    .into_iter()
                    .next()
                    .map(|inner| self.cut(inner, depth + 1))
                    .unwrap_or(Node { expression, kind: Kind::And(Vec::new()) });
            }
            Shape::Or(parts) => Kind::Or(parts.into_iter().map(|part| self.cut(part, depth + 1)).collect()),
            Shape::And(parts) => Kind::And(parts.into_iter().map(|part| self.cut(part, depth + 1)).collect()),
            Shape::Not(inner) => Kind::Not(Box::new(self.cut(inner, depth + 1))),
            Shape::Compare(left, right) => self.leaf(&range, &[left, right]),
            Shape::Whole => self.leaf(&range, &[]),
        };
        Node { expression, kind }
    }

    fn leaf(&self, range: &Range<usize>, sides: &[Range<usize>]) -> Kind {
        let ast = self.compile(range);
        // The preparation reads paths of its own, which are shown only where they stand in this part.
        let alone = self.sandbox.parse(&self.sandbox.known, self.text(range), false).ok();
        let read = |ast: &AST| check::paths(ast).paths.into_iter().map(|(path, ..)| path).collect::<Vec<_>>();
        let mut paths = alone.as_ref().map(read).unwrap_or_default();
        paths.dedup();
        let sides = sides.iter().filter_map(|side| {
            let text = self.text(side);
            let alone = self.sandbox.parse(&self.sandbox.known, text, false).ok()?;
            let is_plain = is_constant(&alone) || check::is_path(&alone);
            Some((shorten(&one_line(text)), self.compile(side).filter(|_| !is_plain)?))
        });
        Kind::Leaf(Box::new(Leaf { ast, sides: sides.collect(), paths }))
    }

    fn compile(&self, range: &Range<usize>) -> Option<AST> {
        let text = format!("{}{}", self.before, self.text(range));
        self.sandbox.parse(&self.sandbox.known, &text, true).ok()
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.source.get(range.clone()).unwrap_or_default()
    }
}

/// Whether an expression is a single literal.
fn is_constant(ast: &AST) -> bool {
    matches!(ast.statements(), [rhai::Stmt::Expr(expr)] if expr.is_constant())
}
