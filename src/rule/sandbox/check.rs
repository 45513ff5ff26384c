//! What can be known about a script without running it: what it calls, assigns and reads.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use rhai::{AST, ASTFlags, ASTNode, Expr, FnCallExpr, Position, ScriptFuncDef, Stmt};

use super::error::{ScriptError, hint};
use super::{Exports, FUNCTIONS, NAMES};

/// The call that the parser writes for a closure that uses variables from around it.
const CURRY: &str = "curry";

/// The functions that a module offers, with the numbers of arguments they take.
pub(super) fn exports(ast: &AST) -> std::collections::BTreeMap<String, Vec<usize>> {
    let mut functions = std::collections::BTreeMap::<String, Vec<usize>>::new();
    for function in ast.iter_fn_def().filter(|function| !function.access.is_private() && !is_closure(function)) {
        functions.entry(function.name.to_string()).or_default().push(function.params.len());
    }
    functions
}

fn is_closure(function: &ScriptFuncDef) -> bool {
    function.name.starts_with("anon$")
}

/// The functions that take a closure, with its place among their arguments. They call it and let it go.
const TAKE_CLOSURES: &[(&str, usize)] = &[
    ("some", 1),
    ("all", 1),
    ("filter", 1),
    ("map", 1),
    ("find", 1),
    ("find_map", 1),
    ("index_of", 1),
    ("reduce", 1),
    ("for_each", 1),
    ("sort", 1),
    ("zip", 2),
];

/// Visits every node of `ast`, function bodies included, with the nodes above it.
fn visit<B>(ast: &AST, mut on_node: impl FnMut(&[ASTNode<'_>]) -> ControlFlow<B>) -> Option<B> {
    let mut found = None;
    ast.walk(&mut |nodes: &[ASTNode<'_>]| match on_node(nodes) {
        ControlFlow::Continue(()) => true,
        ControlFlow::Break(value) => {
            found = Some(value);
            false
        }
    });
    found
}

/// Adds every text that stands in the script as it is: literals, keys of maps, names of properties.
pub(super) fn texts(ast: &AST, found: &mut HashSet<String>) {
    let never = visit(ast, |nodes| {
        match nodes.last() {
            Some(ASTNode::Expr(Expr::StringConstant(text, _))) => drop(found.insert(text.to_string())),
            Some(ASTNode::Expr(Expr::DynamicConstant(value, _))) => texts_of(value, found),
            Some(ASTNode::Expr(Expr::Map(map, _))) => found.extend(map.0.iter().map(|(key, _)| key.name.to_string())),
            Some(ASTNode::Expr(Expr::Property(property, _))) => drop(found.insert(property.2.to_string())),
            _ => {}
        }
        ControlFlow::<std::convert::Infallible>::Continue(())
    });
    debug_assert!(never.is_none());
}

/// The parser makes lists and maps of constants into one constant.
fn texts_of(value: &rhai::Dynamic, found: &mut HashSet<String>) {
    if let Ok(text) = value.as_immutable_string_ref() {
        found.insert(text.to_string());
    } else if let Ok(items) = value.as_array_ref() {
        items.iter().for_each(|item| texts_of(item, found));
    } else if let Ok(entries) = value.as_map_ref() {
        for (key, value) in entries.iter() {
            found.insert(key.to_string());
            texts_of(value, found);
        }
    }
}

/// Refuses calls of functions that do not exist, functions that would hide one of [`FUNCTIONS`], and closures anywhere
/// but where they are called at once: one that is kept can hold another and so on, which no limit of Rhai measures,
/// until dropping it overflows the stack.
pub(super) fn calls(ast: &AST, exports: &Exports) -> Vec<ScriptError> {
    let own: Vec<&str> = ast.iter_fn_def().map(|function| function.name.as_str()).collect();
    if let Some(name) = own.iter().find(|own| FUNCTIONS.iter().any(|function| function.name == **own)) {
        return vec![ScriptError::new(&format!("a function `{name}` is there already: choose another name"))];
    }
    let mut wrong = Vec::new();
    let _: Option<()> = visit(ast, |nodes| {
        let (call, at) = match nodes.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))) => (call, *at),
            Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => (call, *at),
            Some(ASTNode::Expr(Expr::DynamicConstant(value, at))) if value.is_fnptr() && !is_taken(nodes) => {
                let takers: Vec<&str> = TAKE_CLOSURES.iter().map(|(name, _)| *name).collect();
                let message = format!("a closure can only be given, where it is written, to {}", takers.join(", "));
                wrong.push(ScriptError::new(&message).at(*at));
                return ControlFlow::Continue(());
            }
            _ => return ControlFlow::Continue(()),
        };
        wrong.extend(unknown(call, &own, exports).map(|message| ScriptError::new(&message).at(at)));
        ControlFlow::Continue(())
    });
    // A body may be visited where it is written and where it is called.
    wrong.sort_by_key(|error| (error.line, error.column));
    wrong.dedup();
    wrong
}

