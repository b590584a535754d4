//! Running the planner: batches of dirty members, their steps in any order, until nothing is left to do.

use super::agent::{Gap, Row};
use super::disk::Refused;
use super::{Deed, Key, World, item};
use crate::engine::reconcile::{Apply, Hold, Step, Waits, reconcile};
use crate::engine::{Activity, Member};
use crate::model::{NodeId, NodeState, Place, Properties, Push, Reason, Refusal};

/// No scenario takes longer than this.
pub(in super::super) const ROUNDS_MAX: usize = 120;
/// For so many rounds after the last deed a slow world stays slow.
const SLOW_ROUNDS: usize = 6;

/// A step that was planned and is to be done.
#[derive(Debug, Clone)]
enum Task {
    Push(NodeId, Push),
    Apply(Box<Order>),
}

/// An order to the applier, with all that it was planned on.
#[derive(Debug, Clone)]
struct Order {
    node: NodeId,
    apply: Apply,
    member: Member,
    key: Option<Key>,
    folder: Option<Key>,
}

/// How an order ended.
enum Ending {
    There(Key, Option<Place>),
    Gone,
    Changed,
    Failed(Reason),
}

impl World {
    /// Runs to quiescence while people do `deeds`; returns the number of rounds.
    pub(in super::super) fn run(&mut self, deeds: &[Deed]) -> usize {
        let last = deeds.iter().map(|deed| usize::from(deed.round)).max().unwrap_or_default();
        let (mut tasks, mut tried) = (Vec::new(), None);
        for round in 0..ROUNDS_MAX {
            let is_slow = self.is_slow && round < last + SLOW_ROUNDS;
            let gap = self.agent.unsettled;
            if round > 0 {
                self.plan(&mut tasks, is_slow);
            }
            self.agent.unsettle(None);
            for deed in deeds.iter().filter(|deed| usize::from(deed.round) == round) {
                self.act(deed);
            }
            self.execute(&mut tasks, is_slow);
            if !is_slow || gap == Some(Gap::Source) || self.order.below(2) == 0 {
                self.look();
            }
            if !is_slow || gap == Some(Gap::Target) || self.order.below(2) == 0 {
                self.deliver();
            }
            if self.agent.dirty.is_empty() && self.agent.unsettled.is_none() && round >= last && !is_slow {
                if !self.agent.rows.values().any(|row| row.retry) {
                    return round;
                }
                let now = (self.disk.clone(), self.cloud.docs.clone(), self.agent.rows.clone());
                if tried.as_ref() == Some(&now) {
                    return round;
                }
                self.try_again();
                tried = Some(now);
            }
        }
        panic!("no rest after {ROUNDS_MAX} rounds: {:#?}", self.agent.dirty.iter().map(|node| &self.agent.rows[node]).collect::<Vec<_>>());
    }

    /// Wakes what failed a while ago.
    fn try_again(&mut self) {
        self.agent.dirty.extend(self.agent.rows.values().filter(|row| row.retry).map(|row| row.member.node));
    }

    /// Plans everything that is dirty, or of a slow world a part of it, one after the other, deletes last.
    fn plan(&mut self, tasks: &mut Vec<Task>, is_slow: bool) {
        let mut deletes = Vec::new();
        let mut dirty: Vec<_> = if self.plans_all {
            self.agent.rows.iter().filter(|(node, row)| !row.retry || self.agent.dirty.contains(node)).map(|(node, _)| *node).collect()
        } else {
            self.agent.dirty.iter().copied().collect()
        };
        self.order.shuffle(&mut dirty);
        if is_slow && !dirty.is_empty() {
            dirty.truncate(1 + self.order.below(dirty.len()));
        }
        for node in dirty {
            self.agent.dirty.remove(&node);
            self.agent.inherit_absence(node);
            let Some(step) = self.next_step(node) else { continue };
            match step {
                Step::Push(Push::Delete { .. }) | Step::Apply(Apply::Delete) => deletes.push(node),
                step => self.take(node, step, tasks),
            }
        }
        for node in deletes {
            if let Some(step) = self.next_step(node) {
                self.take(node, step, tasks);
            }
        }
    }

    pub(in super::super) fn next_step(&self, node: NodeId) -> Option<Step> {
        let row = self.agent.rows.get(&node)?;
        let Ok(step) = reconcile(&self.agent, &row.member);
        Some(step)
    }

