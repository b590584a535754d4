//! Tries one number after the other, on all processors.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::engine::reconcile::tests::properties::report;

/// Says which cases are tried: so many, or those from one number up to another.
const ASKED: &str = "SKYBRIDGE_PLANNER_CASES";
/// How many are tried unless it says otherwise.
const CASES: u64 = 20_000;
/// After so many failures it stops: they tend to have one cause.
const FAILURES_MAX: usize = 5;

fn range(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((first, end)) => Some(first.parse().ok()?..end.parse().ok()?),
        None => Some(0..text.parse().ok()?),
    }
}

#[test]
fn ranges_are_read() {
    assert_eq!(["20", "17..18", "many"].map(range), [Some(0..20), Some(17..18), None]);
}

#[test]
fn s_b19_both_sides_agree_or_say_why_in_every_case() {
    let asked = std::env::var(ASKED).unwrap_or_else(|_| CASES.to_string());
    let cases = range(&asked).unwrap_or_else(|| panic!("{ASKED}={asked} is neither a number nor a range such as 17..18"));
    let (next, reports, began) = (AtomicU64::new(cases.start), Mutex::new(Vec::new()), Instant::now());
    let work = || {
        while reports.lock().unwrap().len() < FAILURES_MAX {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= cases.end {
                return;
            }
            if let Some(report) = report(number) {
                reports.lock().unwrap().push(report);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let tried = next.into_inner().min(cases.end) - cases.start;
    println!("{tried} cases from {} on in {:.1?}", cases.start, began.elapsed());
    let reports = reports.into_inner().unwrap();
    assert!(reports.is_empty(), "{}", reports.join("\n\n"));
}
