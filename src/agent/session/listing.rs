//! Listing the target: all of a set when its journal cannot be followed, or what came into it with a folder.

use std::collections::HashSet;

use super::{Channels, Ended};
use crate::agent::context::Context;
use crate::agent::planner::{committed, journal, outcome};
use crate::agent::state::{LocalSets, members};
use crate::model::{Cursor, Epoch, NodeId, SetId, TargetNode};
use crate::store::{ReadExt as _, StoreError};
use crate::wire::pb::sync_service_client::SyncServiceClient;
use crate::wire::{MemberPage, pb};

/// Members in a page.
const PAGE: i32 = 1_000;
/// The most pages in a row that bring nothing new.
const IDLE_PAGES_MAX: u32 = 1_000;
/// The most members that are listed with folders which came into a set, before all of it is listed instead, page by page.
const BENEATH_MAX: usize = if cfg!(test) { 100 } else { 100_000 };

async fn page(channels: &Channels, set: SetId, beneath: Option<NodeId>, token: String) -> Result<MemberPage, Ended> {
    let request = pb::ListMembersRequest {
        set_id: set.to_string(),
        beneath_id: beneath.map(|node| node.to_string()).unwrap_or_default(),
        page_size: PAGE,
        page_token: token,
    };
    let response = SyncServiceClient::new(channels.control.clone()).list_members(request).await?.into_inner();
    MemberPage::try_from(response).map_err(|error| Ended::Protocol(error.to_string()))
}

/// Goes from page to page.
struct Pages<'a> {
    channels: &'a Channels,
    set: SetId,
    beneath: Option<NodeId>,
    /// Of the next page; `None` after the last.
    token: Option<String>,
    listed: HashSet<NodeId>,
    /// Pages in a row that brought nothing new.
    idle: u32,
}

impl<'a> Pages<'a> {
    fn new(channels: &'a Channels, set: SetId, beneath: Option<NodeId>) -> Self {
        Self { channels, set, beneath, token: Some(String::new()), listed: HashSet::new(), idle: 0 }
    }

    /// Returns the next page, if there is one. Pages that lead in a circle come to an end, too.
    async fn next(&mut self) -> Result<Option<MemberPage>, Ended> {
        let Some(token) = self.token.take() else { return Ok(None) };
        let mut page = page(self.channels, self.set, self.beneath, token).await?;
        let before = self.listed.len();
        self.listed.extend(page.members.iter().map(|member| member.node));
        self.idle = if self.listed.len() == before { self.idle + 1 } else { 0 };
        if self.idle > IDLE_PAGES_MAX {
            return Err(Ended::Protocol("page after page of members that brings nothing new".to_owned()));
        }
        self.token = Some(std::mem::take(&mut page.next_page_token)).filter(|token| !token.is_empty());
        Ok(Some(page))
    }
}

/// Lists what is beneath folders; `None` when it is too much to hold in memory.
pub(super) async fn beneath(channels: &Channels, set: SetId, folders: Vec<NodeId>) -> Result<Option<Vec<TargetNode>>, Ended> {
    let mut listed = Vec::new();
    for folder in folders {
        let mut pages = Pages::new(channels, set, Some(folder));
        while let Some(page) = pages.next().await? {
            listed.extend(page.members.into_iter().filter(|member| member.node != folder));
            if listed.len() > BENEATH_MAX {
                return Ok(None);
            }
        }
    }
    Ok(Some(listed))
}

/// Prepares sets that are known as of another life of the journal, as after the coordinator was restored from a backup: they are listed anew
/// before anything is planned, and what is in flight ends, for the revisions that it builds on mean something else now.
pub(super) async fn outlive(context: &Context, epoch: Epoch) -> Result<(), StoreError> {
    for (set, local) in context.store.read(|read| read.scan::<LocalSets>(&(), None, usize::MAX))? {
        if local.cursor.is_some_and(|held| held.epoch != epoch) {
            tracing::warn!(%set, "the coordinator's journal has another life now; all of the set is compared again");
            let prepared = context.store.transact(move |tx| {
                journal::begin(tx, set)?;
                outcome::abandon(tx, set)
            });
            committed(prepared.await)?;
        }
    }
    Ok(())
}

/// Lists a whole set into the target tree, and returns from where to follow the journal. Until it ends nothing is planned.
pub(super) async fn all(context: &Context, channels: &Channels, set: SetId) -> Result<Cursor, Ended> {
    committed(context.store.transact(move |tx| journal::begin(tx, set)).await)?;
    let held = context.store.read(|read| members::load_set(read, set))?.and_then(|local| local.cursor);
    let (mut pages, mut as_of) = (Pages::new(channels, set, None), None);
    while let Some(page) = pages.next().await? {
        let as_of = as_of.get_or_insert(page.as_of);
        // Also where the journal merely ends before what is held of it: it went back, and nobody said so.
        let in_another_life = held.is_some_and(|held| held.epoch != as_of.epoch || held.sequence > as_of.sequence);
        let world = context.world.clone();
        let taken = context.store.transact(move |tx| {
            if in_another_life {
                outcome::abandon(tx, set)?;
            }
            journal::take_listed(tx, set, &page.members, in_another_life, &*world)
        });
        committed(taken.await)?;
    }
    let as_of = as_of.ok_or_else(|| Ended::Protocol("a listing without a sequence".to_owned()))?;
    let listed = std::sync::Arc::new(pages.listed);
    let mut after = None;
    loop {
        let listed = std::sync::Arc::clone(&listed);
        after = committed(context.store.transact(move |tx| journal::sweep(tx, set, after, |node| listed.contains(&node))).await)?;
        if after.is_none() {
            break;
        }
    }
    committed(context.store.transact(move |tx| journal::complete(tx, set, as_of)).await)?;
    Ok(as_of)
}
