//! Collection takes what nothing needs, and nothing else.

use super::*;

#[tokio::test]
async fn what_nothing_needs_goes_after_two_collections_and_the_grace_time() {
    let world = World::new();
    let (live, dead) = (noise(1, 1 << 20), noise(2, 1 << 20));
    let (kept, lost) = (world.keep(&live, None).await, world.keep(&dead, None).await);
    let blobs = cut(&dead).1.len() as u64;

    let report = world.collect(&[kept], 5000).await;
    assert_eq!((report.roots, report.condemned, report.deleted), (1, blobs, 0));
    assert_eq!(world.collect(&[kept], 5000 + GRACE_MS - 1).await.deleted, 0);
    assert!(world.read(&lost).await.expect("not before its time") == dead);
    assert_eq!(world.collect(&[kept], 5000 + GRACE_MS).await.deleted, blobs);
    assert!(matches!(world.read(&lost).await, Err(DepotError::Missing(_))));
    assert!(world.read(&kept).await.expect("it is live") == live);
    assert_eq!(world.collect(&[kept], 9000).await, CollectReport { roots: 1, ..CollectReport::default() });
}

#[tokio::test]
async fn what_is_needed_again_is_kept() {
    let world = World::new();
    let bytes = noise(1, 100_000);
    let (content, blobs) = cut(&bytes);
    world.keep(&bytes, None).await;
    world.collect(&[], 5000).await;
    assert!(blobs.iter().all(|blob| !world.holds(blob)), "condemned is as good as absent for whoever asks");
    assert_eq!(world.collect(&[content], 9000).await.reprieved, blobs.len() as u64);
    assert!(blobs.iter().all(|blob| world.holds(blob)));

    world.collect(&[], 10_000).await;
    world.keep(&bytes, None).await;
    assert_eq!(world.collect(&[], 10_000 + GRACE_MS).await.deleted, 0, "it was staged again: the time starts anew");
    assert!(world.read(&content).await.expect("all of it") == bytes);
}

#[tokio::test]
async fn leases_and_seals_keep_what_they_cover_until_they_end() {
    let world = World::new();
    let leased = world.keep(&noise(1, 1000), Some(by("anna", 6000))).await;
    let (content, blobs) = cut(&noise(2, 200_000));
    let staged = world.stage(&blobs).await;
    world.commit(&staged, Some(by("anna", 100))).await.expect("room");
    world.depot.seal(SCOPE, &by("anna", 6000), &content, None, 10).await.expect("all is there");

    let report = world.collect(&[], 5999).await;
    assert_eq!((report.roots, report.condemned, report.expired), (1, 0, blobs.len() as u64));
    assert_eq!(world.read(&leased).await.map(|bytes| bytes.len()).ok(), Some(1000));
    let report = world.collect(&[], 6000).await;
    assert_eq!((report.condemned, report.expired), (blobs.len() as u64 + 1, 2));
}

#[tokio::test]
async fn another_scope_is_not_touched() {
    let world = World::new();
    let blob = chunk(b"theirs");
    let staged = world.depot.stage(OTHER, std::slice::from_ref(&blob)).await.expect("room");
    world.commit(&staged, None).await.expect("room");
    assert_eq!(world.collect(&[], 5000).await, CollectReport::default());
    assert_eq!(&world.depot.read(OTHER, blob.hash()).await.expect("it is theirs"), blob.bytes());
}

#[tokio::test]
async fn a_live_page_that_cannot_be_read_stops_the_collection() {
    let world = World::new();
    let content = world.keep(&noise(1, 200_000), None).await;
    world.keep(b"garbage", None).await;
    let lost = ContentRef { root: Hash::from_bytes([9; 32]), ..content };
    let result = world.depot.collect(SCOPE, [Ok(content), Ok(lost)], 5000).await;
    assert!(matches!(result, Err(DepotError::Missing(_))));
    assert!(world.holds(&chunk(b"garbage")), "what is beneath the page is unknown");
}

