//! How a run is told to end early.

use tokio::sync::watch;

/// Why a run has to end before its steps are through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// It was called off: `by ana`, `because the engine was paused`.
    Cancelled(String),
    /// The daemon stops and the grace time is over.
    ShuttingDown,
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cancelled(why) => write!(f, "cancelled {why}"),
            Self::ShuttingDown => f.write_str("the daemon stopped before the run had ended"),
        }
    }
}

/// The end that says stop. The first reason counts.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<StopReason>>);

/// The end that is told.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<StopReason>>);

impl Stopper {
    /// A stopper and what it stops.
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), Stop(receiver))
    }

    /// Tells the run to end; false where it was told before.
    pub fn stop(&self, reason: StopReason) -> bool {
        self.0.send_if_modified(|held| {
            let first = held.is_none();
            held.get_or_insert(reason);
            first
        })
    }
}

impl Stop {
    /// The reason, once there is one.
    pub fn reason(&self) -> Option<StopReason> {
        self.0.borrow().clone()
    }

    /// Resolves when the run has to end. Never does where the stopper is gone without having said so.
    pub async fn stopped(&self) -> StopReason {
        let mut receiver = self.0.clone();
        let said = receiver.wait_for(Option::is_some).await.map(|reason| reason.clone());
        match said {
            Ok(Some(reason)) => reason,
            _ => std::future::pending().await,
        }
    }
}
