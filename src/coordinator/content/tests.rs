//! Content over connections that are slow or break.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::content::{Blob, BlobKind};
use crate::coordinator::fixture::Fixture;
use crate::model::Hash;
use crate::transfer::testing::{InMemory, cut, depot, noise};
use crate::transfer::{AGENT_SCOPE, upload};

#[tokio::test]
async fn edge_w09_what_came_before_an_upload_broke_off_need_not_be_sent_again() {
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let caller = CallingAgent { agent: fixture.agent, network: fixture.network };
    let (_, blobs) = cut(&noise(1_000_000));
    let hashes: Vec<Hash> = blobs.iter().map(Blob::hash).collect();
    let missing = || find_missing(&fixture.context, caller, set, &hashes).unwrap().len();
    assert_eq!(missing(), blobs.len());
    let (come, rest) = blobs.split_at(blobs.len() / 2);
    let mut upload = Upload::begin(&fixture.context, caller, set).unwrap();
    upload.add(come.to_vec()).await.unwrap();
    drop(upload);
    let kept = async {
        while missing() > rest.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), kept).await.expect("it is kept");
    let mut upload = Upload::begin(&fixture.context, caller, set).unwrap();
    upload.add(rest.to_vec()).await.unwrap();
    assert_eq!((upload.finish().await.unwrap(), missing()), (rest.len() as u64, 0));
}

#[tokio::test(start_paused = true)]
async fn edge_w07_content_moves_over_a_slow_link_and_nothing_is_given_up() {
    const BYTES_PER_SECOND: u64 = 8_000;
    let fixture = Fixture::new().await;
    let set = fixture.set().await;
    let bytes = noise(1_500_000);
    let (content, blobs) = cut(&bytes);
    let depot = depot();
    depot.keep(AGENT_SCOPE, blobs.into_iter().filter(|blob| blob.kind() == BlobKind::Page).collect()).await.unwrap();
    let (channel, mut connections) = fixture.slow_channel(BYTES_PER_SECOND).await;
    let begun = tokio::time::Instant::now();
    upload(channel, &depot, set, &content, None, Arc::new(InMemory(bytes))).await.unwrap();
    let seconds = begun.elapsed().as_secs();
    assert!((content.size_bytes / BYTES_PER_SECOND..content.size_bytes / BYTES_PER_SECOND * 2).contains(&seconds), "{seconds} s");
    assert_eq!(std::iter::from_fn(|| connections.try_recv().ok()).count(), 1, "one connection, though it takes minutes");
    let caller = CallingAgent { agent: fixture.agent, network: fixture.network };
    assert_eq!(seal(&fixture.context, caller, set, content, None).await.unwrap(), []);
}
