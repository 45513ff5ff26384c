//! Logging in and out.

use maud::html;
use warp::http::StatusCode;
use warp::http::header::{HeaderName, HeaderValue, SET_COOKIE};
use warp::reply::Response;

use super::assets;
use super::layout::{FORM_TOKEN, THEME_COOKIE, Theme, document, refusal};
use super::text::shown;
use crate::admin::access::{LOGIN_COOKIE, NAME_CHARS_MAX, NotLetIn, SESSION_COOKIE, SESSION_LIFE, cookie};
use crate::admin::answer::{Refused, see_other};
use crate::admin::request::{Head, Pairs};
use crate::admin::routes::Desk;

/// The path of the login page that leads back to where somebody wanted to go.
pub(super) fn path_back_to(head: &Head) -> String {
    match head.path.as_str() {
        "/" => "/login".into(),
        path => format!("/login?next={}", form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>()),
    }
}

/// A path of ours, given by whoever sent the request; `/` where it leads elsewhere.
pub(super) fn local(path: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        let rest = path.strip_prefix('/');
        rest.is_some_and(|rest| !rest.starts_with(['/', '\\']))
            && path.bytes().all(|byte| (b'!'..=b'~').contains(&byte))
    };
    path.filter(is_local).unwrap_or("/")
}

/// The login page.
pub(super) fn show(desk: &Desk, head: &Head, is_in: bool) -> Response {
    if is_in {
        return see_other("/");
    }
    let query = head.query().unwrap_or_default();
    form(desk, head, StatusCode::OK, query.text("next"), None)
}

fn form(desk: &Desk, head: &Head, status: StatusCode, next: Option<&str>, wrong: Option<&str>) -> Response {
    let known = cookie(&head.headers, LOGIN_COOKIE);
    let (content, token) = match desk.access.login(known) {
        Ok(login) => login,
        Err(error) => {
            let message = format!("nobody can log in without random numbers: {error}");
            let refused = Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
            return refusal(head, &refused);
        }
    };
    let body = html! {
        main #content.narrow {
            h1 { img src=(assets::path("icon.svg")) alt="" width="28" height="28"; "Stanch" }
            p.lead { "Log in to see what the engine does, and to act." }
            @if let Some(wrong) = wrong { p.notice.wrong #wrong role="alert" { (wrong) } }
            form method="post" action="/login" {
                input type="hidden" name=(FORM_TOKEN) value=(token);
                input type="hidden" name="next" value=(shown(local(next)));
                div.field {
                    label for="token" { "Admin token" }
                    input #token type="password" name="token" autocomplete="current-password" required
                        autofocus aria-describedby=[wrong.map(|_| "wrong")];
                }
                div.field {
                    label for="name" { "Your name " span.quiet { "(optional, for the record)" } }
                    input #name type="text" name="name" autocomplete="name" maxlength=(NAME_CHARS_MAX);
                }
                button.primary type="submit" { "Log in" }
            }
            p.quiet { "The token is where " code { "admin.token" } " of the config says. The read token sees, and does not act." }
        }
    };
    let mut page = document(Theme::of(cookie(&head.headers, THEME_COOKIE)), status, "Log in", &body, false);
    if known != Some(&content) {
        set_cookie(&mut page, head, LOGIN_COOKIE, &content, SESSION_LIFE.as_secs());
    }
    page
}

/// Opens a session.
pub(super) fn log_in(desk: &Desk, head: &Head, fields: &Pairs) -> Response {
    let next = fields.text("next");
    if !desk.access.is_login_token(cookie(&head.headers, LOGIN_COOKIE), fields.text(FORM_TOKEN).unwrap_or_default()) {
        if !head.wants_page() {
            let message = "the form does not prove that it is the console's: get `/login`, and send what it carries \
                           with its cookie; machines use the token itself";
            return Refused::new(StatusCode::FORBIDDEN, "form-token", message).json();
        }
        let wrong = "Nobody was logged in: the form was too old, or not the console's. Send this one.";
        return form(desk, head, StatusCode::FORBIDDEN, next, Some(wrong));
    }
    let (token, name) = (fields.text("token").unwrap_or_default(), fields.text("name").unwrap_or_default());
    match desk.access.log_in(&desk.handle, token, name, head.peer) {
        Ok(session) => {
            let mut answer = see_other(local(next));
            set_cookie(&mut answer, head, SESSION_COOKIE, &session, SESSION_LIFE.as_secs());
            answer
        }
        Err(NotLetIn::Unknown) => form(desk, head, StatusCode::UNAUTHORIZED, next, Some("This is not the token.")),
        Err(NotLetIn::TooMany) => {
            let wrong = "Too many wrong tokens came from your address: wait a minute.";
            form(desk, head, StatusCode::TOO_MANY_REQUESTS, next, Some(wrong))
        }
    }
}

/// Sets a cookie that no script reads and no other site's request carries; over HTTPS it travels over nothing else.
pub(super) fn set_cookie(answer: &mut Response, head: &Head, name: &str, value: &str, seconds: u64) {
    const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    // Whoever forges this header does it to their own cookie alone.
    let secure = if head.header(&FORWARDED_PROTO) == Some("https") { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        answer.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn only_paths_of_ours_are_gone_to() {
        for (given, to) in [
            ("/runs?before=5", "/runs?before=5"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nset-cookie: x", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(Some(given)), to);
        }
    }
}
