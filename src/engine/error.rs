//! Why the engine does not start, and why it cannot go on.

use std::net::SocketAddr;

use super::decider::EngineError;
use crate::journal::Refused;
use crate::journal::store::StoreError;
#[cfg(feature = "otlp")]
use crate::report::traces;

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The webhook's settings cannot be used.
    #[error("{0}")]
    Receiver(String),
    /// A secret cannot be used.
    #[error("{0}")]
    Secret(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; is another program using it?")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Processes or requests cannot be made ready for.
    #[error(transparent)]
    Runner(#[from] crate::action::SetupError),
    /// The journal closed at once.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What a crash left could not be seen to.
    #[error(transparent)]
    Recovery(#[from] EngineError),
}

#[cfg(feature = "otlp")]
impl From<traces::TargetError> for StartError {
    fn from(error: traces::TargetError) -> Self {
        match error {
            traces::TargetError::Http(error) => Self::Runner(error.into()),
            other => Self::Secret(other.to_string()),
        }
    }
}

/// Why the engine cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What it decides cannot be recorded, or the journal cannot be read.
    #[error(transparent)]
    Journal(#[from] EngineError),
    /// It is a defect of ours. What was accepted is decided after a restart; an event over which that happens twice is
    /// set aside then.
    #[error("the engine stops because of a defect of its own, please report it: {0}")]
    Defect(String),
}
