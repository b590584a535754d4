//! Rows of the decision tables that are promises to people, by name.

use super::facts::{author, content, document, folder, here, id, member, place, settled, there};
use super::world::{Agent, Gap};
use super::{Do, options};
use crate::engine::reconcile::{Apply, Step, Waits, reconcile};
use crate::engine::{Activity, Member, Source, Target};
use crate::model::{Departure, NodeState, Properties, Property, Push, Reason, SetOptions, Value};

const MAY_NOT_DELETE: SetOptions = SetOptions { lock_source: false, delete_on_cloud: false, delete_source: false };
const SOURCE_FOLLOWS: SetOptions = SetOptions { lock_source: false, delete_on_cloud: true, delete_source: true };
const LOCKED: SetOptions = SetOptions { lock_source: true, delete_on_cloud: true, delete_source: false };

fn step_of(members: &[Member], options: SetOptions) -> Step {
    let Ok(step) = reconcile(&Agent::of(members.iter().cloned(), options), &members[0]);
    step
}

fn step(members: &[Member]) -> Step {
    step_of(members, SetOptions::default())
}

fn updated(step: Step) -> (Option<crate::model::ContentRef>, Option<crate::model::Place>, bool) {
    let Step::Apply(Apply::Update { content, place, conflict, .. }) = step else { panic!("{step:?}") };
    (content, place, conflict)
}

#[test]
fn s_b06_edge_c02_both_changed_the_content_and_the_target_wins_with_the_source_kept_as_a_conflict() {
    let was = document(None, "a", 1);
    let both = member(id(1), Some(&was), here(&document(None, "a", 2)), there(id(1), &document(None, "a", 3)));
    assert_eq!(updated(step(&[both])), (Some(content(3)), None, true));
}

#[test]
fn s_b07_edge_c11_a_new_title_here_and_new_content_there_are_both_taken() {
    let was = document(None, "a", 1);
    let titled = NodeState { properties: author("me"), ..was.clone() };
    let edited = document(None, "a", 2);
    assert_eq!(updated(step(&[member(id(1), Some(&was), here(&titled), there(id(1), &edited))])), (Some(content(2)), None, false));
    // After the content arrived, the title is what is left.
    let arrived = NodeState { properties: author("me"), ..edited.clone() };
    let Step::Push(Push::Update { content, place, properties }) =
        step(&[member(id(1), Some(&edited), here(&arrived), there(id(1), &edited))])
    else {
        panic!("the title is not pushed")
    };
    assert_eq!((content, place, properties.len(), properties[0].property), (None, None, 1, Property::Author));
}

#[test]
fn s_b08_edge_c01_the_same_change_on_both_sides_is_recorded_and_moves_nothing() {
    let (was, now) = (document(None, "a", 1), document(None, "b", 2));
    assert_eq!(step(&[member(id(1), Some(&was), here(&now), there(id(1), &now))]), Step::Record(now));
}

#[test]
fn s_b07_a_move_here_and_a_rename_there_both_happen() {
    let folders = [settled(id(2), &folder(None, "2")), settled(id(3), &folder(None, "3"))];
    let [was, moved, renamed] = [(id(2), "a"), (id(3), "a"), (id(2), "b")].map(|(folder, name)| document(Some(folder), name, 1));
    let both = member(id(1), Some(&was), here(&moved), there(id(1), &renamed));
    let members = [vec![both], folders.to_vec()].concat();
    assert_eq!(updated(step(&members)), (None, Some(place(Some(id(3)), "b")), false));
}

