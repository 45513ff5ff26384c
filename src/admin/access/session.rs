//! Sessions of the console. They are in memory alone: a restart ends them all.

use std::collections::HashMap;
use std::time::Duration;

use super::Role;
use super::tokens::Digest;
use crate::clock::Timestamp;

/// How many sessions there may be; beyond that the oldest ends. A team has a few browsers each.
pub(super) const SESSIONS_MAX: usize = 256;
/// How long a session lasts: one shift.
pub(in crate::admin) const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);
/// The bytes of randomness in a session's id.
const ID_BYTES: usize = 32;

/// What a session is known by here: the digest of what its cookie holds. The cookie's own content is kept nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::admin) struct SessionId(blake3::Hash);

impl SessionId {
    /// A new id, and the content of its cookie.
    pub(super) fn random() -> Result<(Self, String), getrandom::Error> {
        let mut bytes = [0; ID_BYTES];
        getrandom::fill(&mut bytes)?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((Self(blake3::hash(text.as_bytes())), text))
    }

    /// The id of the session whose cookie holds `text`; `None` where no cookie of ours could.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let could_be = text.len() == 2 * ID_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        could_be.then(|| Self(blake3::hash(text.as_bytes())))
    }

    pub(super) fn digest(&self) -> &blake3::Hash {
        &self.0
    }
}

/// Somebody who is logged in.
#[derive(Debug)]
pub(super) struct Session {
    /// What they may do.
    pub(super) role: Role,
    /// Who they are, for the record.
    pub(super) who: String,
    /// The token that opened it: when that is replaced, the session ends.
    pub(super) token: Digest,
    opened: Timestamp,
}

/// All sessions of a listener.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<SessionId, Session>);

impl Sessions {
    pub(super) fn open(&mut self, id: SessionId, role: Role, who: String, token: Digest, now: Timestamp) {
        self.0.retain(|_, session| now.since(session.opened) < SESSION_LIFE);
        if self.0.len() >= SESSIONS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, session)| session.opened).map(|(id, _)| *id);
            oldest.map(|id| self.0.remove(&id));
        }
        self.0.insert(id, Session { role, who, token, opened: now });
    }

    /// The session with this id, unless its time is over. Found by a digest, so how long that takes tells nothing
    /// about the ids of others.
    pub(super) fn get(&self, id: &SessionId, now: Timestamp) -> Option<&Session> {
        self.0.get(id).filter(|session| now.since(session.opened) < SESSION_LIFE)
    }

    pub(super) fn close(&mut self, id: &SessionId) {
        self.0.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_time_by_number_and_by_hand() {
        let mut sessions = Sessions::default();
        let start = Timestamp::from_millis(1);
        let (first, text) = SessionId::random().unwrap();
        sessions.open(first, Role::Act, "a".into(), [0; 32], start);
        assert_eq!(SessionId::parse(&text), Some(first));
        assert!(sessions.get(&first, start).is_some());
        assert!(sessions.get(&first, start.plus(SESSION_LIFE)).is_none());
        let mut others = Vec::new();
        for nth in 1..=SESSIONS_MAX {
            let (id, _) = SessionId::random().unwrap();
            let later = start.plus(Duration::from_millis(u64::try_from(nth).unwrap()));
            sessions.open(id, Role::Read, "b".into(), [0; 32], later);
            others.push(id);
        }
        assert!(sessions.get(&first, start).is_none(), "the oldest made room");
        assert_eq!(sessions.0.len(), SESSIONS_MAX);
        sessions.close(&others[0]);
        assert!(sessions.get(&others[0], start).is_none());
    }

    #[test]
    fn what_is_no_id_of_ours_is_not_looked_up() {
        for text in ["", "0", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }
}
