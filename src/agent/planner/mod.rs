//! Runs the planner over dirty members, and writes what came of it into the trees.
//!
//! One task plans. A batch of dirty members is planned in one transaction, in which every push gets its operation and is stored as in
//! flight: what leaves is durable first. Deletes are judged together by the brake once all else is planned. Pushes go to the session, changes of the
//! source to the applier; both come back through [`outcome`] and [`applied`].

pub mod applied;
mod batch;
mod braking;
mod crossing;
mod departing;
pub mod journal;
pub mod outcome;
pub mod placing;
mod status;
#[cfg(test)]
pub(in crate::agent) mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::forget::{forget_member, unprotect};
use super::repository::{RepoKey, SiteName};
use super::state::{Dirty, LocalSet, LocalSets, MemberRow, Retries, SourceRow, members};
use crate::engine::reconcile::Apply;
use crate::model::{Name, NodeId, NodeState, OpId, SetId};
use crate::store::{Read, ReadExt as _, StoreError, TransactError, Transaction};

pub use batch::begin_anew;
pub use crossing::let_go;
pub(in crate::agent) use status::told;

/// Dirty members planned in one transaction: large enough to share its flush, small enough to start work soon.
const BATCH: usize = 512;
/// Steps under way at most, on each side. Planning waits beyond this; what is dirty stays stored.
const UNDER_WAY_MAX: usize = 4_096;
/// How often retries by time are looked at.
const RETRY_TICK: Duration = Duration::from_millis(500);

/// Something for the applier to do at the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The set.
    pub set: SetId,
    /// The set that the cloud has the member in, and gives its content to: another one while a move between two sets is under way.
    pub set_in_cloud: SetId,
    /// The site that the set's sources are in.
    pub site: SiteName,
    /// The member.
    pub node: NodeId,
    /// Names this work, in staging and in kept versions.
    pub op: OpId,
    /// What to do.
    pub apply: Apply,
    /// Where the member is, if it is at the source.
    pub at: Option<SourceRow>,
    /// The state at the source that the plan was made for.
    pub planned_on: Option<NodeState>,
    /// The target's state that it was planned from: what base becomes in the facets that are applied.
    pub target: Option<NodeState>,
    /// The folder at the source that the new place names.
    pub folder: Option<RepoKey>,
    /// The folder that it was in when it was last at the source.
    pub last_folder: Option<RepoKey>,
    /// The name that it has there now, when that is not the name in `planned_on`.
    pub aside: Option<Name>,
    /// It is not the first try.
    pub retried: bool,
}

#[cfg(test)]
impl Order {
    /// An order to make something new, as far as tests care.
    pub(crate) fn to_create(set: SetId, site: &SiteName, node: NodeId, op: OpId, state: NodeState, folder: Option<RepoKey>) -> Self {
        Self {
            set,
            set_in_cloud: set,
            site: site.clone(),
            node,
            op,
            apply: Apply::Create(state.clone()),
            at: None,
            planned_on: None,
            target: Some(state),
            folder,
            last_folder: None,
            aside: None,
            retried: false,
        }
    }
}

/// How many steps are under way, and a bell for when there are fewer.
#[derive(Debug, Clone, Default)]
pub struct UnderWay {
    count: Arc<AtomicUsize>,
    fewer: Arc<Notify>,
}

impl UnderWay {
    /// Counts steps that begin.
    pub fn begin(&self, steps: usize) {
        self.count.fetch_add(steps, Ordering::Relaxed);
    }

    /// Counts steps that ended.
    pub fn end(&self, steps: usize) {
        if steps == 0 {
            return;
        }
        let mut now = self.count.load(Ordering::Relaxed);
        while let Err(other) = self.count.compare_exchange_weak(now, now.saturating_sub(steps), Ordering::Relaxed, Ordering::Relaxed) {
            now = other;
        }
        self.fewer.notify_one();
    }

