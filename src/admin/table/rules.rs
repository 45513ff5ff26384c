//! Rules: how they fared, what is wrong with them, and what they would have done.

use super::{Answers, Endpoint, Needs, Parameter, get, post, shape};
use crate::admin::api::{backtest, check, rules, test};
use Answers::Json;

pub(super) static ENTRIES: &[Endpoint] = &[
    get("/api/v1/rules", "The rules in force, and how each has fared.", Json(shape::<Vec<rules::RuleView>>), |call| {
        Box::pin(rules::list(call))
    }),
    Endpoint {
        errors: &[404],
        ..get("/api/v1/rules/{id}", "One rule.", Json(shape::<rules::RuleView>), |call| Box::pin(rules::show(call)))
    },
    Endpoint {
        query: &[
            Parameter {
                name: "since",
                kind: "span",
                about: "only events of this time before the newest one: 12h, 7d; 7d unless given, at most 31d",
            },
            Parameter {
                name: "approvals",
                kind: "approvals",
                about: "`granted`: people allow what asks them at once, which is the default; `never`: they never do",
            },
            Parameter {
                name: "run_takes",
                kind: "duration",
                about: "how long each run is taken to last: 30s, 5m; no time unless given",
            },
        ],
        errors: &[400, 422, 503],
        ..get(
            "/api/v1/backtest",
            "What the rules in force would have done with the events that the journal holds, beside what was done. \
             Nothing is executed. One at a time, and not for long: longer ones are for `stanch backtest`.",
            Json(shape::<crate::replay::backtest::Answer>),
            |call| Box::pin(backtest::backtest(call)),
        )
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
        query: &[Parameter {
            name: "filter",
            kind: "string",
            about: "only tests with this text in their name, or of the rule with this id",
        }],
        errors: &[400],
        ..post(
            "/api/v1/test",
            "Runs the tests beside the rules that are on disk. Nothing is executed.",
            Json(shape::<test::Tested>),
            |call| Box::pin(test::test(call)),
        )
    },
];
