//! What a replacement or a delete took out of its place: kept as a version, looked at again while somebody has it open, then discarded.

use super::batch::cause;
use crate::agent::context::Context;
use crate::agent::planner::Order;
use crate::agent::repository::{Displaced, EntryName, Leftover};
use crate::agent::state::members;
use crate::agent::versions::{self, Version};
use crate::task;

/// Stores the bytes of what was displaced; `None` when they could not be stored, and must stay where they are.
pub(super) async fn keep(context: &Context, order: &Order, displaced: &Displaced) -> Option<Version> {
    let locks_source =
        context.store.read(|read| members::load_set(read, order.set)).ok()?.is_some_and(|set| set.definition.options.lock_source);
    let path = order.at.as_ref().zip(order.planned_on.as_ref()).map(|(source, state)| {
        let name = EntryName::Allowed(state.place.name.clone());
        context.repository.path_of(&source.folder, &name).map_or_else(|_| state.place.name.to_string(), |path| path.display().to_string())
    });
    store(context, displaced, cause(order, displaced.as_expected, locks_source), path.unwrap_or_default()).await
}

/// Stores the bytes of something displaced, and says what version they are.
pub async fn store(context: &Context, displaced: &Displaced, cause: versions::Cause, path: String) -> Option<Version> {
    let (repository, what) = (context.repository.clone(), displaced.clone());
    let opened = task::blocking("open what was displaced", move || repository.open_displaced(&what)).await;
    let stored = match opened {
        Ok(Ok((_, document))) => versions::store(context, document).await,
        Ok(Err(error)) => Err(error.into()),
        Err(lost) => Err(lost.into()),
    };
    match stored {
        Ok(content) => Some(Version { content, kept_millis: context.world.now_millis(), cause, path }),
        Err(error) => {
            tracing::warn!(%error, op = %displaced.op, "a replaced document could not be kept yet; it stays where it is");
            None
        }
    }
}

/// Discards something displaced whose bytes are kept, unless somebody still writes to it: then it is looked at again later.
pub async fn discard(context: &Context, displaced: Displaced) {
    let repository = context.repository.clone();
    let discarded = task::blocking("discard what was displaced", move || {
        if repository.displaced_in_use(&displaced)? {
            return Ok(());
        }
        repository.discard(&Leftover::Displaced(displaced))
    });
    match discarded.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "something displaced could not be discarded; it is tried again"),
        Err(lost) => tracing::error!(%lost, "something displaced was not discarded"),
    }
}
