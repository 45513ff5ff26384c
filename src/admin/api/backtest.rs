//! What the rules in force would have done with what the journal holds.

use std::time::Duration;

use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::request::Pairs;
use crate::admin::routes::Desk;
use crate::admin::table::Call;
use crate::replay::backtest::{Answer, Request};
use crate::rule::duration;
use crate::simulate::backtest::{Approvals, Rules, RunModel};

/// How far back a backtest goes that does not say.
const SINCE_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// How far back it goes at most: as long as events are kept unless the config says otherwise, and a day.
const SINCE_MAX: Duration = Duration::from_secs(31 * 86_400);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) struct Asked {
    /// Only events of this time before the newest one.
    pub(in crate::admin) since: Duration,
    /// How runs go.
    pub(in crate::admin) model: RunModel,
}

impl Asked {
    /// What a query asks for.
    pub(in crate::admin) fn of(query: &Pairs) -> Result<Self, ApiError> {
        let time = |name: &str| {
            let parsed = query.text(name).map(duration::parse).transpose();
            parsed.map_err(|problem| format!("`{name}` {problem}; durations are 30s, 5m, 1h, 7d"))
        };
        let read = || {
            query.only(&["since", "approvals", "run_takes"])?;
            let since = time("since")?.unwrap_or(SINCE_DEFAULT);
            if since > SINCE_MAX {
                return Err("`since` is 31d at most; `stanch backtest` goes further back".to_owned());
            }
            let approvals = match query.text("approvals") {
                None | Some("granted") => Approvals::Granted,
                Some("never") => Approvals::Never,
                Some(_) => return Err("`approvals` is `granted` or `never`".to_owned()),
            };
            Ok(Self { since, model: RunModel { takes: time("run_takes")?.unwrap_or_default(), approvals } })
        };
        read().map_err(ApiError::BadRequest)
    }
}

pub(in crate::admin) async fn backtest(call: Call) -> Response {
    let tried = async {
        let asked = Asked::of(&call.head.query().map_err(ApiError::BadRequest)?)?;
        try_out(&call.desk, asked).await
    };
    answer(tried.await)
}

/// Tries the rules in force, under the ceiling in force.
pub(in crate::admin) async fn try_out(desk: &Desk, asked: Asked) -> Result<Answer, ApiError> {
    let handle = &desk.handle;
    let (in_force, file) = (handle.in_force(), handle.journal_path().to_owned());
    let strict_ordering = handle.config().strict_ordering;
    let tried = desk.work.backtest(move |budget| {
        let request = Request {
            tried: Rules { rules: &in_force.rules, settings: &in_force.settings },
            against: None,
            since: Some(asked.since),
            model: asked.model,
            strict_ordering,
        };
        crate::replay::backtest::backtest(&file, &request, budget, |_, _, _| {})
    });
    tried.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_span_and_how_runs_go() {
        let asked = |text: &str| Asked::of(&Pairs::read(text.as_bytes()).unwrap());
        let default = asked("").unwrap();
        assert_eq!((default.since, default.model.approvals), (SINCE_DEFAULT, Approvals::Granted));
        let other = asked("since=1d&approvals=never&run_takes=5m").unwrap();
        assert_eq!(other.model, RunModel { takes: Duration::from_secs(300), approvals: Approvals::Never });
        assert_eq!(other.since, Duration::from_secs(86_400));
        for wrong in ["since=32d", "since=soon", "approvals=maybe", "run_takes=x", "rules=/etc"] {
            assert!(matches!(asked(wrong), Err(ApiError::BadRequest(_))), "{wrong}");
        }
    }
}
