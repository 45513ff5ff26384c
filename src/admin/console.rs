//! The console: the admin interface for people, in a browser.
//!
//! Pages are made here, whole, from the same answers as the API's; each can be read and acted on without a script. The
//! script that comes with them only fetches a page again when something happened. Everything that comes from outside
//! is escaped by the templates, and passes `text::shown` before, which makes visible what steers or hides text.

mod acts;
mod approvals;
mod assets;
mod backtest;
mod chart;
mod engine;
mod event;
mod feed;
mod incident;
mod layout;
mod login;
mod pauses;
mod rules;
mod runs;
mod steps;
mod text;

use std::sync::Arc;

use bytes::Buf;
use maud::{Markup, html};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::access::{Caller, NotLetIn, cookie};
use super::answer::{Refused, other_method, see_other};
use super::api::ApiError;
use super::api::state::status_of;
use super::request::{Head, Pairs, collect};
use super::routes::{Desk, nothing, refuse as not_let_in, unread};
use super::views::StatusView;
use layout::{Frame, Theme};

/// What a page is made from.
struct Visit {
    desk: Arc<Desk>,
    head: Head,
    query: Pairs,
    caller: Caller,
    status: StatusView,
}

/// A page, or why it cannot be shown.
type Shown = Result<Page, ApiError>;

/// What differs between pages.
struct Page {
    /// In the title bar and as the first heading.
    title: String,
    /// Below the first heading.
    content: Markup,
}

/// Answers whatever is no API.
pub(super) async fn answer<S, B>(
    desk: Arc<Desk>,
    head: Head,
    segments: &[String],
    caller: Result<Caller, NotLetIn>,
    body: S,
) -> Response
where
    S: warp::Stream<Item = Result<B, warp::Error>> + Send,
    B: Buf + Send,
{
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&head.method, segments.as_slice()) {
        (&Method::GET, ["assets", name]) => return assets::serve(name),
        (&Method::GET, ["login"]) => return login::show(&desk, &head, caller.is_ok()),
        (&Method::GET, _) => {}
        (&Method::POST, _) => {
            let form = match collect(body).await.map(|body| Pairs::read(&body)) {
                Ok(Ok(form)) => form,
                Ok(Err(message)) => {
                    return refuse(&head, &Refused::new(StatusCode::BAD_REQUEST, "bad-request", message));
                }
                Err(why) => return refuse(&head, &unread(why)),
            };
            return match (segments.as_slice(), caller) {
                (["login"], _) => login::log_in(&desk, &head, &form),
                (path, Ok(caller)) => acts::act(&desk, &head, path, &form, &caller).await,
                (_, Err(why)) => refuse(&head, &not_let_in(why)),
            };
        }
        _ => return other_method("GET, HEAD, POST"),
    }
    match caller {
        Ok(caller) => page(desk, head, &segments, caller).await,
        Err(NotLetIn::Unknown) if head.wants_page() => see_other(&login::path_back_to(&head)),
        Err(why) => refuse(&head, &not_let_in(why)),
    }
}

/// Tells a person on a page, and whatever wants no page as the API tells it.
pub(super) fn refuse(head: &Head, refused: &Refused) -> Response {
    if head.wants_page() { layout::refusal(head, refused) } else { refused.json() }
}

async fn page(desk: Arc<Desk>, head: Head, segments: &[&str], caller: Caller) -> Response {
    let theme = Theme::of(cookie(&head.headers, layout::THEME_COOKIE));
    let (status, query) = match (status_of(&desk.handle).await, head.query()) {
        (Ok(status), Ok(query)) => (status, query),
        (Err(failed), _) => return layout::failure(theme, &failed),
        (_, Err(message)) => return layout::failure(theme, &ApiError::BadRequest(message)),
    };
    let wants_page = head.wants_page();
    let visit = Visit { desk, head, query, caller, status };
    let shown = match segments {
        [] => feed::show(&visit).await,
        ["events", id] => event::show(&visit, id).await,
        ["incidents", id] => incident::show(&visit, id).await,
        ["runs"] => runs::list(&visit).await,
        ["runs", id] => runs::show(&visit, id).await,
        ["approvals"] => approvals::show(&visit).await,
        ["rules"] => rules::list(&visit).await,
        ["rules", id] => rules::show(&visit, id).await,
        ["backtest"] => backtest::show(&visit).await,
        ["engine"] => engine::show(&visit).await,
        _ if wants_page => Err(ApiError::NotFound { what: "page", id: visit.head.path.clone() }),
        _ => return nothing().json(),
    };
    let (status, page) = match shown {
        Ok(page) => (StatusCode::OK, page),
        Err(failed) => (failed.status().0, sorry(&failed)),
    };
    Frame::of(&visit, theme).page(status, &page)
}

fn sorry(failed: &ApiError) -> Page {
    let title = match failed {
        ApiError::NotFound { .. } => "Not found",
        ApiError::BadRequest(_) => "Not understood",
        _ => "That did not work",
    };
    let content = html! {
        p.lead { (text::shown(&failed.to_string())) }
        p { a href="/" { "Back to what is live" } }
    };
    Page { title: title.into(), content }
}
