//! Every combination has exactly one row in a table written here, apart from the planner, and the planner does what the row says.

use super::facts::{author, document, here, id, member, name, settled, there};
use super::world::Agent;
use super::{Do, options};
use crate::engine::reconcile::{Apply, Step, reconcile};
use crate::engine::{Member, Source, SourceNode, Target};
use crate::model::{ContentRef, Departure, NodeState, Place, Properties, Property, Push, Reason, SetOptions, Value};

/// What the source shows of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Here {
    Unknown,
    Trouble,
    Absent,
    Same,
    Changed,
}

/// What the target says of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Never,
    Deleted,
    MovedOut,
    Released,
    Same,
    Changed,
}

const PRESENT: &[Here] = &[Here::Same, Here::Changed];
const ANYTHING: &[There] = &[There::Never, There::Deleted, There::MovedOut, There::Released, There::Same, There::Changed];
const GONE: &[There] = &[There::Deleted, There::MovedOut, There::Released];

/// With or without a base, what is here, what is there, in which sets, and what to do.
type Row = (&'static [bool], &'static [Here], &'static [There], fn(SetOptions) -> bool, Do);

const ANY: fn(SetOptions) -> bool = |_| true;
const BOTH: &[bool] = &[false, true];

const EXISTENCE: &[Row] = &[
    (BOTH, &[Here::Unknown], ANYTHING, ANY, Do::Hold(Reason::SourceUnknown)),
    (BOTH, &[Here::Trouble], ANYTHING, ANY, Do::Hold(Reason::SourceAccessDenied)),
    (BOTH, &[Here::Absent], &[There::Never, There::Deleted, There::MovedOut, There::Released], ANY, Do::Forget),
    (BOTH, PRESENT, &[There::Never], ANY, Do::MakeThere),
    (BOTH, PRESENT, &[There::Same, There::Changed], ANY, Do::Merge),
    (&[false], PRESENT, GONE, ANY, Do::Hold(Reason::TargetNoLongerExists)),
    (&[false], &[Here::Absent], &[There::Same, There::Changed], ANY, Do::MakeHere),
    (&[true], &[Here::Absent], &[There::Changed], ANY, Do::MakeHere),
    (&[true], &[Here::Absent], &[There::Same], |set| set.lock_source, Do::MakeHere),
    (&[true], &[Here::Absent], &[There::Same], |set| !set.lock_source && set.delete_on_cloud, Do::DeleteThere),
    (&[true], &[Here::Absent], &[There::Same], |set| !set.lock_source && !set.delete_on_cloud, Do::Release),
    (&[true], &[Here::Changed], &[There::Deleted], ANY, Do::Hold(Reason::TargetNoLongerExists)),
    (&[true], &[Here::Same], &[There::Deleted], |set| set.delete_source, Do::DeleteHere),
    (&[true], &[Here::Same], &[There::Deleted], |set| !set.delete_source, Do::Hold(Reason::DeletedOnCloud)),
    (&[true], PRESENT, &[There::MovedOut, There::Released], ANY, Do::Hold(Reason::DeletedOnCloud)),
];

fn existence(has_base: bool, source: Here, target: There) -> Member {
    let was = document(None, "a", 1);
    let (edited_here, edited_there) = (document(None, "a", 2), document(None, "a", 3));
    let source = match source {
        Here::Unknown => Source::Unknown,
        Here::Trouble => {
            let problem = Some((Reason::SourceAccessDenied, String::new()));
            Source::Present(SourceNode { state: was.clone(), properties_known: true, problem })
        }
        Here::Absent => Source::Absent,
        Here::Same => here(&was),
        Here::Changed => here(&edited_here),
    };
    let target = match target {
        There::Never => Target::Never,
        There::Deleted => Target::Absent(Departure::Deleted),
        There::MovedOut => Target::Absent(Departure::MovedOut),
        There::Released => Target::Absent(Departure::Released),
        There::Same => there(id(1), &was),
        There::Changed => there(id(1), &edited_there),
    };
    member(id(1), has_base.then_some(&was), source, target)
}

#[test]
fn every_combination_of_existence_has_its_row() {
    for options in options() {
        for has_base in [false, true] {
            for source in [Here::Unknown, Here::Trouble, Here::Absent, Here::Same, Here::Changed] {
                for target in ANYTHING.iter().copied() {
                    let fits = |(base, sources, targets, sets, _): &&Row| {
                        base.contains(&has_base) && sources.contains(&source) && targets.contains(&target) && sets(options)
                    };
                    let rows: Vec<_> = EXISTENCE.iter().filter(fits).collect();
                    let case = format!("base {has_base}, source {source:?}, target {target:?}, {options:?}");
                    assert_eq!(rows.len(), 1, "rows for {case}");
                    let member = existence(has_base, source, target);
                    let Ok(step) = reconcile(&Agent::of([member.clone()], options), &member);
                    assert_eq!(Do::of(&step), rows[0].4, "{case}");
                }
            }
        }
    }
}

/// How one facet changed on the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Here,
    There,
    Equal,
    Both,
}

const CHANGES: [Change; 5] = [Change::None, Change::Here, Change::There, Change::Equal, Change::Both];

