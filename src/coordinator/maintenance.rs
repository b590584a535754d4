//! What is done once an hour without being asked: forgetting old answers, shortening journals, removing what was in the trash or was replaced
//! for longer than the retention, collecting content that nothing refers to.
//!
//! Owned by the server. Each step takes small transactions; one that fails is logged and tried again in the next round. Ends with the
//! token of the context's tasks.

use std::time::Duration;

use super::context::Context;
use super::failure::Failure;
use super::library::{self, Version, request};
use super::networks::Network;
use super::{content, journal, operations, sets};
use crate::model::{ContentRef, Fault, NetworkId, NodeId, Sequence, Timestamp};
use crate::store::{ReadExt as _, Store, StoreError};

/// How long between two rounds.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How long answers to repeatable calls are kept.
const REQUESTS_DAYS: u32 = 1;
/// Rows of one transaction or read.
const ROWS: usize = 1_000;
/// Bytes of packs that one round rewrites at most, so that other work is not held up.
const COMPACT_BYTES_MAX: u64 = 1 << 30;

/// Works until the coordinator stops.
pub(super) async fn run(context: Context) {
    loop {
        tokio::select! {
            biased;
            () = context.tasks.cancel().cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(fault) = round(&context).await {
            tracing::warn!(%fault, cause = fault.internal, "maintenance was not finished; the next round goes on");
        }
    }
}

/// One round.
async fn round(context: &Context) -> Result<(), Fault> {
    let kept_since = days_before(context.now(), context.config.retention_days);
    prune(context, days_before(context.now(), REQUESTS_DAYS), kept_since).await?;
    for network in networks(&context.store)? {
        shorten(context, network, kept_since).await?;
        expire(context, network, kept_since).await?;
        let live = Live { store: context.store.clone(), network, after: None, page: Vec::new(), ended: false };
        let report = context.depot.collect(content::scope(network), live, context.world.now_millis()).await.map_err(content::failed)?;
        tracing::debug!(%network, ?report, "content collected");
    }
    let report = context.depot.compact(COMPACT_BYTES_MAX).await.map_err(content::failed)?;
    tracing::debug!(?report, "packs compacted");
    Ok(())
}

fn days_before(time: Timestamp, days: u32) -> Timestamp {
    let seconds = i64::from(days) * 24 * 3600;
    Timestamp { seconds: time.seconds.saturating_sub(seconds), ..time }
}

fn networks(store: &Store) -> Result<Vec<NetworkId>, Fault> {
    let rows = store.read(|read| Ok::<_, Failure>(read.scan::<Network>(&(), None, usize::MAX)?))?;
    Ok(rows.into_iter().map(|((id,), _)| id).collect())
}

/// Forgets the answers to old calls and operations.
async fn prune(context: &Context, requests_before: Timestamp, outcomes_before: Timestamp) -> Result<(), Fault> {
    let mut next = None;
    loop {
        next = context.transact(move |tx| Ok(request::prune(tx, requests_before, next, ROWS)?)).await?;
        if next.is_none() {
            break;
        }
    }
    let mut next = None;
    loop {
        next = context.transact(move |tx| Ok(operations::prune_outcomes(tx, outcomes_before, next, ROWS)?)).await?;
        if next.is_none() {
            return Ok(());
        }
    }
}

/// Drops what all agents of a network have acknowledged and is old.
async fn shorten(context: &Context, network: NetworkId, before: Timestamp) -> Result<(), Fault> {
    loop {
        let dropped = context.transact(move |tx| {
            let held = sets::acknowledged_by_all(tx, network)?;
            let through = held.map_or_else(|| journal::head(tx, network).map(|head| head.sequence), Ok::<Sequence, Failure>)?;
            journal::compact(tx, network, through, before, ROWS)
        });
        if dropped.await? < ROWS {
            return Ok(());
        }
    }
}

/// Removes what has been in the trash, or been replaced, since before a time.
async fn expire(context: &Context, network: NetworkId, before: Timestamp) -> Result<(), Fault> {
    let expired = context.read(|read| Ok(library::expired_trash(read, network, before)?))?;
    for key in &expired {
        let key = *key;
        while !context.transact(move |tx| library::purge(tx, key, ROWS)).await? {}
    }
    if !expired.is_empty() {
        tracing::info!(%network, count = expired.len(), "what was in the trash reached the end of its retention");
    }
    let mut next = None;
    loop {
        next = context.transact(move |tx| library::expire_versions(tx, network, before, next, ROWS)).await?;
        if next.is_none() {
            return Ok(());
        }
    }
}

/// The contents of all versions of a network, read a page at a time.
struct Live {
    store: Store,
    network: NetworkId,
    after: Option<(NetworkId, NodeId, u32)>,
    page: Vec<ContentRef>,
    ended: bool,
}

impl Iterator for Live {
    type Item = Result<ContentRef, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.ended {
            match self.store.read(|read| read.scan::<Version>(&(self.network,), self.after.as_ref(), ROWS)) {
                Ok(rows) => {
                    self.ended = rows.len() < ROWS;
                    self.after = rows.last().map(|(key, _)| *key);
                    self.page = rows.into_iter().map(|(_, version)| version.content).collect();
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.pop().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::fixture::Fixture;

    #[tokio::test]
    async fn a_round_over_little_that_is_young_takes_nothing_away() {
        let fixture = Fixture::new().await;
        let before = fixture.context.read(|read| journal::head(read, fixture.network)).unwrap();
        round(&fixture.context).await.unwrap();
        assert_eq!(fixture.context.read(|read| journal::head(read, fixture.network)).unwrap(), before);
        assert_eq!(networks(&fixture.context.store).unwrap(), [fixture.network]);
    }
}
