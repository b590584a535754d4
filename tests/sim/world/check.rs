//! What must hold in the end, whatever happened, by a model that knows only what people did and what can be seen.

mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use skybridge::agent::versions::{Cause, Versions};
use skybridge::coordinator::journal::Entry;
use skybridge::coordinator::library::Marker;
use skybridge::coordinator::networks;
use skybridge::depot::Scope;
use skybridge::model::{ContentRef, Sequence};
use skybridge::store::{ReadExt as _, StoreError};
use skybridge::sys::FileKind;
use skybridge::transfer::AGENT_SCOPE;
use skybridge::wire::pb;

use super::agent::LIBRARY;
use super::at_agent;
use super::ledger::{Root, Side, key, root};
use super::library::{Library, Live};
use super::properties::{self, Shown};
use super::run::Sim;
use crate::disk::Caller;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// None for a folder.
    content: Option<Root>,
    properties: Shown,
}

type Tree = BTreeMap<String, Seen>;

impl Sim {
    /// Returns all that is not as it must be.
    pub(super) async fn check(&self) -> Vec<String> {
        let Some(library) = self.library() else { return vec!["the cloud cannot be read".to_owned()] };
        let sources: Vec<Tree> = (0..self.agents.len()).map(|agent| self.source(agent)).collect();
        let mut failures = self.check_journal();
        self.check_contents(&library, &sources, &mut failures).await;
        self.check_deleted(&library, &sources, &mut failures);
        self.check_there(&library, &sources, &mut failures);
        self.check_mistaken(&library, &mut failures);
        self.check_described(&library, &mut failures);
        failures.extend(self.check_sides(&library, &sources, true).await);
        failures
    }

    /// Both sides of all sets are equal, as far as can be seen now.
    pub(super) async fn check_now(&self) -> Vec<String> {
        let Some(library) = self.library() else { return vec!["the cloud cannot be read".to_owned()] };
        let sources: Vec<Tree> = (0..self.agents.len()).map(|agent| self.source(agent)).collect();
        self.check_sides(&library, &sources, false).await
    }

    /// With `last` also what need not hold before all that waits was tried again.
    async fn check_sides(&self, library: &Library, sources: &[Tree], last: bool) -> Vec<String> {
        let mut failures = Vec::new();
        for (agent, source) in sources.iter().enumerate() {
            if let Err(status) = self.check_trees(agent, library, source, last, &mut failures).await {
                failures.push(format!("agent {agent} cannot be asked: {status}"));
            }
        }
        failures
    }

    /// All documents and folders of a source, by their paths in the library.
    fn source(&self, agent: usize) -> Tree {
        let items = self.agents[agent].machine.disk.tree(Path::new(LIBRARY)).unwrap_or_default();
        let mut tree = Tree::new();
        for (path, item) in items {
            let path = String::from_utf8_lossy(&path).into_owned();
            if path.is_empty() || path == ".skybridge" || path.starts_with(".skybridge/") {
                continue;
            }
            let content = match item.stat.kind {
                FileKind::Folder => None,
                FileKind::Regular => Some(root(&item.bytes)),
                _ => continue,
            };
            tree.insert(path, Seen { content, properties: properties::at_source(&item.attributes) });
        }
        tree
    }

    /// The journal has no gap, and no operation was done twice.
    fn check_journal(&self) -> Vec<String> {
        let Some(running) = &self.coordinator.running else { return vec!["the coordinator is down".to_owned()] };
        let network = self.network;
        let read = running.context().store.read(|read| {
            let entries = read.scan::<Entry>(&(network,), None, usize::MAX)?;
            Ok::<_, StoreError>((entries, read.get::<networks::Network>(&(network,))?))
        });
        let Ok((entries, Some(network))) = read else { return vec!["the journal cannot be read".to_owned()] };
        let mut failures = Vec::new();
        let sequences: Vec<u64> = entries.iter().map(|((_, sequence), _)| sequence.get()).collect();
        if sequences != (1..=network.head.get()).collect::<Vec<_>>() {
            failures.push("the journal has a gap".to_owned());
        }
        let entries: BTreeMap<Sequence, Entry> = entries.into_iter().map(|((_, sequence), entry)| (sequence, entry)).collect();
        if !self.trace.has("event: ClockJump") {
            history::check_bases(&entries, &mut failures);
        }
        let mut done = BTreeSet::new();
        for (sequence, entry) in &entries {
            if let Some((_, op)) = entry.op
                && !done.insert((op, entry.node.node))
            {
                failures.push(format!("operation {op} was done twice, last at {sequence}"));
            }
        }
        failures
    }

