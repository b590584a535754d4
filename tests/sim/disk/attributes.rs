//! The calls that change and read attributes.

use skybridge::sys::{Errno, FileKind, Result};

use super::acl::Acl;
use super::caller::{ACL, Caller, DEFAULT_ACL, READ, SET_GROUP, WRITE};
use super::node::{Id, Meta};
use super::state::{Place, State};

/// No name of an attribute is longer.
const NAME_BYTES_MAX: usize = 255;
/// No value of an attribute is longer.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// What all attributes of an inode take together at most: a block, without what heads it.
const ALL_BYTES_MAX: usize = 4000;

impl State {
    pub(super) fn set_mode(&mut self, caller: &Caller, place: Place, mode: u32) -> Result<()> {
        let node = self.node(place.node);
        caller.check_owns(&node.meta)?;
        let operation = self.begin(node.volume)?;
        self.stamp_changed(operation, place.node);
        self.change(operation, place.node, |meta| {
            meta.mode = mode & 0o7777;
            drop_foreign_set_group(caller, meta);
            if let Some(mut list) = meta.attributes.get(ACL).and_then(|bytes| Acl::parse(bytes).ok().flatten()) {
                list.set_mode(mode);
                meta.attributes.insert(ACL.to_vec(), list.bytes());
            }
        });
        self.report_attributes(place.node, place.name);
        Ok(())
    }

    pub(super) fn set_owner(&mut self, caller: &Caller, place: Place, owner: u32, group: u32) -> Result<()> {
        let node = self.node(place.node);
        let is_owner = caller.user == node.meta.owner;
        let allowed = is_owner && owner == node.meta.owner && (group == node.meta.group || caller.is_in(group));
        if !caller.is_root() && !allowed {
            return Err(Errno::PERM);
        }
        let is_folder = node.is_folder();
        let operation = self.begin(node.volume)?;
        self.stamp_changed(operation, place.node);
        self.change(operation, place.node, |meta| {
            if !is_folder {
                meta.mode = caller.without_set_ids(meta);
            }
            (meta.owner, meta.group) = (owner, group);
        });
        self.report_attributes(place.node, place.name);
        Ok(())
    }

    pub(super) fn set_times(&mut self, caller: &Caller, place: Place, modified: i128) -> Result<()> {
        let node = self.node(place.node);
        caller.check_owns(&node.meta)?;
        let operation = self.begin(node.volume)?;
        self.stamp_changed(operation, place.node);
        self.change(operation, place.node, |meta| meta.modified = modified);
        self.report_attributes(place.node, place.name);
        Ok(())
    }

    pub(super) fn attribute_names(&self, caller: &Caller, id: Id) -> Vec<Vec<u8>> {
        let visible = |name: &&Vec<u8>| caller.is_root() || !name.starts_with(b"trusted.");
        self.node(id).meta.attributes.keys().filter(visible).cloned().collect()
    }

    pub(super) fn attribute(&self, caller: &Caller, id: Id, name: &[u8]) -> Result<Vec<u8>> {
        let node = self.node(id);
        if !self.volumes[node.volume].options.attributes {
            return Err(Errno::OPNOTSUPP);
        }
        match Kind::of(name) {
            Kind::User => {
                if !matches!(node.kind(), FileKind::Regular | FileKind::Folder) {
                    return Err(Errno::NODATA);
                }
                caller.check(node, READ)?;
            }
            Kind::Strange => {
                caller.check(node, READ)?;
                return Err(Errno::OPNOTSUPP);
            }
            Kind::Trusted if !caller.is_root() => return Err(Errno::NODATA),
            Kind::Trusted | Kind::List => {}
        }
        node.meta.attributes.get(name).cloned().ok_or(Errno::NODATA)
    }

