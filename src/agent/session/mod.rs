//! The agent's side of the stream to the coordinator.
//!
//! [`run`] keeps one conversation open and opens the next one when it ends, with growing delays. All operations that are in flight in the
//! store are sent again in a new conversation, in the order in which they were planned; the coordinator answers those that it has done
//! with the first answer.

mod conversation;
#[cfg(test)]
mod edge_tests;
mod listing;
mod outgoing;
#[cfg(test)]
mod outgoing_tests;
mod reports;
#[cfg(test)]
mod rogue_tests;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use crate::net::Channel;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::planner::UnderWay;
use super::state::{EarlierLives, Mine, MineRow};
use crate::model::{Fault, Incarnation, OpId, SetId};
use crate::store::{ReadExt as _, Store, StoreError, WriteExt as _};
use crate::sys::World;
use crate::wire::EARLIER_MAX;

/// The first wait before connecting again.
const RECONNECT_FIRST: Duration = Duration::from_millis(200);
/// The longest.
const RECONNECT_LAST: Duration = Duration::from_secs(30);
/// A conversation that lasted this long was a good one: the next wait is the first again.
const GOOD: Duration = Duration::from_secs(10);

/// Channels to the coordinator, connected when used.
#[derive(Debug, Clone)]
pub struct Channels {
    /// For the stream and for small calls.
    pub control: Channel,
    /// For content, so that it never holds up the stream.
    pub bulk: Channel,
}

/// Whether the coordinator is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// Not yet tried.
    Starting,
    /// A conversation is open.
    Open,
    /// It is not, for this reason; it is tried again.
    Away(String),
}

/// What others ask of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take changes of one more set.
    Subscribe(SetId),
}

/// What the session takes its work from, and where it shows how it is.
#[derive(Debug)]
pub struct Inlets {
    /// Operations in flight that have not left, in the order in which they must.
    pub pushes: mpsc::UnboundedReceiver<OpId>,
    /// What others ask.
    pub commands: mpsc::UnboundedReceiver<Command>,
    /// Counts what ended.
    pub under_way: UnderWay,
    /// Whether the coordinator is reached.
    pub connection: watch::Sender<Connection>,
    /// A directive was taken that others must act on.
    pub directives: mpsc::Sender<crate::wire::Directive>,
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The agent stops.
    #[error("the agent stops")]
    Cancelled,
    /// The coordinator is about to stop, and says when to come back.
    #[error("the coordinator is stopping")]
    Drained(Duration),
    /// The coordinator, or the network between, failed or refused.
    #[error("{0}")]
    Fault(Fault),
    /// Nothing was heard for too long.
    #[error("the coordinator fell silent")]
    Silent,
    /// The coordinator broke the rules of the conversation.
    #[error("the coordinator answered with something that is not allowed here: {0}")]
    Protocol(String),
    /// The agent's own state failed.
    #[error("the agent's state failed: {0}")]
    Store(#[from] StoreError),
}

impl From<tonic::Status> for Ended {
    fn from(status: tonic::Status) -> Self {
        Self::Fault(Fault::from_status(&status))
    }
}

/// Keeps a conversation open until `cancel` fires.
///
/// # Errors
/// When the agent's state fails for good.
pub async fn run(context: Context, channels: Channels, mut inlets: Inlets, cancel: CancellationToken) -> Result<(), StoreError> {
    let lives = new_life(&context.store, &*context.world).await?;
    let mut failures = 0;
    loop {
        let began = tokio::time::Instant::now();
        let end = conversation::run(&context, &channels, &mut inlets, &lives, &cancel).await;
        failures = if began.elapsed() >= GOOD { 0 } else { failures + 1 };
        let wait = match end {
            Ended::Cancelled => return Ok(()),
            Ended::Store(error) => return Err(error),
            Ended::Drained(after) => after,
            Ended::Fault(_) | Ended::Silent | Ended::Protocol(_) => delay(failures, context.world.draw()),
        };
        tracing::info!(reason = %end, wait_ms = wait.as_millis(), "conversation ended");
        inlets.connection.send_replace(Connection::Away(end.to_string()));
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Grows from [`RECONNECT_FIRST`] to [`RECONNECT_LAST`]; spread, so that the agents of a coordinator that restarts do not come all at once.
fn delay(failures: u32, chance: u64) -> Duration {
    let grown = RECONNECT_FIRST.saturating_mul(1 << failures.min(8)).min(RECONNECT_LAST);
    let spread = u64::try_from(grown.as_millis()).unwrap_or(u64::MAX).max(1);
    grown / 2 + Duration::from_millis(chance % spread)
}

/// Which life of the state this is, and those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lives {
    now: Incarnation,
    earlier: Vec<Incarnation>,
}

/// Begins another life of the state: a copy of it begins another one, and each is then told from the other.
async fn new_life(store: &Store, world: &dyn World) -> Result<Lives, StoreError> {
    // The protocol has no incarnation 0.
    let now = Incarnation::new(world.draw().max(1));
    let stored = store.transact(move |tx| {
        let mut earlier = tx.get::<EarlierLives>(&())?.unwrap_or_default();
        earlier.extend(tx.get::<Mine>(&())?.map(|mine| mine.incarnation));
        earlier.drain(..earlier.len().saturating_sub(EARLIER_MAX));
        tx.put::<EarlierLives>(&(), &earlier)?;
        tx.put::<Mine>(&(), &MineRow { incarnation: now })?;
        Ok::<_, StoreError>(Lives { now, earlier })
    });
    super::planner::committed(stored.await)
}

/// Tells everybody who shares it that the planner has work.
pub(super) fn ring(context: &Context) {
    Arc::clone(&context.planner).notify_one();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealWorld;

    #[tokio::test]
    async fn s_i01_each_start_is_another_life_that_knows_those_before_it() {
        let store = Store::memory();
        let first = new_life(&store, &RealWorld).await.unwrap();
        let second = new_life(&store, &RealWorld).await.unwrap();
        assert_eq!((first.earlier.as_slice(), second.earlier.as_slice()), (&[][..], &[first.now][..]));
        for _ in 0..EARLIER_MAX {
            new_life(&store, &RealWorld).await.unwrap();
        }
        let last = new_life(&store, &RealWorld).await.unwrap();
        assert!(last.earlier.len() == EARLIER_MAX && !last.earlier.contains(&second.now), "the oldest are forgotten");
    }
}
