//! Putting in and getting out.

use super::super::packs::DiskDirectory;
use super::*;

#[tokio::test]
async fn contents_come_back_whole_and_in_ranges() {
    let world = World::new();
    for length in [0, 1, 16_384, 300_000, 5_000_000] {
        for bytes in [noise(1, length), vec![b'a'; length]] {
            let content = world.keep(&bytes, None).await;
            assert!(world.read(&content).await.expect("all of it") == bytes, "{length} bytes");
            for (start, end) in [(0, 1), (100, 70_000), (length as u64 / 2, length as u64 + 9), (length as u64 + 1, u64::MAX), (7, 7)] {
                let mut reader = world.depot.content(SCOPE, &content, start..end).expect("a possible reference");
                let mut read = Vec::new();
                while let Some(piece) = reader.next().await.expect("all of it") {
                    read.extend_from_slice(&piece);
                }
                let (start, end) = ((start as usize).min(length), (end as usize).min(length));
                assert!(read == bytes[start..end.max(start)], "{start}..{end} of {length}");
            }
        }
    }
}

#[tokio::test]
async fn edge_w16_content_is_found_in_its_own_scope_only() {
    let world = World::new();
    let blob = chunk(b"a secret");
    let content = world.keep(b"a secret", Some(by("anna", 100))).await;
    let (holds, leased) = world
        .store
        .read(|rows| {
            let holder = by("anna", 0).holder;
            Ok::<_, StoreError>((Depot::holds(rows, OTHER, blob.hash())?, Depot::leased(rows, OTHER, &holder, blob.hash(), 1)?))
        })
        .expect("a store in memory");
    assert!(!holds && !leased);
    assert!(matches!(world.depot.read(OTHER, blob.hash()).await, Err(DepotError::Missing(_))));
    let mut reader = world.depot.content(OTHER, &content, 0..9).expect("a possible reference");
    assert!(matches!(reader.next().await, Err(DepotError::Missing(_))));
}

#[tokio::test]
async fn edge_f03_what_is_there_already_is_not_appended_again() {
    let world = World::new();
    world.stage(&[chunk(b"a"), chunk(b"a")]).await;
    let size = || async { world.depot.packs.list().await.expect("a list").into_iter().map(|(_, bytes)| bytes).sum::<u64>() };
    assert_eq!(size().await, 64, "one frame of 63 bytes and a byte");
    world.keep(b"a", None).await;
    let before = size().await;
    world.keep(b"a", None).await;
    assert_eq!(size().await, before);
    assert_eq!(world.directory.syncs(), 2);
}

#[tokio::test]
async fn one_flush_makes_a_whole_batch_durable() {
    let world = World::new();
    let blobs: Vec<_> = (0..500).map(|seed| chunk(&noise(seed, 1000))).collect();
    let staged = world.stage(&blobs).await;
    assert_eq!((world.directory.syncs(), staged.hashes().count()), (1, 500));
    world.commit(&staged, None).await.expect("room");
    let world = world.crash(0);
    for blob in &blobs {
        assert_eq!(&world.depot.read(SCOPE, blob.hash()).await.expect("it is durable"), blob.bytes());
    }
}

#[tokio::test]
async fn more_than_the_limit_is_not_staged() {
    let world = World::new();
    let blob = chunk(&vec![0; 1 << 20]);
    let error = world.depot.stage(SCOPE, &vec![blob; 65]).await.err();
    assert!(matches!(error, Some(DepotError::TooLarge { bytes }) if bytes == 65 << 20));
}

#[tokio::test]
async fn a_lease_ends_and_belongs_to_its_holder() {
    let world = World::new();
    let blob = chunk(b"leased");
    world.keep(b"leased", Some(by("anna", 100))).await;
    assert!(world.leased("anna", &blob, 99));
    assert!(!world.leased("anna", &blob, 100));
    assert!(!world.leased("ben", &blob, 50), "a hash is not a permission");
    // Whoever sends the bytes has them, and does not shorten an earlier lease of their own.
    world.keep(b"leased", Some(by("ben", 60))).await;
    world.keep(b"leased", Some(by("anna", 10))).await;
    assert!(world.leased("ben", &blob, 50) && world.leased("anna", &blob, 50));
    assert_eq!(Holder::new(&[0; 33]), None);
}

