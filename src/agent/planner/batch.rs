//! Plans one batch of dirty members in one transaction.

use super::crossing::{self, Crossing};
use super::departing::{self, Departing};
use super::{Order, journal, status};
use crate::agent::state::{Applying, Dirty, InFlight, LocalSet, MemberRow, Pushed, StoredTrees, members};
use crate::engine::brake::Limits;
use crate::engine::reconcile::{Apply, Hold, Step, Waits, reconcile};
use crate::engine::{Activity, Target, TreeView as _};
use crate::model::{Departure, Kind, MemberState, MemberStatus, NodeId, NodeState, OpId, Operation, PairingId, Place, Push, SetId};
use crate::store::{ReadExt as _, StoreError, Transaction, WriteExt as _};
use crate::sys::World;

/// What a batch came to.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Members that were planned.
    pub(super) planned: usize,
    /// Operations in flight from now on.
    pub(super) pushes: Vec<OpId>,
    /// What the applier has to do.
    pub(super) orders: Vec<Order>,
    /// Documents that were made read-only in another set, which this one does not want.
    pub(super) unlocked: Vec<MemberRow>,
    /// Direct members to be forgotten. They stay dirty until they are.
    pub(super) ended: Vec<NodeId>,
}

/// Plans up to `limit` dirty members of a set.
pub(super) fn plan(tx: &mut Transaction<'_>, set: SetId, limit: usize, limits: &Limits, world: &dyn World) -> Result<Batch, StoreError> {
    let mut run = Run { set, world, batch: Batch::default(), deletes: Vec::new(), brake_concerned: false };
    let Some(local) = members::load_set(tx, set)?.filter(|local| !local.ending) else { return Ok(run.batch) };
    let dirty = tx.scan::<Dirty>(&(set,), None, limit)?;
    run.batch.planned = dirty.len();
    for (key, ()) in dirty {
        tx.delete::<Dirty>(&key)?;
        match inherit_absence(tx, set, key.1)? {
            // Its folder was known in another set only, and is no more.
            Some(row) if local.target_complete && journal::is_orphan(tx, set, &row)? => journal::drop_orphans(tx, set, [row.member.node])?,
            Some(row) => {
                run.brake_concerned |= matches!(row.waits, Some(Waits::Brake { .. }));
                run.one(tx, &local, row)?;
            }
            None => run.batch.pushes.extend(left_behind(tx, set, key.1)?),
        }
    }
    run.brake(tx, &local, limits)?;
    Ok(run.batch)
}

/// Loads a member. A folder that left the set took along what is in it, which is written down here, one level at a time.
fn inherit_absence(tx: &mut Transaction<'_>, set: SetId, node: NodeId) -> Result<Option<MemberRow>, StoreError> {
    let Some(before) = members::load(tx, set, node)? else { return Ok(None) };
    let parent = before.member.target_node().and_then(|target| target.state.place.parent);
    let Some(parent) = parent else { return Ok(Some(before)) };
    let Some(Target::Absent(departure)) = members::load(tx, set, parent)?.map(|folder| folder.member.target) else {
        return Ok(Some(before));
    };
    let mut after = before.clone();
    after.member.target = Target::Absent(departure);
    members::save(tx, set, Some(&before), Some(&after))?;
    if after.is_folder() {
        crossing::take_along(tx, set, node, departure)?;
    }
    Ok(Some(after))
}

pub(super) struct Run<'a> {
    pub(super) set: SetId,
    pub(super) world: &'a dyn World,
    pub(super) batch: Batch,
    /// Members whose next step deletes something.
    pub(super) deletes: Vec<NodeId>,
    /// Something was planned that the brake held.
    pub(super) brake_concerned: bool,
}

