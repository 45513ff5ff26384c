//! The admin routes.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use super::api::{self, ApiError, Page, PauseRequest, RunAct};
use crate::config::secret::Secret;
use crate::engine::Handle;

/// The largest body of an admin request, in bytes.
const BODY_BYTES_MAX: u64 = 64 * 1024;

/// What stands before the routes.
#[derive(Debug, Clone)]
pub(super) enum Guard {
    /// Nothing: only the owner of the socket could connect.
    Owner,
    /// The bearer token of the config in force.
    Token,
}

impl Guard {
    fn lets_in(&self, token: Option<&Secret>, authorization: Option<&str>) -> bool {
        match (self, token) {
            (Self::Owner, _) => true,
            // A config without a token has no TCP listener; the one that is still open from before lets nobody in.
            (Self::Token, None) => false,
            (Self::Token, Some(token)) => {
                let given = authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
                // Digests have one length, so the comparison tells nothing about the token's.
                let (given, token) = (blake3::hash(given.as_bytes()), blake3::hash(token.expose().as_bytes()));
                given.as_bytes().ct_eq(token.as_bytes()).into()
            }
        }
    }

    /// Who asks, for the record.
    fn who(&self) -> &'static str {
        match self {
            Self::Owner => "the owner of the admin socket",
            Self::Token => "a bearer of the admin token",
        }
    }
}

/// What a reload asks for.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadRequest {
    #[serde(default)]
    force: bool,
}

/// All routes of one listener.
pub(super) fn routes(
    handle: Handle,
    guard: Guard,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let who = guard.who();
    let gate = handle.clone();
    let with = {
        let handle = handle.clone();
        warp::any().map(move || handle.clone())
    };
    let v1 = warp::path("api").and(warp::path("v1"));
    let page = warp::query::<Page>();
    // The path is asked before the method, so that a path that leads nowhere is 404 whatever the method.
    let get = |name: &'static str| v1.and(warp::path(name)).and(warp::path::end()).and(warp::get());
    let get_one = |name: &'static str| v1.and(warp::path(name)).and(id()).and(warp::path::end()).and(warp::get());
    let post = |name: &'static str| v1.and(warp::path(name)).and(warp::path::end()).and(warp::post());

    let healthz = warp::path!("healthz").and(warp::get()).map(|| json(StatusCode::OK, &Simple { status: "alive" }));
    let readyz = warp::path!("readyz").and(warp::get()).and(with.clone()).then(|handle: Handle| async move {
        match api::not_ready(&handle).await {
            None => json(StatusCode::OK, &Ready { status: "ready", note: api::reload_note(&handle) }),
            Some(reason) => error(StatusCode::SERVICE_UNAVAILABLE, "not-ready", &reason),
        }
    });
    let metrics = warp::path!("metrics").and(warp::get()).and(with.clone()).then(|handle: Handle| async move {
        let paused = api::status(&handle).await.is_ok_and(|status| status.paused.is_some());
        let text = handle.metrics_text(paused);
        warp::reply::with_header(text, "content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
            .into_response()
    });
    let status =
        get("status").and(with.clone()).then(|handle: Handle| async move { answer(api::status(&handle).await) });
    let events = get("events")
        .and(page)
        .and(with.clone())
        .then(|page, handle: Handle| async move { answer(api::events(&handle, page).await) });
    let event = get_one("events")
        .and(with.clone())
        .then(|id, handle: Handle| async move { answer(api::event(&handle, id).await) });
    let runs = get("runs")
        .and(page)
        .and(with.clone())
        .then(|page, handle: Handle| async move { answer(api::runs(&handle, page).await) });
    let run =
        get_one("runs").and(with.clone()).then(|id, handle: Handle| async move { answer(api::run(&handle, id).await) });
    let act = v1
        .and(warp::path("runs"))
        .and(id())
        .and(warp::path::param::<String>())
        .and(warp::path::end())
        .and(warp::post())
        .and(with.clone())
        .then(move |id: String, verb: String, handle: Handle| async move {
            let act = match verb.as_str() {
                "cancel" => RunAct::Cancel,
                "approve" => RunAct::Approve,
                "deny" => RunAct::Deny,
                _ => return not_found(),
            };
            answer(api::act(&handle, id, act, who).await.map(|()| Simple { status: "done" }))
        });
    let pause =
        post("pause").and(body::<PauseRequest>()).and(with.clone()).then(|request, handle: Handle| async move {
            answer(api::pause(&handle, request).await.map(|()| Simple { status: "paused" }))
        });
    let resume = post("resume").and(with.clone()).then(|handle: Handle| async move {
        answer(handle.resume().await.map(|()| Simple { status: "resumed" }).map_err(ApiError::from))
    });
    let reload = post("reload").and(body::<ReloadRequest>()).and(with).then(
        |request: ReloadRequest, handle: Handle| async move {
            answer(handle.reload(request.force).await.map_err(ApiError::from))
        },
    );

    let open = healthz.or(readyz).unify().or(metrics).unify();
    let api = status.or(events).unify().or(event).unify().or(runs).unify().or(run).unify();
    let acts = act.or(pause).unify().or(resume).unify().or(reload).unify();
    let all = open.or(api).unify().or(acts).unify();
    allowed(guard, gate).and(all).recover(refused).unify()
}

/// Lets only those in who may; says nothing to the others about what is there.
fn allowed(
    guard: Guard,
    handle: Handle,
) -> impl Filter<Extract = (), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::header::optional::<String>("authorization")
        .and_then(move |authorization: Option<String>| {
            let lets_in = guard.lets_in(handle.admin_token().as_deref(), authorization.as_deref());
            async move { if lets_in { Ok(()) } else { Err(warp::reject::custom(Unauthorized)) } }
        })
        .untuple_one()
}

