//! Pages of manifests, and walks over trees of them that lie about what they hold.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use skybridge::content::page::Entry;
use skybridge::content::{BlobKind, ChunkerParameters, Page, Step, Walk};
use skybridge::model::{ContentRef, Hash};

/// What a page is made of: chunks, or pages that were made before.
#[derive(Debug, Arbitrary)]
struct Sketch {
    level: u8,
    is_root: bool,
    /// For each entry: which chunk or page, the length of a chunk, and by how much the size that is claimed is wrong.
    entries: Vec<(u8, u16, i8)>,
}

#[derive(Debug, Arbitrary)]
struct Input {
    bytes: Vec<u8>,
    sketches: Vec<Sketch>,
    wrong_by: i8,
    height: u8,
}

fuzz_target!(|input: Input| {
    if let Ok(page) = Page::decode(&input.bytes) {
        assert_eq!(page.encode(), input.bytes, "a page has one stored form");
    }
    let mut pages = HashMap::new();
    let mut made = Vec::new();
    for sketch in &input.sketches {
        let page = draw(sketch, &made);
        let Some((size_bytes, chunks)) = page.totals() else { return };
        let bytes = page.encode();
        let hash = BlobKind::Page.hash(&bytes);
        made.push(Entry { hash, size_bytes, chunks });
        pages.insert(hash, bytes);
    }
    if let Some(root) = made.last() {
        let size_bytes = root.size_bytes.saturating_add_signed(input.wrong_by.into());
        walk(&ContentRef { root: root.hash, size_bytes, height: input.height }, &pages);
    }
});

fn draw(sketch: &Sketch, made: &[Entry]) -> Page {
    let entry = |(which, length, wrong_by): &(u8, u16, i8)| {
        let chunk = Entry { hash: Hash::from_bytes([*which; 32]), size_bytes: u64::from(*length) * 16, chunks: 1 };
        let entry = if sketch.level <= 1 || made.is_empty() { chunk } else { made[usize::from(*which) % made.len()] };
        Entry { size_bytes: entry.size_bytes.saturating_add_signed((*wrong_by).into()), ..entry }
    };
    Page {
        level: sketch.level,
        parameters: sketch.is_root.then_some(ChunkerParameters::DEFAULT),
        entries: sketch.entries.iter().map(entry).collect(),
    }
}

/// A walk comes to an end, and one that ends well has shown the whole content.
fn walk(content: &ContentRef, pages: &HashMap<Hash, Vec<u8>>) {
    let Ok(mut walk) = Walk::new(content) else { return };
    let mut length = 0;
    while let Some(step) = walk.step() {
        match step {
            Step::Page { entry, .. } => {
                let page = pages.get(&entry.hash).map(Vec::as_slice).unwrap_or_default();
                if walk.supply(page).is_err() {
                    return;
                }
            }
            Step::Chunk(chunk) => length += u64::from(chunk.length),
        }
    }
    assert_eq!(length, content.size_bytes);
}
