//! How things came about: what an operation built on, which document goes on as which, and what was replaced by what.

use std::collections::BTreeMap;

use skybridge::agent::versions::{Cause, Version};
use skybridge::coordinator::journal::Entry;
use skybridge::model::{NodeId, Property, Revisions, Sequence};

use crate::world::ledger::{Content, Ledger, Root, Side, key};
use crate::world::library::Library;
use crate::world::run::Sim;

/// What was changed by one sequence: names of facets, with the revisions that they had before.
fn changed(before: &Revisions, after: &Revisions, at: Sequence) -> Vec<(&'static str, Sequence)> {
    let mut facets = vec![("content", before.content, after.content), ("place", before.place, after.place)];
    facets.extend(Property::ALL.into_iter().map(|property| ("property", before.property(property), after.property(property))));
    facets.into_iter().filter(|(_, _, now)| *now == at).map(|(name, was, _)| (name, was)).collect()
}

/// When an operation was thought of, in milliseconds since 1970: the first part of its id.
fn planned_millis(op: [u8; 16]) -> i64 {
    op[..6].iter().fold(0, |millis, byte| (millis << 8) | i64::from(*byte))
}

fn millis(entry: &Entry) -> i64 {
    entry.at.seconds * 1_000 + i64::from(entry.at.nanoseconds / 1_000_000)
}

/// No operation replaced what came about only after it was thought of: nobody who sent it knew that. Where clocks were set that cannot be seen.
pub(super) fn check_bases(entries: &BTreeMap<Sequence, Entry>, failures: &mut Vec<String>) {
    let mut last: BTreeMap<NodeId, &Revisions> = BTreeMap::new();
    for (sequence, entry) in entries {
        let node = &entry.node;
        let before = last.insert(node.node, &node.revisions).filter(|_| node.revisions.existence != *sequence);
        let (Some((_, op)), Some(before)) = (entry.op, before) else { continue };
        for (facet, was) in changed(before, &node.revisions, *sequence) {
            if let Some(replaced) = entries.get(&was)
                && replaced.node.node == node.node
                && millis(replaced) > planned_millis(*op.as_bytes())
            {
                failures.push(format!(
                    "STALE: {op} replaced at {sequence} the {facet} of {} at {was}, which its agent had not seen",
                    node.node
                ));
            }
        }
    }
}

impl Sim {
    /// Whether nobody but the agents can have brought a content to where it is more often than once, or again.
    fn is_plain(&self, content: &Content) -> bool {
        !content.restored && !content.undone && !self.ledger.borrow().locks
    }

    /// What a person only moved at a source is the same document in the cloud as before; with `flat`, where sets have no subfolders, in which
    /// what is moved leaves its set.
    pub(super) fn check_same(&self, library: &Library, flat: bool, failures: &mut Vec<String>) {
        let ledger = self.ledger.borrow();
        for live in &library.live {
            let Some((root, content)) = written(&ledger, live.node.content.as_ref().map(|content| key(&content.root))) else { continue };
            let is_only_moved = content.required && !content.ended && !content.carried && !content.touched.contains(&Side::Cloud);
            if flat && content.moved {
                continue;
            }
            if library.deleted_by_sync.contains(&root) && is_only_moved && self.is_plain(content) {
                failures
                    .push(format!("REBORN: nobody deleted {}, and it was deleted in the cloud and made anew: {}", content.name, live.path));
            }
        }
    }

    /// What was made at a source, where nothing was, is no later version of what was deleted elsewhere.
    pub(super) fn check_mistaken(&self, library: &Library, failures: &mut Vec<String>) {
        let ledger = self.ledger.borrow();
        let mut nodes: BTreeMap<NodeId, Vec<&Content>> = BTreeMap::new();
        for (node, version) in &library.versions {
            let content = written(&ledger, Some(key(&version.root))).map(|(_, content)| content);
            nodes.entry(*node).or_default().extend(content.filter(|content| self.is_plain(content)));
        }
        for versions in nodes.values() {
            for (index, later) in versions.iter().enumerate() {
                for earlier in &versions[..index] {
                    if is_mistaken(earlier, later) {
                        failures.push(format!("MISTAKEN: {} was made anew, and goes on as {}", later.name, earlier.name));
                    }
                }
            }
        }
    }

    /// What an agent kept because the cloud replaced it is not what the cloud has now.
    pub(super) fn check_kept(&self, library: &Library, site: &str, version: &Version, failures: &mut Vec<String>) {
        let ledger = self.ledger.borrow();
        let root = key(&version.content.root);
        let Some((_, content)) = written(&ledger, Some(root)).filter(|(_, content)| self.is_plain(content)) else { return };
        let is_newest = library.live.iter().any(|live| live.node.content.as_ref().is_some_and(|content| key(&content.root) == root));
        if version.cause == Cause::Replaced && is_newest {
            failures
                .push(format!("OLDER: {} is the newest in the cloud, and was replaced at {site} by something from there", content.name));
        }
    }

    /// What a person wrote over at the source where it was written is not there again.
    pub(super) fn check_written_over(&self, side: Side, root: &Root, paths: &[String], failures: &mut Vec<String>) {
        let ledger = self.ledger.borrow();
        let Some((_, content)) = written(&ledger, Some(*root)).filter(|(_, content)| self.is_plain(content)) else { return };
        let elsewhere = content.touched.iter().any(|touched| *touched != side);
        if content.by == side && content.written_over.contains(&side) && !elsewhere {
            failures.push(format!("OLD: {} was written over at {side:?} and is there again: {paths:?}", content.name));
        }
    }

    /// A property that a person gave to something in the cloud is there, unless people took some away.
    pub(super) fn check_described(&self, library: &Library, failures: &mut Vec<String>) {
        let ledger = self.ledger.borrow();
        if ledger.properties_gone {
            return;
        }
        let live: BTreeMap<String, _> = library.live.iter().map(|live| (live.id.to_string(), live)).collect();
        for (node, property) in &ledger.described {
            let Some(live) = live.get(node) else { continue };
            let has = |wanted| live.node.properties.get(wanted).is_some();
            let is_there = if property == "cm:title" { has(Property::Title) } else { has(Property::Author) };
            if !is_there {
                failures.push(format!("VANISHED: nobody took {property} of {} away", live.path));
            }
        }
    }
}

fn written(ledger: &Ledger, root: Option<Root>) -> Option<(Root, &Content)> {
    root.and_then(|root| Some((root, ledger.contents.get(&root)?)))
}

fn is_mistaken(earlier: &Content, later: &Content) -> bool {
    let (Some(removed), Some(made)) = (&earlier.removed_at, &later.made_at) else { return false };
    let in_cloud = [earlier, later].iter().any(|content| content.touched.contains(&Side::Cloud));
    earlier.by == later.by && removed != made && !in_cloud && !later.touched.contains(&later.by)
}
