//! The tokens of the TCP listener, as digests.

use subtle::ConstantTimeEq;

use super::Role;
use crate::config::Admin;
use crate::config::secret::{SecretError, SecretRef};

/// The digest of a token. Digests have one length, so comparing them tells nothing about the token's.
pub(super) type Digest = [u8; 32];

/// The tokens of a config.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    act: Option<Digest>,
    read: Option<Digest>,
}

impl Tokens {
    /// Reads the tokens from where the config says that they are kept.
    pub(super) fn read(admin: &Admin) -> Result<Self, SecretError> {
        let read = |place: &Option<SecretRef>| -> Result<Option<Digest>, SecretError> {
            place.as_ref().map(|place| Ok(digest(place.resolve()?.expose()))).transpose()
        };
        Ok(Self { act: read(&admin.token)?, read: read(&admin.read_token)? })
    }

    /// What the bearer of a token may do. Both tokens are compared, whichever fits.
    pub(super) fn role_of(&self, given: &str) -> Option<(Role, Digest)> {
        let given = digest(given);
        let is = |token: &Option<Digest>| token.is_some_and(|token| token.ct_eq(&given).into());
        let (may_act, may_read) = (is(&self.act), is(&self.read));
        // Where both tokens are the same text, the lesser right holds.
        match (may_act, may_read) {
            (_, true) => Some((Role::Read, given)),
            (true, false) => Some((Role::Act, given)),
            (false, false) => None,
        }
    }

    /// Whether a token is still one of them.
    pub(super) fn holds(&self, token: &Digest) -> bool {
        [self.act, self.read].iter().flatten().any(|known| known == token)
    }
}

fn digest(token: &str) -> Digest {
    *blake3::hash(token.as_bytes()).as_bytes()
}