    fn take(&mut self, node: NodeId, step: Step, tasks: &mut Vec<Task>) {
        let Some(mut row) = self.agent.rows.get(&node).cloned() else { return };
        match step {
            Step::Rest if row.member.activity == Activity::Idle => settle(&mut row),
            Step::Rest => {}
            Step::Record(state) => {
                row.member.base = Some(state);
                settle(&mut row);
            }
            Step::Hold(hold) => hold_row(&mut row, hold),
            Step::Push(push) => {
                row.member.activity = if matches!(push, Push::Create(_)) { Activity::Creating } else { Activity::Pushing };
                begin(&mut row);
                tasks.push(Task::Push(node, push));
            }
            Step::Apply(apply) => {
                let parent = match &apply {
                    Apply::Create(state) => state.place.parent,
                    Apply::Update { place, .. } => place.as_ref().and_then(|place| place.parent),
                    Apply::StepAside | Apply::Protect | Apply::Delete => None,
                };
                let folder = parent.and_then(|parent| self.agent.rows.get(&parent)).and_then(|row| row.key);
                tasks.push(Task::Apply(Box::new(Order { node, apply, member: row.member.clone(), key: row.key, folder })));
                row.member.activity = Activity::Applying;
                begin(&mut row);
            }
            Step::Forget => match self.agent.something_in(node) {
                Some(child) => hold_row(&mut row, Hold { reason: None, detail: String::new(), waits: Waits::Node(child) }),
                None => return self.agent.save(node, None),
            },
            Step::Adopt { target } => return self.agent.adopt(node, target),
        }
        self.agent.save(node, Some(row));
        self.agent.dirty.remove(&node);
    }

    /// Does everything, or of a slow world a part of it, in any order, but pushes in the order in which they were planned. Nothing of it may
    /// lose a content.
    fn execute(&mut self, tasks: &mut Vec<Task>, is_slow: bool) {
        if tasks.is_empty() {
            return;
        }
        let before = self.on_disk();
        let count = if is_slow { self.order.below(tasks.len() + 1) } else { tasks.len() };
        for _ in 0..count {
            let chosen = self.order.below(tasks.len());
            let is_push = |task: &Task| matches!(task, Task::Push(..));
            let first = tasks.iter().position(is_push).filter(|_| is_push(&tasks[chosen]));
            match tasks.remove(first.unwrap_or(chosen)) {
                Task::Push(node, push) => self.push(node, &push),
                Task::Apply(order) => self.apply(&order),
            }
        }
        assert!(before.iter().all(|content| self.is_reachable(content)), "content was lost");
    }

    fn push(&mut self, node: NodeId, push: &Push) {
        match self.cloud.operate(node, push) {
            Ok(()) => {
                // The journal tells of everything up to this, and of this last.
                self.deliver();
                self.pushed(node, push);
            }
            Err(refusal) => self.refused(node, push, &refusal),
        }
    }

    fn refused(&mut self, node: NodeId, push: &Push, refusal: &Refusal) {
        self.agent.change(node, |row| {
            row.member.activity = Activity::Idle;
            row.waits = Some(Waits::Itself);
            match refusal {
                Refusal::NameTaken { .. } => {
                    if let Some(place) = wanted_place(row, push) {
                        row.waits = Some(Waits::Name(place.parent, place.name.folded()));
                    }
                    row.reason = Some(Reason::NameClash);
                }
                Refusal::Because(reason, _) => row.reason = Some(*reason),
                Refusal::NotEmpty => row.member.shallow = true,
                Refusal::Missing => row.waits = Some(new_folder(push).map_or(Waits::Itself, Waits::Node)),
                Refusal::Stale | Refusal::ContentMissing | Refusal::IdInUse => {}
            }
            row.retry = *refusal != Refusal::NotEmpty;
        });
        if *refusal != Refusal::NotEmpty {
            self.agent.dirty.remove(&node);
        }
    }

    fn apply(&mut self, order: &Order) {
        let ending = self.change_disk(order);
        let node = order.node;
        let now = match &ending {
            Ending::There(key, _) => Some(self.state_on_disk(*key)),
            _ => None,
        };
        let done = matches!(ending, Ending::There(..) | Ending::Gone);
        self.agent.change(node, |row| {
            row.member.activity = Activity::Idle;
            if let Some(now) = now {
                row.member.source = super::facts::here(&now);
            }
            match ending {
                Ending::There(key, place) => there(row, order, key, place.is_some()),
                Ending::Gone => {
                    row.member.source = crate::engine::Source::Absent;
                    row.key = None;
                }
                Ending::Changed => row.retry = true,
                Ending::Failed(reason) => {
                    row.waits = Some(waits(order, reason));
                    row.reason = Some(reason);
                    row.retry = true;
                }
            }
        });
        if done {
            self.agent.dirty.insert(node);
        } else {
            self.agent.dirty.remove(&node);
        }
    }

