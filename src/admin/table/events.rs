//! Events and incidents, and why each led to what it led to.

use super::{Answers, Endpoint, Needs, PAGE, Parameter, get, post, shape};
use crate::admin::api::{events, explain, incidents};
use crate::admin::views::EventView;
use Answers::Json;

const ONLY: Parameter = Parameter { name: "rule", kind: "string", about: "only this rule" };
const NOW: Parameter = Parameter {
    name: "now",
    kind: "boolean",
    about: "on today's history; on the one just before the event was decided unless given",
};

pub(super) static ENTRIES: &[Endpoint] = &[
    Endpoint {
        query: PAGE,
        errors: &[400],
        ..get("/api/v1/events", "Events, newest first, with what each led to.", Json(shape::<Vec<EventView>>), |call| {
            Box::pin(events::list(call))
        })
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
        errors: &[400, 404, 503],
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
];
