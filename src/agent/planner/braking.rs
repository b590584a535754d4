//! Judges deletes together, before the first of them starts.
//!
//! A plan comes in batches, so a delete that was not judged waits, with all others of its side, until nothing else is dirty: then the whole
//! plan is known. What the brake lets go on passes in as many batches as it takes; what it stops waits for a person.

use std::collections::BTreeSet;

use super::batch::Run;
use crate::agent::state::{Braked, Dirty, LocalSet, MemberRow, StoredTrees, members};
use crate::engine::brake::{Limits, Verdict, Window};
use crate::engine::reconcile::{Apply, Hold, Step, Waits, reconcile};
use crate::model::{NodeId, Push, Reason, SetId};
use crate::store::{Read, ReadExt as _, StoreError, Transaction};

/// A delete that may start if the brake lets it.
struct Delete {
    row: MemberRow,
    step: Step,
    /// How many members it takes along, with itself.
    count: u64,
}

/// Whether deletes wait to be judged. Those that the brake stopped wait for a person.
pub(super) fn is_due(read: &(impl Read + ?Sized), set: &LocalSet) -> Result<bool, StoreError> {
    for at_target in [true, false] {
        let is_braked = set.braked.is_some_and(|braked| braked.at_target == at_target);
        if !is_braked && members::is_waited_for(read, set.definition.id, &Waits::Brake { at_target })? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Run<'_> {
    /// Plans the deletes of the batch, or holds them.
    pub(super) fn brake(&mut self, tx: &mut Transaction<'_>, local: &LocalSet, limits: &Limits) -> Result<(), StoreError> {
        let (mut at_target, mut at_source) = (Vec::new(), Vec::new());
        for node in std::mem::take(&mut self.deletes) {
            // Planned again: what was planned meanwhile may have changed what this one sees.
            let Some(row) = members::load(tx, self.set, node)? else { continue };
            let step = reconcile(&StoredTrees { read: &*tx, set: local }, &row.member)?;
            match step {
                Step::Push(Push::Delete { .. }) => at_target.push(Delete { count: count_at_target(tx, self.set, node)?, row, step }),
                Step::Apply(Apply::Delete) => at_source.push(Delete { count: 1, row, step }),
                step => self.take(tx, local, row, step)?,
            }
        }
        let is_last = tx.scan::<Dirty>(&(self.set,), None, 1)?.is_empty();
        for (at_target, deletes) in [(true, at_target), (false, at_source)] {
            if is_last {
                self.judge(tx, limits, at_target, &deletes)?;
            }
            self.pass(tx, local, at_target, deletes)?;
        }
        Ok(())
    }

    /// Asks the brake about all deletes of a side that wait.
    fn judge(&mut self, tx: &mut Transaction<'_>, limits: &Limits, at_target: bool, deletes: &[Delete]) -> Result<(), StoreError> {
        let Some(set) = members::load_set(tx, self.set)? else { return Ok(()) };
        let is_braked = set.braked.is_some_and(|braked| braked.at_target == at_target);
        if deletes.is_empty() && is_braked && !self.brake_concerned {
            return Ok(());
        }
        let waits = Waits::Brake { at_target };
        let own: BTreeSet<_> = deletes.iter().map(|delete| delete.row.member.node).collect();
        let others: Vec<_> = members::waiting(tx, self.set, &waits)?.into_iter().filter(|node| !own.contains(node)).collect();
        if own.is_empty() && others.is_empty() && !is_braked {
            return Ok(());
        }
        let mut count: u64 = deletes.iter().map(|delete| delete.count).sum();
        for node in &others {
            count += if at_target { count_at_target(tx, self.set, *node)? } else { 1 };
        }
        let members = set.counts.values().map(|count| count.members).sum();
        let now = self.world.now_millis();
        let mut verdict = Verdict::Release;
        members::update_set(tx, self.set, |local| {
            if count > 0 {
                verdict = window(local, at_target).judge(limits, count, members, now);
            }
            match verdict {
                Verdict::Engage { recent, members } => local.braked = Some(Braked { at_target, deletes: count, recent, members }),
                Verdict::Release if is_braked => local.braked = None,
                Verdict::Release => {}
            }
        })?;
        if verdict == Verdict::Release {
            members::wake(tx, self.set, &waits)?;
        }
        // Whatever it says, they are planned again.
        self.batch.planned += others.len();
        Ok(())
    }

    /// Starts the deletes that may pass; the others wait.
    fn pass(&mut self, tx: &mut Transaction<'_>, local: &LocalSet, at_target: bool, deletes: Vec<Delete>) -> Result<(), StoreError> {
        if deletes.is_empty() {
            return Ok(());
        }
        let now = self.world.now_millis();
        let (mut passes, mut braked) = (Vec::new(), None);
        members::update_set(tx, self.set, |local| {
            braked = local.braked.filter(|braked| braked.at_target == at_target);
            let window = window(local, at_target);
            passes.extend(deletes.iter().map(|delete| braked.is_none() && window.pass(delete.count, now)));
        })?;
        for (delete, passes) in deletes.into_iter().zip(passes) {
            let step = if passes { delete.step } else { Step::Hold(held(at_target, braked)) };
            self.take(tx, local, delete.row, step)?;
        }
        Ok(())
    }
}

const fn window(local: &mut LocalSet, at_target: bool) -> &mut Window {
    if at_target { &mut local.brake_target } else { &mut local.brake_source }
}

fn held(at_target: bool, braked: Option<Braked>) -> Hold {
    let detail = braked.map(|Braked { deletes, recent, members, .. }| {
        let before = if recent == 0 { String::new() } else { format!(" {recent} were deleted shortly before.") };
        format!("This would delete {deletes} of {members} items.{before}")
    });
    Hold { reason: detail.is_some().then_some(Reason::BrakeEngaged), detail: detail.unwrap_or_default(), waits: Waits::Brake { at_target } }
}

/// Counts a member and what is in it at the target.
fn count_at_target(tx: &Transaction<'_>, set: SetId, node: NodeId) -> Result<u64, StoreError> {
    let (mut count, mut stack) = (0, vec![node]);
    while let Some(node) = stack.pop() {
        count += 1;
        stack.extend(members::at_target(tx, set, Some(node))?);
    }
    Ok(count)
}
