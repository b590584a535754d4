//! What came of a push, told by its outcome or by the journal, whichever comes first.

use super::{batch, departing, journal, status};
use crate::agent::state::{InFlight, MemberRow, Pushed, members};
use crate::engine::reconcile::Waits;
use crate::engine::{Activity, Source, Target};
use crate::model::{
    Departure, MemberState, MemberStatus, NodeId, NodeState, OpId, Operation, Outcome, Place, Push, Reason, Refusal, Revisions, Sequence,
    SetId, TargetNode,
};
use crate::store::{ReadExt as _, StoreError, Transaction, WriteExt as _};
use crate::sys::World;

/// What the session has to do about an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the operation ended.
    Ended,
    /// The content is to be uploaded, then the same operation sent again.
    Upload(OpId),
    /// Another operation took its place and is to be sent.
    Send(OpId),
    /// It ended, and the coordinator does not know what the target tree says that it has: the set is to be listed anew.
    Relist(SetId),
}

/// When an operation that was refused is planned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// At once: something else would be planned by now.
    Now,
    /// After a delay, or as soon as something that it hangs on changes.
    Later,
    /// Only as soon as something that it hangs on changes.
    Woken,
    /// After a delay, over a target tree that was listed anew.
    Relisted,
}

/// The refusals in a row after which what is missing there is not taken for news that is still to come.
const MISSING_MAX: u32 = 3;
/// After this many further ones a listing is asked for once more: it costs the whole set.
const RELIST_EVERY: u32 = 16;

/// Writes down the outcome of an operation. One that is not in flight any more was heard of before.
///
/// # Errors
/// When the store fails.
pub fn record(tx: &mut Transaction<'_>, op: OpId, outcome: &Outcome, world: &dyn World) -> Result<Next, StoreError> {
    let Some(pushed) = tx.get::<InFlight>(&op)? else { return Ok(Next::Ended) };
    tracing::trace!(?pushed, ?outcome, "outcome");
    match outcome {
        // The state of an adopted node comes with the journal alone.
        Outcome::Done(_) if matches!(pushed.operation.push, Push::Pair { .. }) => Ok(Next::Ended),
        Outcome::Done(sequence) => done(tx, &pushed, *sequence, None, world).map(|()| Next::Ended),
        Outcome::Refused(Refusal::ContentMissing) => Ok(Next::Upload(op)),
        Outcome::Refused(refusal) => refused(tx, &pushed, refusal, world),
    }
}

/// Ends an operation that was done: base becomes what was pushed, and the target what the journal says or, before it does, the same.
///
/// # Errors
/// When the store fails.
pub fn done(
    tx: &mut Transaction<'_>,
    pushed: &Pushed,
    sequence: Sequence,
    journal: Option<&Target>,
    world: &dyn World,
) -> Result<(), StoreError> {
    let operation = &pushed.operation;
    tx.delete::<InFlight>(&operation.op)?;
    let Some(before) = members::load(tx, operation.set, pushed.member)?.filter(|row| row.operation == Some(operation.op)) else {
        return Ok(());
    };
    let mut row = before.clone();
    end(&mut row);
    match &operation.push {
        Push::Create(state) => {
            row.member.base = Some(state.clone());
            row.member.target = present(operation.node, state.clone(), Revisions::all_at(sequence, &state.properties));
        }
        Push::Update { .. } => update(&mut row, operation, sequence),
        Push::Delete { .. } => row.member.target = Target::Absent(Departure::Deleted),
        Push::Release { .. } => row.member.target = Target::Absent(Departure::Released),
        Push::Pair { .. } => {}
    }
    if let Some(target) = journal {
        row.member.target = target.clone();
    }
    row.status.success_millis = Some(world.now_millis());
    row.status.failures = 0;
    members::save(tx, operation.set, Some(&before), Some(&row))?;
    // Equal now or not: the planner says.
    members::mark_dirty(tx, operation.set, pushed.member)?;
    match (&operation.push, pushed.member != operation.node) {
        (Push::Pair { .. }, true) => batch::adopt(tx, operation.set, &row, operation.node),
        _ => Ok(()),
    }
}

/// Ends an operation that never left, because its content is no longer at the source. What has other content by now is planned again at once,
/// anything else when it was looked at, and after a delay: looking need not find why the content cannot be read.
///
/// # Errors
/// When the store fails.
pub fn cancel(tx: &mut Transaction<'_>, op: OpId, world: &dyn World) -> Result<(), StoreError> {
    let Some(pushed) = tx.get::<InFlight>(&op)? else { return Ok(()) };
    tx.delete::<InFlight>(&op)?;
    let (set, node) = (pushed.operation.set, pushed.member);
    let Some(before) = members::load(tx, set, node)?.filter(|row| row.operation == Some(op)) else { return Ok(()) };
    let mut row = before.clone();
    end(&mut row);
    let content = row.member.source_node().and_then(|source| source.state.content);
    let is_same = match &pushed.operation.push {
        Push::Create(state) => state.content == content,
        Push::Update { content: Some((pushed, _)), .. } => Some(*pushed) == content,
        _ => false,
    };
    if is_same {
        status::retry(&mut row, world.now_millis(), world.draw());
    }
    members::save(tx, set, Some(&before), Some(&row))?;
    if is_same { tx.delete::<crate::agent::state::Dirty>(&(set, node)) } else { members::mark_dirty(tx, set, node) }
}