#[tokio::test]
async fn what_was_collected_between_staging_and_commit_is_refused() {
    let world = World::new();
    world.keep(b"short-lived", None).await;
    let staged = world.stage(&[chunk(b"short-lived")]).await;
    world.collect(&[], 5000).await;
    world.collect(&[], 5000 + GRACE_MS).await;
    let result = world.commit(&staged, None).await;
    assert!(matches!(result, Err(TransactError::Aborted(CommitError::Collected(_)))), "{result:?}");
    world.keep(b"short-lived", None).await;
    assert!(world.holds(&chunk(b"short-lived")));
}

#[tokio::test]
async fn compaction_gets_room_back_and_loses_nothing() {
    let world = World::new();
    // Packs of a MiB: the first holds a small live document among garbage, the second garbage, the third is live.
    let live = noise(1, 100_000);
    let small = world.keep(&live, None).await;
    let garbage = [world.keep(&noise(2, 1 << 20), None).await, world.keep(&noise(3, 1 << 20), None).await];
    let whole = noise(4, 1 << 20);
    let large = world.keep(&whole, None).await;
    assert_eq!(world.packs().await, [1, 2, 3]);
    world.keep(b"opens the fourth", None).await;
    world.collect(&[small, large], 5000).await;
    assert_eq!(world.depot.compact(u64::MAX).await.expect("packs that can be read"), CompactReport::default());
    world.collect(&[small, large], 5000 + GRACE_MS).await;

    assert_eq!(world.depot.compact(0).await.expect("packs that can be read").blobs_moved, 0, "it keeps to its budget");
    let report = world.depot.compact(u64::MAX).await.expect("packs that can be read");
    assert_eq!((report.packs_damaged, report.blobs_moved), (0, cut(&live).1.len() as u64));
    assert_eq!(world.packs().await, [3, 4]);
    let world = world.crash(0);
    assert!(world.read(&small).await.expect("moved") == live);
    assert!(world.read(&large).await.expect("left alone") == whole);
    assert!(world.read(&garbage[0]).await.is_err());
}

#[tokio::test]
async fn compaction_waits_for_stagings_that_can_still_be_committed() {
    let world = World::new();
    let (content, blobs) = cut(&noise(1, 2 << 20));
    let staged = world.stage(&blobs).await;
    world.keep(b"opens the second pack", None).await;
    world.depot.compact(u64::MAX).await.expect("packs that can be read");
    assert_eq!(world.packs().await, [1, 2], "nothing refers to the first, yet");
    world.commit(&staged, None).await.expect("room");
    assert_eq!(world.read(&content).await.map(|bytes| bytes.len()).ok(), Some(2 << 20));

    let abandoned = world.stage(&cut(&noise(2, 2 << 20)).1).await;
    world.keep(b"opens the third pack", None).await;
    drop((staged, abandoned));
    world.depot.compact(u64::MAX).await.expect("packs that can be read");
    assert_eq!(world.packs().await, [1, 3], "what was abandoned is gone, its neighbour has moved");
}

#[tokio::test]
async fn a_pack_with_damage_in_what_is_needed_is_not_removed() {
    let world = World::new();
    let (first, second) = (world.keep(&noise(1, 5000), None).await, world.keep(&noise(2, 5000), None).await);
    world.keep(&noise(3, 1 << 20), None).await;
    world.keep(b"opens the second pack", None).await;
    world.collect(&[first, second], 5000).await;
    world.collect(&[first, second], 5000 + GRACE_MS).await;
    world.directory.damage(1, 1000);
    let report = world.depot.compact(u64::MAX).await.expect("damage is told, not an error");
    assert_eq!((report.packs_removed, report.packs_damaged, report.blobs_moved), (0, 1, 1));
    assert!(matches!(world.read(&first).await, Err(DepotError::Damaged(_))));
    assert!(world.read(&second).await.is_ok());
}
