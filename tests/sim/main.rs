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
//! | two direct members that swapped places sent looks to and fro for ever | seed 16:16 never ends | a test in `agent::tracker::tests::sets` |
//! | what a look that was slower than a removal wrote down was the last word, and what was missing was decided about no more | the integration test s_d06, once, beside other work | `s_d06_what_a_slower_look_wrote_down_…` |
//! | a sync that ended while its documents were being made, before a restart, left something to plan for ever | seeds 50, 71 and 226 do not come to rest | `s_d01_what_was_under_way_when_its_sync_ended_leaves_nothing_to_plan` |
//! | what was moved into a set at the source and deleted there before the cloud followed was deleted in the name of the wrong set, for ever refused, and came back | seeds 76, 169, 248 and 320 differ or bring it back | `s_b17_what_was_moved_here_and_is_deleted_…` |
//! | a listing forgot what the cloud had in another set still, and made it a second time | 83 and 366 differ | `s_b17_a_listing_does_not_forget_…` |
//! | news of what was moved to another set at the source made a second row of it, which waited for ever | 132, 137, 222 and 336 do not come to rest | `s_b17_news_of_…`, `s_b17_what_the_cloud_adds_…` |
//! | newer content of what was moved to another set at the source was asked for in a set that was not given it, for ever | 91 and 210 do not come to rest | `s_b17_content_of_…` |
//! | a delete in the cloud of what was moved to another set at the source was never heard of | 201 does not come to rest | `s_b17_what_was_moved_to_another_set_here_and_is_deleted_…` |
//! | what a restore displaced belonged to nobody when the restore was cut short, and was not among the kept versions | 224 loses it | the seed |
//! | after a flush that failed the store was opened again over what only the memory held, and a power loss damaged all that had been acknowledged since | seed 152: the coordinator never starts again | `edge_k05_a_store_keeps_what_it_acknowledged_after_a_flush_that_failed` |
//! | the end of a sync forgot what the cloud had in another set still: it stayed there, and nobody knew it | 313, 457, 480, 513 and 571 differ | `s_b16_what_the_cloud_has_in_another_set_…` |
//! | a folder was deleted in the cloud together with what had been moved out of it into another set at the source | 356 says that what is not there is in step | `s_b17_a_folder_is_not_deleted_in_the_cloud_before_…` |
//! | what left the cloud with its folder was waited for in the set that it had been moved into at the source | 366 and 439 do not come to rest | `s_b17_what_leaves_the_cloud_with_its_folder_…` |
//! | what waits for a node of another set was woken by nobody | 657 does not come to rest | the same |
//! | what both sides moved, the cloud into another set, waited for a folder that its own set never has | 173 does not come to rest | `s_b17_what_both_sides_moved_…` |
//! | what the cloud moved into another set, and the repository cannot, was handed to and fro, and kept its set from being looked through | 236 does not come to rest | `s_b17_what_the_cloud_moved_to_another_set_and_the_repository_could_not_…` |
//! | what an agent could not write down because its disk failed stayed under way until somebody started it again | 426 does not come to rest | `a_store_that_fails_while_the_end_of_an_order_is_recorded_ends_the_applier` |
//! | a large document was downloaded at each try, before it was known that its name was taken | 545 talks in silence | `s_b13_what_is_large_or_failed_before_is_not_fetched_…` |
//! | so was a small one, at each try after the first | 1106 talks in silence | the same |
//! | the reason of what waits for a node of another set was not told | 462 and 470 do not come to rest | `s_b17_a_folder_is_not_deleted_in_the_cloud_before_…` |
//! | what is in a folder that was moved to another set at the source, and forgotten there, waited for it for ever | 650 does not come to rest | `s_b17_what_is_in_a_folder_that_no_set_knows_any_more_is_forgotten` |
//! | a document that was saved anew in a folder, after that had been moved to where no set reaches, was looked for for ever | 916 does not come to rest | `edge_m20_a_document_that_was_saved_anew_…` |
//! | a delete in the cloud of what lies in a folder that was moved to another set at the source was never heard of there | 1118 does not come to rest | `s_b17_what_is_deleted_in_the_cloud_in_a_folder_…` |
//! | what an ended set had to tell the coordinator of a former member was planned for ever | 1310 does not come to rest | `s_d01_a_set_that_ends_leaves_nothing_to_be_waited_for` |
//! | what waits for a node that another set has too was woken by nobody | 1323 does not come to rest | `s_b17_what_waits_for_a_node_that_another_set_has_too_…` |
//! | a locked document that somebody made writable, or replaced by an equal one, stayed writable until its next change | 2035 finds it open | `s_f01_a_lock_that_is_taken_off_without_a_change_is_put_on_again` |
//! | what somebody wrote just before a rename from the cloud was put in place counted as seen: the cloud's next change replaced it as if it had been in step, and a delete could have taken it along | 1576: the cloud never had what it replaced | `s_d11_what_somebody_wrote_before_a_rename_or_a_lock_is_not_taken_for_seen` |
//! | what was saved anew in the place of a direct member, in a folder of another set, became a member of both sets | 1851 says that what is not there is in step, 1771 has it twice in the cloud | `s_b15_what_is_put_in_the_place_of_a_direct_member_…` |
//! | what was being made in a folder while that was put in the place of another set's folder stayed with a folder that is gone | 1945 and 10043 do not come to rest | `s_b17_what_was_made_in_a_folder_while_…` |
//! | of what was changed and deleted in the cloud at one time, in a folder that was moved to another set at the source, only the change was heard of there | 10109 says that what is gone is in step | `s_b17_what_is_changed_and_deleted_in_the_cloud_…` |
//! | what was renamed and deleted at once stayed in the cloud: of two looks at one folder at the same time the first wrote last | an FTP client that saves as editors do, in `tests/tools/servers` | `s_b02_a_delete_right_after_a_rename_…` |
//! | a document that was synced by itself, and that the cloud brought back into a folder that held none before, was not watched there | 10032: somebody removed it, and nobody saw | `s_b02_what_people_do_to_a_direct_member_that_the_cloud_brought_back_…` |
//! | what a power loss tore of a document that somebody had just written, and the agent had read, had the length and the times that it had: it was taken for unchanged, while the cloud had it whole | 10070: the sides differ | `edge_k05_what_counts_as_seen_survives_a_power_loss` |
//! | one name in a folder could not be seen for a moment: all of the folder was said to be unknown, and only that name was looked at again | 10042 does not come to rest | `s_d09_edge_f04_a_folder_in_which_one_name_…` |
//! | after the coordinator was restored from a backup, revisions of the journal's former life were taken for newer ones: both sides differed, and were said to be in step | 10008, 10021 and 10047 differ or do not come to rest | `edge_k08_what_a_restored_coordinator_forgot_…`, `edge_k08_to_a_coordinator_that_was_restored_…` |
//! | what the cloud had put, in another set, in the place of a direct member that was gone was taken for that member's new content | 10167: what is in it goes unnoticed | `s_b15_what_the_cloud_put_in_the_place_of_a_direct_member_…` |
//! | a small content that the coordinator could not read kept back whatever was asked for with it, again and again | two runs of the integration tests at one time | `s_c07_small_contents_that_cannot_be_had_…` |
//! | after the coordinator was restored from a backup, base went back too far, and what the source never saw was deleted in the cloud | 10398: gone, and nobody deleted it | `edge_k08_what_the_source_never_saw_…` |
//! | the checks compared what is in a folder that is elsewhere for a reason with nothing, and took the temporary file of an editor for kept | 88, 145, 303 and 106 | these seeds |
//! | the simulation counted one try of a member in its quiet minute, in which one that had begun to fail just before is tried twice | seed 261 talks in silence | this seed |
//! | the id of a failed call in its status and in the log was another one than in its header | seed 1:1 run twice differs | `a_seed_run_twice_does_the_same` |
//!
//! Seeds 73:73 and 16:16 did so before the workload grew; what is drawn hangs on it, so that a number names another run now.
//!
//! `planted/FOUND.md` lists bugs that were planted to see whether they are found, and `world/run/scenes.rs` what runs from number 10,000 on have
//! more of.
//!
//! Known and open: 10352, after which a content is in the cloud twice.
//!
//! Known, and passed over by the checks: a member that waits for its turn behind one that stands still may be `PENDING` without a
//! reason; and a set that ended after a backup of the coordinator was made is there again once that is restored, and no agent follows it.
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

#[test]
fn s_b21_a_change_is_on_the_other_side_within_a_second() {
    for number in [1, 3, 4] {
        let latencies = world::latencies(world::Seed { workload: number, schedule: number });
        assert!(latencies.iter().all(|latency| *latency < std::time::Duration::from_secs(1)), "{number}: {latencies:?}");
    }
}