#[derive(Debug)]
struct Unauthorized;

impl warp::reject::Reject for Unauthorized {}

#[derive(Debug, Serialize)]
struct Ready {
    status: &'static str,
    /// What a person should look at although the daemon works.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct Simple {
    status: &'static str,
}

/// A percent-encoded id in the path.
fn id() -> impl Filter<Extract = (String,), Error = Rejection> + Copy + Send + Sync + 'static {
    warp::path::param::<String>().and_then(|text: String| async move {
        percent_encoding::percent_decode_str(&text)
            .decode_utf8()
            .map(|text| text.into_owned())
            .map_err(|_| warp::reject::not_found())
    })
}

/// A small JSON body; an empty one stands for the defaults.
fn body<T: Default + for<'de> Deserialize<'de> + Send + 'static>()
-> impl Filter<Extract = (T,), Error = Rejection> + Copy + Send + Sync + 'static {
    let none = warp::header::optional::<u64>("content-length")
        .and(warp::header::optional::<String>("transfer-encoding"))
        .and_then(|length: Option<u64>, coding: Option<String>| async move {
            let is_empty = length.unwrap_or(0) == 0 && coding.is_none();
            if is_empty { Ok(T::default()) } else { Err(warp::reject::not_found()) }
        });
    none.or(warp::body::content_length_limit(BODY_BYTES_MAX).and(warp::body::json())).unify()
}

async fn refused(rejection: Rejection) -> Result<Response, Infallible> {
    if rejection.find::<Unauthorized>().is_some() {
        let message = "the admin interface wants `Authorization: Bearer TOKEN`";
        return Ok(error(StatusCode::UNAUTHORIZED, "unauthorized", message));
    }
    if rejection.is_not_found() {
        return Ok(not_found());
    }
    if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        return Ok(error(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this path has no such method"));
    }
    Ok(error(StatusCode::BAD_REQUEST, "bad-request", &format!("the request cannot be read: {rejection:?}")))
}

fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "not-found", "there is nothing at this path")
}

fn answer<T: Serialize>(result: Result<T, ApiError>) -> Response {
    match result {
        Ok(value) => json(StatusCode::OK, &value),
        Err(failed) => {
            let (status, code) = failed.status();
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            error(status, code, &failed.to_string())
        }
    }
}

#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorDetail<'a> {
    code: &'a str,
    message: &'a str,
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json(status, &ErrorBody { error: ErrorDetail { code, message } })
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    warp::reply::with_status(warp::reply::json(value), status).into_response()
}
