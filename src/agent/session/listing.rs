//! Listing the target: all of a set when its journal cannot be followed, or what came into it with a folder.

use std::collections::HashSet;

use super::{Channels, Ended};
use crate::agent::context::Context;
use crate::agent::planner::{committed, journal};
use crate::model::{Cursor, NodeId, SetId, TargetNode};
use crate::wire::pb::sync_service_client::SyncServiceClient;
use crate::wire::{MemberPage, pb};

/// Members in a page.
const PAGE: i32 = 1_000;

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

/// The token of the next page. One that leads to the page that was just read would lead there for ever.
fn next(token: &str, next: String) -> Result<String, Ended> {
    if !next.is_empty() && next == token {
        return Err(Ended::Protocol("a page that is followed by itself".to_owned()));
    }
    Ok(next)
}

/// Lists what is beneath folders.
pub(super) async fn beneath(channels: &Channels, set: SetId, folders: Vec<NodeId>) -> Result<Vec<TargetNode>, Ended> {
    let mut listed = Vec::new();
    for folder in folders {
        let mut token = String::new();
        loop {
            let page = page(channels, set, Some(folder), token.clone()).await?;
            listed.extend(page.members.into_iter().filter(|member| member.node != folder));
            token = next(&token, page.next_page_token)?;
            if token.is_empty() {
                break;
            }
        }
    }
    Ok(listed)
}

/// Lists a whole set into the target tree, and returns from where to follow the journal. Until it ends nothing is planned.
pub(super) async fn all(context: &Context, channels: &Channels, set: SetId) -> Result<Cursor, Ended> {
    committed(context.store.transact(move |tx| journal::begin(tx, set)).await)?;
    let (mut token, mut as_of, mut listed) = (String::new(), None, HashSet::new());
    loop {
        let page = page(channels, set, None, token.clone()).await?;
        as_of.get_or_insert(page.as_of);
        listed.extend(page.members.iter().map(|member| member.node));
        let world = context.world.clone();
        committed(context.store.transact(move |tx| journal::take_listed(tx, set, &page.members, &*world)).await)?;
        token = next(&token, page.next_page_token)?;
        if token.is_empty() {
            break;
        }
    }
    let as_of = as_of.ok_or_else(|| Ended::Protocol("a listing without a sequence".to_owned()))?;
    let listed = std::sync::Arc::new(listed);
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
