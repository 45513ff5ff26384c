//! What the forms of the console do.

use std::time::Duration;

use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use super::layout::{BACK, FORM_TOKEN, THEME_COOKIE, Theme, failure};
use super::login::{local, set_cookie};
use crate::admin::access::{Caller, Role, SESSION_COOKIE, cookie};
use crate::admin::answer::{error, see_other};
use crate::admin::api::ApiError;
use crate::admin::api::runs::{RunAct, act_by};
use crate::admin::api::state::{PauseRequest, pause_by};
use crate::admin::request::{Head, Pairs};
use crate::admin::routes::{Desk, not_found, read_only};
use crate::rule::duration;

/// How long the choice of colours is kept.
const THEME_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// Does what a form says.
pub(super) async fn act(desk: &Desk, head: &Head, path: &[&str], form: &Pairs, caller: &Caller) -> Response {
    if !desk.access.is_form_token(caller, form.text(FORM_TOKEN).unwrap_or_default()) {
        let message =
            "the form does not prove that it is one of the console's: go back, reload the page, send it again";
        return error(StatusCode::FORBIDDEN, "form-token", message);
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
        return read_only();
    }
    match carry_out(desk, path, form, caller).await {
        Ok(Some(done)) => see_other(&with_notice(back, done)),
        Ok(None) => not_found(),
        Err(failed) => failure(theme(&head.headers), &failed),
    }
}

fn theme(headers: &HeaderMap) -> Theme {
    Theme::of(cookie(headers, THEME_COOKIE))
}

/// The word for what was done; `None` where there is nothing of that name to do.
async fn carry_out(
    desk: &Desk,
    path: &[&str],
    form: &Pairs,
    caller: &Caller,
) -> Result<Option<&'static str>, ApiError> {
    let handle = &desk.handle;
    let reason = form.text("reason").map(str::to_owned);
    match path {
        ["pause"] => {
            let lasts = form.text("for").map(duration::parse).transpose();
            let lasts = lasts.map_err(|message| ApiError::BadRequest(message.to_string()))?;
            let for_ms = lasts.map(|lasts| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
            let now = form.is_set("now").map_err(ApiError::BadRequest)?;
            pause_by(handle, PauseRequest { reason, for_ms, now }, &caller.who).await?;
            Ok(Some("paused"))
        }
        ["resume"] => {
            handle.resume().await?;
            Ok(Some("resumed"))
        }
        ["reload"] => {
            handle.reload(form.is_set("force").map_err(ApiError::BadRequest)?).await?;
            Ok(Some("reloaded"))
        }
        ["runs", id, verb] => {
            let Some(act) = RunAct::named(verb) else { return Ok(None) };
            act_by(handle, (*id).to_owned(), act, reason, &caller.who).await?;
            Ok(Some(match act {
                RunAct::Approve => "approved",
                RunAct::Deny => "denied",
                RunAct::Cancel => "cancelled",
            }))
        }
        _ => Ok(None),
    }
}

/// The page to go back to, told what was done.
fn with_notice(back: &str, done: &str) -> String {
    let (path, query) = back.split_once('?').unwrap_or((back, ""));
    let others = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("done="));
    let query: Vec<String> = others.map(str::to_owned).chain([format!("done={done}")]).collect();
    format!("{path}?{}", query.join("&"))
}
