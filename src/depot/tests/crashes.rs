//! Every place where the process can end, as the module's table lists them.

use super::*;
use crate::store::testing::{Faults, faulty};

#[tokio::test]
async fn edge_k01_k06_power_goes_before_the_flush() {
    let (early, late) = (noise(1, 50_000), noise(2, 50_000));
    let (_, blobs) = cut(&late);
    for torn in [0, 1, 63, 64, 10_000, 50_000] {
        let world = World::new();
        let kept = world.keep(&early, None).await;
        world.directory.fail(PackFaults { sync_fails: true, ..PackFaults::default() });
        assert!(world.depot.stage(SCOPE, &blobs).await.is_err());
        world.directory.fail(PackFaults::default());
        let world = world.crash(torn);
        assert!(blobs.iter().all(|blob| !world.holds(blob)));
        let content = world.keep(&late, None).await;
        assert!(world.read(&content).await.expect("sent again") == late);
        assert!(world.read(&kept).await.expect("flushed before") == early, "a torn tail takes nothing along");
    }
}

#[tokio::test]
async fn edge_k01_the_process_ends_between_flush_and_commit() {
    let world = World::new();
    let kept = world.keep(b"before", None).await;
    let orphans = world.stage(&cut(&noise(1, 100_000)).1).await;
    drop(orphans);
    let world = world.crash(0);
    let content = world.keep(&noise(1, 100_000), None).await;
    assert_eq!(world.packs().await, [1, 2]);
    let world = world.crash(0);
    let report = world.depot.compact(u64::MAX).await.expect("packs that can be read");
    assert_eq!((report.packs_removed, report.blobs_moved), (1, 1), "the orphans go, their neighbour moves");
    let world = world.crash(0);
    assert_eq!(world.read(&kept).await.expect("moved"), b"before");
    assert!(world.read(&content).await.expect("sent again") == noise(1, 100_000));
}

#[tokio::test]
async fn edge_k01_the_outcome_of_a_commit_is_unknown() {
    for seed in 0..8 {
        let world = World::new();
        let store = faulty(&world.store, Faults { unknown: 50, not_processed: 30, repeated: 50, delayed: 50 }, seed);
        let bytes = noise(seed, 60_000);
        let (content, blobs) = cut(&bytes);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let staged = world.stage(&blobs).await;
            let result = store.transact::<_, CommitError>(move |transaction| Depot::commit(transaction, &staged, None)).await;
            if result.is_ok() || attempts > 50 {
                break;
            }
        }
        assert!(attempts < 50);
        let world = world.crash(0);
        assert!(world.read(&content).await.expect("it was acknowledged") == bytes);
    }
}

/// A live document in a pack of garbage that was collected, and a further pack.
async fn sparse() -> (World, ContentRef, Vec<u8>) {
    let world = World::new();
    let live = noise(1, 100_000);
    let content = world.keep(&live, None).await;
    world.keep(&noise(2, 1 << 20), None).await;
    let opens = world.keep(b"opens the second pack", None).await;
    world.collect(&[content, opens], 5000).await;
    world.collect(&[content, opens], 5000 + GRACE_MS).await;
    (world, content, live)
}

#[tokio::test]
async fn edge_k01_the_process_ends_in_a_compaction_before_the_swap() {
    let (world, content, live) = sparse().await;
    let store = faulty(&world.store, Faults { not_processed: 100, ..Faults::default() }, 1);
    let broken = World::on(store, world.directory.clone());
    assert!(broken.depot.compact(u64::MAX).await.is_err());
    drop(broken);
    let world = world.crash(0);
    assert!(world.read(&content).await.expect("where it was") == live);
    world.depot.compact(u64::MAX).await.expect("packs that can be read");
    assert!(!world.packs().await.contains(&1));
    let world = world.crash(0);
    assert!(world.read(&content).await.expect("moved") == live);
}

#[tokio::test]
async fn edge_k01_the_process_ends_in_a_compaction_after_the_swap() {
    let (world, content, live) = sparse().await;
    world.directory.fail(PackFaults { remove_fails: true, ..PackFaults::default() });
    assert!(world.depot.compact(u64::MAX).await.is_err());
    world.directory.fail(PackFaults::default());
    let world = world.crash(0);
    assert!(world.packs().await.contains(&1));
    assert!(world.read(&content).await.expect("moved") == live);
    let report = world.depot.compact(u64::MAX).await.expect("packs that can be read");
    assert_eq!((report.packs_removed, report.blobs_moved), (1, 0));
    assert!(world.read(&content).await.expect("moved") == live);
}

#[tokio::test]
async fn edge_f01_no_room_for_one_batch_leaves_room_for_the_next() {
    let world = World::new();
    world.directory.fail(PackFaults { write_stops_after: Some(5000), ..PackFaults::default() });
    assert!(world.depot.stage(SCOPE, &[chunk(&noise(1, 10_000))]).await.is_err());
    let small = world.keep(&noise(2, 4000), None).await;
    world.directory.fail(PackFaults::default());
    let large = world.keep(&noise(1, 10_000), None).await;
    let world = world.crash(0);
    assert!(world.read(&small).await.expect("it fitted") == noise(2, 4000));
    assert!(world.read(&large).await.expect("there is room again") == noise(1, 10_000));
}