    /// Everything that must be kept is found, and its bytes are.
    async fn check_contents(&self, library: &Library, sources: &[Tree], failures: &mut Vec<String>) {
        let mut found: BTreeSet<Root> = sources.iter().flat_map(|tree| tree.values().filter_map(|seen| seen.content)).collect();
        let Some(running) = &self.coordinator.running else { return };
        let required = |root: &Root| self.ledger.borrow().contents.get(root).is_some_and(|content| content.required);
        for (_, content) in &library.versions {
            if required(&key(&content.root)) {
                match read(&running.context().depot, Scope::from_bytes(*self.network.as_bytes()), content).await {
                    Ok(true) => drop(found.insert(key(&content.root))),
                    other => failures.push(format!("a version in the cloud cannot be read: {other:?}")),
                }
            }
        }
        let in_cloud: BTreeSet<Root> = library.versions.iter().map(|(_, content)| key(&content.root)).collect();
        for host in &self.agents {
            let Some(running) = &host.running else { continue };
            let local = running.local();
            let kept = local.context.store.read(|read| read.scan::<Versions>(&(), None, usize::MAX));
            let kept: Result<Vec<_>, StoreError> = kept;
            for (_, version) in kept.unwrap_or_default() {
                self.check_kept(library, &host.site, &version, failures);
                let written = self.ledger.borrow().contents.get(&key(&version.content.root)).map(|content| content.name.clone());
                if let (Cause::Replaced | Cause::Deleted, Some(name)) = (version.cause, written)
                    && !in_cloud.contains(&key(&version.content.root))
                    && !self.ledger.borrow().cloud_restored
                {
                    failures.push(format!("UNSEEN: {name} was {:?} at {} by a cloud that never had it", version.cause, host.site));
                }
                if required(&key(&version.content.root)) {
                    match read(&local.context.depot, AGENT_SCOPE, &version.content).await {
                        Ok(true) => drop(found.insert(key(&version.content.root))),
                        other => failures.push(format!("a version kept by {} cannot be read: {other:?}", host.site)),
                    }
                }
            }
        }
        for (root, content) in &self.ledger.borrow().contents {
            if content.required && !found.contains(root) {
                failures.push(format!("LOST: {}", content.name));
            }
        }
    }

    /// What a person deleted, and nobody brought back, is not there again; and nothing is there more often than people made it.
    fn check_deleted(&self, library: &Library, sources: &[Tree], failures: &mut Vec<String>) {
        let mut live: BTreeMap<(Root, Side), Vec<String>> = BTreeMap::new();
        for (agent, tree) in sources.iter().enumerate() {
            for (path, seen) in tree {
                if let Some(root) = seen.content {
                    live.entry((root, Side::Source(agent))).or_default().push(path.clone());
                }
            }
        }
        for at in &library.live {
            if let Some(content) = &at.node.content {
                live.entry((key(&content.root), Side::Cloud)).or_default().push(at.path.clone());
            }
        }
        for ((root, side), paths) in live {
            self.check_written_over(side, &root, &paths, failures);
            let ledger = self.ledger.borrow();
            let Some(content) = ledger.contents.get(&root) else { continue };
            let elsewhere = content.touched.iter().any(|touched| *touched != side);
            if ledger.locks {
                continue;
            }
            if content.deleted.contains(&side) && !content.restored && !elsewhere {
                failures.push(format!("BACK: {} was deleted at {side:?} and is there again: {paths:?}", content.name));
            }
            if paths.len() > 1 + content.copies {
                failures.push(format!("TWICE: {} is at {side:?} at {paths:?}", content.name));
            }
        }
    }

    /// What nobody deleted, and nothing was put in the place of, is there: not only in a trash, or among kept versions.
    fn check_there(&self, library: &Library, sources: &[Tree], failures: &mut Vec<String>) {
        let mut there = library.ended.clone();
        there.extend(library.live.iter().filter_map(|live| live.node.content.as_ref().map(|content| key(&content.root))));
        there.extend(sources.iter().flat_map(|tree| tree.values().filter_map(|seen| seen.content)));
        for host in &self.agents {
            let Some(running) = &host.running else { continue };
            let kept = running.local().context.store.read(|read| read.scan::<Versions>(&(), None, usize::MAX));
            let kept: Result<Vec<_>, StoreError> = kept;
            let replaced = kept.unwrap_or_default().into_iter().filter(|(_, version)| version.cause != Cause::Deleted);
            there.extend(replaced.map(|(_, version)| key(&version.content.root)));
        }
        for (root, content) in &self.ledger.borrow().contents {
            if content.required && !content.ended && !there.contains(root) {
                failures.push(format!("GONE: nobody deleted {}", content.name));
            }
        }
    }