/// Ends all operations of a set without an outcome: what they build on means something else by now, and all is planned again.
///
/// # Errors
/// When the store fails.
pub fn abandon(tx: &mut Transaction<'_>, set: SetId) -> Result<(), StoreError> {
    for (op, pushed) in tx.scan::<InFlight>(&(), None, usize::MAX)?.into_iter().filter(|(_, pushed)| pushed.operation.set == set) {
        let Some(before) = members::load(tx, set, pushed.member)?.filter(|row| row.operation == Some(op)) else { continue };
        tx.delete::<InFlight>(&op)?;
        let mut row = before.clone();
        end(&mut row);
        members::save(tx, set, Some(&before), Some(&row))?;
    }
    Ok(())
}

fn end(row: &mut MemberRow) {
    row.member.activity = Activity::Idle;
    row.operation = None;
    row.status.now = MemberStatus { state: MemberState::Pending, reason: None, detail: String::new() };
}

const fn present(node: NodeId, state: NodeState, revisions: Revisions) -> Target {
    Target::Present(TargetNode { node, state, revisions })
}

/// Moves base and target to the facets that were pushed.
fn update(row: &mut MemberRow, operation: &Operation, sequence: Sequence) {
    let Push::Update { content, place, properties } = &operation.push else { return };
    let (Some(base), Target::Present(target)) = (&mut row.member.base, &mut row.member.target) else { return };
    if let Some((content, _)) = content {
        base.content = Some(*content);
        target.state.content = Some(*content);
        target.revisions.content = sequence;
    }
    if let Some((place, _)) = place {
        base.place.clone_from(place);
        target.state.place.clone_from(place);
        target.revisions.place = sequence;
    }
    for change in properties {
        for known in [&mut base.properties, &mut target.state.properties] {
            let fits = known.set(change.property, change.value.clone());
            debug_assert!(fits.is_ok(), "a value that was pushed fits its property");
        }
        target.revisions.properties.insert(change.property, sequence);
    }
}

fn refused(tx: &mut Transaction<'_>, pushed: &Pushed, refusal: &Refusal, world: &dyn World) -> Result<Next, StoreError> {
    let operation = &pushed.operation;
    tx.delete::<InFlight>(&operation.op)?;
    let Some(before) = members::load(tx, operation.set, pushed.member)?.filter(|row| row.operation == Some(operation.op)) else {
        return Ok(Next::Ended);
    };
    if *refusal == Refusal::IdInUse {
        return batch::begin_anew(tx, operation.set, &before, world).map(|()| Next::Ended);
    }
    let mut row = before.clone();
    if let Some(pair) = offer_pairing(&row, operation, refusal, world) {
        row.operation = Some(pair.op);
        let op = pair.op;
        tx.put::<InFlight>(&op, &Pushed { member: pushed.member, operation: pair })?;
        members::save(tx, operation.set, Some(&before), Some(&row))?;
        return Ok(Next::Send(op));
    }
    end(&mut row);
    if matches!(operation.push, Push::Release { .. }) && *refusal == Refusal::Missing && departing::left_library(&row) {
        // The coordinator ended the pairing before.
        row.member.target = Target::Absent(Departure::Released);
        return members::save(tx, operation.set, Some(&before), Some(&row)).map(|()| Next::Ended);
    }
    explain(tx, &mut row, operation, refusal)?;
    if *refusal == Refusal::NotEmpty {
        row.member.shallow = true;
    }
    let again = again(tx, &row, operation, refusal)?;
    if matches!(again, Again::Later | Again::Relisted) {
        status::retry(&mut row, world.now_millis(), world.draw());
    }
    members::save(tx, operation.set, Some(&before), Some(&row))?;
    if again != Again::Now {
        tx.delete::<crate::agent::state::Dirty>(&(operation.set, pushed.member))?;
    }
    if again == Again::Relisted {
        journal::begin(tx, operation.set)?;
        return Ok(Next::Relist(operation.set));
    }
    Ok(Next::Ended)
}