#[tokio::test]
async fn damage_is_found_reported_and_mended_by_the_next_who_has_the_bytes() {
    let world = World::new();
    let (good, bad) = (noise(1, 5000), noise(2, 5000));
    let (kept, broken) = (world.keep(&good, None).await, world.keep(&bad, None).await);
    world.directory.damage(1, 5063 + 63 + 17);
    assert!(matches!(world.read(&broken).await, Err(DepotError::Damaged(hash)) if hash == broken.root));

    let mut report = world.depot.scrub(None, 1).await.expect("packs that can be read");
    assert_eq!(report.blobs, 1);
    let rest = world.depot.scrub(report.next, u64::MAX).await.expect("packs that can be read");
    assert_eq!((rest.blobs, rest.next), (1, None));
    report.damaged.extend(rest.damaged);
    assert_eq!(report.damaged, [(SCOPE, broken.root)]);
    assert!(world.holds(&chunk(&good)) && !world.holds(&chunk(&bad)));

    world.keep(&bad, None).await;
    assert!(world.read(&broken).await.expect("mended") == bad);
    assert!(world.read(&kept).await.expect("never damaged") == good);
    assert!(world.depot.scrub(None, u64::MAX).await.expect("packs that can be read").damaged.is_empty());
}

#[tokio::test]
async fn packs_on_disk_serve_many_at_once_and_leave_other_files_alone() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    std::fs::write(directory.path().join("notes.txt"), "not a pack").expect("a writable directory");
    std::fs::write(directory.path().join("x.pack"), "not a pack").expect("a writable directory");
    let store = Store::memory();
    let open = || {
        let packs = PackLog::open(DiskDirectory::new(directory.path()).expect("a directory")).expect("a directory");
        Depot::new(store.clone(), packs, DepotOptions::default())
    };
    let depot = open();
    let keep = |seed: u64| {
        let (depot, store) = (depot.clone(), store.clone());
        async move {
            let staged = depot.stage(SCOPE, &[chunk(&noise(seed, 10_000))]).await.expect("room");
            store.transact::<_, CommitError>(move |transaction| Depot::commit(transaction, &staged, None)).await.expect("room");
        }
    };
    futures::future::join_all((0..32).map(keep)).await;
    drop(depot);
    let depot = open();
    for seed in 0..32 {
        let blob = chunk(&noise(seed, 10_000));
        assert_eq!(&depot.read(SCOPE, blob.hash()).await.expect("it is durable"), blob.bytes());
    }
    // A file that lost its end is damage that is told, not a reason to cut anything off.
    let pack = std::fs::OpenOptions::new().write(true).open(directory.path().join("00000001.pack")).expect("the first pack");
    pack.set_len(100_000).expect("a writable file");
    let report = depot.scrub(None, u64::MAX).await.expect("packs that can be read");
    assert_eq!((report.blobs, report.damaged.len()), (32, 23));
    assert!(directory.path().join("notes.txt").exists() && directory.path().join("x.pack").exists());
}

#[tokio::test]
async fn edge_c09_two_who_send_large_documents_at_one_time_do_not_get_mixed_up() {
    let world = World::new();
    // The second half of both is the same.
    let [one, other] = [1, 2].map(|seed| [noise(seed, 1 << 20), noise(3, 1 << 20)].concat());
    let documents = [("anna", cut(&one)), ("ben", cut(&other))];
    let send = |(holder, (content, blobs)): &(&'static str, (ContentRef, Vec<Blob>))| {
        let (depot, store, holder, content, blobs) = (world.depot.clone(), world.store.clone(), *holder, *content, blobs.clone());
        async move {
            for few in blobs.chunks(3) {
                let staged = depot.stage(SCOPE, few).await.expect("room");
                tokio::task::yield_now().await;
                let kept = store.transact::<_, CommitError>(move |rows| Depot::commit(rows, &staged, Some(&by(holder, 100))));
                kept.await.expect("nothing was collected");
            }
            depot.seal(SCOPE, &by(holder, 100), &content, None, 10).await.expect("it is whole");
        }
    };
    futures::future::join_all(documents.iter().map(send)).await;
    let world = world.crash(0);
    for ((_, (content, _)), bytes) in documents.iter().zip([one, other]) {
        assert!(world.read(content).await.expect("all of it") == bytes);
    }
}
