//! The names that people use: few, so that they get into each other's way.

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

const FOLDERS: [&str; 5] = ["Plans", "Old", "New", "Ideas", "plans"];
const DOCUMENTS: [&str; 7] = ["a.txt", "b.txt", "c.doc", "A.txt", "note", "Übersicht.md", "Old"];

pub(super) fn folder(chance: &mut StdRng) -> &'static str {
    FOLDERS.choose(chance).expect("one of them")
}

pub(super) fn document(chance: &mut StdRng) -> &'static str {
    DOCUMENTS.choose(chance).expect("one of them")
}

/// How long a document is: mostly short, now and then of several chunks.
pub(super) fn length(chance: &mut StdRng) -> usize {
    match chance.random_range(0..100) {
        0..75 => chance.random_range(0..300),
        75..93 => chance.random_range(300..20_000),
        _ => chance.random_range(20_000..200_000),
    }
}
