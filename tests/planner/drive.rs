//! Tries numbers on all cores.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crate::engine::reconcile::tests::properties::report;

#[test]
fn millions() {
    let from: u64 = std::env::var("FROM").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("COUNT").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let most: usize = std::env::var("MOST").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let (next, failures) = (AtomicU64::new(from), AtomicUsize::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= from + count || failures.load(Ordering::Relaxed) >= most { return; }
                if let Some(text) = report(number) {
                    failures.fetch_add(1, Ordering::Relaxed);
                    println!("{text}\n");
                }
            });
        }
    });
    println!("{} cases in {:?}, {:?} failures", next.load(Ordering::Relaxed) - from, began.elapsed(), failures);
}