    /// Returns how many are under way.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// Where planned steps go.
#[derive(Debug, Clone)]
pub struct Outlets {
    /// Operations in flight, for the session, in the order in which they must leave.
    pub pushes: mpsc::UnboundedSender<OpId>,
    /// Orders for the applier.
    pub orders: mpsc::UnboundedSender<Order>,
    /// Bounds both queues.
    pub under_way: UnderWay,
}

/// Plans until `cancel` fires.
///
/// # Errors
/// When the store fails for good.
pub async fn run(context: Context, outlets: Outlets, cancel: CancellationToken) -> Result<(), StoreError> {
    let mut retries_at = Instant::now();
    loop {
        // By the clock, not when nothing else happens: something else always may.
        if retries_at <= Instant::now() {
            wake_due(&context).await?;
            retries_at = Instant::now() + RETRY_TICK;
        }
        let planned = plan_all(&context, &outlets).await?;
        if planned > 0 {
            continue;
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            () = context.planner.notified() => {}
            () = outlets.under_way.fewer.notified() => {}
            () = tokio::time::sleep_until(retries_at) => {}
        }
    }
}

/// Whether something of a set is to be planned now: it changed, or deletes are to be judged together.
///
/// # Errors
/// When the store cannot be read.
pub fn has_work(read: &(impl Read + ?Sized), set: &LocalSet) -> Result<bool, StoreError> {
    Ok(!read.scan::<Dirty>(&(set.definition.id,), None, 1)?.is_empty() || braking::is_due(read, set)?)
}

/// Plans one batch of each set; returns how many members were planned.
async fn plan_all(context: &Context, outlets: &Outlets) -> Result<usize, StoreError> {
    // Mostly nothing is dirty, and a transaction would keep others waiting.
    let dirty = context.store.read(|read| {
        let mut dirty = Vec::new();
        for (set, local) in read.scan::<LocalSets>(&(), None, usize::MAX)? {
            if has_work(read, &local)? {
                dirty.push(set);
            }
        }
        Ok::<_, StoreError>(dirty)
    })?;
    let mut planned = 0;
    for set in dirty {
        let room = UNDER_WAY_MAX.saturating_sub(outlets.under_way.count());
        if room == 0 {
            break;
        }
        let (world, limits) = (Arc::clone(&context.world), context.config.brake);
        let limit = BATCH.min(room);
        let batch = context.store.transact(move |tx| batch::plan(tx, set, limit, &limits, &*world)).await;
        let batch = committed(batch)?;
        planned += batch.planned;
        outlets.under_way.begin(batch.pushes.len() + batch.orders.len());
        for node in batch.ended {
            tracing::info!(%set, %node, "the sync of a direct member ended; both copies stay");
            forget_member(context, set, node).await?;
        }
        for row in batch.unlocked {
            unlock(context, set, &row).await?;
        }
        for push in batch.pushes {
            // The receivers live as long as the agent; what is not taken is in the store and found at the next start.
            let _closed = outlets.pushes.send(push);
        }
        for order in batch.orders {
            let _closed = outlets.orders.send(order);
        }
    }
    Ok(planned)
}

/// Gives a document that came out of a set that locks its source into one that does not its owner and permissions back.
async fn unlock(context: &Context, set: SetId, row: &MemberRow) -> Result<(), StoreError> {
    unprotect(context, row).await;
    let node = row.member.node;
    let unlocked = context.store.transact(move |tx| {
        members::update(tx, set, node, |row| {
            row.map(|mut row| {
                row.protection = None;
                row
            })
        })
    });
    committed(unlocked.await)
}

/// Marks as dirty what is to be tried again by now.
async fn wake_due(context: &Context) -> Result<(), StoreError> {
    let now = context.world.now_millis();
    let due = context.store.read(|read| read.scan::<Retries>(&(), None, BATCH))?;
    let due: Vec<_> = due.into_iter().map(|(key, ())| key).take_while(|(at, ..)| *at <= now).collect();
    if due.is_empty() {
        return Ok(());
    }
    let woken = context.store.transact(move |tx| due.iter().try_for_each(|(_, set, node)| try_again(tx, *set, *node)));
    committed(woken.await)
}

/// Marks as dirty a member that is due, unless it was forgotten since that was read.
fn try_again(tx: &mut Transaction<'_>, set: SetId, node: NodeId) -> Result<(), StoreError> {
    let Some(before) = members::load(tx, set, node)? else { return Ok(()) };
    let mut row = before.clone();
    row.status.retry_millis = None;
    members::save(tx, set, Some(&before), Some(&row))?;
    members::mark_dirty(tx, set, node)
}

/// Returns what a transaction of this module's own returned: it aborts only because the store failed.
pub(super) fn committed<T>(outcome: Result<T, TransactError<StoreError>>) -> Result<T, StoreError> {
    outcome.map_err(|error| match error {
        TransactError::Aborted(error) | TransactError::NotProcessed(error) | TransactError::Unknown(error) => error,
    })
}
