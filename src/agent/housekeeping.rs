//! What the agent does from time to time without being asked: looking at leftovers, removing versions whose retention ended, collecting
//! content that nothing refers to. Ends with the token of the agent's tasks; a step that fails is logged and tried again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::applier;
use super::context::Context;
use super::state::{InFlight, MemberRow, Members};
use super::versions::{self, Versions};
use crate::depot::{Depot, DepotError};
use crate::model::{ContentRef, NodeId, OpId, Push, SetId};
use crate::store::{Read, ReadExt as _, Store, StoreError};
use crate::transfer::AGENT_SCOPE;

/// How long between two rounds.
const INTERVAL: Duration = Duration::from_secs(60);
/// Every so many rounds content is collected, which reads every member.
const COLLECT_ROUNDS: u32 = 60;
/// Rows of one read.
const ROWS: usize = 1_000;
/// Bytes of packs that one collection rewrites at most, so that other work is not held up.
const COMPACT_BYTES_MAX: u64 = 256 << 20;

/// Works until `cancel` fires.
pub(super) async fn run(context: Context, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(INTERVAL);
    let mut rounds = 0_u32;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = clean(&context).await {
            tracing::warn!(%error, "housekeeping failed and is tried again");
        }
        rounds = (rounds + 1) % COLLECT_ROUNDS;
        if rounds == 0
            && let Err(error) = collect(&context).await
        {
            tracing::warn!(%error, "content was not collected; it is tried again");
        }
    }
}

async fn clean(context: &Context) -> Result<(), StoreError> {
    applier::leftovers(context, false).await?;
    let days = u64::from(context.config.retention_days);
    let before = context.world.now_millis().saturating_sub(days * 24 * 60 * 60 * 1_000);
    let expired = versions::expire(context, before).await?;
    if expired > 0 {
        tracing::info!(expired, "kept versions reached the end of their retention");
    }
    Ok(())
}

/// Collects what no kept version, no member and no operation in flight refers to.
async fn collect(context: &Context) -> Result<(), DepotError> {
    let live = Live { store: context.store.clone(), place: Place::Members(None), page: Vec::new() };
    let collected = context.depot.collect(AGENT_SCOPE, live, context.world.now_millis()).await?;
    let compacted = context.depot.compact(COMPACT_BYTES_MAX).await?;
    tracing::debug!(?collected, ?compacted, "content collected");
    Ok(())
}

/// The contents that are needed, a page of rows at a time. A document that is replaced meanwhile moves from the members to the versions,
/// which are read after them.
struct Live {
    store: Store,
    place: Place,
    page: Vec<ContentRef>,
}

/// Where the reading stands: after which row of which kind.
enum Place {
    Members(Option<(SetId, NodeId)>),
    InFlight(Option<OpId>),
    Versions(Option<(SetId, NodeId, u32)>),
    End,
}

impl Live {
    /// Reads the next page. Of what is not kept itself, only the manifest is here, and not always.
    fn turn(&mut self) -> Result<(), StoreError> {
        (self.page, self.place) = self.store.read(|read| match &self.place {
            Place::Members(after) => {
                let rows = read.scan::<Members>(&(), after.as_ref(), ROWS)?;
                let next = rows.last().map_or(Place::InFlight(None), |(key, _)| Place::Members(Some(*key)));
                Ok::<_, StoreError>((with_manifests(read, rows.iter().flat_map(|(_, row)| contents(row)))?, next))
            }
            Place::InFlight(after) => {
                let rows = read.scan::<InFlight>(&(), after.as_ref(), ROWS)?;
                let next = rows.last().map_or(Place::Versions(None), |(key, _)| Place::InFlight(Some(*key)));
                Ok((with_manifests(read, rows.iter().filter_map(|(_, pushed)| carried(&pushed.operation.push)))?, next))
            }
            Place::Versions(after) => {
                let rows = read.scan::<Versions>(&(), after.as_ref(), ROWS)?;
                let next = rows.last().map_or(Place::End, |(key, _)| Place::Versions(Some(*key)));
                Ok((rows.into_iter().map(|(_, version)| version.content).collect(), next))
            }
            Place::End => Ok((Vec::new(), Place::End)),
        })?;
        Ok(())
    }
}

