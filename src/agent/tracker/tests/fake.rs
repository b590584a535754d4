//! A repository in memory that does what a test tells it to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;

use crate::agent::repository::{
    At, Capabilities, Displaced, Document, Entry, EntryName, Hint, Item, KnownContent, Leftover, NotSyncable, Observation, Placed,
    Protection, RepoKey, RepoPlace, Repository, RepositoryError, Resolved, Result, SeenProperties, Sink, Site, SiteName, Staged, Stamp,
    Unhealthy,
};
use crate::content::{Blob, BlobKind, ChunkerParameters};
use crate::model::{ContentRef, Name, OpId, Property, Value};

#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) item: Item,
    pub(super) bytes: Vec<u8>,
    pub(super) properties: SeenProperties,
    pub(super) changed: u64,
}

type Hook = Box<dyn FnMut() + Send>;

#[derive(Default)]
pub(super) struct State {
    things: BTreeMap<u64, Thing>,
    names: BTreeMap<(u64, Vec<u8>), u64>,
    next: u64,
    clock: u64,
    pub(super) observed: Vec<String>,
    pub(super) denied: BTreeSet<u64>,
    pub(super) busy: BTreeSet<u64>,
    pub(super) unhealthy: Option<Unhealthy>,
    pub(super) lost: bool,
    pub(super) without_properties: bool,
    pub(super) watched: BTreeSet<u64>,
    /// Runs after the next listing, before its answer is used.
    pub(super) after_list: Option<Hook>,
    /// Told of each look at a name.
    pub(super) looked: Option<std::sync::mpsc::Sender<()>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("names", &self.names).finish_non_exhaustive()
    }
}

/// The roots of the two sites are the folders 1 and 2.
#[derive(Debug)]
pub(super) struct Fake(Mutex<State>);

pub(super) fn key(id: u64) -> RepoKey {
    RepoKey::from_bytes(&id.to_be_bytes())
}

fn id(key: &RepoKey) -> u64 {
    u64::from_be_bytes(key.as_bytes().try_into().unwrap())
}

impl State {
    fn tick(&mut self, id: u64) {
        self.clock += 1;
        self.things.get_mut(&id).unwrap().changed = self.clock;
    }

    pub(super) fn find(&self, path: &str) -> Option<u64> {
        path.split('/').try_fold(1, |folder, name| match (folder, name) {
            (1, "~") => Some(2),
            _ => self.names.get(&(folder, name.as_bytes().to_vec())).copied(),
        })
    }

    fn split(&self, path: &str) -> (u64, Vec<u8>) {
        let (folder, name) = path.rsplit_once('/').map_or((Some(1), path), |(folder, name)| (self.find(folder), name));
        (folder.unwrap_or_else(|| panic!("no folder for {path}")), name.as_bytes().to_vec())
    }

    fn make(&mut self, path: &str, item: Item) -> u64 {
        let place = self.split(path);
        self.next += 1;
        let id = self.next;
        self.things.insert(id, Thing { item, bytes: Vec::new(), properties: SeenProperties::default(), changed: 0 });
        self.names.insert(place.clone(), id);
        self.tick(id);
        self.tick(place.0);
        id
    }

    pub(super) fn odd(&mut self, path: &str, item: Item) {
        self.make(path, item);
    }

    pub(super) fn folder(&mut self, path: &str) -> u64 {
        self.make(path, Item::Folder)
    }

    /// Writes a document: in place, if it is there.
    pub(super) fn write(&mut self, path: &str, text: &str) -> u64 {
        let id = self.find(path).unwrap_or_else(|| self.make(path, Item::Document));
        self.things.get_mut(&id).unwrap().bytes = text.as_bytes().to_vec();
        self.tick(id);
        id
    }

    pub(super) fn thing(&mut self, path: &str) -> &mut Thing {
        let id = self.find(path).unwrap();
        self.tick(id);
        self.things.get_mut(&id).unwrap()
    }

    pub(super) fn link(&mut self, from: &str, to: &str) {
        let (id, place) = (self.find(from).unwrap(), self.split(to));
        self.names.insert(place, id);
    }

