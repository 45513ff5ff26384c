//! What is around every page: head, navigation, the state of the engine, and forms that prove where they come from.

use maud::{DOCTYPE, Markup, html};
use warp::http::StatusCode;
use warp::reply::Response;

use super::text::{badge, shown};
use super::{Page, Visit, assets, sorry};
use crate::admin::access::{Proof, Role, cookie};
use crate::admin::answer::{Refused, with};
use crate::admin::api::ApiError;
use crate::admin::request::Head;
use crate::admin::views::StatusView;
use crate::journal::record::PauseScope;

/// The cookie that keeps the theme.
pub(super) const THEME_COOKIE: &str = "stanch-theme";
/// The field of forms that proves that they are ours.
pub(super) const FORM_TOKEN: &str = "form_token";
/// The field of forms that says where to go afterwards.
pub(super) const BACK: &str = "back";

/// The pages of the navigation.
const PAGES: &[(&str, &str)] =
    &[("/", "Live"), ("/runs", "Runs"), ("/approvals", "Approvals"), ("/rules", "Rules"), ("/engine", "Engine")];

/// Dark or light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the system of whoever looks.
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// The theme that a cookie or a form names.
    pub(super) fn of(name: Option<&str>) -> Self {
        match name {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    /// Its word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// What goes around the content of a page.
pub(super) struct Frame<'v> {
    visit: &'v Visit,
    theme: Theme,
}

impl<'v> Frame<'v> {
    /// The frame for a visit.
    pub(super) fn of(visit: &'v Visit, theme: Theme) -> Self {
        Self { visit, theme }
    }

    /// The whole page.
    pub(super) fn page(&self, status: StatusCode, page: &Page) -> Response {
        let visit = self.visit;
        let body = html! {
            a.skip href="#content" { "Skip to content" }
            header.top {
                a.brand href="/" { img src=(assets::path("icon.svg")) alt="" width="24" height="24"; "Stanch" }
                nav aria-label="Pages" { (self.navigation()) }
                div #state.state { (state(&visit.status)) }
            }
            main #content tabindex="-1" {
                h1 { (shown(&page.title)) }
                (notice(visit))
                (page.content)
            }
            footer {
                p #engine {
                    "Stanch " (visit.status.version) ", rule set " (visit.status.generation) " with "
                    (visit.status.rules) " rules, ceiling " (visit.status.mode)
                }
                p { "Seen by " (shown(&visit.caller.who)) @if visit.caller.role == Role::Read { ", who may not act" } }
                div.row {
                    (self.themes())
                    @if matches!(visit.caller.by, Proof::Session(_)) {
                        (visit.form("/logout", html! { button type="submit" { "Log out" } }))
                    }
                }
            }
            p #news.unseen role="status" aria-live="polite" {}
        };
        document(self.theme, status, &page.title, &body, visit.head.path != "/login")
    }

    fn navigation(&self) -> Markup {
        let (path, status) = (&self.visit.head.path, &self.visit.status);
        html! {
            ul {
                @for (to, name) in PAGES {
                    li {
                        a href=(to) aria-current=[current(to, path)] {
                            (name)
                            @if *to == "/approvals" && status.approvals_waiting > 0 {
                                " " span.count { (status.approvals_waiting) span.unseen { " waiting" } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn themes(&self) -> Markup {
        let choices = [Theme::System, Theme::Light, Theme::Dark];
        self.visit.form(
            "/theme",
            html! {
                div.themes role="group" aria-label="Colours" {
                    @for theme in choices {
                        button type="submit" name="theme" value=(theme.name()) aria-pressed=(theme == self.theme) {
                            (theme.name())
                        }
                    }
                }
            },
        )
    }
}

impl Visit {
    /// A form of this visit.
    pub(super) fn form(&self, action: &str, fields: Markup) -> Markup {
        let back = match self.head.query.is_empty() {
            true => self.head.path.clone(),
            false => format!("{}?{}", self.head.path, self.head.query),
        };
        html! {
            form method="post" action=(action) {
                input type="hidden" name=(FORM_TOKEN) value=(self.desk.access.form_token(&self.caller));
                input type="hidden" name=(BACK) value=(back);
                (fields)
            }
        }
    }

    /// Whether the visitor may act.
    pub(super) fn may_act(&self) -> bool {
        self.caller.role == Role::Act
    }
}

/// The state of the engine, in a word that is on every page.
fn state(status: &StatusView) -> Markup {
    html! {
        @if status.paused.is_some() {
            a href="/engine" { (badge("paused")) }
        } @else {
            span.badge.(if status.runs_active > 0 { "act" } else { "good" }) {
                @match status.runs_active { 0 => "ready", 1 => "1 run acts", n => { (n) " runs act" } }
            }
        }
        @let parts = status.pauses.iter().filter(|pause| pause.scope != PauseScope::Everything).count();
        @if parts > 0 { a href="/engine#pauses" { (parts) " paused" span.unseen { " of the rules and channels" } } }
        span.live data-live-state="" { "not live" }
    }
}

/// What was just done, told once after a form.
fn notice(visit: &Visit) -> Markup {
    let said = match visit.query.text("done") {
        Some("approved") => "The run is approved: it acts when its turn comes.",
        Some("denied") => "The run is denied: it will not act.",
        Some("cancelled") => "The run is called off.",
        Some("done-again") => "This is the new run: the one before it is done again.",
        Some("paused") => "The engine is paused: nothing new starts.",
        Some("resumed") => "The engine goes on.",
        Some("rule-paused") => "The rule is paused: nothing new of it starts.",
        Some("rule-resumed") => "The rule may act again.",
        Some("channel-paused") => "The channel is paused: nothing new of its incidents starts.",
        Some("channel-resumed") => "The rules may act on the channel again.",
        Some("reloaded") => "Config and rules were read again and are in force.",
        _ => return html! {},
    };
    html! { p.notice role="status" { (said) } }
}

/// An error page for whoever has no page to be told on.
pub(super) fn failure(theme: Theme, failed: &ApiError) -> Response {
    let page = sorry(failed);
    let body = html! { main #content { h1 { (page.title) } (page.content) } };
    document(theme, failed.status().0, &page.title, &body, false)
}

/// Why something is refused, for whoever sent it from a page.
pub(super) fn refusal(head: &Head, refused: &Refused) -> Response {
    let said = refused.message.as_str();
    let (title, said, to, name) = match refused.status {
        StatusCode::UNAUTHORIZED => {
            ("You are not logged in", "Your session is over, and nothing was done.", "/login", "Log in")
        }
        StatusCode::FORBIDDEN => ("Nothing was done", said, "/", "Back to what is live"),
        _ => ("That did not work", said, "/", "Back to what is live"),
    };
    let body = html! {
        main #content.narrow {
            h1 { (title) }
            p.lead { (shown(said)) }
            p { a href=(to) { (name) } }
        }
    };
    document(Theme::of(cookie(&head.headers, THEME_COOKIE)), refused.status, title, &body, false)
}

/// The document around a body.
pub(super) fn document(theme: Theme, status: StatusCode, title: &str, body: &Markup, live: bool) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme.name()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (shown(title)) " · Stanch" }
                link rel="icon" href=(assets::path("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::path("console.css"));
                @if live { script src=(assets::path("console.js")) defer {} }
            }
            body { (body) }
        }
    };
    with(status, "text/html; charset=utf-8", page.into_string())
}

/// Whether a page of the navigation is the one that is looked at, or the one from which one comes to it.
fn current(page: &str, path: &str) -> Option<&'static str> {
    let belongs = match page {
        "/" => path.starts_with("/events/") || path.starts_with("/incidents/"),
        "/rules" => path.starts_with("/rules/") || path == "/backtest",
        page => path.strip_prefix(page).is_some_and(|rest| rest.starts_with('/')),
    };
    if page == path { Some("page") } else { belongs.then_some("true") }
}
