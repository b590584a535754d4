//! Watch events, as inotify has them.

use std::collections::{BTreeMap, VecDeque};

use rand::Rng as _;
use rand::rngs::StdRng;
use skybridge::sys::{Errno, Result, WatchEvent, WatchId};

use super::node::Id;
use super::state::State;

/// A queue of events.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) life: u64,
    watches: BTreeMap<WatchId, Id>,
    queue: VecDeque<WatchEvent>,
    last: WatchId,
}

impl Instance {
    pub(super) fn new(life: u64) -> Self {
        Self { life, watches: BTreeMap::new(), queue: VecDeque::new(), last: 0 }
    }

    fn push(&mut self, event: WatchEvent, queue_max: usize) {
        match self.queue.back() {
            Some(last) if *last == event || *last == WatchEvent::Overflow => {}
            _ if self.queue.len() >= queue_max => self.queue.push_back(WatchEvent::Overflow),
            _ => self.queue.push_back(event),
        }
    }

    /// Takes events in an order in which only those of one watch are as they happened.
    fn shuffle(&mut self, chance: &mut StdRng) {
        let mut lanes: BTreeMap<Option<WatchId>, VecDeque<WatchEvent>> = BTreeMap::new();
        for event in self.queue.drain(..) {
            let lane = match &event {
                WatchEvent::Changed(watch, _) | WatchEvent::Ended(watch) => Some(*watch),
                WatchEvent::Overflow => None,
            };
            lanes.entry(lane).or_default().push_back(event);
        }
        while !lanes.is_empty() {
            let lane = *lanes.keys().nth(chance.random_range(0..lanes.len())).expect("one of them");
            let waiting = lanes.get_mut(&lane).expect("it is there");
            self.queue.extend(waiting.pop_front());
            if waiting.is_empty() {
                lanes.remove(&lane);
            }
        }
    }
}

impl State {
    fn tell(&mut self, node: Id, name: Option<&[u8]>) {
        let queue_max = self.queue_max;
        for instance in self.watching.values_mut() {
            if let Some((watch, _)) = instance.watches.iter().find(|(_, watched)| **watched == node) {
                instance.push(WatchEvent::Changed(*watch, name.map(<[u8]>::to_vec)), queue_max);
            }
        }
    }

    /// Reports that something happened to an entry of a folder.
    pub(super) fn report(&mut self, folder: Id, name: &[u8]) {
        if self.volume_of(folder).options.events {
            self.tell(folder, Some(name));
        }
    }

    /// Reports that something happened to a folder itself.
    pub(super) fn report_itself(&mut self, node: Id) {
        if self.volume_of(node).options.events {
            self.tell(node, None);
        }
    }

    /// Reports a change of what an open file holds, to the folder that it is in. What has lost its name is not reported.
    pub(super) fn report_bytes(&mut self, name: u64) {
        let named = &self.names[&name];
        if let (true, Some(parent)) = (named.linked, named.parent) {
            let bytes = named.bytes.clone();
            self.report(parent, &bytes);
        }
    }

    /// Reports a change of attributes, to the folder that it is or was in and to itself.
    pub(super) fn report_attributes(&mut self, node: Id, name: u64) {
        let named = &self.names[&name];
        if let Some(parent) = named.parent.filter(|parent| self.nodes.contains_key(parent)) {
            let bytes = named.bytes.clone();
            self.report(parent, &bytes);
        }
        self.report_itself(node);
    }

    /// Ends the watches of an inode that is gone, or whose file system is.
    pub(super) fn watched_gone(&mut self, node: Id) {
        self.report_itself(node);
        let queue_max = self.queue_max;
        for instance in self.watching.values_mut() {
            let ended: Vec<WatchId> = instance.watches.iter().filter(|(_, watched)| **watched == node).map(|(watch, _)| *watch).collect();
            for watch in ended {
                instance.watches.remove(&watch);
                instance.push(WatchEvent::Ended(watch), queue_max);
            }
        }
    }

    /// Ends the watches on a file system.
    pub(super) fn watched_unmounted(&mut self, volume: usize) {
        let of_volume = |node: &Id| self.node(*node).volume == volume;
        let watched: Vec<Id> = self.watching.values().flat_map(|instance| instance.watches.values().copied()).filter(of_volume).collect();
        watched.into_iter().for_each(|node| self.watched_gone(node));
    }

    pub(super) fn add_watch(&mut self, instance: u64, node: Id) -> Result<WatchId> {
        let total: usize = self.watching.values().map(|instance| instance.watches.len()).sum();
        let full = total >= self.watches_max;
        let instance = self.watching.get_mut(&instance).ok_or(Errno::BADF)?;
        if let Some((watch, _)) = instance.watches.iter().find(|(_, watched)| **watched == node) {
            return Ok(*watch);
        }
        if full {
            return Err(Errno::NOSPC);
        }
        instance.last += 1;
        instance.watches.insert(instance.last, node);
        Ok(instance.last)
    }

    pub(super) fn remove_watch(&mut self, instance: u64, watch: WatchId) -> Result<()> {
        let queue_max = self.queue_max;
        let instance = self.watching.get_mut(&instance).ok_or(Errno::BADF)?;
        instance.watches.remove(&watch).ok_or(Errno::INVAL)?;
        instance.push(WatchEvent::Ended(watch), queue_max);
        Ok(())
    }

    pub(super) fn has_events(&self, instance: u64) -> Result<bool> {
        let instance = self.watching.get(&instance).ok_or(Errno::BADF)?;
        Ok(!self.events_held && !instance.queue.is_empty())
    }

    pub(super) fn take_events(&mut self, instance: u64, most: usize) -> Result<Vec<WatchEvent>> {
        let held = self.events_held;
        let instance = self.watching.get_mut(&instance).ok_or(Errno::BADF)?;
        let count = if held { 0 } else { instance.queue.len().min(most) };
        Ok(instance.queue.drain(..count).collect())
    }

    /// Loses the events that are waiting.
    pub(super) fn overflow(&mut self) {
        for instance in self.watching.values_mut() {
            instance.queue.clear();
            instance.queue.push_back(WatchEvent::Overflow);
        }
    }

    /// Shuffles the events that are waiting, but for those of one watch among each other.
    pub(super) fn shuffle_events(&mut self, chance: &mut StdRng) {
        self.watching.values_mut().for_each(|instance| instance.shuffle(chance));
    }
}