    /// Renames, replacing what is there.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let (from, to) = (self.split(from), self.split(to));
        let id = self.names.remove(&from).unwrap();
        self.names.insert(to.clone(), id);
        self.tick(from.0);
        self.tick(to.0);
    }

    pub(super) fn swap(&mut self, a: &str, b: &str) {
        let (a, b) = (self.split(a), self.split(b));
        let (x, y) = (self.names[&a], self.names[&b]);
        self.names.insert(a, y);
        self.names.insert(b, x);
    }

    pub(super) fn remove(&mut self, path: &str) {
        let place = self.split(path);
        let id = self.names[&place];
        let within: Vec<_> = self.names.keys().filter(|(folder, _)| *folder == id).cloned().collect();
        for (_, name) in within {
            self.remove(&format!("{path}/{}", String::from_utf8(name).unwrap()));
        }
        self.names.remove(&place);
        self.tick(place.0);
    }

    fn entry(&self, name: &[u8], id: u64) -> Entry {
        let thing = &self.things[&id];
        let links = self.names.values().filter(|other| **other == id).count() as u64;
        Entry { key: key(id), name: EntryName::from_bytes(name), item: thing.item, stamp: stamp(id, thing), links }
    }

    fn reach(&self, folder: u64) -> Result<()> {
        if let Some(unhealthy) = self.unhealthy {
            return Err(RepositoryError::Unknown(unhealthy));
        }
        if self.denied.contains(&folder) {
            return Err(RepositoryError::Denied("no permission"));
        }
        let there = folder <= 2 || self.names.values().any(|id| *id == folder);
        there.then_some(()).ok_or(RepositoryError::Gone)
    }
}

fn stamp(id: u64, thing: &Thing) -> Stamp {
    let size = if thing.item == Item::Document { thing.bytes.len() } else { 0 };
    let fields = serde_json::json!({
        "size_bytes": size, "modified": thing.changed, "changed": thing.changed, "inode": id, "settled": true,
    });
    serde_json::from_value(fields).unwrap()
}

