//! The engine as a whole: its health, its state, the kill switch, reload.

use super::{Answers, Endpoint, Parameter, get, post, shape};
use crate::admin::answer::Done;
use crate::admin::api::{catch_up, health, schema, state};
use crate::admin::views::StatusView;
use crate::admin::{openapi, stream};
use crate::engine::{CaughtUp, Reloaded};
use Answers::{Json, Other};

pub(super) static ENTRIES: &[Endpoint] = &[
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
    get("/api/v1/schema/rules", "The JSON Schema of rule files.", Other("application/json"), |_| {
        Box::pin(schema::rules())
    }),
    get("/api/v1/schema/config", "The JSON Schema of the config.", Other("application/json"), |_| {
        Box::pin(schema::config())
    }),
    get("/api/v1/status", "The state of the engine as a whole.", Json(shape::<StatusView>), |call| {
        Box::pin(state::status(call))
    }),
    Endpoint {
        query: &[
            Parameter {
                name: "after",
                kind: "integer",
                about: "begin behind this number of the journal, as the header `Last-Event-ID` says too; at its end unless given",
            },
            Parameter {
                name: "run",
                kind: "string",
                about: "also tell, as `output`, what the steps of this run that run now have printed, whenever it is more",
            },
        ],
        errors: &[400, 503],
        ..get(
            "/api/v1/stream",
            "What happens, as it happens: server-sent events.",
            Other("text/event-stream"),
            |call| Box::pin(stream::serve(call)),
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
        body: Some(shape::<state::ReloadRequest>),
        errors: &[400, 422],
        ..post(
            "/api/v1/reload",
            "Reads config, rules, scripts and secrets again and puts them into force, all or nothing.",
            Json(shape::<Reloaded>),
            |call| Box::pin(state::reload(call)),
        )
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
];
