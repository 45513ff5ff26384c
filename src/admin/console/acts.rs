//! What the forms of the console do.

use std::time::Duration;

use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use super::layout::{BACK, FORM_TOKEN, THEME_COOKIE, Theme, failure};
use super::login::{local, set_cookie};
use super::refuse;
use crate::admin::access::{Caller, Role, SESSION_COOKIE, cookie};
use crate::admin::answer::{Refused, see_other};
use crate::admin::api::runs::{RunAct, act_by};
use crate::admin::api::state::{PauseRequest, ResumeRequest, pause_by, resume_by};
use crate::admin::api::{self, ApiError};
use crate::admin::request::{Head, Pairs};
use crate::admin::routes::{Desk, nothing, read_only};
use crate::rule::duration;

/// How long the choice of colours is kept.
const THEME_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// Does what a form says.
pub(super) async fn act(desk: &Desk, head: &Head, path: &[&str], form: &Pairs, caller: &Caller) -> Response {
    if !desk.access.is_form_token(caller, form.text(FORM_TOKEN).unwrap_or_default()) {
        let message =
            "the form does not prove that it is one of the console's: go back, reload the page, send it again";
        return refuse(head, &Refused::new(StatusCode::FORBIDDEN, "form-token", message));
    }
    let back = local(form.text(BACK));
    match path {
        ["logout"] => {
            desk.access.log_out(caller);
            let mut answer = see_other("/login");
            set_cookie(&mut answer, head, SESSION_COOKIE, "", 0);
            return answer;
        }
        ["theme"] => {
            let theme = Theme::of(form.text("theme"));
            let mut answer = see_other(back);
            set_cookie(&mut answer, head, THEME_COOKIE, theme.name(), THEME_LIFE.as_secs());
            return answer;
        }
        _ => {}
    }
    if caller.role == Role::Read {
        return refuse(head, &read_only());
    }
    match carry_out(desk, path, form, caller).await {
        Ok(Some(Done { what, page })) => see_other(&with_notice(page.as_deref().unwrap_or(back), what)),
        Ok(None) => refuse(head, &nothing()),
        Err(failed) if head.wants_page() => failure(theme(&head.headers), &failed),
        Err(failed) => api::answer::<()>(Err(failed)),
    }
}

fn theme(headers: &HeaderMap) -> Theme {
    Theme::of(cookie(headers, THEME_COOKIE))
}

/// What was done.
struct Done {
    /// A word for it, which the page then tells about.
    what: &'static str,
    /// The page that shows it, where that is not the one with the form.
    page: Option<String>,
}

impl From<&'static str> for Done {
    fn from(what: &'static str) -> Self {
        Self { what, page: None }
    }
}

/// What was done; `None` where there is nothing of that name to do.
async fn carry_out(desk: &Desk, path: &[&str], form: &Pairs, caller: &Caller) -> Result<Option<Done>, ApiError> {
    let handle = &desk.handle;
    let text = |name: &str| form.text(name).map(str::to_owned);
    let (rule, channel) = (text("rule"), text("channel"));
    match path {
        ["pause"] => {
            let lasts = form.text("for").map(duration::parse).transpose();
            let lasts = lasts.map_err(|message| ApiError::BadRequest(message.to_string()))?;
            let for_ms = lasts.map(|lasts| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
            let now = form.is_set("now").map_err(ApiError::BadRequest)?;
            let done = scoped(&rule, &channel, ["paused", "rule-paused", "channel-paused"]);
            // A form for one channel whose field was left empty must not stop everything.
            if form.is_set("scoped").map_err(ApiError::BadRequest)? && rule.is_none() && channel.is_none() {
                return Err(ApiError::BadRequest("name the channel that is to be paused".into()));
            }
            let request = PauseRequest { reason: text("reason"), for_ms, now, rule, channel, person: None };
            pause_by(handle, request, &caller.who).await?;
            Ok(Some(done.into()))
        }
        ["resume"] => {
            let done = scoped(&rule, &channel, ["resumed", "rule-resumed", "channel-resumed"]);
            resume_by(handle, ResumeRequest { rule, channel, person: None }, &caller.who).await?;
            Ok(Some(done.into()))
        }
        ["reload"] => {
            handle.reload(form.is_set("force").map_err(ApiError::BadRequest)?).await?;
            Ok(Some("reloaded".into()))
        }
        ["runs", id, verb] => {
            let Some(act) = RunAct::named(verb) else { return Ok(None) };
            if act == RunAct::Rerun && !form.is_set("sure").map_err(ApiError::BadRequest)? {
                let message = "confirm that what the run did may be done again: nothing was done";
                return Err(ApiError::BadRequest(message.into()));
            }
            let run = act_by(handle, (*id).to_owned(), act, text("reason"), &caller.who).await?;
            Ok(Some(match act {
                RunAct::Approve => "approved".into(),
                RunAct::Deny => "denied".into(),
                RunAct::Cancel => "cancelled".into(),
                RunAct::Rerun => Done { what: "done-again", page: Some(super::text::path("runs", run.as_str())) },
            }))
        }
        _ => Ok(None),
    }
}

/// The word for what was done to everything, to a rule, or to a channel.
fn scoped(rule: &Option<String>, channel: &Option<String>, words: [&'static str; 3]) -> &'static str {
    let [everything, of_rule, of_channel] = words;
    match (rule, channel) {
        (Some(_), _) => of_rule,
        (None, Some(_)) => of_channel,
        (None, None) => everything,
    }
}

/// The page to go back to, told what was done.
fn with_notice(back: &str, done: &str) -> String {
    let (path, query) = back.split_once('?').unwrap_or((back, ""));
    let others = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("done="));
    let query: Vec<String> = others.map(str::to_owned).chain([format!("done={done}")]).collect();
    format!("{path}?{}", query.join("&"))
}