impl Change {
    /// Picks the source's and the target's value, from that of base, one of the source's own and one of the target's own.
    fn values<T: Clone>(self, base: T, ours: T, theirs: T) -> (T, T) {
        match self {
            Self::None => (base.clone(), base),
            Self::Here => (ours, base),
            Self::There => (base, theirs),
            Self::Equal => (theirs.clone(), theirs),
            Self::Both => (ours, theirs),
        }
    }

    /// Whether the source's, or the target's value is taken over by the other side.
    const fn direction(self, locked: bool) -> Option<Direction> {
        match self {
            Self::None | Self::Equal => None,
            Self::Here if !locked => Some(Direction::Push),
            Self::Here | Self::There | Self::Both => Some(Direction::Apply),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Push,
    Apply,
}

/// What is to be done about content, place and property, in one direction.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    direction: Direction,
    content: Option<ContentRef>,
    place: Option<Place>,
    properties: Vec<(Property, Option<Value>)>,
    conflict: bool,
}

impl Taken {
    fn of(step: Step) -> Option<Self> {
        match step {
            Step::Apply(Apply::Update { content, place, properties, conflict }) => {
                Some(Self { direction: Direction::Apply, content, place, properties, conflict })
            }
            Step::Push(Push::Update { content, place, properties }) => Some(Self {
                direction: Direction::Push,
                content: content.map(|(content, _)| content),
                place: place.map(|(place, _)| place),
                properties: properties.into_iter().map(|change| (change.property, change.value)).collect(),
                conflict: false,
            }),
            Step::Record(_) | Step::Rest => None,
            step => panic!("facets are merged by {step:?}"),
        }
    }
}

/// The place that both sides are to have. Folder and name are merged apart; in a set that locks its source copies nothing of the source's is.
fn merged(changes: [Change; 2], source: &NodeState, target: &NodeState, locked: bool) -> Place {
    let ours = |change: Change| change.direction(locked) == Some(Direction::Push);
    let (from, to) = (&source.place, &target.place);
    Place {
        parent: if ours(changes[0]) { from.parent } else { to.parent },
        name: if ours(changes[1]) { from.name.clone() } else { to.name.clone() },
    }
}

/// What the table says, from how each facet changed: what is taken from the target comes first, then what is taken from the source.
fn expected([content, parent, named, property]: [Change; 4], source: &NodeState, target: &NodeState, locked: bool) -> Option<Taken> {
    let place = merged([parent, named], source, target, locked);
    for direction in [Direction::Apply, Direction::Push] {
        let (taken, given) = if direction == Direction::Apply { (target, source) } else { (source, target) };
        let has = |change: Change| change.direction(locked) == Some(direction);
        let properties = vec![(Property::Author, taken.properties.get(Property::Author).cloned())];
        // Half a move that is taken from the target is done at the source first; what is pushed then is the other half.
        let place = Some(place.clone()).filter(|place| *place != given.place && (has(parent) || has(named)));
        // At the source content comes once its place is settled.
        let waits = direction == Direction::Apply && place.is_some();
        let all = Taken {
            direction,
            content: taken.content.filter(|_| has(content) && !waits),
            place,
            properties: if has(property) { properties } else { Vec::new() },
            conflict: direction == Direction::Apply && !waits && (content == Change::Both || (locked && content == Change::Here)),
        };
        if all.content.is_some() || all.place.is_some() || !all.properties.is_empty() {
            return Some(all);
        }
    }
    None
}

#[test]
fn every_combination_of_facet_changes_has_its_row() {
    let folders = [2, 3, 4].map(|number| settled(id(number), &super::facts::folder(None, &format!("folder {number}"))));
    let all = CHANGES.into_iter().flat_map(|content| {
        CHANGES.into_iter().flat_map(move |parent| {
            CHANGES.into_iter().flat_map(move |named| CHANGES.map(move |property| [content, parent, named, property]))
        })
    });
    for changes in all {
        for options in options() {
            let [content, parent, named, property] = changes;
            let base = NodeState { properties: author("base"), ..document(Some(id(2)), "base", 1) };
            let contents = content.values(1, 2, 3);
            let parents = parent.values(id(2), id(3), id(4));
            let names = named.values("base", "ours", "theirs");
            let authors = property.values(author("base"), author("ours"), Properties::default());
            let state = |content, parent, text: &str, properties: &Properties| NodeState {
                place: Place { parent: Some(parent), name: name(text) },
                properties: properties.clone(),
                ..document(None, "a", content)
            };
            let source = state(contents.0, parents.0, names.0, &authors.0);
            let target = state(contents.1, parents.1, names.1, &authors.1);
            let member = member(id(1), Some(&base), here(&source), there(id(1), &target));
            let view = Agent::of(folders.iter().cloned().chain([member.clone()]), options);
            let Ok(step) = reconcile(&view, &member);
            let is_recorded = step == Step::Record(target.clone());
            let expected = expected(changes, &source, &target, options.lock_source);
            let is_equal_now = expected.is_none() && base != target;
            assert_eq!(is_recorded, is_equal_now, "{changes:?} {options:?}: {step:?}");
            assert_eq!(Taken::of(step), expected, "content, folder, name, property: {changes:?}, {options:?}");
        }
    }
}
