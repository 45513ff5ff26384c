//! Why a call was not done, as far as that is known.

use std::error::Error;

/// Why a call was not done, or why that is not known. Never holds a URL, in which the app key would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection was made, so nothing was asked.
    #[error("Flashduty was not reached: {why}; can this host connect to `flashduty.api` of the config?")]
    NotReached {
        /// Why.
        why: String,
    },
    /// It was sent, and no answer came: it may have been done.
    #[error("Flashduty gave no answer: {why}")]
    NoAnswer {
        /// Why.
        why: String,
    },
    /// Flashduty said no.
    #[error("Flashduty refused it with {status}{}{}", words(code, message), advice(*status))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The vendor's code: `RequestTooFrequently`.
        code: String,
        /// The vendor's words.
        message: String,
        /// The vendor's id of the request.
        request_id: Option<String>,
    },
}

impl CallError {
    /// An error of the HTTP library.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let why = innermost(&error);
        if error.is_connect() || error.is_builder() { Self::NotReached { why } } else { Self::NoAnswer { why } }
    }

    /// Whether Flashduty refused it only for now.
    pub fn is_for_now(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => *status == 429 || *status >= 500 || code == "RequestTooFrequently",
            _ => false,
        }
    }

    /// Whether a question may be answered if it is asked again.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Refused { .. }) || self.is_for_now()
    }

    /// The vendor's id of the request, where it gave one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }
}

fn words(code: &str, message: &str) -> String {
    match (code.is_empty(), message.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!(" ({code})"),
        (true, false) => format!(" ({message})"),
        (false, false) => format!(" ({code}: {message})"),
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "; is `flashduty.app_key` of the config the right one?",
        403 => "; may the app key do this?",
        _ => "",
    }
}

/// The reason that says something.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
