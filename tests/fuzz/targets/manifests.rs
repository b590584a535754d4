//! Pages of manifests, and walks over trees of them that lie about what they hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skybridge::content::{Page, Step, Walk};
use skybridge::model::{ContentRef, Hash};

/// More steps than any walk over pages of one input can take.
const STEPS_MAX: usize = 100_000;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(page) = Page::decode(bytes) {
        assert_eq!(Page::decode(&page.encode()), Ok(page.clone()), "a page is what it says");
        if let Some((size_bytes, _)) = page.totals() {
            let content = ContentRef { root: Hash::from_bytes([0; 32]), size_bytes, height: page.level };
            walk(&content, bytes);
        }
    }
    if let Some((size, rest)) = bytes.split_first_chunk::<8>() {
        for height in 0..4 {
            walk(&ContentRef { root: Hash::from_bytes([0; 32]), size_bytes: u64::from_le_bytes(*size), height }, rest);
        }
    }
});

/// Answers each question for a page with the same bytes.
fn walk(content: &ContentRef, page: &[u8]) {
    let Ok(mut walk) = Walk::new(content) else { return };
    let (mut size_bytes, mut end) = (0_u64, false);
    for _ in 0..STEPS_MAX {
        match walk.step() {
            Some(Step::Page { .. }) => {
                if walk.supply(page).is_err() {
                    return;
                }
            }
            Some(Step::Chunk(chunk)) => size_bytes += chunk.size_bytes,
            None => {
                end = true;
                break;
            }
        }
    }
    if end {
        assert_eq!(size_bytes, content.size_bytes, "the chunks of a walk that ends well are the whole content");
    }
}