fn unknown(call: &FnCallExpr, own: &[&str], exports: &Exports) -> Option<String> {
    let name = call.name.as_str();
    if call.op_token.is_some() || is_generated_curry(call) {
        return None;
    }
    if call.is_qualified() {
        let module = call.namespace.root();
        let Some(functions) = exports.get(module) else {
            let near = hint(module, exports.keys().map(String::as_str));
            return Some(format!("there is no script module `{module}`{near}"));
        };
        let Some(arities) = functions.get(name) else {
            let near = hint(name, functions.keys().map(String::as_str));
            return Some(format!("the script module `{module}` has no function `{name}`{near}"));
        };
        let given = call.args.len();
        if call.namespace.path.len() == 1 && arities.contains(&given) {
            return None;
        }
        let takes = arities.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
        let arguments = if takes == "1" { "argument" } else { "arguments" };
        return Some(format!("`{module}::{name}` takes {takes} {arguments}, not {given}"));
    }
    if own.contains(&name) || FUNCTIONS.iter().any(|function| function.name == name) {
        return None;
    }
    let known = FUNCTIONS.iter().map(|function| function.name).chain(own.iter().copied());
    Some(format!("there is no function `{name}`{}", hint(name, known)))
}

/// Whether the closure at the end of `nodes` is an argument of a function that takes one.
fn is_taken(nodes: &[ASTNode<'_>]) -> bool {
    let mut above = nodes.iter().rev();
    let mut closure = above.next();
    let mut parent = above.next();
    // One that uses variables from around it stands in a call, and that in a block, both written by the parser.
    if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) = parent
        && is_generated_curry(call)
    {
        closure = above.find(|node| matches!(node, ASTNode::Expr(Expr::Stmt(_))));
        parent = above.next();
    }
    let (call, is_method) = match parent {
        Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => (call, false),
        Some(ASTNode::Expr(Expr::MethodCall(call, _))) => (call, true),
        _ => return false,
    };
    let Some(ASTNode::Expr(closure)) = closure else { return false };
    TAKE_CLOSURES.iter().any(|(name, at)| {
        let at = at - usize::from(is_method);
        *name == call.name
            && !call.is_qualified()
            && call.args.get(at).is_some_and(|given| std::ptr::eq(given, *closure))
    })
}

fn is_generated_curry(call: &FnCallExpr) -> bool {
    call.name == CURRY && matches!(call.args.first(), Some(Expr::DynamicConstant(value, _)) if value.is_fnptr())
}

/// Refuses assigning to the names of the event and declaring variables that would hide them. (A closure's own
/// parameter may be called `alert`.)
pub(super) fn names_are_constant(ast: &AST) -> Result<(), ScriptError> {
    let wrong = visit(ast, |nodes| {
        let declared: &[Option<(&str, Position)>] = match nodes.last() {
            Some(ASTNode::Stmt(Stmt::Var(declaration, _, at))) => &[Some((declaration.0.as_str(), *at))],
            Some(ASTNode::Stmt(Stmt::For(header, at))) => {
                &[Some((header.0.as_str(), *at)), header.1.as_ref().map(|counter| (counter.as_str(), *at))]
            }
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                let root = root(&assignment.1.lhs);
                return match root.filter(|(name, _)| NAMES.contains(name)) {
                    Some((name, at)) => {
                        let message = format!("`{name}` is constant: scripts can change nothing of the event");
                        ControlFlow::Break(ScriptError::new(&message).at(at))
                    }
                    None => ControlFlow::Continue(()),
                };
            }
            _ => &[],
        };
        for (name, at) in declared.iter().flatten() {
            if NAMES.contains(name) {
                let message = format!("a variable cannot be called `{name}`: that is a name of the event");
                return ControlFlow::Break(ScriptError::new(&message).at(*at));
            }
        }
        ControlFlow::Continue(())
    });
    wrong.map_or(Ok(()), Err)
}

fn root(expr: &Expr) -> Option<(&str, Position)> {
    match expr {
        Expr::Variable(variable, _, at) if variable.2.is_empty() => Some((variable.1.as_str(), *at)),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => root(&chain.lhs),
        _ => None,
    }
}

/// What a condition reads of the event.
pub(super) struct Seen {
    pub(super) paths: Vec<(String, usize, usize)>,
    pub(super) captures: bool,
    pub(super) calls_modules: bool,
    /// Calls a function, or a module, that looks at the time.
    pub(super) asks_the_time: bool,
}