    /// Both sides of each set are equal, but for what a member's state explains.
    async fn check_trees(
        &self,
        agent: usize,
        library: &Library,
        source: &Tree,
        last: bool,
        failures: &mut Vec<String>,
    ) -> Result<(), tonic::Status> {
        let Some(running) = &self.agents[agent].running else { return Ok(()) };
        let local = running.local();
        let mut sets = Vec::new();
        for (sync, members) in at_agent::members(&local).await? {
            let excluded = at_agent::excluded(&local, &sync.set_id).await?;
            sets.push((sync, members, excluded));
        }
        // One that is pending at rest waits behind another one, which has a reason.
        let is_explained =
            |member: &&pb::LocalMember| member.state() == pb::MemberState::Pending || member.reason() != pb::Reason::Unspecified;
        // What moved from one set to another may be in the other already here, and not yet there.
        let nodes: BTreeSet<&str> =
            sets.iter().flat_map(|(_, members, _)| members).filter(is_explained).map(|member| member.node_id.as_str()).collect();
        for member in sets.iter().flat_map(|(_, members, excluded)| members.iter().chain(excluded)) {
            self.trace.count(format!("in the end: {:?} {:?}", member.state(), member.reason()));
        }
        if last {
            let flat = sets.iter().any(|(sync, ..)| sync.options.as_ref().is_some_and(|options| options.no_subfolders));
            self.check_same(library, flat || self.agents.len() > 1, failures);
        }
        for (sync, members, excluded) in &sets {
            let places = members.iter().chain(excluded).filter(is_explained).map(|member| relative(&member.path)).collect();
            let explained = Explained { places, nodes: &nodes };
            if sync.options.as_ref().is_some_and(|options| options.lock_source) {
                self.check_locked(agent, members, failures);
            }
            check_synced(agent, library, source, members.iter(), failures);
            if last {
                check_clashes(library, source, members, failures);
            }
            for member in members.iter().filter(|member| member.direct) {
                let flat = sync.options.as_ref().is_some_and(|options| options.no_subfolders);
                compare(agent, library, source, member, &explained, flat, failures);
            }
        }
        Ok(())
    }
}

impl Sim {
    /// Nobody but the agent can write to what a set locks.
    fn check_locked(&self, agent: usize, members: &[pb::LocalMember], failures: &mut Vec<String>) {
        let root = self.agents[agent].machine.disk.person(Caller::root());
        for member in members.iter().filter(|member| member.state() == pb::MemberState::Synced) {
            let stat = root.stat(Path::new(&member.path));
            if stat.is_ok_and(|stat| stat.kind == FileKind::Regular && stat.mode & 0o222 != 0) {
                failures.push(format!("OPEN: agent {agent}: {} can be written to although it is locked", member.path));
            }
        }
    }
}

/// What a member's state says why not.
struct Explained<'a> {
    /// Places at the source, with what is in them.
    places: Vec<&'a str>,
    nodes: &'a BTreeSet<&'a str>,
}

impl Explained<'_> {
    fn has(&self, place: &str, node: Option<&String>) -> bool {
        self.places.iter().any(|top| inner(place, top).is_some()) || node.is_some_and(|node| self.nodes.contains(node.as_str()))
    }
}

async fn read(depot: &skybridge::depot::Depot, scope: Scope, content: &ContentRef) -> Result<bool, skybridge::depot::DepotError> {
    let mut reader = depot.content(scope, content, 0..content.size_bytes)?;
    let mut bytes = Vec::new();
    while let Some(part) = reader.next().await? {
        bytes.extend_from_slice(&part);
    }
    Ok(root(&bytes) == key(&content.root))
}

/// What is said to be synced is the same on both sides, wherever it is.
fn check_synced<'a>(
    agent: usize,
    library: &Library,
    source: &Tree,
    members: impl Iterator<Item = &'a pb::LocalMember>,
    failures: &mut Vec<String>,
) {
    let live: BTreeMap<String, &Live> = library.live.iter().map(|live| (live.id.to_string(), live)).collect();
    for member in members.filter(|member| member.state() == pb::MemberState::Synced) {
        let (here, there) = (source.get(relative(&member.path)), live.get(&member.node_id).map(|live| in_cloud(live)));
        if here != there.as_ref() {
            failures.push(format!("UNTRUE: agent {agent}: {} is not as it is in the cloud, and said to be synced", member.path));
        }
    }
}

