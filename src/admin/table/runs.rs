//! Runs, and what a person says to them.

use super::{Answering, Answers, Call, Endpoint, PAGE, get, post, shape};
use crate::admin::api::runs;
use crate::admin::views::{RunStory, RunView};
use Answers::Json;

pub(super) static ENTRIES: &[Endpoint] = &[
    Endpoint {
        query: PAGE,
        errors: &[400],
        ..get(
            "/api/v1/runs",
            "Runs: those that wait or act, then those that ended, newest first.",
            Json(shape::<Vec<RunView>>),
            |call| Box::pin(runs::list(call)),
        )
    },
    Endpoint {
        errors: &[404],
        ..get(
            "/api/v1/runs/{id}",
            "One run with its plan and its steps; of those that run now, for how long and the end of what they printed.",
            Json(shape::<RunStory>),
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
];

const fn act(path: &'static str, about: &'static str, serve: fn(Call) -> Answering) -> Endpoint {
    Endpoint {
        body: Some(shape::<runs::ActRequest>),
        errors: &[400, 409],
        ..post(path, about, Json(shape::<runs::RunDone>), serve)
    }
}
