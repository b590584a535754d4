//! What the trees say about a place, before the repository is asked about it.

use std::collections::BTreeSet;

use super::queue::Scope;
use crate::agent::repository::{RepoKey, Stamp};
use crate::agent::state::members::{at_source, load, load_set};
use crate::agent::state::{Keys, LocalSet, MemberRow, SourceNames, parent_key};
use crate::engine::Activity;
use crate::model::{ContentRef, Kind, Name, NodeId, Reason, SetId, SetShape};
use crate::store::{Read, ReadExt as _, StoreError};

/// The most members that are read for one name of a folder. At the source several may hold a folded name, but hardly many.
const HOLDERS_MAX: usize = 1_000;

/// A member that is at the source, as far as looking needs it: small, because a folder can have very many.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) set: SetId,
    pub(super) node: NodeId,
    pub(super) revision: u64,
    pub(super) kind: Kind,
    pub(super) key: RepoKey,
    pub(super) folder: RepoKey,
    pub(super) name: Name,
    pub(super) stamp: Stamp,
    pub(super) content: Option<ContentRef>,
    pub(super) problem: Option<Reason>,
    /// Its source is being changed; whoever does that says what came of it.
    pub(super) applying: bool,
    /// It was equal on both sides once.
    pub(super) based: bool,
    pub(super) direct: bool,
}

impl Known {
    pub(super) fn of(set: SetId, row: &MemberRow) -> Option<Self> {
        let (source, at) = (row.member.source_node()?, row.source.as_ref()?);
        Some(Self {
            set,
            node: row.member.node,
            revision: row.source_revision,
            kind: source.state.kind,
            key: at.key.clone(),
            folder: at.folder.clone(),
            name: source.state.place.name.clone(),
            stamp: at.stamp,
            content: source.state.content,
            problem: source.problem.as_ref().map(|(reason, _)| *reason),
            applying: row.member.activity == Activity::Applying,
            based: row.member.base.is_some(),
            direct: source.state.place.parent.is_none(),
        })
    }

    /// Returns the member that has a key.
    pub(super) fn by_key(read: &(impl Read + ?Sized), key: &RepoKey) -> Result<Option<Self>, StoreError> {
        let Some((set, node)) = read.get::<Keys>(&(key.as_bytes().to_vec(),))? else { return Ok(None) };
        Ok(load(read, set, node)?.and_then(|row| Self::of(set, &row)))
    }

    pub(super) fn is_at(&self, folder: &RepoKey, name: &Name) -> bool {
        self.folder == *folder && self.name == *name
    }
}

/// A folder of one set, with those of its members that a look is about.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) set: SetId,
    pub(super) subfolders: bool,
    pub(super) folder: RepoKey,
    /// The folder as a member; `None` when it merely holds direct members.
    pub(super) parent: Option<Known>,
    /// What to look at; `None`: all of it.
    pub(super) names: Option<BTreeSet<Name>>,
    pub(super) known: Vec<Known>,
    /// Direct members lie in it, too.
    pub(super) has_guests: bool,
}

impl Scene {
    pub(super) fn parent_node(&self) -> Option<NodeId> {
        self.parent.as_ref().map(|parent| parent.node)
    }

    fn new(local: &LocalSet, folder: &RepoKey) -> Self {
        Self {
            set: local.definition.id,
            subfolders: local.definition.shape == SetShape::Folder { subfolders: true },
            folder: folder.clone(),
            parent: None,
            names: None,
            known: Vec::new(),
            has_guests: false,
        }
    }
}

/// Reads a folder as a member, with its children.
pub(super) fn of_member(read: &(impl Read + ?Sized), folder: &RepoKey, scope: &Scope) -> Result<Option<Scene>, StoreError> {
    let Some(parent) = Known::by_key(read, folder)?.filter(|known| known.kind == Kind::Folder) else { return Ok(None) };
    let Some(local) = load_set(read, parent.set)?.filter(|local| !local.ending) else { return Ok(None) };
    let mut scene = Scene::new(&local, folder);
    let node = Some(parent.node);
    scene.known = match scope {
        Scope::All => rows(read, scene.set, at_source(read, scene.set, node)?)?,
        Scope::Names(names) => {
            scene.names = Some(names.clone());
            named(read, scene.set, node, names)?
        }
    };
    scene.parent = Some(parent);
    Ok(Some(scene))
}

/// Reads the direct members of a set that lie in a folder.
pub(super) fn of_direct(read: &(impl Read + ?Sized), set: SetId, folder: &RepoKey, scope: &Scope) -> Result<Option<Scene>, StoreError> {
    let Some(local) = load_set(read, set)?.filter(|local| !local.ending) else { return Ok(None) };
    let mut scene = Scene::new(&local, folder);
    scene.known = match scope {
        Scope::All => rows(read, set, at_source(read, set, None)?)?,
        Scope::Names(names) => named(read, set, None, names)?,
    };
    scene.known.retain(|known| known.folder == *folder);
    scene.names = Some(scene.known.iter().map(|known| known.name.clone()).collect());
    Ok(Some(scene).filter(|scene| !scene.known.is_empty()))
}

/// Returns a member that has a key and lies under this name of a folder that is a member.
pub(super) fn holder_at(read: &(impl Read + ?Sized), folder: &Known, name: &Name, key: &RepoKey) -> Result<Option<Known>, StoreError> {
    let holders = named(read, folder.set, Some(folder.node), &BTreeSet::from([name.clone()]))?;
    Ok(holders.into_iter().find(|known| known.key == *key))
}

/// Returns a folder in which a direct member of a set has turned up.
pub(super) fn beside(read: &(impl Read + ?Sized), set: SetId, folder: &RepoKey) -> Result<Option<Scene>, StoreError> {
    Ok(load_set(read, set)?.map(|local| Scene::new(&local, folder)))
}

/// Lists the direct members of a set.
pub(super) fn direct_members(read: &(impl Read + ?Sized), set: SetId) -> Result<Vec<Known>, StoreError> {
    rows(read, set, at_source(read, set, None)?)
}

fn rows(read: &(impl Read + ?Sized), set: SetId, nodes: Vec<NodeId>) -> Result<Vec<Known>, StoreError> {
    let mut known = Vec::with_capacity(nodes.len());
    for node in nodes {
        known.extend(load(read, set, node)?.and_then(|row| Known::of(set, &row)));
    }
    Ok(known)
}

fn named(read: &(impl Read + ?Sized), set: SetId, parent: Option<NodeId>, names: &BTreeSet<Name>) -> Result<Vec<Known>, StoreError> {
    let mut nodes = BTreeSet::new();
    for name in names {
        let prefix = (set, parent_key(parent), name.folded(), name.as_str().as_bytes().to_vec());
        nodes.extend(read.scan::<SourceNames>(&prefix, None, HOLDERS_MAX)?.into_iter().map(|((.., node), ())| node));
    }
    rows(read, set, nodes.into_iter().collect())
}

/// Lists the children of a folder.
pub(super) fn children(read: &(impl Read + ?Sized), set: SetId, folder: NodeId) -> Result<Vec<Known>, StoreError> {
    rows(read, set, at_source(read, set, Some(folder))?)
}
