//! Members that the cloud moved from one sync set into another: one move at the source too, not a copy beside what was there.
//!
//! The journals of two sets are read apart, so what entered one set can be planned before the other set is told that it left. It waits for
//! that, a moment; then its source side changes hands. What is in a folder follows, each member when its own turn comes.

use crate::agent::state::{LocalSet, LocalSets, MemberRow, members};
use crate::engine::{Activity, Target};
use crate::model::{NodeId, SetId};
use crate::store::{ReadExt as _, StoreError, Transaction};

/// The deepest folder that is looked at.
const DEPTH_MAX: usize = 4_096;

/// Where a node is, of which this set has nothing at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crossing {
    /// In no other set.
    Nowhere,
    /// In another set, which still has something to do or to hear of it.
    NotYet,
    /// It was in another set, and is in this one from now on.
    Over,
}

/// Brings over the source side of a member that another set of the same network has.
pub(super) fn cross(tx: &mut Transaction<'_>, to: &LocalSet, row: &MemberRow) -> Result<Crossing, StoreError> {
    let (into, node) = (to.definition.id, row.member.node);
    for (from, local) in tx.scan::<LocalSets>(&(), None, usize::MAX)? {
        if from == into || local.definition.network != to.definition.network {
            continue;
        }
        let Some(there) = members::load(tx, from, node)?.filter(|there| there.source.is_some()) else { continue };
        if there.member.activity != Activity::Idle || !has_left(tx, from, into, node)? {
            return Ok(Crossing::NotYet);
        }
        let mut here = row.clone();
        here.member.source = there.member.source.clone();
        here.member.base = there.member.base.clone();
        here.source.clone_from(&there.source);
        here.source_revision = there.source_revision.max(row.source_revision) + 1;
        members::save(tx, from, Some(&there), None)?;
        members::save(tx, into, Some(row), Some(&here))?;
        return Ok(Crossing::Over);
    }
    Ok(Crossing::Nowhere)
}

/// Whether a node left its set, or a folder that it was in did, which may have crossed before it.
fn has_left(tx: &Transaction<'_>, from: SetId, into: SetId, node: NodeId) -> Result<bool, StoreError> {
    let mut at = node;
    for _ in 0..DEPTH_MAX {
        match members::load(tx, from, at)?.map(|row| row.member.target) {
            Some(Target::Absent(_)) => return Ok(true),
            Some(Target::Present(target)) => match target.state.place.parent {
                Some(parent) => at = parent,
                None => return Ok(false),
            },
            Some(Target::Never) => return Ok(false),
            None => return Ok(members::load(tx, into, at)?.is_some_and(|row| row.source.is_some())),
        }
    }
    Ok(false)
}