/// Collects the paths that start at one of [`NAMES`].
pub(super) fn paths(ast: &AST) -> Seen {
    let mut seen = Seen { paths: Vec::new(), captures: false, calls_modules: false, asks_the_time: false };
    // How many variables from around it each closure uses: they are its first parameters.
    let mut captured = HashMap::new();
    let look = |nodes: &[ASTNode<'_>], hidden: &[&str], seen: &mut Seen, captured: &mut HashMap<String, usize>| {
        let node = nodes.last();
        let above = nodes.len().checked_sub(2).and_then(|at| nodes.get(at));
        match node {
            Some(ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)))
            | Some(ASTNode::Stmt(Stmt::FnCall(call, _))) => {
                seen.calls_modules |= call.is_qualified();
                seen.asks_the_time |= call.is_qualified() || call.name == "minutes_since";
                if is_generated_curry(call) {
                    seen.captures = true;
                    if let Some(Expr::DynamicConstant(function, _)) = call.args.first() {
                        let name = function.clone_cast::<rhai::FnPtr>().fn_name().to_owned();
                        captured.insert(name, call.args.len() - 1);
                    }
                }
            }
            Some(ASTNode::Expr(expr)) => {
                let Some((name, at)) = root(expr) else { return };
                let whole = match above {
                    // Seen already as the start of the chain above.
                    Some(ASTNode::Expr(Expr::Dot(chain, ..) | Expr::Index(chain, ..))) => {
                        !std::ptr::eq(&chain.lhs, *expr)
                    }
                    Some(ASTNode::Expr(Expr::FnCall(call, _))) => !is_generated_curry(call),
                    _ => true,
                };
                if whole && NAMES.contains(&name) && !hidden.contains(&name) {
                    let mut path = name.to_owned();
                    chain(expr, &mut path);
                    seen.paths.push((path, at.line().unwrap_or(1), at.position().unwrap_or(1)));
                }
            }
            _ => {}
        }
    };
    let mut above = Vec::new();
    for statement in ast.statements() {
        statement.walk(&mut above, &mut |nodes: &[ASTNode<'_>]| {
            look(nodes, &[], &mut seen, &mut captured);
            true
        });
    }
    // What a closure captures stands where the closure is made, which may be inside another function: so all bodies
    // are looked through once for that, before their own paths are taken.
    let found = seen.paths.clone();
    for hide in [true, false] {
        seen.paths.clone_from(&found);
        for function in ast.iter_fn_def() {
            // Rhai does not hand out a function's body, but a script of that function alone.
            let arity = function.params.len();
            let alone = ast.clone_functions_only_filtered(|_, _, _, name, arguments| {
                name == function.name.as_str() && arguments == arity
            });
            let from_around = if hide { 0 } else { captured.get(function.name.as_str()).copied().unwrap_or(0) };
            let hidden: Vec<&str> = function.params.iter().skip(from_around).map(|name| name.as_str()).collect();
            alone.walk(&mut |nodes: &[ASTNode<'_>]| {
                look(nodes, &hidden, &mut seen, &mut captured);
                true
            });
        }
    }
    seen.paths.sort_by_key(|(_, line, column)| (*line, *column));
    seen.paths.dedup();
    seen
}

/// Whether a script is nothing but a path of the event.
pub(super) fn is_path(ast: &AST) -> bool {
    let [Stmt::Expr(expr)] = ast.statements() else { return false };
    root(expr).is_some_and(|(name, _)| NAMES.contains(&name)) && chain(expr, &mut String::new())
}

/// Appends what follows the root of `expr`, as far as it is literal. Whether it is so to its end.
fn chain(expr: &Expr, path: &mut String) -> bool {
    let mut step = match expr {
        Expr::Dot(chain, flags, _) => Some((&chain.rhs, false, flags.intersects(ASTFlags::BREAK))),
        Expr::Index(chain, flags, _) => Some((&chain.rhs, true, flags.intersects(ASTFlags::BREAK))),
        _ => None,
    };
    while let Some((expr, is_index, ends)) = step {
        let (here, next) = match expr {
            Expr::Dot(chain, flags, _) if !ends => {
                (&chain.lhs, Some((&chain.rhs, false, flags.intersects(ASTFlags::BREAK))))
            }
            Expr::Index(chain, flags, _) if !ends => {
                (&chain.lhs, Some((&chain.rhs, true, flags.intersects(ASTFlags::BREAK))))
            }
            other => (other, None),
        };
        let segment = match here {
            Expr::Property(property, _) if !is_index => property.2.as_str(),
            Expr::StringConstant(text, _) if is_index => text.as_str(),
            _ => return false,
        };
        path.push('.');
        path.push_str(segment);
        step = next;
    }
    true
}

/// What the functions of a module read of parameters that are named as the event's names are: by convention these are
/// what is given to them.
pub(super) fn parameter_paths(ast: &AST) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for function in ast.iter_fn_def() {
        let arity = function.params.len();
        let alone =
            ast.clone_functions_only_filtered(|_, _, _, name, given| name == function.name.as_str() && given == arity);
        alone.walk(&mut |nodes: &[ASTNode<'_>]| {
            let Some(ASTNode::Expr(expr)) = nodes.last() else { return true };
            let is_inside = nodes.len().checked_sub(2).and_then(|at| nodes.get(at)).is_some_and(|above| match above {
                ASTNode::Expr(Expr::Dot(chain, ..) | Expr::Index(chain, ..)) => std::ptr::eq(&chain.lhs, *expr),
                _ => false,
            });
            if let Some((name, at)) = root(expr)
                && !is_inside
                && NAMES.contains(&name)
                && function.params.iter().any(|parameter| parameter.as_str() == name)
            {
                let mut path = name.to_owned();
                chain(expr, &mut path);
                found.push((path, at.line().unwrap_or(1), at.position().unwrap_or(1)));
            }
            true
        });
    }
    found
}
