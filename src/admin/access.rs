//! Who asks, and what they may do.
//!
//! On the unix socket it is its owner. Over TCP a request carries a token, or the cookie of a session that was opened
//! with one. The admin token may act; the read token may only look. This module never answers a request.

mod attempts;
mod session;
mod tokens;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use subtle::ConstantTimeEq;
use warp::http::HeaderMap;
use warp::http::header::{AUTHORIZATION, COOKIE};

use super::request::Head;
use crate::config::Config;
use crate::engine::Handle;
use attempts::Attempts;
use session::Sessions;
pub(super) use session::{SESSION_LIFE, SessionId};
use tokens::Tokens;

/// The cookie of a session.
pub(super) const SESSION_COOKIE: &str = "stanch-session";
/// The cookie of whoever looks at the login page.
pub(super) const LOGIN_COOKIE: &str = "stanch-login";
/// The longest name that a person gives at login, in characters.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// See everything, change nothing.
    Read,
    /// Everything.
    Act,
}

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// What they may do.
    pub(super) role: Role,
    /// Who they are, for the record.
    pub(super) who: String,
    /// How they proved it.
    pub(super) by: Proof,
}

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Only the owner of the socket could connect.
    Socket,
    /// A token in the header, which no browser adds by itself.
    Bearer,
    /// The cookie of a session, which a browser adds to whatever leads here.
    Session(SessionId),
}

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotLetIn {
    /// Nothing proves who they are.
    Unknown,
    /// Too many wrong tokens came from their address.
    TooMany,
}

/// What stands before the routes of one listener.
pub(super) struct Access {
    /// Whether only the owner can connect.
    is_socket: bool,
    tokens: ArcSwapOption<(Arc<Config>, Tokens)>,
    sessions: Mutex<Sessions>,
    logins: Mutex<Attempts>,
    bearers: Mutex<Attempts>,
    /// Forms carry a hash under this key, so that another site cannot make them up.
    form_key: [u8; 32],
}

impl Access {
    /// Access by the unix socket.
    pub(super) fn of_socket() -> Result<Self, getrandom::Error> {
        Self::new(true)
    }

    /// Access by TCP, with the tokens of the config in force.
    pub(super) fn of_tcp() -> Result<Self, getrandom::Error> {
        Self::new(false)
    }

    fn new(is_socket: bool) -> Result<Self, getrandom::Error> {
        let mut form_key = [0; 32];
        getrandom::fill(&mut form_key)?;
        Ok(Self {
            is_socket,
            tokens: ArcSwapOption::empty(),
            sessions: Mutex::default(),
            logins: Mutex::new(Attempts::of_logins()),
            bearers: Mutex::new(Attempts::of_bearers()),
            form_key,
        })
    }

    /// Whether only the owner of the socket can connect.
    pub(super) fn is_socket(&self) -> bool {
        self.is_socket
    }

    /// Who sent a request with this head.
    pub(super) fn caller(&self, handle: &Handle, head: &Head) -> Result<Caller, NotLetIn> {
        let (headers, peer) = (&head.headers, head.peer);
        if self.is_socket {
            let who = head.account.as_deref().unwrap_or("the owner of the admin socket").to_owned();
            return Ok(Caller { role: Role::Act, who, by: Proof::Socket });
        }
        let tokens = self.tokens(handle);
        let now = handle.now();
        if let Some(header) = headers.get(AUTHORIZATION) {
            let mut attempts = locked(&self.bearers);
            if attempts.are_too_many(peer, now) {
                return Err(NotLetIn::TooMany);
            }
            let given = header.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
            return match given.and_then(|given| tokens.role_of(given)) {
                Some((role, _)) => {
                    let which = if role == Role::Act { "admin" } else { "read" };
                    Ok(Caller { role, who: format!("a bearer of the {which} token"), by: Proof::Bearer })
                }
                None => {
                    attempts.failed(peer, now);
                    Err(NotLetIn::Unknown)
                }
            };
        }
        let id = cookie(headers, SESSION_COOKIE).and_then(SessionId::parse).ok_or(NotLetIn::Unknown)?;
        let sessions = locked(&self.sessions);
        let session = sessions.get(&id, now).filter(|session| tokens.holds(&session.token)).ok_or(NotLetIn::Unknown)?;
        Ok(Caller { role: session.role, who: session.who.clone(), by: Proof::Session(id) })
    }

