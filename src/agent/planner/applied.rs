//! What came of an order to the applier.

use super::{Order, status};
use crate::agent::state::{Applying, Dirty, MemberRow, SourceRow, members};
use crate::engine::reconcile::{Apply, Waits, source_changed};
use crate::engine::{Activity, Source, SourceNode};
use crate::model::{MemberState, MemberStatus, NodeState, Place, Properties, Reason};
use crate::store::{StoreError, Transaction, WriteExt as _};
use crate::sys::World;

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Done, durably: the member is at the source like this now. For [`Apply::StepAside`] the state is what it was.
    There(SourceRow, NodeState),
    /// Done, durably: the member is no longer at the source.
    Gone,
    /// Nothing was done, because the source is not what the plan was made for. The tracker was asked to look.
    Changed,
    /// Nothing was done, for this reason.
    Failed(Reason, String),
}

/// Writes down how an order ended. If the member went on without it, only the source side is.
///
/// # Errors
/// When the store fails.
pub fn record(tx: &mut Transaction<'_>, order: &Order, ending: &Ending, world: &dyn World) -> Result<(), StoreError> {
    tx.delete::<Applying>(&order.op)?;
    tracing::trace!(set = %order.set, node = %order.node, apply = ?order.apply, ?ending, "applied");
    let Some(before) = members::load(tx, order.set, order.node)?.filter(|row| row.operation == Some(order.op)) else { return Ok(()) };
    let mut row = before.clone();
    row.member.activity = Activity::Idle;
    row.operation = None;
    row.status.now = MemberStatus { state: MemberState::Pending, reason: None, detail: String::new() };
    if matches!(ending, Ending::There(..)) && puts_back(tx, order, &before)? {
        row.put_back_millis = Some(world.now_millis());
    }
    match ending {
        Ending::There(source, state) => there(&mut row, order, source, state, world.now_millis()),
        Ending::Gone => {
            row.member.source = Source::Absent;
            row.last_folder = row.source.take().map(|source| source.folder);
            row.source_revision += 1;
        }
        Ending::Changed => status::retry(&mut row, world.now_millis(), world.draw()),
        Ending::Failed(reason, detail) => {
            row.waits = Some(waits(order, *reason));
            status::fail(&mut row, *reason, detail.clone());
            status::retry(&mut row, world.now_millis(), world.draw());
        }
    }
    members::save(tx, order.set, Some(&before), Some(&row))?;
    match ending {
        Ending::There(..) | Ending::Gone => members::mark_dirty(tx, order.set, order.node),
        Ending::Changed | Ending::Failed(..) => tx.delete::<Dirty>(&(order.set, order.node)),
    }
}

/// Whether an order put back what somebody changed at the source although the set locks it.
fn puts_back(tx: &Transaction<'_>, order: &Order, before: &MemberRow) -> Result<bool, StoreError> {
    let is_locked = members::load_set(tx, order.set)?.is_some_and(|set| set.definition.options.lock_source);
    let Some(base) = before.member.base.as_ref().filter(|_| is_locked) else { return Ok(false) };
    Ok(match &order.apply {
        Apply::Create(_) => true,
        Apply::Update { .. } => before.member.source_node().is_some_and(|source| source_changed(base, source)),
        Apply::StepAside | Apply::Protect | Apply::Delete => false,
    })
}

fn there(row: &mut MemberRow, order: &Order, source: &SourceRow, state: &NodeState, now_millis: u64) {
    row.member.aside = source.aside.is_some();
    row.source = Some(source.clone());
    row.source_revision += 1;
    row.member.source = Source::Present(SourceNode { state: state.clone(), properties_known: true, problem: None });
    row.status.success_millis = Some(now_millis);
    row.status.failures = 0;
    if let Some(target) = &order.target {
        move_base(row, &order.apply, target, state);
    }
}

/// Base becomes the target's in the facets that were applied: a move can fail after the content was placed.
fn move_base(row: &mut MemberRow, apply: &Apply, target: &NodeState, done: &NodeState) {
    match apply {
        Apply::Create(state) => row.member.base = Some(state.clone()),
        Apply::Update { content, place, properties, .. } => {
            // Without a base both sides were merged, the target winning where both had something: only properties may still differ.
            let base = row.member.base.get_or_insert_with(|| NodeState { properties: Properties::default(), ..target.clone() });
            if content.is_some() {
                base.content = target.content;
            }
            if place.as_ref() == Some(&done.place) {
                base.place.clone_from(&target.place);
            }
            for (property, _) in properties {
                let fits = base.properties.set(*property, target.properties.get(*property).cloned());
                debug_assert!(fits.is_ok(), "a value taken from properties fits its property");
            }
        }
        Apply::StepAside | Apply::Protect | Apply::Delete => {}
    }
}

fn waits(order: &Order, reason: Reason) -> Waits {
    let place: Option<&Place> = match &order.apply {
        Apply::Create(state) => Some(&state.place),
        Apply::Update { place, .. } => place.as_ref(),
        Apply::StepAside | Apply::Protect | Apply::Delete => None,
    };
    match place {
        Some(place) if reason == Reason::NameClash => Waits::Name(place.parent, place.name.folded()),
        _ => Waits::Itself,
    }
}
