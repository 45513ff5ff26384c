//! The secret in a header: present exactly once, compared in constant time.
//!
//! Only digests are kept and compared. Their length is always the same, and how many bytes of a guess are right
//! shows neither in the digest nor in the time.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use subtle::{Choice, ConstantTimeEq};

use crate::config::secret::Secret;

/// What a request must show.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    header: HeaderName,
    current: Digest,
    /// The same as `current` where there is no previous secret, so that the work is always the same.
    previous: Digest,
}

#[derive(Clone, Copy)]
struct Digest([u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl Credential {
    pub(super) fn new(header: HeaderName, current: &Secret, previous: Option<&Secret>) -> Self {
        let current = Digest::of(current.expose().as_bytes());
        let previous = previous.map_or(current, |secret| Digest::of(secret.expose().as_bytes()));
        Self { header, current, previous }
    }

    /// Whether the header is there exactly once and holds the current or the previous secret.
    pub(super) fn is_shown_in(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(&self.header).iter();
        let (Some(shown), None) = (lines.next(), lines.next()) else { return false };
        let shown = Digest::of(shown.as_bytes());
        // Both are compared whichever fits: `|` on `Choice` does not stop early.
        let fits: Choice = shown.0.ct_eq(&self.current.0) | shown.0.ct_eq(&self.previous.0);
        fits.into()
    }
}