    /// Opens a session for whoever has a token, and gives the content of its cookie. `name` is what they call
    /// themselves, for the record.
    pub(super) fn log_in(&self, handle: &Handle, token: &str, name: &str, peer: IpAddr) -> Result<String, NotLetIn> {
        let tokens = self.tokens(handle);
        let now = handle.now();
        let mut attempts = locked(&self.logins);
        if attempts.are_too_many(peer, now) {
            return Err(NotLetIn::TooMany);
        }
        let Some((role, token)) = tokens.role_of(token.trim()) else {
            attempts.failed(peer, now);
            return Err(NotLetIn::Unknown);
        };
        let name: String = name.trim().chars().take(NAME_CHARS_MAX).collect();
        let who = if name.is_empty() { "somebody at the console".into() } else { format!("{name} at the console") };
        let (id, cookie) = SessionId::random().map_err(|error| {
            tracing::error!(%error, "no session can be opened without random numbers");
            NotLetIn::Unknown
        })?;
        locked(&self.sessions).open(id, role, who, token, now);
        Ok(cookie)
    }

    /// Ends the caller's session, where there is one.
    pub(super) fn log_out(&self, caller: &Caller) {
        if let Proof::Session(id) = &caller.by {
            locked(&self.sessions).close(id);
        }
    }

    /// What the forms of a caller have to carry.
    pub(super) fn form_token(&self, caller: &Caller) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.form_key);
        match &caller.by {
            Proof::Session(id) => hasher.update(b"session").update(id.digest().as_bytes()),
            Proof::Socket => hasher.update(b"socket"),
            Proof::Bearer => hasher.update(b"bearer"),
        };
        hasher.finalize().to_hex().to_string()
    }

    /// Whether a form of a caller carries what it has to.
    pub(super) fn is_form_token(&self, caller: &Caller, given: &str) -> bool {
        self.form_token(caller).as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// What tells one who looks at the login page from another: what their cookie holds, and what the form has to carry
    /// beside it. Without it another site could log somebody in as who they are not, and read what they then do.
    pub(super) fn login(&self, known: Option<&str>) -> Result<(String, String), getrandom::Error> {
        let (id, cookie) = match known.and_then(|text| Some((SessionId::parse(text)?, text.to_owned()))) {
            Some(known) => known,
            None => SessionId::random()?,
        };
        Ok((cookie, self.login_token(&id)))
    }

    /// Whether a login form carries what belongs to the cookie that came with it.
    pub(super) fn is_login_token(&self, cookie: Option<&str>, given: &str) -> bool {
        let id = cookie.and_then(SessionId::parse);
        id.is_some_and(|id| self.login_token(&id).as_bytes().ct_eq(given.as_bytes()).into())
    }

    fn login_token(&self, id: &SessionId) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.form_key);
        hasher.update(b"login").update(id.digest().as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// The tokens of the config in force: read again after each reload, so that a token that was replaced lets nobody
    /// in and ends its sessions.
    fn tokens(&self, handle: &Handle) -> Tokens {
        let config = handle.config();
        if let Some(known) = &*self.tokens.load()
            && Arc::ptr_eq(&known.0, &config)
        {
            return known.1.clone();
        }
        let read = Tokens::read(&config.admin).unwrap_or_else(|error| {
            // The reload has read the same places a moment ago, so this is rare; nobody is let in by a doubtful token.
            tracing::error!(%error, "the admin tokens cannot be read: nobody is let in over TCP until the next reload");
            Tokens::default()
        });
        self.tokens.store(Some(Arc::new((config, read.clone()))));
        read
    }
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
