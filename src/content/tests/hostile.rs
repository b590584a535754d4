//! Manifests that others made up.

use proptest::prelude::*;

use super::super::page::{Entry, PAGE_BYTES_MAX};
use super::*;

fn entry(byte: u8, size_bytes: u64, chunks: u64) -> Entry {
    Entry { hash: Hash::from_bytes([byte; 32]), size_bytes, chunks }
}

fn root(level: u8, entries: Vec<Entry>) -> Page {
    Page { level, parameters: Some(ChunkerParameters::DEFAULT), entries }
}

fn walked(content: &ContentRef, pages: &[&Page]) -> Result<usize, InvalidManifest> {
    let mut blobs = Blobs::default();
    pages.iter().for_each(|page| blobs.put(Blob::new(BlobKind::Page, page.encode().into())));
    let mut walk = Walk::new(content)?;
    let mut chunks = 0;
    while let Some(step) = walk.step() {
        match step {
            Step::Page { entry, .. } => walk.supply(blobs.page(entry.hash))?,
            Step::Chunk(_) => chunks += 1,
        }
    }
    Ok(chunks)
}

fn refer(page: &Page, size_bytes: u64) -> ContentRef {
    ContentRef { root: BlobKind::Page.hash(&page.encode()), size_bytes, height: page.level }
}

fn listing(page: &Page, size_bytes: u64, chunks: u64) -> Entry {
    Entry { hash: BlobKind::Page.hash(&page.encode()), size_bytes, chunks }
}

#[test]
fn edge_w15_impossible_references_are_refused() {
    let root = Hash::from_bytes([1; 32]);
    for (size_bytes, height) in [(0, 0), (2 << 20, 0), (u64::MAX, 0), (0, 1), (1, 9), (1, 255)] {
        assert_eq!(Walk::new(&ContentRef { root, size_bytes, height }).err(), Some(InvalidManifest::Reference), "{size_bytes} {height}");
    }
}

#[test]
fn edge_w15_pages_that_contradict_their_place_are_refused() {
    let chunk = 20_000;
    let good = root(1, vec![entry(1, chunk, 1), entry(2, 7, 1)]);
    assert_eq!(walked(&refer(&good, chunk + 7), &[&good]), Ok(2));
    let place = |result: Result<usize, InvalidManifest>| match result {
        Err(InvalidManifest::Place(_, what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(place(walked(&refer(&good, chunk + 8), &[&good])), "size");
    assert_eq!(place(walked(&ContentRef { height: 2, ..refer(&good, chunk + 7) }, &[&good])), "level");

    let short = root(1, vec![entry(1, 100, 1), entry(2, chunk, 1)]);
    assert_eq!(place(walked(&refer(&short, chunk + 100), &[&short])), "chunk too short");
    let long = root(1, vec![entry(1, 300_000, 1), entry(2, chunk, 1)]);
    assert_eq!(place(walked(&refer(&long, chunk + 300_000), &[&long])), "chunk too long");

    let rootless = Page { parameters: None, ..good.clone() };
    assert_eq!(place(walked(&refer(&rootless, chunk + 7), &[&rootless])), "root");
    let nested = root(2, vec![listing(&good, chunk + 7, 2), listing(&good, chunk + 7, 2)]);
    assert_eq!(place(walked(&refer(&nested, 2 * (chunk + 7)), &[&nested, &good])), "root");
    let early = root(2, vec![listing(&rootless, chunk + 7, 2), listing(&rootless, chunk + 7, 2)]);
    assert_eq!(place(walked(&refer(&early, 2 * (chunk + 7)), &[&early, &rootless])), "border");
    let miscounted = root(2, vec![listing(&rootless, chunk + 7, 3), listing(&rootless, chunk + 7, 3)]);
    assert_eq!(place(walked(&refer(&miscounted, 2 * (chunk + 7)), &[&miscounted, &rootless])), "number of chunks");
}

#[test]
fn a_page_of_other_bytes_is_refused_and_ends_the_walk() {
    let good = root(1, vec![entry(1, 20_000, 1), entry(2, 7, 1)]);
    let mut walk = Walk::new(&refer(&good, 20_007)).expect("a possible reference");
    let other = root(1, vec![entry(1, 20_000, 1), entry(3, 7, 1)]);
    assert!(matches!(walk.supply(&other.encode()), Err(InvalidManifest::Hash(_))));
    assert_eq!(walk.step(), None);
    assert_eq!(walk.supply(&good.encode()), Err(InvalidManifest::Unasked));
}

#[test]
fn pages_that_would_not_be_written_so_are_refused() {
    let good = root(1, vec![entry(1, 20_000, 1), entry(2, 7, 1)]).encode();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Page::decode(&bytes)
    };
    assert!(Page::decode(&good).is_ok());
    assert_eq!(changed(0, 2), Err(InvalidPage::Format(2)));
    assert_eq!(changed(1, 0), Err(InvalidPage::Field("level")));
    assert_eq!(changed(1, 9), Err(InvalidPage::Field("level")));
    assert_eq!(changed(2, 2), Err(InvalidPage::Field("root mark")));
    assert_eq!(changed(3, 1), Err(InvalidPage::Field("chunk length")));
    assert_eq!(changed(15, 1), Err(InvalidPage::Field("number of entries")));
    assert_eq!(changed(15, 3), Err(InvalidPage::Length));
    assert_eq!(Page::decode(&good[..good.len() - 1]), Err(InvalidPage::Length));
    assert_eq!(Page::decode(&[good.as_slice(), &[0]].concat()), Err(InvalidPage::Length));
    let of = |level, entries| Page::decode(&root(level, entries).encode());
    assert_eq!(of(1, vec![entry(1, 0, 1); 2]), Err(InvalidPage::Field("size")));
    assert_eq!(of(2, vec![entry(1, 5, 6); 2]), Err(InvalidPage::Field("number of chunks")));
    assert_eq!(of(2, vec![entry(1, u64::MAX, 1); 2]), Err(InvalidPage::Field("total")));
    assert_eq!(of(1, vec![entry(0, 20_000, 1); 17]), Err(InvalidPage::Border));
    assert_eq!(of(1, vec![entry(1, 20_000, 1); 513]), Err(InvalidPage::Field("number of entries")));
}

/// Encodings with some bytes changed: most get past the first checks.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let page = (1..=3_u8, any::<bool>(), prop::collection::vec((any::<[u8; 32]>(), 1..300_000_u64, 1..40_u64), 1..40)).prop_map(
        |(level, root, entries)| {
            let entries = entries.into_iter().map(|(hash, size_bytes, chunks)| Entry { hash: Hash::from_bytes(hash), size_bytes, chunks });
            Page { level, parameters: root.then_some(ChunkerParameters::DEFAULT), entries: entries.collect() }.encode()
        },
    );
    (page, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(|(mut bytes, changes)| {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn junk_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(page) = Page::decode(&bytes) {
            prop_assert_eq!(page.encode(), bytes);
        }
    }

    #[test]
    fn what_is_decoded_encodes_to_the_same_bytes(bytes in damaged()) {
        prop_assert!(bytes.len() <= PAGE_BYTES_MAX);
        if let Ok(page) = Page::decode(&bytes) {
            prop_assert_eq!(page.encode(), bytes);
        }
    }
}