    /// What the applier does. It changes nothing that is not as it was planned on.
    fn change_disk(&mut self, order: &Order) -> Ending {
        if let Apply::Create(state) = &order.apply {
            return self.create(order, state);
        }
        let (Some(key), Some(source)) = (order.key, order.member.source_node()) else { return Ending::Changed };
        let Some(now) = self.disk.items.get(&key).cloned() else { return Ending::Changed };
        let parent = source.state.place.parent.and_then(|parent| self.agent.rows.get(&parent)).and_then(|row| row.key);
        if (now.parent, &now.name, now.aside) != (parent, &source.state.place.name, order.member.aside) {
            return Ending::Changed;
        }
        let as_planned = now.content == source.state.content && (!source.properties_known || now.properties == source.state.properties);
        match &order.apply {
            Apply::Create(_) | Apply::Protect => panic!("not planned for what is there"),
            Apply::Delete => {
                let base = order.member.base.as_ref().expect("what was never equal is not deleted");
                assert_eq!(source.state.content, base.content, "an edit does not survive a delete");
                if !as_planned {
                    return Ending::Changed;
                }
                match self.disk.remove(key) {
                    Ok(item) => {
                        self.kept.extend(item.content.map(|content| *content.root.as_bytes()));
                        Ending::Gone
                    }
                    Err(_) => Ending::Failed(Reason::DeletedOnCloud),
                }
            }
            Apply::StepAside => {
                if let Some(item) = self.disk.items.get_mut(&key) {
                    item.aside = true;
                }
                Ending::There(key, None)
            }
            Apply::Update { content, properties, .. } if (content.is_some() || !properties.is_empty()) && !as_planned => Ending::Changed,
            Apply::Update { content, place, properties, conflict } => {
                let base = order.member.base.as_ref().map(|base| base.content);
                let mut written = false;
                if let Some(item) = self.disk.items.get_mut(&key) {
                    if let Some(content) = content {
                        assert_eq!(*conflict, base != Some(item.content), "a conflict is told from an update");
                        let old = item.content.replace(*content).map(|old| *old.root.as_bytes());
                        self.kept.extend(old);
                        if *conflict {
                            self.conflicts.extend(old);
                        }
                        written = true;
                    }
                    for (property, value) in properties {
                        item.properties.set(*property, value.clone()).unwrap();
                        item.properties_known = true;
                        written = true;
                    }
                }
                let Some(place) = place else { return Ending::There(key, None) };
                match self.disk.rename(key, order.folder, &place.name) {
                    Ok(()) => Ending::There(key, Some(place.clone())),
                    Err(_) if written => Ending::There(key, None),
                    Err(Refused::Exists) => Ending::Failed(Reason::NameClash),
                    Err(Refused::Impossible | Refused::NotEmpty) => Ending::Changed,
                }
            }
        }
    }

    fn create(&mut self, order: &Order, state: &NodeState) -> Ending {
        if state.place.parent.is_some() && order.folder.is_none() {
            return Ending::Changed;
        }
        match self.disk.make(item(order.folder, state)) {
            Ok(key) => Ending::There(key, Some(state.place.clone())),
            Err(Refused::Exists) => Ending::Failed(Reason::NameClash),
            Err(Refused::Impossible | Refused::NotEmpty) => Ending::Changed,
        }
    }
}

fn there(row: &mut Row, order: &Order, key: Key, is_placed: bool) {
    row.key = Some(key);
    let Some(target) = order.member.target_node().map(|target| target.state.clone()) else { return };
    let base = &mut row.member.base;
    match &order.apply {
        Apply::Create(state) => *base = Some(state.clone()),
        Apply::Update { content, place, properties, .. } => {
            let base = base.get_or_insert_with(|| NodeState { properties: Properties::default(), ..target.clone() });
            if content.is_some() {
                base.content = target.content;
            }
            if place.is_some() && is_placed {
                base.place = target.place.clone();
            }
            for (property, _) in properties {
                base.properties.set(*property, target.properties.get(*property).cloned()).unwrap();
            }
        }
        Apply::StepAside | Apply::Protect | Apply::Delete => {}
    }
    row.member.aside = order.apply == Apply::StepAside;
}

fn settle(row: &mut Row) {
    (row.waits, row.reason, row.retry) = (None, None, false);
}

fn begin(row: &mut Row) {
    (row.waits, row.reason, row.retry) = (None, None, false);
}

fn hold_row(row: &mut Row, hold: Hold) {
    row.waits = Some(hold.waits);
    row.reason = hold.reason;
}

fn new_folder(push: &Push) -> Option<NodeId> {
    match push {
        Push::Create(state) => state.place.parent,
        Push::Update { place: Some((place, _)), .. } => place.parent,
        _ => None,
    }
}

fn wanted_place(row: &Row, push: &Push) -> Option<Place> {
    match push {
        Push::Create(state) => Some(state.place.clone()),
        Push::Update { place: Some((place, _)), .. } => Some(place.clone()),
        _ => row.member.source_node().map(|source| source.state.place.clone()),
    }
}

fn waits(order: &Order, reason: Reason) -> Waits {
    let place = match &order.apply {
        Apply::Create(state) => Some(&state.place),
        Apply::Update { place, .. } => place.as_ref(),
        Apply::StepAside | Apply::Protect | Apply::Delete => None,
    };
    match place {
        Some(place) if reason == Reason::NameClash => Waits::Name(place.parent, place.name.folded()),
        _ => Waits::Itself,
    }
}
