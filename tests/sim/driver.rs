//! Runs seeds: a bounded number of them, one, or as many as fit in a time.
//!
//! ```text
//! cargo test -p skybridge-sim                                              a few
//! SKYBRIDGE_SIM_SEEDS=2000 cargo test -p skybridge-sim seeds               so many
//! SKYBRIDGE_SIM_SECONDS=7200 cargo test -p skybridge-sim seeds             for so long
//! SKYBRIDGE_SIM_SEED=17:17 cargo test -p skybridge-sim seeds               one, WORKLOAD:SCHEDULE, and all that happened in it
//! SKYBRIDGE_SIM_FIRST=100000                                         with the others: where to begin
//! SKYBRIDGE_SIM_TWICE=1                                              with the others: each twice, and both must be the same
//! SKYBRIDGE_SIM_STOP=1                                               with the others: no more after the first that fails
//! ```
//!
//! Seeds from 10,000 on have a scene besides ([`crate::world`]); those below are as they were when some of them found something.
//!
//! With `--profile sim` seeds run more than twice as fast, once that is built.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::world::{Outcome, Seed, run};

/// How many seeds are run when nobody says how many, three of each scene, and from which on: each takes a good second of one processor.
const SEEDS: u64 = 39;
const FIRST: u64 = 10_001;
/// Seeds that found something, which are run too when nobody says how many: beside the first ones.
const FOUND: [u64; 31] = [
    47, 152, 173, 236, 313, 356, 366, 426, 439, 457, 470, 545, 571, 650, 657, 916, 1106, 1118, 1310, 1323, 1576, 1851, 1945, 2035, 10_042,
    10_043, 10_047, 10_070, 10_109, 10_167, 10_398,
];
/// What must have happened in so many seeds: each fault, and each refusal of the protocol.
const EXPECTED_AFTER: u64 = 500;
const EXPECTED: [&str; 27] = [
    "crash at an effect: Create of an agent",
    "crash at an effect: Flush of an agent",
    "crash at an effect: Flush of the coordinator",
    "crash at an effect: Remove of an agent",
    "crash at an effect: Rename of an agent",
    "crash at an effect: SetAttribute of an agent",
    "crash at an effect: Write of an agent",
    "crash at an effect: Write of the coordinator",
    "event: ClockJump",
    "event: Fail",
    "event: HalfOpen",
    "event: HoldWatches",
    "event: Kill",
    "event: LosePower",
    "event: OverflowWatches",
    "event: Partition",
    "event: Reset",
    "event: ShuffleWatches",
    "event: Slow",
    "event: Stall",
    "refusal: Because",
    "refusal: ContentMissing",
    "refusal: Missing",
    "refusal: NameTaken",
    "refusal: NotEmpty",
    "refusal: Stale",
    "source: in the middle of what the agent does",
];
/// Failures that are described in full.
const DESCRIBED_MAX: usize = 10;

/// How seeds are run.
#[derive(Debug, Clone, Copy)]
struct How {
    /// Each twice: both must be the same.
    twice: bool,
    /// No more after the first that fails.
    stop: bool,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {text:?}")))
}

/// Runs what the environment asks for.
pub(crate) fn drive() {
    if let Ok(text) = std::env::var("SKYBRIDGE_SIM_SEED") {
        let (workload, schedule) = text.split_once(':').unwrap_or((&text, &text));
        let parse = |text: &str| text.parse().unwrap_or_else(|_| panic!("SKYBRIDGE_SIM_SEED must look like 17:17"));
        let outcome = run(Seed { workload: parse(workload), schedule: parse(schedule) }, true);
        println!("{}\n{}\ntrace {}", outcome.told.join("\n"), counts(&outcome.counts), outcome.hash);
        assert!(outcome.failures.is_empty(), "{}", outcome.failures.join("\n"));
        return;
    }
    let first = number("SKYBRIDGE_SIM_FIRST").unwrap_or(FIRST);
    let seconds = number("SKYBRIDGE_SIM_SECONDS").map(Duration::from_secs);
    let seeds: Box<dyn Iterator<Item = u64> + Send> = match (number("SKYBRIDGE_SIM_SEEDS"), seconds) {
        (Some(seeds), _) => Box::new(first..first + seeds),
        (None, Some(_)) => Box::new(first..),
        (None, None) => Box::new((first..first + SEEDS).chain(FOUND)),
    };
    let is_set = |name| std::env::var_os(name).is_some();
    many(first, seeds, seconds, How { twice: is_set("SKYBRIDGE_SIM_TWICE"), stop: is_set("SKYBRIDGE_SIM_STOP") });
}

/// Runs a seed, and perhaps once more.
fn one(seed: Seed, twice: bool) -> Outcome {
    let mut outcome = run(seed, false);
    if twice && run(seed, false).hash != outcome.hash {
        outcome.failures.push("DIFFERENT TRACE when it is run again".to_owned());
    }
    outcome
}

/// Runs many, as many at one time as there are processors.
fn many(first: u64, seeds: impl Iterator<Item = u64> + Send, seconds: Option<Duration>, how: How) {
    let (begun, seeds, stopped) = (Instant::now(), Mutex::new(seeds), AtomicBool::new(false));
    let all = Mutex::new((0_u64, BTreeMap::<String, u64>::new(), Vec::<Outcome>::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    if stopped.load(Ordering::Relaxed) || seconds.is_some_and(|limit| begun.elapsed() >= limit) {
                        return;
                    }
                    let Some(number) = seeds.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
                    let outcome = one(Seed { workload: number, schedule: number }, how.twice);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.0 += 1;
                    for (kind, count) in &outcome.counts {
                        *all.1.entry(kind.clone()).or_default() += count;
                    }
                    if !outcome.failures.is_empty() {
                        println!("seed {} fails: {}", outcome.seed, outcome.failures.join("; "));
                        stopped.fetch_or(how.stop, Ordering::Relaxed);
                        all.2.push(outcome);
                    }
                }
            });
        }
    });
    let (done, kinds, failed) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}", counts(&kinds));
    let missed: Vec<_> = EXPECTED.into_iter().filter(|kind| !kinds.keys().any(|seen| seen.starts_with(kind))).collect();
    println!("{done} seeds from {first} in {:.1} s", begun.elapsed().as_secs_f64());
    let described: Vec<_> =
        failed.iter().take(DESCRIBED_MAX).map(|outcome| format!("{}: {}", outcome.seed, outcome.failures.join("\n  "))).collect();
    assert!(missed.is_empty() || done < EXPECTED_AFTER, "{done} seeds, and never: {}", missed.join(", "));
    assert!(failed.is_empty(), "{} of {done} seeds fail\n{}", failed.len(), described.join("\n"));
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().fold(String::new(), |mut text, (kind, count)| {
        // Writing to a text does not fail.
        writeln!(text, "{count:>9} {kind}").ok();
        text
    })
}
