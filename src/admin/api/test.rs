//! Running the tests beside the rules that are on disk: as `stanch test` does, without any effect.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::table::Call;
use crate::engine::{Options, settings};
use crate::rule::load::fixtures::Fixtures;
use crate::rule::load::load;
use crate::simulate::{Suite, TestResult, World, is_about};

/// What the tests led to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tested {
    /// How many passed.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// Each of them.
    pub tests: Vec<TestResult>,
    /// Rules that no test names, with where they stand.
    pub untested: BTreeMap<String, String>,
}

pub(in crate::admin) async fn test(call: Call) -> Response {
    let filter = call.head.query().and_then(|query| {
        query.only(&["filter"])?;
        Ok(query.text("filter").map(str::to_owned))
    });
    let filter = match filter {
        Ok(filter) => filter,
        Err(message) => return answer::<()>(Err(ApiError::BadRequest(message))),
    };
    let file = call.desk.handle.config().file.clone();
    let tested = tokio::task::spawn_blocking(move || {
        let config =
            crate::config::load::load(&file).map_err(|invalid| ApiError::BadRequest(invalid.to_string()))?.config;
        let loaded = load(&config, 1);
        let Some(rules) = loaded.set else {
            let message = "the rules on disk have errors, so no test was run: ask `check` for them";
            return Err(ApiError::BadRequest(message.into()));
        };
        let world = World {
            rules: &rules,
            settings: &settings(&config, &Options::of_reader()),
            strict_ordering: config.strict_ordering,
            source: config.sources.first().map_or("flashduty", |source| source.name.as_str()),
            body_bytes_max: config.limits.body_bytes,
        };
        let suite = Suite::new(world, &loaded.tests);
        let fixtures = Fixtures::default();
        let chosen = suite.tests().iter().filter(|test| filter.as_deref().is_none_or(|text| is_about(test, text)));
        let tests: Vec<TestResult> = chosen.map(|test| suite.run(test, &|file| fixtures.load(file))).collect();
        let failed = tests.iter().filter(|result| !result.passed).count();
        let untested = suite.untested().iter().map(|(rule, place)| ((*rule).to_owned(), place.to_string())).collect();
        Ok(Tested { passed: tests.len() - failed, failed, tests, untested })
    });
    let ended = tested.await.map_err(|error| ApiError::Failed(format!("the tests ended early: {error}")));
    answer(ended.and_then(|tested| tested))
}