    /// Sets or removes an attribute.
    pub(super) fn set_attribute(&mut self, caller: &Caller, place: Place, name: &[u8], value: Option<&[u8]>) -> Result<()> {
        let node = self.node(place.node);
        if !self.volumes[node.volume].options.attributes {
            return Err(Errno::OPNOTSUPP);
        }
        match Kind::of(name) {
            Kind::Strange => {
                caller.check(node, WRITE)?;
                return Err(Errno::OPNOTSUPP);
            }
            Kind::List => return self.set_list(caller, place, name, value),
            Kind::Trusted if !caller.is_root() => return Err(Errno::PERM),
            Kind::Trusted => {}
            Kind::User => {
                if node.kind() != FileKind::Regular && !node.is_folder() {
                    return Err(Errno::PERM);
                }
                if node.is_folder() && node.meta.mode & 0o1000 != 0 && !caller.owns(&node.meta) {
                    return Err(Errno::PERM);
                }
                caller.check(node, WRITE)?;
            }
        }
        if value.is_none() && !node.meta.attributes.contains_key(name) {
            return Err(Errno::NODATA);
        }
        if value.is_some_and(|value| !fits(&node.meta, name, value)) {
            return Err(Errno::NOSPC);
        }
        let same = node.meta.attributes.get(name).map(Vec::as_slice) == value;
        let operation = self.begin(node.volume)?;
        if !same {
            self.stamp_changed(operation, place.node);
            self.change(operation, place.node, |meta| put(meta, name, value));
        }
        self.report_attributes(place.node, place.name);
        Ok(())
    }

    fn set_list(&mut self, caller: &Caller, place: Place, name: &[u8], value: Option<&[u8]>) -> Result<()> {
        let list = value.map_or(Ok(None), Acl::parse)?;
        let node = self.node(place.node);
        if node.kind() == FileKind::Link {
            return Err(Errno::OPNOTSUPP);
        }
        if name == DEFAULT_ACL && !node.is_folder() {
            if list.is_some() {
                return Err(Errno::ACCESS);
            }
            self.report_attributes(place.node, place.name);
            return Ok(());
        }
        caller.check_owns(&node.meta)?;
        if list.as_ref().is_some_and(|list| !list.is_valid()) {
            return Err(Errno::INVAL);
        }
        let mut meta = node.meta.clone();
        if let Some(list) = list.as_ref().filter(|_| name == ACL) {
            meta.mode = meta.mode & !0o777 | list.mode();
            drop_foreign_set_group(caller, &mut meta);
        }
        // A list that says no more than the mode is not kept.
        let kept = list.filter(|list| name == DEFAULT_ACL || !list.is_minimal());
        put(&mut meta, name, kept.map(|list| list.bytes()).as_deref());
        let same = meta == node.meta;
        let operation = self.begin(node.volume)?;
        if !same {
            self.change(operation, place.node, |now| *now = meta);
            self.stamp_changed(operation, place.node);
        }
        self.report_attributes(place.node, place.name);
        Ok(())
    }
}

/// The kinds of attributes.
enum Kind {
    User,
    Trusted,
    List,
    /// None that the file system keeps.
    Strange,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        match name {
            ACL | DEFAULT_ACL => Self::List,
            _ if name.starts_with(b"user.") => Self::User,
            _ if name.starts_with(b"trusted.") => Self::Trusted,
            _ => Self::Strange,
        }
    }
}

/// Checks what Linux checks before it looks for the file.
pub(super) fn check_attribute(name: &[u8], value: Option<&[u8]>) -> Result<()> {
    if name.contains(&0) {
        return Err(Errno::INVAL);
    }
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Errno::RANGE);
    }
    if value.is_some_and(|value| value.len() > VALUE_BYTES_MAX) { Err(Errno::TOOBIG) } else { Ok(()) }
}

fn put(meta: &mut Meta, name: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => drop(meta.attributes.insert(name.to_vec(), value.to_vec())),
        None => drop(meta.attributes.remove(name)),
    }
}

/// Whether all attributes still have room with this one.
fn fits(meta: &Meta, name: &[u8], value: &[u8]) -> bool {
    let taken = |name: &[u8], value: &[u8]| 16 + name.len().next_multiple_of(4) + value.len().next_multiple_of(4);
    let others = meta.attributes.iter().filter(|(other, _)| other.as_slice() != name);
    others.map(|(name, value)| taken(name, value)).sum::<usize>() + taken(name, value) <= ALL_BYTES_MAX
}

/// Who is not in the group of a file cannot make programs run with it.
fn drop_foreign_set_group(caller: &Caller, meta: &mut Meta) {
    if !caller.is_root() && !caller.is_in(meta.group) {
        meta.mode &= !SET_GROUP;
    }
}
