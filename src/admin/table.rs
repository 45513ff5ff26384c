//! The table of the API: what is served, and what is documented, from one list.
//!
//! A request finds its entry here, and the OpenAPI document is made of the same entries: nothing is served that is not
//! documented, and nothing documented that is not served.

mod engine;
mod events;
mod journal;
mod rules;
mod runs;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use tokio::sync::Notify;
use warp::http;
use warp::reply::Response;

use super::access::Caller;
use super::request::Head;
use super::routes::Desk;

/// Whom an endpoint lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Whoever may see.
    Read,
    /// Whoever may act.
    Act,
}

/// A request for an endpoint.
pub(super) struct Call {
    /// What it is answered from.
    pub(super) desk: Arc<Desk>,
    /// Its head.
    pub(super) head: Head,
    /// What stands in the path for `{…}`, in order.
    pub(super) parameters: Vec<String>,
    /// Its body.
    pub(super) body: Bytes,
    /// Who sent it.
    pub(super) caller: Caller,
    /// Cuts the connection that it came on.
    pub(super) cut: Arc<Notify>,
}

impl Call {
    /// The first parameter of the path.
    pub(super) fn id(&self) -> String {
        self.parameters.first().cloned().unwrap_or_default()
    }
}

/// An answer that is being made.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Makes the schema of a body.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What an endpoint answers when all is well.
#[derive(Clone, Copy)]
pub(super) enum Answers {
    /// JSON of this shape.
    Json(Shape),
    /// Something else, of this type.
    Other(&'static str),
}

/// A parameter of the query.
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// `integer`, `string`, `boolean`, or a text of a form: `duration`, `head`.
    pub(super) kind: &'static str,
    /// What it does.
    pub(super) about: &'static str,
}

/// What an endpoint is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// To see something.
    Get,
    /// To have something done.
    Post,
}

impl Method {
    /// Its name in the document.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
        }
    }

    /// What `Allow` says where a path has it alone.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }
}

/// One entry.
#[derive(Clone, Copy)]
pub(super) struct Endpoint {
    /// The method.
    pub(super) method: Method,
    /// The path, with `{name}` for what varies.
    pub(super) path: &'static str,
    /// What it does, in a line.
    pub(super) about: &'static str,
    /// Whom it lets in.
    pub(super) needs: Needs,
    /// What the query may hold.
    pub(super) query: &'static [Parameter],
    /// The shape of the body, where it takes one.
    pub(super) body: Option<Shape>,
    /// What it answers.
    pub(super) answers: Answers,
    /// The statuses of its own errors, beside those that all have.
    pub(super) errors: &'static [u16],
    /// Answers.
    pub(super) serve: fn(Call) -> Answering,
}

/// What a request leads to.
pub(super) enum Found {
    /// An entry, and what stands for its `{…}`.
    Endpoint(&'static Endpoint, Vec<String>),
    /// The path is there, the method is not; these are.
    OtherMethod(&'static str),
    /// Nothing.
    Nothing,
}

/// Every endpoint, in the order of the document.
pub(super) fn all() -> impl Iterator<Item = &'static Endpoint> {
    [engine::ENTRIES, events::ENTRIES, runs::ENTRIES, rules::ENTRIES, journal::ENTRIES].into_iter().flatten()
}

/// Finds the entry for a method and the parts of a path.
pub(super) fn find(method: &http::Method, segments: &[String]) -> Found {
    let mut found = Found::Nothing;
    for endpoint in all() {
        let Some(parameters) = endpoint.parameters(segments) else { continue };
        if method.as_str().eq_ignore_ascii_case(endpoint.method.name()) {
            return Found::Endpoint(endpoint, parameters);
        }
        found = Found::OtherMethod(endpoint.method.allowed());
    }
    found
}

impl Endpoint {
    /// What stands for `{…}` in a path that is this one.
    fn parameters(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut parameters = Vec::new();
        let mut given = segments.iter();
        for wanted in self.path.trim_start_matches('/').split('/') {
            let given = given.next()?;
            if wanted.starts_with('{') {
                parameters.push(given.clone());
            } else if wanted != given {
                return None;
            }
        }
        given.next().is_none().then_some(parameters)
    }
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn get(path: &'static str, about: &'static str, answers: Answers, serve: fn(Call) -> Answering) -> Endpoint {
    let (method, needs) = (Method::Get, Needs::Read);
    Endpoint { method, path, about, needs, query: &[], body: None, answers, errors: &[], serve }
}

const fn post(path: &'static str, about: &'static str, answers: Answers, serve: fn(Call) -> Answering) -> Endpoint {
    Endpoint { method: Method::Post, needs: Needs::Act, ..get(path, about, answers, serve) }
}

const LIMIT: Parameter = Parameter { name: "limit", kind: "integer", about: "how many: 50 unless given, at most 1000" };
const BEFORE: Parameter =
    Parameter { name: "before", kind: "integer", about: "only what stands before this number of the journal" };
const PAGE: &[Parameter] = &[LIMIT, BEFORE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_by_its_own_path_and_no_two_share_one() {
        for endpoint in all() {
            let segments: Vec<String> = endpoint
                .path
                .trim_start_matches('/')
                .split('/')
                .map(|part| part.trim_matches(['{', '}']).into())
                .collect();
            let method = endpoint.method.name().to_uppercase().parse().unwrap();
            let Found::Endpoint(found, _) = find(&method, &segments) else { panic!("{}", endpoint.path) };
            assert_eq!(found.path, endpoint.path);
        }
    }
}
