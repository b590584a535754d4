//! What has to be there before something may refer to a content.

use super::*;

async fn seal(world: &World, lease: Lease, content: &ContentRef, base: Option<&ContentRef>) -> Result<(), SealError> {
    world.depot.seal(SCOPE, &lease, content, base, 10).await
}

fn missing(result: Result<(), SealError>) -> Vec<Hash> {
    match result {
        Err(SealError::Missing(mut hashes)) => {
            hashes.sort();
            hashes
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn edge_w09_a_seal_says_what_to_send_until_all_is_there() {
    let world = World::new();
    let (content, blobs) = cut(&noise(1, 1 << 20));
    assert_eq!(missing(seal(&world, by("anna", 100), &content, None).await), [content.root]);

    let (root, chunks) = blobs.split_last().expect("a root");
    let staged = world.stage(std::slice::from_ref(root)).await;
    world.commit(&staged, Some(by("anna", 100))).await.expect("room");
    let mut hashes: Vec<_> = chunks.iter().map(Blob::hash).collect();
    hashes.sort();
    assert_eq!(missing(seal(&world, by("anna", 100), &content, None).await), hashes);

    let staged = world.stage(chunks).await;
    world.commit(&staged, Some(by("anna", 100))).await.expect("room");
    seal(&world, by("anna", 100), &content, None).await.expect("all is there");
    let sealed = |holder: &str, content: ContentRef, now_ms| {
        world.store.read(|rows| Depot::sealed(rows, SCOPE, &by(holder, 0).holder, &content, now_ms)).expect("a store in memory")
    };
    assert!(sealed("anna", content, 99));
    assert!(!sealed("anna", content, 100));
    assert!(!sealed("ben", content, 50));
    assert!(!sealed("anna", ContentRef { size_bytes: 1, ..content }, 50));
}

#[tokio::test]
async fn what_others_sent_counts_as_missing_unless_it_is_in_the_base() {
    let world = World::new();
    let before = noise(2, 2 << 20);
    let mut after = before.clone();
    after.splice(1 << 20..1 << 20, noise(3, 1000));
    let base = world.keep(&before, None).await;
    assert_eq!(missing(seal(&world, by("ben", 100), &base, None).await), [base.root], "it is there, but not his to refer to");

    let (content, blobs) = cut(&after);
    let known: Vec<_> = cut(&before).1.iter().map(Blob::hash).collect();
    let new: Vec<_> = blobs.into_iter().filter(|blob| !known.contains(&blob.hash())).collect();
    assert!(new.len() < 8);
    let staged = world.stage(&new).await;
    world.commit(&staged, Some(by("ben", 100))).await.expect("room");
    assert!(missing(seal(&world, by("ben", 100), &content, None).await).len() > 8);
    seal(&world, by("ben", 100), &content, Some(&base)).await.expect("the rest is in the base");
    assert!(world.read(&content).await.expect("all of it") == after);
}

#[tokio::test]
async fn edge_w15_a_manifest_that_lies_about_a_chunk_is_not_sealed() {
    let world = World::new();
    let (mut pages, mut builder) = (Vec::new(), ManifestBuilder::new(ChunkerParameters::DEFAULT));
    let chunks = [chunk(&noise(1, 20_000)), chunk(&noise(2, 20_000))];
    builder.push(chunks[0].hash(), 20_001, &mut pages);
    builder.push(chunks[1].hash(), 20_000, &mut pages);
    let content = builder.finish(&mut pages);
    pages.extend(chunks.clone());
    let staged = world.stage(&pages).await;
    world.commit(&staged, Some(by("anna", 100))).await.expect("room");
    let error = seal(&world, by("anna", 100), &content, None).await;
    assert!(matches!(error, Err(SealError::Length(hash)) if hash == chunks[0].hash()), "{error:?}");
    // Nor can it be read.
    assert!(matches!(world.read(&content).await, Err(DepotError::Damaged(_))));

    let wrong = ContentRef { size_bytes: 1, ..content };
    assert!(matches!(seal(&world, by("anna", 100), &wrong, None).await, Err(SealError::Manifest(_))));
    let single = ContentRef { root: chunks[0].hash(), size_bytes: 1, height: 0 };
    assert!(matches!(seal(&world, by("anna", 100), &single, None).await, Err(SealError::Length(_))));
}

#[tokio::test]
async fn edge_z03_nothing_has_to_be_sent_for_an_empty_document() {
    let world = World::new();
    let (empty, _) = cut(b"");
    seal(&world, by("anna", 100), &empty, None).await.expect("nothing is missing");
}
