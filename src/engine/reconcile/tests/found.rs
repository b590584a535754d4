//! Cases that broke the planner, made as small as they could be.
//!
//! | what broke | kept by |
//! | --- | --- |
//! | two folders changed roles, the inner one to the outer one's name: each waited for the other | `edge_m10_…same_name` |
//! | a folder was moved into a new one that took its name: each waited for the other | `edge_m17_…` |
//! | a folder was deleted here while the cloud moved something into it: each waited for the other | `s_d11_…moved_into…` |
//! | a folder that may not be deleted in the cloud was released with what had changed in it | `s_d11_…released…` |
//! | a folder that changes roles in the cloud is renamed here: it wanted a name that nobody saw it want | `edge_m10_…renamed_here` |
//! | a file took the name of its folder, which was deleted: each waited for the other | `s_b19_a_file_takes_…` |
//! | one of two that swapped names could not be read: the other kept a name of ours in the cloud | `s_b19_…cannot_be_read` |

use super::case::Case;
use super::world::{Act, Deed, Seed, Side};
use crate::model::{Kind, SetOptions};

const fn dir(folder: u8, name: u8) -> Seed {
    Seed { folder, name, kind: Kind::Folder }
}

const fn file(folder: u8, name: u8) -> Seed {
    Seed { folder, name, kind: Kind::Document }
}

const fn here(act: Act) -> Deed {
    Deed { round: 0, side: Side::Source, act }
}

const fn there(act: Act) -> Deed {
    Deed { round: 0, side: Side::Target, act }
}

/// Runs it in every kind of set, in several orders. Nothing may be left to say, if `agrees`.
fn check(seeds: &[Seed], deeds: &[Deed], agrees: impl Fn(SetOptions) -> bool) {
    for options in super::options() {
        for order in 0..8 {
            let is_slow = order % 2 == 1;
            let case = Case { seeds: seeds.to_vec(), deeds: deeds.to_vec(), options, forgets: false, is_slow, ids: order, order };
            let reasons = case.run().reasons();
            assert!(reasons.is_empty() || !agrees(options), "{reasons:?} in {options:?}");
        }
    }
}

#[test]
fn edge_m10_two_folders_change_roles_and_the_outer_one_has_the_same_name() {
    for side in [here, there] {
        check(&[dir(0, 3), dir(1, 0)], &[side(Act::Invert(2))], |_| true);
    }
}

#[test]
fn edge_m10_two_folders_change_roles_in_the_cloud_and_the_inner_one_is_renamed_here_to_the_name_of_the_outer() {
    check(&[dir(0, 2), dir(1, 3)], &[there(Act::Invert(2)), here(Act::Rename(2, 2))], |_| true);
}

#[test]
fn edge_m17_a_folder_is_moved_into_a_new_one_of_its_name() {
    for side in [here, there] {
        let make = Act::Make { folder: 0, name: 0, kind: Kind::Folder, content: 0 };
        // In a locked set the old folder is put back to where it was, and the new one has its name.
        let agrees = |set: SetOptions| !set.lock_source || side(make).side == Side::Target;
        check(&[dir(0, 0), dir(0, 1)], &[side(Act::Rename(1, 2)), side(make), side(Act::MoveAs(1, 3, 0))], agrees);
    }
}

#[test]
fn s_d11_a_folder_deleted_here_is_made_again_for_what_the_cloud_moved_into_it() {
    let deeds = [here(Act::Delete(1)), there(Act::Move(2, 1))];
    check(&[dir(0, 1), file(0, 0)], &deeds, |_| true);
    check(&[dir(0, 1), file(0, 0), dir(1, 1)], &[here(Act::Delete(1)), there(Act::Move(2, 2))], |_| true);
}

#[test]
fn s_d11_what_changed_in_a_folder_that_is_released_comes_back() {
    check(&[dir(0, 1), file(1, 0)], &[here(Act::Delete(1)), there(Act::Edit(2, 5))], |_| true);
}

#[test]
fn s_b19_edge_m04_swaps_and_rotations_come_out_right_on_either_side() {
    for side in [here, there] {
        check(&[file(0, 0), file(0, 1), file(0, 2)], &[side(Act::Swap(1, 2))], |_| true);
        check(&[file(0, 0), file(0, 1), file(0, 2)], &[side(Act::Swap(1, 2)), side(Act::Swap(2, 3))], |_| true);
        check(&[dir(0, 0), dir(0, 1), file(1, 0)], &[side(Act::Swap(1, 2))], |_| true);
    }
}

#[test]
fn s_b19_a_file_takes_the_name_of_its_folder_that_is_deleted() {
    check(&[dir(0, 3), file(1, 0)], &[here(Act::Move(2, 0)), here(Act::Delete(1))], |set| set.delete_on_cloud && !set.lock_source);
    check(&[dir(0, 0), file(1, 3)], &[there(Act::Rename(1, 1)), there(Act::MoveAs(2, 0, 0)), there(Act::Delete(1))], |set| {
        set.delete_source || !set.delete_on_cloud
    });
}

#[test]
fn s_b19_one_of_two_that_swap_names_cannot_be_read() {
    check(&[file(0, 0), file(0, 1)], &[here(Act::Swap(1, 2)), here(Act::Trouble(1, 0))], |_| false);
}

#[test]
fn edge_t01_a_file_becomes_a_folder_and_a_folder_a_file() {
    for side in [here, there] {
        let follows = |options: SetOptions| side(Act::Request).side == Side::Source && options.delete_on_cloud && !options.lock_source;
        check(&[file(0, 0), dir(0, 1)], &[side(Act::Retype(1)), side(Act::Retype(2))], follows);
    }
}

#[test]
fn debug_case() {
    let options = SetOptions { lock_source: false, delete_on_cloud: true, delete_source: false };
    let case = Case { seeds: vec![file(0, 0), file(0, 1), dir(0, 2), dir(0, 4)], deeds: vec![there(Act::MoveAs(4, 1, 0)), here(Act::MoveAs(3, 2, 0)), here(Act::Rename(1, 2))], options, forgets: false, is_slow: false, ids: 0, order: 0 };
    eprintln!("{:?}", super::properties::failure(&case));
}