impl Iterator for Live {
    type Item = Result<ContentRef, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() && !matches!(self.place, Place::End) {
            if let Err(error) = self.turn() {
                self.place = Place::End;
                return Some(Err(error));
            }
        }
        self.page.pop().map(Ok)
    }
}

/// Those contents whose manifest has pages, and these are here: a page that is here has all beneath it here, too.
fn with_manifests(read: &impl Read, contents: impl Iterator<Item = ContentRef>) -> Result<Vec<ContentRef>, StoreError> {
    let mut held = Vec::new();
    for content in contents.filter(|content| content.height > 0) {
        if Depot::holds(read, AGENT_SCOPE, content.root)? {
            held.push(content);
        }
    }
    Ok(held)
}

fn contents(row: &MemberRow) -> impl Iterator<Item = ContentRef> {
    let member = &row.member;
    let source = member.source_node().and_then(|source| source.state.content);
    let target = member.target_node().and_then(|target| target.state.content);
    let base = member.base.as_ref().and_then(|base| base.content);
    source.into_iter().chain(target.filter(|_| target != source)).chain(base.filter(|_| base != source && base != target))
}

const fn carried(push: &Push) -> Option<ContentRef> {
    match push {
        Push::Create(state) => state.content,
        Push::Update { content: Some((content, _)), .. } => Some(*content),
        Push::Pair { content } => *content,
        Push::Update { content: None, .. } | Push::Delete { .. } | Push::Release { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::planner::tests::Bench;
    use crate::content::{ChunkerParameters, split};
    use crate::engine::{Source, SourceNode};
    use crate::model::{Kind, Name, NodeState, PairingId, Properties, SetShape};
    use crate::store::WriteExt as _;
    use uuid::Uuid;

    #[tokio::test]
    async fn manifests_of_members_and_kept_versions_outlive_a_collection_and_nothing_else_does() {
        let bench = Bench::new(SetShape::Documents).await;
        let context = &bench.context;
        let mut roots = Vec::new();
        for seed in 0_u8..3 {
            let bytes: Vec<u8> = (0..400_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed).collect();
            let mut blobs = Vec::new();
            let keep = |blob| {
                blobs.push(blob);
                Ok::<_, std::io::Error>(())
            };
            let content = split(&bytes[..], ChunkerParameters::DEFAULT, keep).unwrap();
            assert!(content.height > 0);
            context.depot.keep(AGENT_SCOPE, blobs).await.unwrap();
            roots.push(content);
        }
        let (set, node) = (SetId::from_uuid(Uuid::from_u128(1)), NodeId::from_uuid(Uuid::from_u128(1)));
        let place = crate::model::Place { parent: None, name: Name::new("a").unwrap() };
        let state = NodeState { kind: Kind::Document, place, content: Some(roots[0]), properties: Properties::default() };
        let mut row = MemberRow::new(node, PairingId::from_uuid(Uuid::from_u128(2)));
        row.member.source = Source::Present(SourceNode { state, properties_known: true, problem: None });
        let kept = versions::Version { content: roots[1], kept_millis: 0, cause: versions::Cause::Replaced, path: String::new() };
        let stored = context.store.transact(move |tx| {
            tx.put::<Members>(&(set, node), &row)?;
            tx.put::<Versions>(&(set, node, 1), &kept)
        });
        stored.await.unwrap();
        let live = || Live { store: context.store.clone(), place: Place::Members(None), page: Vec::new() };
        for now_ms in [1, u64::MAX / 2] {
            context.depot.collect(AGENT_SCOPE, live(), now_ms).await.unwrap();
        }
        let held = |content: &ContentRef| context.store.read(|read| Depot::holds(read, AGENT_SCOPE, content.root)).unwrap();
        assert_eq!(roots.iter().map(held).collect::<Vec<_>>(), [true, true, false]);
    }
}
