//! What is left when the power goes.
//!
//! Of each file system the journal is replayed up to some operation, at least to the last one that was committed: operations are there in
//! their order, and the end is missing. Attributes of files that were flushed are there in any case. The bytes that were not flushed are there
//! block by block or not at all, in any order, and the length of a file is what it was, or is, or was in between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::node::{Body, Entry, Id, Named, Node};
use super::state::{Place, State};
use super::volume::Undo;

/// What a power loss did to what programs had seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PowerLoss {
    /// Operations that are undone, of all file systems.
    pub(crate) undone: u64,
    /// Files whose bytes are not what programs saw last.
    pub(crate) torn: Vec<Torn>,
}

/// A file that a power loss left with other bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Where it is now.
    pub(crate) path: PathBuf,
    /// What programs saw last.
    pub(crate) seen: Vec<u8>,
}

impl State {
    /// Takes the power away. All processes end, everything open is closed.
    pub(super) fn lose_power(&mut self, seed: u64) -> PowerLoss {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut loss = PowerLoss::default();
        let times = |(id, node): (&Id, &Node)| (*id, (node.meta.modified, node.meta.changed));
        let times = self.nodes.iter().map(times).collect();
        self.lives.clear();
        self.opens.clear();
        self.watching.clear();
        for volume in 0..self.volumes.len() {
            self.undo(volume, &mut chance, &mut loss);
        }
        self.names.clear();
        self.rebuild();
        let mounts = self.mounts.clone();
        self.mounts.retain(|mount| mount.covers.is_none_or(|(_, node)| self.nodes.contains_key(&node)));
        let torn = self.tear(&mut chance, &times);
        loss.torn = torn.into_iter().filter_map(|(node, seen)| Some(Torn { path: self.path_in(&mounts, node)?, seen })).collect();
        loss
    }

    fn undo(&mut self, volume: usize, chance: &mut StdRng, loss: &mut PowerLoss) {
        let journal = &mut self.volumes[volume];
        let kept = chance.random_range(journal.committed..=journal.last);
        loss.undone += journal.last - kept;
        journal.committed = journal.last;
        for (operation, undo) in std::mem::take(&mut journal.journal).into_iter().rev().filter(|(operation, _)| *operation > kept) {
            match undo {
                Undo::Entry { folder, name, was } => {
                    if let Body::Folder(entries) = &mut self.node_mut(folder).body {
                        match was {
                            Some(entry) => drop(entries.insert(name, entry)),
                            None => drop(entries.remove(&name)),
                        }
                    }
                }
                Undo::Meta { node, was } => {
                    let node = self.node_mut(node);
                    if node.flushed < operation {
                        node.meta = was;
                    }
                }
            }
        }
    }

    /// Forgets what no name leads to, and counts anew what does.
    pub(super) fn rebuild(&mut self) {
        let mut found: BTreeMap<Id, Vec<(Option<Id>, Vec<u8>)>> = BTreeMap::new();
        let mut waiting: Vec<Id> = self.volumes.iter().map(|volume| volume.top).collect();
        waiting.iter().for_each(|top| drop(found.insert(*top, vec![(None, Vec::new())])));
        while let Some(folder) = waiting.pop() {
            for (name, entry) in self.node(folder).entries().into_iter().flatten() {
                found.entry(entry.node).or_default().push((Some(folder), name.clone()));
                if self.node(entry.node).is_folder() {
                    waiting.push(entry.node);
                }
            }
        }
        self.nodes.retain(|id, _| found.contains_key(id));
        for (id, places) in found {
            let mut names = BTreeSet::new();
            let links = places.len() as u64;
            for (parent, bytes) in places {
                let name = self.draw();
                names.insert(name);
                if let Some(Body::Folder(entries)) = parent.map(|parent| &mut self.node_mut(parent).body) {
                    entries.insert(bytes.clone(), Entry { node: id, name });
                }
                self.names.insert(name, Named { parent, bytes, node: id, linked: true });
            }
            let node = self.node_mut(id);
            (node.names, node.links, node.opens, node.writers, node.released) = (names, links, 0, 0, false);
        }
        for index in 0..self.volumes.len() {
            let used = self.nodes.values().filter(|node| node.volume == index).map(|node| node.number).collect();
            self.volumes[index].occupy(&used);
        }
    }

    /// Tears the bytes that were not flushed; returns the files that now hold other ones than before, with those.
    fn tear(&mut self, chance: &mut StdRng, times: &BTreeMap<Id, (i128, i128)>) -> Vec<(Id, Vec<u8>)> {
        let mut torn = Vec::new();
        for (id, node) in &mut self.nodes {
            let Body::Regular(content) = &mut node.body else { continue };
            let seen = if content.is_dirty() { content.seen().to_vec() } else { Vec::new() };
            let left = content.lose_power(chance);
            if !left.as_seen {
                torn.push((*id, seen));
            }
            // The kernel stamps before it writes back, so bytes do not arrive without their time.
            if !left.as_flushed {
                (node.meta.modified, node.meta.changed) = times[id];
            }
        }
        torn
    }

    fn path_in(&self, mounts: &[super::state::Mount], node: Id) -> Option<PathBuf> {
        let volume = self.node(node).volume;
        let mount = mounts.iter().find(|mount| mount.volume == volume && mount.attached)?;
        Some(self.known_path(Place { mount: mount.id, node, name: self.name_of(node) }))
    }
}
