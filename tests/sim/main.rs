//! The simulation: whole systems in one process, from one seed, over a model of their disks and their network.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as a test does")]

mod disk;
mod disk_tests;
mod driver;
mod net;
mod world;

#[test]
fn seeds_lose_nothing_bring_nothing_back_and_agree() {
    driver::drive();
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for number in 1..=2 {
        let seed = world::Seed { workload: number, schedule: number };
        let (first, second) = (world::run(seed, false), world::run(seed, false));
        assert_eq!((first.hash, first.counts), (second.hash, second.counts), "seed {seed}");
    }
}