impl Fake {
    pub(super) fn new() -> Self {
        let root = || Thing { item: Item::Folder, bytes: Vec::new(), properties: SeenProperties::default(), changed: 1 };
        let things = BTreeMap::from([(1, root()), (2, root())]);
        Self(Mutex::new(State { things, next: 2, clock: 1, ..State::default() }))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

const WRITES: RepositoryError = RepositoryError::Unsupported("the tracker never writes");

impl Repository for Fake {
    fn sites(&self) -> Vec<Site> {
        Vec::new()
    }

    fn capabilities(&self, _: &SiteName) -> Option<Capabilities> {
        None
    }

    fn health(&self, _: &SiteName) -> Result<(), Unhealthy> {
        self.state().unhealthy.map_or(Ok(()), Err)
    }

    fn accept(&self, _: &SiteName) -> Result<()> {
        Err(WRITES)
    }

    fn resolve(&self, path: &Path) -> std::result::Result<Resolved, NotSyncable> {
        let path = path.to_str().unwrap();
        let state = self.state();
        let (folder, name) = state.split(path);
        let site = SiteName(if path.starts_with('~') { "other" } else { "site" }.to_owned());
        Ok(Resolved { site, folders: vec![key(folder)], entry: state.entry(&name, state.find(path).unwrap()) })
    }

    fn path_of(&self, folder: &RepoKey, name: &EntryName) -> Result<std::path::PathBuf> {
        let state = self.state();
        let (mut at, mut path) = (id(folder), String::from_utf8(name.as_bytes().to_vec()).unwrap());
        while at > 2 {
            let ((parent, name), _) = state.names.iter().find(|(_, id)| **id == at).ok_or(RepositoryError::Gone)?;
            path = format!("{}/{path}", String::from_utf8(name.clone()).unwrap());
            at = *parent;
        }
        Ok(if at == 2 { format!("~/{path}").into() } else { path.into() })
    }

    fn locate(&self, keys: &[RepoKey]) -> Result<Vec<Option<RepoPlace>>> {
        let state = self.state();
        if state.lost {
            return Err(RepositoryError::Unknown(Unhealthy::Restless));
        }
        let place = |key: &RepoKey| {
            let ((folder, name), _) = state.names.iter().find(|(_, found)| **found == id(key))?;
            Some(RepoPlace { folder: self::key(*folder), name: EntryName::from_bytes(name) })
        };
        Ok(keys.iter().map(place).collect())
    }

    fn list(&self, folder: &RepoKey) -> Result<Vec<Entry>> {
        let (entries, hook) = {
            let mut state = self.state();
            state.reach(id(folder))?;
            let entries = state.names.iter().filter(|((at, _), _)| *at == id(folder));
            let entries: Vec<_> = entries.map(|((_, name), id)| state.entry(name, *id)).collect();
            (entries, state.after_list.take())
        };
        if let Some(mut hook) = hook {
            hook();
        }
        Ok(entries)
    }

    fn look(&self, folder: &RepoKey, name: &Name) -> Result<Option<Entry>> {
        let state = self.state();
        state.reach(id(folder))?;
        let name = name.as_str().as_bytes();
        // Mostly nobody listens.
        let _told = state.looked.as_ref().map(|looked| looked.send(()));
        Ok(state.names.get(&(id(folder), name.to_vec())).map(|id| state.entry(name, *id)))
    }

    fn observe(&self, at: &At, known: Option<&KnownContent>, _: &mut Sink<'_>) -> Result<Observation> {
        let mut state = self.state();
        state.reach(id(&at.folder))?;
        let name = at.name.as_str().as_bytes().to_vec();
        let there = state.names.get(&(id(&at.folder), name)).copied().filter(|there| key(*there) == at.key);
        let there = there.ok_or(RepositoryError::Changed)?;
        if state.busy.contains(&there) {
            return Err(RepositoryError::Busy);
        }
        if state.denied.contains(&there) && state.things[&there].item == Item::Document {
            return Err(RepositoryError::Denied("no permission"));
        }
        let thing = state.things[&there].clone();
        let now = stamp(there, &thing);
        let mut content = None;
        if thing.item == Item::Document {
            if !known.is_some_and(|known| now.unchanged_since(&known.stamp)) {
                state.observed.push(at.name.to_string());
            }
            let chunk = Blob::new(BlobKind::Chunk, Bytes::from(thing.bytes.clone()));
            content = Some(ContentRef { root: chunk.hash(), size_bytes: thing.bytes.len() as u64, height: 0 });
        }
        Ok(Observation {
            item: thing.item,
            stamp: now,
            links: 1,
            read_only: false,
            content,
            properties: thing.properties,
            holds_properties: !state.without_properties,
            custom_type: None,
            custom_properties: false,
            notes: Vec::new(),
        })
    }

    fn watch(&self, folder: &RepoKey) -> Result<()> {
        self.state().watched.insert(id(folder));
        Ok(())
    }

    fn unwatch(&self, folder: &RepoKey) {
        self.state().watched.remove(&id(folder));
    }

    fn wait_for_hints(&self, wait: Duration) -> Result<bool> {
        // Nothing is ever sent: this only waits.
        let (sender, hints) = std::sync::mpsc::channel::<Hint>();
        let none = hints.recv_timeout(wait);
        drop(sender);
        Ok(none.is_ok())
    }

    fn hints(&self) -> Result<Vec<Hint>> {
        Ok(Vec::new())
    }

    fn open(&self, _: &At, _: &Stamp) -> Result<Box<dyn Document>> {
        Err(WRITES)
    }

    fn stage_document(&self, _: &RepoKey, _: OpId, _: ChunkerParameters) -> Result<Staged> {
        Err(WRITES)
    }

    fn stage_folder(&self, _: &RepoKey, _: OpId) -> Result<Staged> {
        Err(WRITES)
    }

    fn append(&self, _: &mut Staged, _: &Blob) -> Result<()> {
        Err(WRITES)
    }

    fn finish(&self, _: &mut Staged, _: &ContentRef) -> Result<()> {
        Err(WRITES)
    }

    fn set_staged_properties(&self, _: &Staged, _: &BTreeMap<Property, Option<Value>>) -> Result<()> {
        Err(WRITES)
    }

    fn flush(&self, _: &[&Staged]) -> Result<()> {
        Err(WRITES)
    }

    fn place_new(&self, _: &Staged, _: &RepoKey, _: &Name) -> Result<Placed> {
        Err(WRITES)
    }

    fn inherit(&self, _: &Staged, _: &At, _: &[Property]) -> Result<()> {
        Err(WRITES)
    }

    fn replace(&self, _: &Staged, _: &At, _: &Stamp) -> Result<(Placed, Displaced)> {
        Err(WRITES)
    }

    fn rename(&self, _: &At, _: &RepoKey, _: &Name, _: &Stamp) -> Result<Placed> {
        Err(WRITES)
    }

    fn remove_document(&self, _: &At, _: &Stamp, _: OpId) -> Result<Displaced> {
        Err(WRITES)
    }

    fn remove_folder(&self, _: &At) -> Result<()> {
        Err(WRITES)
    }

    fn set_properties(&self, _: &At, _: &Stamp, _: &BTreeMap<Property, Option<Value>>) -> Result<Placed> {
        Err(WRITES)
    }

    fn settle(&self) -> Result<()> {
        Err(WRITES)
    }

    fn settle_all(&self, _: &SiteName) -> Result<()> {
        Err(WRITES)
    }

    fn protection(&self, _: &At) -> Result<Protection> {
        Err(WRITES)
    }

    fn protect(&self, _: &At, _: &Stamp) -> Result<Placed> {
        Err(WRITES)
    }

    fn unprotect(&self, _: &At, _: &Protection) -> Result<()> {
        Err(WRITES)
    }

    fn open_displaced(&self, _: &Displaced) -> Result<(Stamp, Box<dyn Document>)> {
        Err(WRITES)
    }

    fn displaced_in_use(&self, _: &Displaced) -> Result<bool> {
        Err(WRITES)
    }

    fn discard(&self, _: &Leftover) -> Result<()> {
        Err(WRITES)
    }

    fn leftovers(&self) -> Result<Vec<Leftover>> {
        Err(WRITES)
    }
}
