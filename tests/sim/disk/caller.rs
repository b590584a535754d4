//! Who calls, and what the system lets them do.

use skybridge::sys::{Errno, Result};

use super::acl::Acl;
use super::node::{Body, Id, Meta, Node};
use super::state::State;

/// To read, or to list.
pub(super) const READ: u32 = 4;
/// To write, or to change entries.
pub(super) const WRITE: u32 = 2;
/// To look up what is in a folder.
pub(super) const SEARCH: u32 = 1;

pub(super) const SET_USER: u32 = 0o4000;
pub(super) const SET_GROUP: u32 = 0o2000;
const STICKY: u32 = 0o1000;
/// The access control list of an item.
pub(super) const ACL: &[u8] = b"system.posix_acl_access";
/// The one that what is made in a folder gets.
pub(super) const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// The credentials of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Its user; 0 may do everything.
    pub(crate) user: u32,
    /// The group of what it makes.
    pub(crate) group: u32,
    /// Further groups.
    pub(crate) groups: Vec<u32>,
    /// Permissions that what it makes does not get.
    pub(crate) umask: u32,
}

impl Caller {
    /// A user whose group has the same number.
    #[must_use]
    pub(crate) fn user(user: u32) -> Self {
        Self { user, group: user, groups: Vec::new(), umask: 0o022 }
    }

    /// The administrator.
    #[must_use]
    pub(crate) fn root() -> Self {
        Self::user(0)
    }

    pub(super) fn is_root(&self) -> bool {
        self.user == 0
    }

    pub(super) fn is_in(&self, group: u32) -> bool {
        self.group == group || self.groups.contains(&group)
    }

    /// Whether the owner's rights are theirs.
    pub(super) fn owns(&self, meta: &Meta) -> bool {
        self.is_root() || self.user == meta.owner
    }

    pub(super) fn check_owns(&self, meta: &Meta) -> Result<()> {
        if self.owns(meta) { Ok(()) } else { Err(Errno::PERM) }
    }

    pub(super) fn check(&self, node: &Node, want: u32) -> Result<()> {
        if self.is_root() || self.granted(&node.meta) & want == want { Ok(()) } else { Err(Errno::ACCESS) }
    }

    fn granted(&self, meta: &Meta) -> u32 {
        if self.user == meta.owner {
            return meta.mode >> 6 & 7;
        }
        // Linux looks at the list only where the group's bits show that it grants anything.
        let list = meta.attributes.get(ACL).filter(|_| meta.mode & 0o070 != 0);
        match list.and_then(|bytes| Acl::parse(bytes).ok().flatten()) {
            Some(list) => list.granted(self, meta.group),
            None if self.is_in(meta.group) => meta.mode >> 3 & 7,
            None => meta.mode & 7,
        }
    }

    /// What is left of the mode of a file once this caller has written to it or given it away.
    pub(super) fn without_set_ids(&self, meta: &Meta) -> u32 {
        let keeps_group = meta.mode & 0o010 == 0 && (self.is_root() || self.is_in(meta.group));
        meta.mode & !SET_USER & if keeps_group { u32::MAX } else { !SET_GROUP }
    }
}

impl State {
    /// Whether the caller may make an entry in a folder.
    pub(super) fn may_create(&self, caller: &Caller, folder: Id) -> Result<()> {
        let node = self.node(folder);
        if node.links == 0 {
            return Err(Errno::NOENT);
        }
        caller.check(node, WRITE | SEARCH)
    }

    /// Whether the caller may take an entry out of a folder.
    pub(super) fn may_delete(&self, caller: &Caller, folder: Id, victim: Id, as_folder: bool) -> Result<()> {
        let (node, victim) = (self.node(folder), self.node(victim));
        caller.check(node, WRITE | SEARCH)?;
        if node.meta.mode & STICKY != 0 && !caller.owns(&victim.meta) && !caller.owns(&node.meta) {
            return Err(Errno::PERM);
        }
        match (as_folder, victim.is_folder()) {
            (true, false) => Err(Errno::NOTDIR),
            (false, true) => Err(Errno::ISDIR),
            _ => Ok(()),
        }
    }

    /// The attributes of what the caller makes in a folder.
    pub(super) fn new_meta(&self, caller: &Caller, folder: Id, mode: u32, body: &Body, now: i128) -> Meta {
        let parent = self.node(folder);
        let is_folder = matches!(body, Body::Folder(_));
        let mut meta = Meta { mode, owner: caller.user, group: caller.group, modified: now, changed: now, attributes: Default::default() };
        if parent.meta.mode & SET_GROUP != 0 {
            meta.group = parent.meta.group;
            if is_folder {
                meta.mode |= SET_GROUP;
            } else if meta.mode & (SET_GROUP | 0o010) == SET_GROUP | 0o010 && !caller.is_root() && !caller.is_in(meta.group) {
                meta.mode &= !SET_GROUP;
            }
        }
        let default = parent.meta.attributes.get(DEFAULT_ACL);
        if matches!(body, Body::Link(_)) {
            return meta;
        }
        match default.and_then(|bytes| Acl::parse(bytes).ok().flatten()) {
            None => meta.mode &= !caller.umask,
            Some(mut list) => {
                let whole = meta.mode & !0o777;
                meta.mode = whole | list.limit_to(meta.mode & 0o777);
                if !list.is_minimal() {
                    meta.attributes.insert(ACL.to_vec(), list.bytes());
                }
                if let Some(bytes) = default.filter(|_| is_folder) {
                    meta.attributes.insert(DEFAULT_ACL.to_vec(), bytes.clone());
                }
            }
        }
        meta
    }
}
