//! Makes the changes of the source that the planner ordered, without clobbering anything.
//!
//! Orders are worked on in batches that share their flushes. Content is staged beside its place, verified, given what a replaced document
//! had (owner, permissions, foreign attributes), flushed, and only then put in place, if what is there is still what the plan was made for.
//! What a replacement displaces goes to the version store, durably, before it is discarded.
//!
//! A crash leaves staged and displaced items, which [`recover`] finds by their operation: what is staged is discarded, what is displaced becomes
//! a version. The members concerned are planned again from what the tracker then sees.

mod batch;
mod content;
mod displaced;
mod recover;

use std::sync::Arc;

use crate::net::Channel;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::planner::{Order, UnderWay};
use crate::store::StoreError;
use crate::task::Tasks;

pub use displaced::{discard as discard_displaced, store as keep_displaced};
pub use recover::{leftovers, recover};

/// Orders that share their flushes at most.
const BATCH: usize = 256;

/// Works on orders until `cancel` fires; what is begun then is finished.
///
/// # Errors
/// When the store fails for good.
pub async fn run(
    context: Context,
    bulk: Channel,
    mut orders: mpsc::UnboundedReceiver<Order>,
    under_way: UnderWay,
    tasks: Tasks,
    cancel: CancellationToken,
) -> Result<(), StoreError> {
    let at_one_time = Arc::new(Semaphore::new(context.config.downloads.max(1)));
    let mut batch = Vec::new();
    let (failing, mut failed) = mpsc::channel(1);
    loop {
        let received = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            Some(error) = failed.recv() => return Err(error),
            received = orders.recv_many(&mut batch, BATCH) => received,
        };
        if received == 0 {
            return Ok(());
        }
        for orders in batch::divide(std::mem::take(&mut batch)) {
            let Ok(permit) = Arc::clone(&at_one_time).acquire_owned().await else { return Ok(()) };
            let (context, bulk, under_way, failing) = (context.clone(), bulk.clone(), under_way.clone(), failing.clone());
            drop(tasks.spawn("apply", async move {
                let count = orders.len();
                if let Err(error) = batch::work(&context, bulk, orders).await {
                    // The orders stay on record, and are planned again at the next start, which this leads to.
                    tracing::error!(%error, "what was applied could not be recorded");
                    let _another_failed_first = failing.try_send(error);
                }
                under_way.end(count);
                drop(permit);
            }));
        }
    }
}