/// Found by killing processes: new content put in place and moved in one step, to a place that was merged, was taken for a new document by
/// whoever looked before the step was written down, and two members of one item looked for each other for ever.
#[test]
fn s_b07_new_content_there_comes_once_a_move_is_settled() {
    let folders = [settled(id(2), &folder(None, "2")), settled(id(3), &folder(None, "3"))];
    let [was, moved] = [id(2), id(3)].map(|folder| document(Some(folder), "a", 1));
    let [renamed, there_now] = [(id(2), "b"), (id(3), "b")].map(|(folder, name)| document(Some(folder), name, 2));
    let both = member(id(1), Some(&was), here(&moved), there(id(1), &renamed));
    let members = [vec![both], folders.to_vec()].concat();
    assert_eq!(updated(step(&members)), (None, Some(there_now.place.clone()), false));
    let [base, here_now] = [id(2), id(3)].map(|folder| document(Some(folder), "b", 1));
    let placed = member(id(1), Some(&base), here(&here_now), there(id(1), &renamed));
    assert_eq!(updated(step(&[vec![placed], folders.to_vec()].concat())), (Some(content(2)), None, false));
}

#[test]
fn s_b13_edge_n19_a_name_that_is_taken_there_is_a_clash_until_its_holder_changes() {
    let folder = settled(id(9), &folder(None, "root"));
    let ours = member(id(1), None, here(&document(Some(id(9)), "Plan", 1)), Target::Never);
    let theirs = settled(id(2), &document(Some(id(9)), "plan", 2));
    let Step::Hold(hold) = step(&[ours, theirs, folder]) else { panic!("pushed over a name that is taken") };
    assert_eq!((hold.reason, hold.waits), (Some(Reason::NameClash), Waits::Node(id(2))));
}

#[test]
fn s_a14_edge_c03_what_is_equal_there_is_adopted_and_what_differs_clashes() {
    let root = settled(id(9), &folder(None, "root"));
    let in_root = |state: &NodeState| NodeState { place: place(Some(id(9)), "a"), ..state.clone() };
    let (one, other, dir) = (in_root(&document(None, "a", 1)), in_root(&document(None, "a", 2)), in_root(&folder(None, "a")));
    let against = |ours: &NodeState, theirs: &NodeState| {
        let ours = member(id(1), None, here(ours), Target::Never);
        Do::of(&step(&[ours, member(id(2), None, Source::Absent, there(id(2), theirs)), root.clone()]))
    };
    assert_eq!(against(&one, &one), Do::Adopt);
    assert_eq!(against(&dir, &dir), Do::Adopt);
    assert_eq!(against(&one, &other), Do::Hold(Reason::NameClash));
    assert_eq!(against(&one, &dir), Do::Hold(Reason::NameClash));
    let bound = settled(id(2), &one);
    let ours = member(id(1), None, here(&one), Target::Never);
    assert_eq!(Do::of(&step(&[ours, bound, root.clone()])), Do::Hold(Reason::NameClash), "what is paired is not adopted");
}

#[test]
fn s_d06_a_delete_here_deletes_there_or_releases() {
    let was = document(None, "a", 1);
    let deleted = member(id(1), Some(&was), Source::Absent, there(id(1), &was));
    let Step::Push(Push::Delete { through }) = step(std::slice::from_ref(&deleted)) else { panic!("not deleted") };
    assert_eq!(through.get(), 7, "only what was known is deleted");
    assert_eq!(Do::of(&step_of(std::slice::from_ref(&deleted), MAY_NOT_DELETE)), Do::Release);
    assert_eq!(Do::of(&step_of(&[deleted], LOCKED)), Do::MakeHere, "a delete that gets past the lock is taken back");
}

#[test]
fn s_d03_s_d05_a_delete_there_leaves_the_source_unless_it_follows() {
    let was = document(None, "a", 1);
    let deleted = member(id(1), Some(&was), here(&was), Target::Absent(Departure::Deleted));
    assert_eq!(Do::of(&step(std::slice::from_ref(&deleted))), Do::Hold(Reason::DeletedOnCloud));
    assert_eq!(Do::of(&step_of(&[deleted], SOURCE_FOLLOWS)), Do::DeleteHere);
}