impl Run<'_> {
    fn one(&mut self, tx: &mut Transaction<'_>, local: &LocalSet, row: MemberRow) -> Result<(), StoreError> {
        let view = StoredTrees { read: &*tx, set: local };
        let departing = if view.unsettled().is_none() { departing::judge(&row) } else { None };
        match departing {
            Some(Departing::Release) => return self.take(tx, local, row, Step::Push(Push::Release { through: None })),
            Some(Departing::Forget) => return self.depart(tx, &row),
            None => {}
        }
        match crossing::cross(tx, local, &row)? {
            Crossing::Here => {}
            // Dirty again, wherever it is now.
            Crossing::Over => return Ok(()),
            Crossing::NotYet => return self.later(tx, &row),
        }
        let view = StoredTrees { read: &*tx, set: local };
        match reconcile(&view, &row.member)? {
            Step::Push(Push::Delete { .. } | Push::Release { .. }) if crossing::send_home(tx, self.set, &row)? => Ok(()),
            Step::Push(Push::Delete { .. }) | Step::Apply(Apply::Delete) => {
                self.deletes.push(row.member.node);
                Ok(())
            }
            step if crossing::follow(tx, self.set, &row, &step)? => Ok(()),
            step => self.take(tx, local, row, step),
        }
    }

    pub(super) fn take(&mut self, tx: &mut Transaction<'_>, local: &LocalSet, before: MemberRow, step: Step) -> Result<(), StoreError> {
        let (node, now) = (before.member.node, self.world.now_millis());
        let mut row = before.clone();
        let recorded = matches!(step, Step::Record(_));
        tracing::trace!(set = %self.set, %node, ?step, "planned");
        match step {
            Step::Rest if row.member.activity == Activity::Idle && needs_protection(local, &row) => {
                self.apply(tx, local, &mut row, Apply::Protect)?
            }
            Step::Rest if row.member.activity == Activity::Idle => self.settle(local, &mut row, now),
            Step::Rest => {}
            Step::Record(state) => {
                row.member.base = Some(state);
                self.settle(local, &mut row, now);
            }
            Step::Hold(hold) => {
                let other = if let Waits::Node(other) = hold.waits { Some(other) } else { None };
                hold_row(tx, self.set, &mut row, hold)?;
                if let Some(other) = other
                    && (members::load(tx, self.set, other)?.is_none() || !members::elsewhere(tx, self.set, other)?.is_empty())
                {
                    // What becomes of it in another set wakes nobody here.
                    status::retry(&mut row, now, self.world.draw());
                }
            }
            Step::Push(push) => self.push(tx, &mut row, push)?,
            Step::Apply(apply) => self.apply(tx, local, &mut row, apply)?,
            Step::Forget => return self.forget(tx, &before),
            Step::Adopt { target } => return adopt(tx, self.set, &before, target),
        }
        members::save(tx, self.set, Some(&before), Some(&row))?;
        if recorded && needs_protection(local, &row) {
            return members::mark_dirty(tx, self.set, node);
        }
        // What was just written is what was planned for; only others were made dirty by it.
        tx.delete::<Dirty>(&(self.set, node))
    }

    fn settle(&mut self, local: &LocalSet, row: &mut MemberRow, now_millis: u64) {
        status::settle(row, now_millis);
        if !local.definition.options.lock_source && row.protection.is_some() {
            self.batch.unlocked.push(row.clone());
        }
    }

    /// Plans it again in a moment.
    fn later(&self, tx: &mut Transaction<'_>, before: &MemberRow) -> Result<(), StoreError> {
        let mut row = before.clone();
        status::retry(&mut row, self.world.now_millis(), self.world.draw());
        members::save(tx, self.set, Some(before), Some(&row))
    }

    fn push(&mut self, tx: &mut Transaction<'_>, row: &mut MemberRow, push: Push) -> Result<(), StoreError> {
        let op = OpId::from_uuid(self.world.mint());
        row.member.activity = if matches!(push, Push::Create(_)) { Activity::Creating } else { Activity::Pushing };
        begin(row, op, self.world.now_millis());
        let operation = Operation { op, set: self.set, node: row.member.node, pairing: row.pairing, push };
        tx.put::<InFlight>(&op, &Pushed { member: row.member.node, operation })?;
        self.batch.pushes.push(op);
        Ok(())
    }

    fn apply(&mut self, tx: &mut Transaction<'_>, local: &LocalSet, row: &mut MemberRow, apply: Apply) -> Result<(), StoreError> {
        let op = OpId::from_uuid(self.world.mint());
        let folder = match new_place(&apply).and_then(|place| place.parent) {
            Some(parent) => members::load(tx, self.set, parent)?.and_then(|folder| folder.source).map(|source| source.key),
            None => None,
        };
        self.batch.orders.push(Order {
            set: self.set,
            set_in_cloud: crossing::abroad(tx, self.set, row)?.unwrap_or(self.set),
            site: local.site.clone(),
            node: row.member.node,
            op,
            apply,
            at: row.source.clone(),
            planned_on: row.member.source_node().map(|source| source.state.clone()),
            target: row.member.target_node().map(|target| target.state.clone()),
            folder,
            last_folder: row.last_folder.clone(),
            aside: row.source.as_ref().and_then(|source| source.aside.clone()),
            retried: row.status.failures > 0,
        });
        row.member.activity = Activity::Applying;
        begin(row, op, self.world.now_millis());
        tx.put::<Applying>(&op, &(self.set, row.member.node))
    }

    /// Its pairing ended. Permissions are restored before it is forgotten, which no transaction can do.
    fn depart(&mut self, tx: &mut Transaction<'_>, row: &MemberRow) -> Result<(), StoreError> {
        departing::report(tx, self.set, row)?;
        self.batch.ended.push(row.member.node);
        members::mark_dirty(tx, self.set, row.member.node)
    }

    /// Nothing is left of it; a folder stays known until nothing in it is.
    fn forget(&self, tx: &mut Transaction<'_>, row: &MemberRow) -> Result<(), StoreError> {
        let node = Some(row.member.node);
        let within = members::at_source(tx, self.set, node)?.into_iter().chain(members::at_target(tx, self.set, node)?).next();
        let Some(within) = within else {
            return members::save(tx, self.set, Some(row), None);
        };
        let mut held = row.clone();
        hold_row(tx, self.set, &mut held, Hold { reason: None, detail: String::new(), waits: Waits::Node(within) })?;
        members::save(tx, self.set, Some(row), Some(&held))?;
        tx.delete::<Dirty>(&(self.set, row.member.node))
    }
}

