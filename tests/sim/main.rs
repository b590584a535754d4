//! The simulation: whole systems in one process, from one seed, over a model of their disks and their network.
//!
//! [`world`] runs a coordinator, agents and people in one thread and in virtual time; [`driver`] runs many seeds, or one, and says how.
//! TLS is left out: streams are plain HTTP/2, and the server is told who connects.
//!
//! # What it found
//!
//! | what broke | found by | kept by |
//! | --- | --- | --- |
//! | tries by time were never made while the planner's bell rang more than twice a second, as on any busy agent | seed 1:1 does not come to rest | `what_is_due_is_tried_again_although_others_ring_all_the_time` |
//! | a direct member that must come back at the source was tried for ever, without a reason: its folder is not known any more | seeds 1:1 and 2:2 do not come to rest | these seeds |
//! | what was in a folder that is pushed again after a delete in the cloud stayed as if it were there still | reading why 4:4 does not come to rest | the seeds |
//! | a delete of what the coordinator did not know any more was tried for ever, and what is in a folder that cannot be synced with it | 4:4 does not come to rest | `what_the_coordinator_does_not_know_again_and_again_is_listed_anew` |
//! | a document that could not be read was planned, given up and planned again without a pause | 15:15 never ends | this seed |
//! | a set whose end was cut short stayed half ended for ever: documents stayed locked, and nobody who waited for rest came to it | seed 73:73 does not come to rest | `s_d01_of_a_set_whose_end_was_cut_short_the_coordinator_is_asked_again` |
//! | two direct members that swapped places sent looks to and fro for ever | seed 16:16 never ends | a test in `agent::tracker::tests::moves` |
//! | what a look that was slower than a removal wrote down was the last word, and what was missing was decided about no more | the integration test s_d06, once, beside other work | `s_d06_what_a_slower_look_wrote_down_…` |
//! | a sync that ended while its documents were being made, before a restart, left something to plan for ever | seeds 50, 71 and 226 do not come to rest | `s_d01_what_was_under_way_when_its_sync_ended_leaves_nothing_to_plan` |
//! | what was moved into a set at the source and deleted there before the cloud followed was deleted in the name of the wrong set, for ever refused, and came back | seeds 76, 169, 248 and 320 differ or bring it back | `s_b15_what_was_moved_here_and_is_deleted_…` |
//! | a listing forgot what the cloud had in another set still, and made it a second time | 83 and 366 differ | `s_b15_a_listing_does_not_forget_…` |
//! | news of what was moved to another set at the source made a second row of it, which waited for ever | 132, 137, 222 and 336 do not come to rest | `s_b15_news_of_…`, `s_b15_what_the_cloud_adds_…` |
//! | newer content of what was moved to another set at the source was asked for in a set that was not given it, for ever | 91 and 210 do not come to rest | `s_b15_content_of_…` |
//! | a delete in the cloud of what was moved to another set at the source was never heard of | 201 does not come to rest | `s_b15_what_was_moved_to_another_set_here_and_is_deleted_…` |
//! | what a restore displaced belonged to nobody when the restore was cut short, and was not among the kept versions | 224 loses it | the seed |
//! | the checks compared what is in a folder that is elsewhere for a reason with nothing, and took the temporary file of an editor for kept | 88, 145, 303 and 106 | these seeds |
//! | the simulation counted one try of a member in its quiet minute, in which one that had begun to fail just before is tried twice | seed 261 talks in silence | this seed |
//! | the id of a failed call in its status and in the log was another one than in its header | seed 1:1 run twice differs | `a_seed_run_twice_does_the_same` |
//!
//! Seeds 73:73 and 16:16 did so before the workload grew; what is drawn hangs on it, so that a number names another run now.
//!
//! Known and open: a member that waits for its turn behind one that stands still may be `PENDING` without a reason, which the checks pass
//! over. A document is downloaded before it is known whether its name is free (seeds 477 and 545 talk in silence). What an agent could not write
//! down because its disk failed is under way until it is started again (426). What the cloud moves from one set into another, and the source
//! cannot, waits for ever (236). Of the first 269 seeds two fail, 173 and 236; of those beyond, up to 800, about fifteen did and were not looked
//! into.
//!
//! The same seed gives the same trace, but for what hangs on when the HTTP/2 library forgets streams that were reset: it asks the system for the
//! time, not the runtime. Content is collected once an hour, which no run is long enough for.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as a test does")]

extern crate skybridge_sim as skybridge;

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
fn a_seed_run_twice_does_the_same() {
    let seed = world::Seed { workload: 1, schedule: 9 };
    let (first, second) = (world::run(seed, false), world::run(seed, false));
    assert_eq!((first.failures, first.counts), (second.failures, second.counts), "seed {seed}");
}