fn again(tx: &Transaction<'_>, row: &MemberRow, operation: &Operation, refusal: &Refusal) -> Result<Again, StoreError> {
    let known = members::load_set(tx, operation.set)?.and_then(|local| local.cursor).map_or(Sequence::ZERO, |cursor| cursor.sequence);
    if *refusal == Refusal::NotEmpty || !builds_on_current(&operation.push, &row.member.target, known) {
        return Ok(Again::Now);
    }
    Ok(match refusal {
        // No time changes what kind of thing it is.
        Refusal::Because(Reason::UnsupportedType, _) => Again::Woken,
        Refusal::Missing if waits_for_its_folder(tx, operation)? => Again::Woken,
        Refusal::Missing if row.status.failures % RELIST_EVERY == MISSING_MAX => Again::Relisted,
        _ => Again::Later,
    })
}

/// Whether the folder that an operation puts a node into is not there yet, as far as is known here.
fn waits_for_its_folder(tx: &Transaction<'_>, operation: &Operation) -> Result<bool, StoreError> {
    let Some(folder) = new_folder(operation) else { return Ok(false) };
    let folder = members::load(tx, operation.set, folder)?;
    Ok(folder.is_some_and(|folder| folder.member.target_node().is_none()))
}

/// Whether a push names the state of the target that is known now, through `known`. The journal can tell of a newer one while the push is
/// under way.
fn builds_on_current(push: &Push, target: &Target, known: Sequence) -> bool {
    match (push, target) {
        (Push::Create(_) | Push::Pair { .. }, Target::Never) => true,
        (Push::Update { content, place, properties }, Target::Present(TargetNode { revisions, .. })) => {
            content.is_none_or(|(_, base)| base == revisions.content)
                && place.as_ref().is_none_or(|(_, base)| *base == revisions.place)
                && properties.iter().all(|change| change.base == revisions.property(change.property))
        }
        (Push::Delete { through }, Target::Present(_)) => known <= *through,
        (Push::Release { through }, Target::Present(_) | Target::Absent(_)) => through.is_none_or(|through| known <= through),
        _ => false,
    }
}

/// A direct member whose name is taken in the target folder may be adopted there: a folder always, a document if it is equal, which the
/// coordinator checks.
fn offer_pairing(row: &MemberRow, operation: &Operation, refusal: &Refusal, world: &dyn World) -> Option<Operation> {
    let Refusal::NameTaken { holder: Some(holder) } = refusal else { return None };
    let Push::Create(state) = &operation.push else { return None };
    if state.place.parent.is_some() || row.member.base.is_some() {
        return None;
    }
    Some(Operation {
        op: OpId::from_uuid(world.mint()),
        set: operation.set,
        node: *holder,
        pairing: operation.pairing,
        push: Push::Pair { content: state.content },
    })
}

fn explain(tx: &Transaction<'_>, row: &mut MemberRow, operation: &Operation, refusal: &Refusal) -> Result<(), StoreError> {
    match refusal {
        Refusal::Because(reason, detail) => {
            row.waits = Some(Waits::Itself);
            status::fail(row, *reason, detail.clone());
        }
        // A pairing is offered for a name that is taken: what has it is not equal.
        Refusal::Stale if matches!(operation.push, Push::Pair { .. }) => clash(row, operation),
        Refusal::NameTaken { .. } => clash(row, operation),
        // The folder that it goes into is not there yet: what keeps that one away is what keeps this one.
        Refusal::Missing => {
            let folder = new_folder(operation);
            row.waits = Some(folder.map_or(Waits::Itself, Waits::Node));
            if let Some(folder) = folder {
                row.status.now = status::behind(tx, operation.set, folder)?;
            }
        }
        Refusal::Stale | Refusal::NotEmpty | Refusal::IdInUse | Refusal::ContentMissing => row.waits = Some(Waits::Itself),
    }
    Ok(())
}

fn clash(row: &mut MemberRow, operation: &Operation) {
    if let Some(place) = wanted_place(row, operation) {
        row.waits = Some(Waits::Name(place.parent, place.name.folded()));
        status::fail(row, Reason::NameClash, format!("The name {:?} is taken in the cloud.", place.name));
    }
}

/// The folder that an operation puts a node into.
fn new_folder(operation: &Operation) -> Option<NodeId> {
    match &operation.push {
        Push::Create(state) => state.place.parent,
        Push::Update { place: Some((place, _)), .. } => place.parent,
        _ => None,
    }
}

fn wanted_place(row: &MemberRow, operation: &Operation) -> Option<Place> {
    match (&operation.push, &row.member.source) {
        (Push::Create(state), _) => Some(state.place.clone()),
        (Push::Update { place: Some((place, _)), .. }, _) => Some(place.clone()),
        (_, Source::Present(source)) => Some(source.state.place.clone()),
        _ => None,
    }
}

/// Returns the set of an operation in flight.
///
/// # Errors
/// When the store cannot be read.
pub fn set_of(tx: &Transaction<'_>, op: OpId) -> Result<Option<SetId>, StoreError> {
    Ok(tx.get::<InFlight>(&op)?.map(|pushed| pushed.operation.set))
}