fn begin(row: &mut MemberRow, op: OpId, now_millis: u64) {
    row.operation = Some(op);
    row.waits = None;
    row.status.now = MemberStatus { state: MemberState::Syncing, reason: None, detail: String::new() };
    row.status.attempt_millis = Some(now_millis);
    row.status.retry_millis = None;
}

fn hold_row(tx: &Transaction<'_>, set: SetId, row: &mut MemberRow, hold: Hold) -> Result<(), StoreError> {
    match (hold.reason, &hold.waits) {
        (Some(reason), _) => status::fail(row, reason, hold.detail),
        (None, Waits::Node(other)) => row.status.now = status::behind(tx, set, *other)?,
        (None, _) => row.status.now = MemberStatus { state: MemberState::Pending, reason: None, detail: hold.detail },
    }
    row.waits = Some(hold.waits);
    Ok(())
}

/// Whether a document has to be made read-only for people, once or again.
fn needs_protection(local: &LocalSet, row: &MemberRow) -> bool {
    let is_document = row.member.source_node().is_some_and(|source| source.state.kind == Kind::Document);
    local.definition.options.lock_source && is_document && row.source.as_ref().is_some_and(|source| !source.protected)
}

fn new_place(apply: &Apply) -> Option<&Place> {
    match apply {
        Apply::Create(state) => Some(&state.place),
        Apply::Update { place, .. } => place.as_ref(),
        Apply::StepAside | Apply::Protect | Apply::Delete => None,
    }
}

/// Gives the source side of a member to the node that the target has in its place.
///
/// # Errors
/// When the store fails.
pub(super) fn adopt(tx: &mut Transaction<'_>, set: SetId, ours: &MemberRow, theirs: NodeId) -> Result<(), StoreError> {
    let before = members::load(tx, set, theirs)?;
    let mut row = before.clone().unwrap_or_else(|| MemberRow::new(theirs, ours.pairing));
    row.member.source = ours.member.source.clone();
    row.source.clone_from(&ours.source);
    row.protection = row.protection.or_else(|| ours.protection.clone());
    row.source_revision = ours.source_revision.max(row.source_revision) + 1;
    members::save(tx, set, Some(ours), None)?;
    members::save(tx, set, before.as_ref(), Some(&row))?;
    for child in members::at_source(tx, set, Some(ours.member.node))? {
        members::update(tx, set, child, |child| child.map(|child| move_into(child, theirs)))?;
    }
    Ok(())
}

fn move_into(mut child: MemberRow, folder: NodeId) -> MemberRow {
    if let crate::engine::Source::Present(source) = &mut child.member.source {
        source.state = NodeState { place: Place { parent: Some(folder), ..source.state.place.clone() }, ..source.state.clone() };
        child.source_revision += 1;
    }
    child
}

/// Gives a member a new identity and a new pairing, as if it had never been at the target: how it is pushed again after a delete there.
///
/// The coordinator keeps the pairing of a deleted direct member, for the case that it is restored: it is told that this one ended. That
/// operation has no member any more; what is dirty under its node is how the planner finds it.
///
/// # Errors
/// When the store fails.
pub fn begin_anew(tx: &mut Transaction<'_>, set: SetId, row: &MemberRow, world: &dyn World) -> Result<(), StoreError> {
    let fresh = MemberRow::new(NodeId::from_uuid(world.mint()), PairingId::from_uuid(world.mint()));
    let node = fresh.member.node;
    if let Target::Absent(departure) = row.member.target {
        // What was in it there is gone with it, which nobody could tell once the folder is not known any more.
        for child in members::at_target(tx, set, Some(row.member.node))? {
            members::update(tx, set, child, |child| {
                child.map(|mut child| {
                    child.member.target = Target::Absent(departure);
                    child
                })
            })?;
        }
    }
    members::save(tx, set, None, Some(&fresh))?;
    adopt(tx, set, row, node)?;
    if row.is_direct() && matches!(row.member.target, Target::Absent(Departure::Deleted)) {
        let (op, node) = (OpId::from_uuid(world.mint()), row.member.node);
        let operation = Operation { op, set, node, pairing: row.pairing, push: Push::Release { through: None } };
        tx.put::<InFlight>(&op, &Pushed { member: node, operation })?;
        members::mark_dirty(tx, set, node)?;
    }
    Ok(())
}

/// Finds the release that is in flight for a node that is no member any more.
fn left_behind(tx: &Transaction<'_>, set: SetId, node: NodeId) -> Result<Vec<OpId>, StoreError> {
    let rows = tx.scan::<InFlight>(&(), None, usize::MAX)?;
    Ok(rows
        .into_iter()
        .filter(|(_, pushed)| pushed.operation.set == set && pushed.member == node && matches!(pushed.operation.push, Push::Release { .. }))
        .map(|(op, _)| op)
        .collect())
}