#[test]
fn s_d11_edge_x01_an_edit_survives_a_delete_that_did_not_see_it() {
    let (was, edited) = (document(None, "a", 1), document(None, "a", 2));
    let edited_there = member(id(1), Some(&was), Source::Absent, there(id(1), &edited));
    let edited_here = member(id(1), Some(&was), here(&edited), Target::Absent(Departure::Deleted));
    for options in options() {
        assert_eq!(Do::of(&step_of(std::slice::from_ref(&edited_there), options)), Do::MakeHere, "{options:?}");
        assert_eq!(Do::of(&step_of(std::slice::from_ref(&edited_here), options)), Do::Hold(Reason::TargetNoLongerExists), "{options:?}");
    }
}

#[test]
fn s_d11_edge_x02_a_folder_deleted_here_is_made_again_for_what_changed_in_it_there() {
    let (dir, was, edited) = (folder(None, "dir"), document(Some(id(1)), "a", 1), document(Some(id(1)), "a", 2));
    let gone = member(id(1), Some(&dir), Source::Absent, there(id(1), &dir));
    let child = member(id(2), Some(&was), Source::Absent, there(id(2), &edited));
    for options in options() {
        assert_eq!(step_of(&[gone.clone(), child.clone()], options), Step::Apply(Apply::Create(dir.clone())), "{options:?}");
    }
    let unchanged = member(id(2), Some(&was), Source::Absent, there(id(2), &was));
    assert_eq!(Do::of(&step(&[gone.clone(), unchanged.clone()])), Do::DeleteThere);
    assert_eq!(Do::of(&step(&[unchanged, gone])), Do::Wait, "what is in it goes with it");
}

#[test]
fn s_d09_edge_f09_absence_that_is_not_sure_deletes_nothing() {
    let was = document(None, "a", 1);
    let deleted = member(id(1), Some(&was), Source::Absent, there(id(1), &was));
    for (gap, expected) in [(Gap::Source, Do::Hold(Reason::SourceUnknown)), (Gap::Target, Do::Wait)] {
        let view = Agent { unsettled: Some(gap), ..Agent::of([deleted.clone()], SetOptions::default()) };
        let Ok(step) = reconcile(&view, &deleted);
        assert_eq!(Do::of(&step), expected);
    }
}

#[test]
fn s_f01_a_change_that_gets_past_the_lock_is_put_back_and_kept() {
    let was = document(None, "a", 1);
    let forced = |name: &str| member(id(1), Some(&was), here(&document(None, name, 2)), there(id(1), &was));
    assert_eq!(updated(step_of(&[forced("b")], LOCKED)), (None, Some(place(None, "a")), false));
    assert_eq!(updated(step_of(&[forced("a")], LOCKED)), (Some(content(1)), None, true));
}

#[test]
fn s_b20_edge_m12_edge_m13_of_two_moves_the_targets_wins() {
    let folders = [2, 3, 4].map(|number| settled(id(number), &folder(None, &number.to_string())));
    let [was, ours, theirs] = [2, 3, 4].map(|number| document(Some(id(number)), "a", 1));
    let twice = member(id(1), Some(&was), here(&ours), there(id(1), &theirs));
    let members = [vec![twice], folders.to_vec()].concat();
    assert_eq!(updated(step(&members)), (None, Some(place(Some(id(4)), "a")), false));
    // Here 1 went into 2, in the cloud 2 went into 1.
    let [one, two] = ["1", "2"].map(|name| folder(None, name));
    let into = |parent, state: &NodeState| NodeState { place: place(Some(id(parent)), state.place.name.as_str()), ..state.clone() };
    let first = member(id(1), Some(&one), here(&into(2, &one)), there(id(1), &one));
    let second = member(id(2), Some(&two), here(&two), there(id(2), &into(1, &two)));
    assert_eq!(updated(step(&[first, second])), (None, Some(place(None, "1")), false));
}

