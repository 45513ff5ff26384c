//! The table of the API: what is served, and what is documented, from one list.
//!
//! A request finds its entry here, and the OpenAPI document is made of the same entries: nothing is served that is not
//! documented, and nothing documented that is not served.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use tokio::sync::Notify;
use warp::http;
use warp::reply::Response;

use super::access::Caller;
use super::answer::Done;
use super::api::{audit, catch_up, check, events, explain, health, incidents, rules, runs, state, test};
use super::request::Head;
use super::routes::Desk;
use super::{openapi, stream};
use crate::engine::{CaughtUp, Reloaded};

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
    /// `integer`, `string` or `boolean`.
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

/// Finds the entry for a method and the parts of a path.
pub(super) fn find(method: &http::Method, segments: &[String]) -> Found {
    let mut found = Found::Nothing;
    for endpoint in TABLE {
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
const ONLY: Parameter = Parameter { name: "rule", kind: "string", about: "only this rule" };
const NOW: Parameter = Parameter {
    name: "now",
    kind: "boolean",
    about: "on today's history; on the one just before the event was decided unless given",
};

use Answers::{Json, Other};

/// Every endpoint, in the order of the document.
pub(super) static TABLE: &[Endpoint] = &[
    get("/healthz", "Says that the process answers.", Json(shape::<Done>), |_| Box::pin(health::alive())),
    Endpoint {
        errors: &[503],
        ..get(
            "/readyz",
            "Says whether the engine can do its work, and why not.",
            Json(shape::<health::Ready>),
            |call| Box::pin(health::ready(call)),
        )
    },
    get("/metrics", "The metrics, as OpenMetrics.", Other(health::METRICS_TYPE), |call| {
        Box::pin(health::metrics(call))
    }),
    get("/api/v1/openapi.json", "This document.", Other("application/json"), |_| Box::pin(openapi::serve())),
    get("/api/v1/status", "The state of the engine as a whole.", Json(shape::<super::views::StatusView>), |call| {
        Box::pin(state::status(call))
    }),
    Endpoint {
        query: PAGE,
        errors: &[400],
        ..get(
            "/api/v1/events",
            "Events, newest first, with what each led to.",
            Json(shape::<Vec<super::views::EventView>>),
            |call| Box::pin(events::list(call)),
        )
    },
    Endpoint {
        errors: &[404],
        ..get(
            "/api/v1/events/{id}",
            "One event with its body, its decision and its runs.",
            Json(shape::<events::EventStory>),
            |call| Box::pin(events::show(call)),
        )
    },
    Endpoint {
        query: &[ONLY, NOW],
        errors: &[400, 404],
        ..get(
            "/api/v1/events/{id}/explain",
            "What was decided on an event, and what each rule in force says to it.",
            Json(shape::<explain::Answer>),
            |call| Box::pin(explain::recorded(call)),
        )
    },
    Endpoint {
        needs: Needs::Read,
        query: &[ONLY],
        body: Some(shape::<explain::Push>),
        errors: &[400, 404],
        ..post(
            "/api/v1/explain",
            "What each rule in force would say to a push, if it came now. Nothing is recorded.",
            Json(shape::<explain::Answer>),
            |call| Box::pin(explain::push(call)),
        )
    },
    Endpoint {
        errors: &[404],
        ..get(
            "/api/v1/incidents/{id}",
            "All that happened to an incident, in order.",
            Json(shape::<incidents::IncidentStory>),
            |call| Box::pin(incidents::show(call)),
        )
    },
    Endpoint {
        query: PAGE,
        errors: &[400],
        ..get(
            "/api/v1/runs",
            "Runs: those that wait or act, then those that ended, newest first.",
            Json(shape::<Vec<super::views::RunView>>),
            |call| Box::pin(runs::list(call)),
        )
    },
    Endpoint {
        errors: &[404],
        ..get(
            "/api/v1/runs/{id}",
            "One run with its plan and its steps.",
            Json(shape::<super::views::RunStory>),
            |call| Box::pin(runs::show(call)),
        )
    },
    act("/api/v1/runs/{id}/cancel", "Calls off a run that waits or acts.", |call| {
        Box::pin(runs::act(call, runs::RunAct::Cancel))
    }),
    act("/api/v1/runs/{id}/approve", "Allows a run that waits for approval.", |call| {
        Box::pin(runs::act(call, runs::RunAct::Approve))
    }),
    act("/api/v1/runs/{id}/deny", "Refuses a run that waits for approval.", |call| {
        Box::pin(runs::act(call, runs::RunAct::Deny))
    }),
    act("/api/v1/runs/{id}/rerun", "Does a run that ended again, decided afresh; answers the new run.", |call| {
        Box::pin(runs::act(call, runs::RunAct::Rerun))
    }),
    get(
        "/api/v1/approvals",
        "Runs that wait for a person, with what they would do.",
        Json(shape::<Vec<runs::ApprovalView>>),
        |call| Box::pin(runs::approvals(call)),
    ),
    get("/api/v1/rules", "The rules in force, and how each has fared.", Json(shape::<Vec<rules::RuleView>>), |call| {
        Box::pin(rules::list(call))
    }),
    Endpoint {
        errors: &[404],
        ..get("/api/v1/rules/{id}", "One rule.", Json(shape::<rules::RuleView>), |call| Box::pin(rules::show(call)))
    },
    Endpoint {
        needs: Needs::Read,
        ..post(
            "/api/v1/check",
            "Reads config, rules and scripts as they are on disk, and says what is wrong. Puts nothing into force.",
            Json(shape::<check::Checked>),
            |call| Box::pin(check::check(call)),
        )
    },
    Endpoint {
        needs: Needs::Read,
        errors: &[400],
        ..post(
            "/api/v1/test",
            "Runs the tests beside the rules that are on disk. Nothing is executed.",
            Json(shape::<test::Tested>),
            |call| Box::pin(test::test(call)),
        )
    },
    Endpoint {
        body: Some(shape::<state::PauseRequest>),
        errors: &[400, 409],
        ..post("/api/v1/pause", "Lets nothing new start.", Json(shape::<Done>), |call| Box::pin(state::pause(call)))
    },
    Endpoint {
        body: Some(shape::<state::ResumeRequest>),
        errors: &[400, 409],
        ..post("/api/v1/resume", "Lets runs start again.", Json(shape::<Done>), |call| Box::pin(state::resume(call)))
    },
    Endpoint {
        body: Some(shape::<catch_up::CatchUpRequest>),
        errors: &[400, 409, 502],
        ..post(
            "/api/v1/catch-up",
            "Asks Flashduty for open incidents that were not pushed, and takes them in.",
            Json(shape::<CaughtUp>),
            |call| Box::pin(catch_up::catch_up(call)),
        )
    },
    Endpoint {
        body: Some(shape::<state::ReloadRequest>),
        errors: &[400, 422],
        ..post(
            "/api/v1/reload",
            "Reads config, rules, scripts and secrets again and puts them into force, all or nothing.",
            Json(shape::<Reloaded>),
            |call| Box::pin(state::reload(call)),
        )
    },
    get("/api/v1/audit/verify", "Checks the journal's hash chain.", Json(shape::<audit::Verified>), |call| {
        Box::pin(audit::verify(call))
    }),
    Endpoint {
        query: &[Parameter { name: "after", kind: "integer", about: "only records behind this number" }, LIMIT],
        errors: &[400],
        ..get(
            "/api/v1/audit/export",
            "Records of the journal, one JSON object a line.",
            Other("application/x-ndjson"),
            |call| Box::pin(audit::export(call)),
        )
    },
    Endpoint {
        query: &[Parameter {
            name: "after",
            kind: "integer",
            about: "begin behind this number of the journal, as the header `Last-Event-ID` says too; at its end unless given",
        }],
        errors: &[400, 503],
        ..get(
            "/api/v1/stream",
            "What happens, as it happens: server-sent events.",
            Other("text/event-stream"),
            |call| Box::pin(stream::serve(call)),
        )
    },
];

const fn act(path: &'static str, about: &'static str, serve: fn(Call) -> Answering) -> Endpoint {
    Endpoint {
        body: Some(shape::<runs::ActRequest>),
        errors: &[400, 409],
        ..post(path, about, Json(shape::<runs::RunDone>), serve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_by_its_own_path_and_no_two_share_one() {
        for endpoint in TABLE {
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
