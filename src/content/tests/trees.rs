//! Manifests and what two of them have in common.

use std::collections::HashSet;

use super::super::page::{ENTRIES_MAX, ENTRIES_MIN};
use super::*;

/// Lists `hashes` as chunks of 16 KiB.
fn listed(blobs: &mut Blobs, hashes: impl IntoIterator<Item = Hash>) -> ContentRef {
    let mut pages = Vec::new();
    let mut builder = ManifestBuilder::new(ChunkerParameters::DEFAULT);
    for hash in hashes {
        builder.push(hash, 16 << 10, &mut pages);
    }
    let content = builder.finish(&mut pages);
    pages.into_iter().for_each(|page| blobs.put(page));
    content
}

fn hashes(seed: u64, count: usize) -> Vec<Hash> {
    noise(seed, 32 * count).chunks(32).filter_map(Hash::from_slice).collect()
}

fn chunks(blobs: &Blobs, content: &ContentRef) -> Vec<ChunkEntry> {
    blobs.walk(Walk::new(content).expect("a possible reference"))
}

#[test]
fn an_insertion_in_the_middle_changes_few_chunks_and_pages() {
    let before = noise(6, 64 << 20);
    let mut after = before.clone();
    after.splice(32 << 20..32 << 20, noise(7, 64 << 10));
    let mut blobs = Blobs::default();
    let (base, new) = (blobs.split(&before), blobs.split(&after));
    assert!(chunks(&blobs, &base).len() > 600);
    assert!(blobs.read(&new) == after);
    let (loads, pages, changed) = blobs.difference(Some(&base), &new);
    assert!((1..=6).contains(&changed.len()), "{} chunks", changed.len());
    assert!((2..=5).contains(&pages.len()), "{} pages", pages.len());
    assert!(loads <= 12, "{loads} loads");

    // Nothing else is new, and nothing of it is in the base.
    let known: HashSet<_> = chunks(&blobs, &base).into_iter().map(|chunk| chunk.hash).collect();
    let fresh: Vec<_> = chunks(&blobs, &new).into_iter().filter(|chunk| !known.contains(&chunk.hash)).collect();
    assert_eq!(changed, fresh);
    assert_eq!(blobs.difference(Some(&base), &base), (1, vec![], vec![]));
}

#[test]
fn without_a_base_everything_is_new_once() {
    let mut blobs = Blobs::default();
    let bytes = noise(8, 1 << 20).repeat(8);
    let content = blobs.split(&bytes);
    let (_, pages, changed) = blobs.difference(None, &content);
    assert_eq!(pages.last(), pages.iter().find(|page| **page == content.root), "the root is among them");
    let distinct: HashSet<_> = chunks(&blobs, &content).into_iter().map(|chunk| chunk.hash).collect();
    assert_eq!(changed.len(), distinct.len());
    assert!(changed.len() < chunks(&blobs, &content).len(), "the document repeats itself");
}

#[test]
fn tall_trees_come_back_and_an_insertion_changes_a_page_or_two_a_level() {
    let mut blobs = Blobs::default();
    let list = hashes(9, 200_000);
    let mut longer = list.clone();
    longer.insert(100_000, Hash::from_bytes([7; 32]));
    let (base, new) = (listed(&mut blobs, list.iter().copied()), listed(&mut blobs, longer.iter().copied()));
    assert_eq!(base.height, 3);
    let found = chunks(&blobs, &new);
    assert!(found.iter().map(|chunk| chunk.hash).eq(longer));
    let (loads, pages, changed) = blobs.difference(Some(&base), &new);
    assert_eq!(changed, [ChunkEntry { offset: 100_000 * 16_384, hash: Hash::from_bytes([7; 32]), length: 16_384 }]);
    assert!((3..=7).contains(&pages.len()), "{} pages", pages.len());
    assert!(loads < 60, "{loads} loads of {} pages", blobs.0.len());
}

#[test]
fn pages_hold_between_the_least_and_the_most_entries() {
    let mut blobs = Blobs::default();
    // Hashes that always end a page, and hashes that never do.
    for (byte, entries) in [(0, ENTRIES_MIN), (0xff, ENTRIES_MAX)] {
        for count in [1, 2, entries, entries + 1, entries * entries, entries * entries + 1] {
            let content = listed(&mut blobs, std::iter::repeat_n(Hash::from_bytes([byte; 32]), count));
            assert_eq!(content.size_bytes, count as u64 * 16_384);
            assert_eq!(chunks(&blobs, &content).len(), count);
            assert_eq!(content.height > 0, count > 1);
            assert_eq!(content.height > 1, count > entries, "{count} chunks in pages of {entries}");
        }
    }
}

#[test]
fn edge_z05_a_manifest_of_more_than_100_gib_is_read_at_any_place() {
    const CHUNK: u32 = 256 << 10;
    let (mut blobs, mut pages) = (Blobs::default(), Vec::new());
    let mut builder = ManifestBuilder::new(ChunkerParameters::DEFAULT);
    // All zeros: every chunk has the maximum length and is the same.
    let count = (101_u64 << 30) / u64::from(CHUNK);
    (0..count).for_each(|_| builder.push(Hash::from_bytes([0xff; 32]), CHUNK, &mut pages));
    let content = builder.finish(&mut pages);
    pages.into_iter().for_each(|page| blobs.put(page));
    assert_eq!(content.size_bytes, 101 << 30);
    for offset in [0, (4_u64 << 30) - 1, 4 << 30, (101 << 30) - 1] {
        let found = blobs.walk(Walk::range(&content, offset..offset + 1).expect("a possible reference"));
        assert_eq!(found.iter().map(|chunk| chunk.offset).collect::<Vec<_>>(), [offset / u64::from(CHUNK) * u64::from(CHUNK)]);
    }
}

#[test]
fn a_range_loads_only_what_it_needs() {
    let mut blobs = Blobs::default();
    let content = listed(&mut blobs, hashes(10, 200_000));
    let all = chunks(&blobs, &content);
    for (start, end) in [(0, 1), (0, 16_384), (16_383, 16_385), (1_000_000_000, 1_000_100_000), (content.size_bytes - 1, u64::MAX), (5, 5)]
    {
        let expected: Vec<_> = all.iter().filter(|chunk| chunk.offset < end && chunk.offset + 16_384 > start).copied().collect();
        let mut walk = Walk::range(&content, start..end).expect("a possible reference");
        let (mut loads, mut found) = (0, Vec::new());
        while let Some(step) = walk.step() {
            match step {
                Step::Page { entry, .. } => {
                    loads += 1;
                    walk.supply(blobs.page(entry.hash)).expect("a page of ours");
                }
                Step::Chunk(chunk) => found.push(chunk),
            }
        }
        assert_eq!(found, expected, "{start}..{end}");
        assert!(loads <= 5, "{loads} loads");
    }
}

#[test]
fn references_are_the_same_for_ever() {
    let mut blobs = Blobs::default();
    let content = listed(&mut blobs, hashes(11, 2));
    let page = Page::decode(blobs.page(content.root)).expect("a page of ours");
    assert_eq!((page.level, page.entries.len()), (1, 2));
    assert_eq!(content.root.to_string(), "059db1f49bfa3d505a5a964f25fd1b2f794efd3a1198af62566847f08237a6a3");
}