/// A name that is said to be taken is.
fn check_clashes(library: &Library, source: &Tree, members: &[pb::LocalMember], failures: &mut Vec<String>) {
    let nodes: BTreeMap<&str, &str> = members.iter().map(|member| (relative(&member.path), member.node_id.as_str())).collect();
    let paths: BTreeMap<String, &str> = library.live.iter().map(|live| (live.id.to_string(), live.path.as_str())).collect();
    // One that is pending is told the reason of another one, which it waits for.
    let is_own = |member: &&pb::LocalMember| member.reason() == pb::Reason::NameClash && member.state() != pb::MemberState::Pending;
    for member in members.iter().filter(is_own).filter(|member| !member.direct) {
        let Some((folder, name)) = relative(&member.path).rsplit_once('/') else { continue };
        let Some(in_cloud) = nodes.get(folder).and_then(|node| paths.get(*node)) else { continue };
        let is_other = |path: &str, folder: &str| inner(path, folder).is_some_and(|other| other.to_lowercase() == name.to_lowercase());
        let is_here = source.keys().any(|path| path != relative(&member.path) && is_other(path, folder));
        let is_there = library.live.iter().any(|live| live.id.to_string() != member.node_id && is_other(&live.path, in_cloud));
        // What is not at the source yet finds its own name taken there.
        let is_absent = paths.contains_key(&member.node_id);
        if !is_here && !is_there && !is_absent {
            failures.push(format!("FREE: {} waits for its name, which nobody has", member.path));
        }
    }
}

/// A path in the library of a path of the machine.
fn relative(path: &str) -> &str {
    path.strip_prefix(LIBRARY).unwrap_or(path).trim_start_matches('/')
}

fn compare(
    agent: usize,
    library: &Library,
    source: &Tree,
    member: &pb::LocalMember,
    explained: &Explained<'_>,
    flat: bool,
    failures: &mut Vec<String>,
) {
    let top = relative(&member.path);
    let here = beneath(source.iter().map(|(path, seen)| (path.as_str(), seen.clone())), top);
    let at = library.live.iter().find(|live| live.id.to_string() == member.node_id);
    let there = at.map_or_else(Tree::new, |at| beneath(library.live.iter().map(|live| (live.path.as_str(), in_cloud(live))), &at.path));
    let ids: BTreeMap<String, String> = at.map_or_else(BTreeMap::new, |at| {
        let under = |path: &str| inner(path, &at.path).map(str::to_owned);
        library.live.iter().filter_map(|live| Some((under(&live.path)?, live.id.to_string()))).collect()
    });
    // What is a direct member of another set, or was taken out of this one, is passed over with all that is in it.
    let foreign: Vec<&str> = library.live.iter().filter(|live| is_foreign(live, &member.set_id)).map(|live| live.path.as_str()).collect();
    let is_passed_over = |path: &str| {
        let full = at.map_or_else(String::new, |at| format!("{}/{path}", at.path));
        !here.contains_key(path) && foreign.iter().any(|top| inner(&full, top).is_some())
    };
    let paths: BTreeSet<&String> = here.keys().chain(there.keys()).filter(|path| !is_passed_over(path)).collect();
    for path in paths {
        if here.get(path) == there.get(path) || (flat && path.contains('/')) {
            continue;
        }
        // Of folders only what is in them counts where subfolders are left out.
        let is_folder = |tree: &Tree| tree.get(path).is_some_and(|seen| seen.content.is_none());
        if flat && (is_folder(&here) || is_folder(&there)) {
            continue;
        }
        let full = if path.is_empty() { top.to_owned() } else { format!("{top}/{path}") };
        // What is in a folder that is elsewhere here, for a reason, is compared where that folder is.
        let is_within = |(top, node): (&String, &String)| inner(path, top).is_some() && explained.nodes.contains(node.as_str());
        if !explained.has(&full, ids.get(path)) && (here.contains_key(path) || !ids.iter().any(is_within)) {
            let side = |tree: &Tree| match tree.get(path) {
                None => "nothing".to_owned(),
                Some(Seen { content: None, properties }) => format!("a folder {properties:?}"),
                Some(Seen { content: Some(root), properties }) => format!("a document {:02x}{:02x} {properties:?}", root[0], root[1]),
            };
            failures.push(format!("DIFFERENT: agent {agent}: {full}: {} here, {} in the cloud, and no reason", side(&here), side(&there)));
        }
    }
}

fn is_foreign(live: &Live, set: &str) -> bool {
    match live.node.marker {
        Some(Marker::DirectMember { set: other, .. }) => other.to_string() != set,
        Some(Marker::Released { .. }) => true,
        None => false,
    }
}

/// The path below a folder; empty for itself.
fn inner<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

fn beneath<'a>(items: impl Iterator<Item = (&'a str, Seen)>, folder: &str) -> Tree {
    items.filter_map(|(path, seen)| Some((inner(path, folder)?.to_owned(), seen))).collect()
}

fn in_cloud(live: &Live) -> Seen {
    Seen { content: live.node.content.as_ref().map(|content| key(&content.root)), properties: properties::in_cloud(&live.node.properties) }
}