#[test]
fn s_b19_edge_m04_of_two_that_swap_names_one_steps_aside_and_the_other_waits_for_it() {
    let root = settled(id(9), &folder(None, "root"));
    let [a, b] = ["a", "b"].map(|name| document(Some(id(9)), name, 1));
    let (first, second) = (member(id(1), Some(&a), here(&b), there(id(1), &a)), member(id(2), Some(&b), here(&a), there(id(2), &b)));
    let Step::Push(Push::Update { place: Some((aside, _)), .. }) = step(&[first.clone(), second.clone(), root.clone()]) else {
        panic!("nobody opens the circle")
    };
    assert_eq!(aside.name.as_str(), format!("{}.moving a", id(1)));
    let busy = Member { activity: Activity::Pushing, ..first };
    assert_eq!(Do::of(&step(&[second, busy, root.clone()])), Do::Wait);
    let (first, second) = (member(id(1), Some(&a), here(&a), there(id(1), &b)), member(id(2), Some(&b), here(&b), there(id(2), &a)));
    assert_eq!(step(&[first, second, root]), Step::Apply(Apply::StepAside));
}

#[test]
fn edge_m04_a_name_that_stands_aside_there_is_never_taken_here() {
    let aside = format!("{}.moving", id(1));
    let [was, renamed, stands] = ["a", "b", &aside].map(|name| document(None, name, 1));
    // The answer to the push that made it step aside can be lost, and base with it.
    for base in [Some(&was), None, Some(&stands)] {
        let Step::Push(Push::Update { place: Some((pushed, _)), .. }) = step(&[member(id(1), base, here(&renamed), there(id(1), &stands))])
        else {
            panic!("its name is not pushed: {base:?}")
        };
        assert_eq!(pushed, place(None, "b"), "{base:?}");
    }
}

#[test]
fn edge_m04_what_is_deleted_here_while_it_stands_aside_there_gets_its_name_back_before_it_leaves() {
    let stands = document(None, &format!("{}.moving a.b.txt", id(1)), 1);
    let aside = member(id(1), Some(&stands), Source::Absent, there(id(1), &stands));
    let named = |around: &[Member]| {
        let Step::Push(Push::Update { place: Some((place, _)), .. }) = step(&[std::slice::from_ref(&aside), around].concat()) else {
            panic!("it gets no name")
        };
        place.name.as_str().to_owned()
    };
    assert_eq!(named(&[]), "a.b.txt");
    let other = document(None, "A.B.txt", 1);
    assert_eq!(named(&[settled(id(2), &other)]), "a.b (2).txt", "somebody has it by now");
    let wants = member(id(2), None, here(&other), Target::Never);
    assert_eq!(named(&[wants]), "a.b (2).txt", "somebody wants it");
    let nameless = document(None, &format!("{}.moving", id(1)), 1);
    assert_eq!(Do::of(&step(&[member(id(1), Some(&nameless), Source::Absent, there(id(1), &nameless))])), Do::DeleteThere);
}

#[test]
fn s_d04_what_is_new_in_a_folder_that_was_deleted_there_says_so() {
    let dir = folder(None, "dir");
    let gone = member(id(9), Some(&dir), here(&dir), Target::Absent(Departure::Deleted));
    let new = member(id(1), None, here(&document(Some(id(9)), "a", 1)), Target::Never);
    assert_eq!(Do::of(&step(&[new, gone])), Do::Hold(Reason::TargetFolderMissing));
}

#[test]
fn s_b04_properties_that_were_not_seen_are_written_back_and_never_removed_there() {
    let was = NodeState { properties: author("me"), ..document(None, "a", 1) };
    let mut saved = member(id(1), Some(&was), here(&NodeState { properties: Properties::default(), ..was.clone() }), there(id(1), &was));
    if let Source::Present(source) = &mut saved.source {
        source.properties_known = false;
    }
    let Step::Apply(Apply::Update { properties, content, .. }) = step(&[saved]) else { panic!("not written back") };
    assert_eq!((properties, content), (vec![(Property::Author, Some(Value::Text("me".to_owned())))], None));
}
