//! The calls that change entries: making, linking, renaming and removing.

use skybridge::sys::{Errno, Result};

use super::caller::{Caller, WRITE};
use super::node::{Body, Entry, Id};
use super::state::{Place, State};
use super::walk::{Last, PLAIN};

/// What renaming does with what has the new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rename {
    Replace,
    NoReplace,
    Exchange,
}

impl State {
    /// Makes an entry of any kind.
    pub(super) fn make(&mut self, caller: &Caller, dir: Place, path: &[u8], mode: u32, body: Body) -> Result<Place> {
        let (folder, last) = self.parent(caller, dir, path, PLAIN)?;
        let Last::Name(name) = last else { return Err(Errno::EXIST) };
        if self.lookup(folder, &name)?.is_some() {
            return Err(Errno::EXIST);
        }
        self.may_create(caller, folder.node)?;
        let volume = self.node(folder.node).volume;
        self.check_room(volume)?;
        let operation = self.begin(volume)?;
        let mode = if matches!(body, Body::Folder(_)) { mode & 0o1777 } else { mode };
        let node = self.make_node(operation, caller, folder.node, mode, body);
        let named = self.attach(operation, folder.node, &name, node);
        self.stamp_modified(operation, folder.node);
        self.report(folder.node, &name);
        Ok(Place { mount: folder.mount, node, name: named })
    }

    /// Gives an inode a second name.
    pub(super) fn link(&mut self, caller: &Caller, from: Place, old: &[u8], to: Place, new: &[u8]) -> Result<()> {
        let source = self.walk(caller, from, old, PLAIN)?;
        let (folder, last) = self.parent(caller, to, new, PLAIN)?;
        let Last::Name(name) = last else { return Err(Errno::EXIST) };
        if self.lookup(folder, &name)?.is_some() {
            return Err(Errno::EXIST);
        }
        if source.mount != folder.mount {
            return Err(Errno::XDEV);
        }
        let node = self.node(source.node);
        // As `fs.protected_hardlinks` has it: what is not theirs must be a plain file that they may read and write.
        let plain = matches!(node.body, Body::Regular(_)) && node.meta.mode & 0o4000 == 0 && node.meta.mode & 0o2010 != 0o2010;
        let allowed = caller.owns(&node.meta) || (plain && caller.check(node, 6).is_ok());
        if !allowed {
            return Err(Errno::PERM);
        }
        self.may_create(caller, folder.node)?;
        let node = self.node(source.node);
        if node.is_folder() || !self.volumes[node.volume].options.links {
            return Err(Errno::PERM);
        }
        let operation = self.begin(node.volume)?;
        self.attach(operation, folder.node, &name, source.node);
        self.stamp_changed(operation, source.node);
        self.stamp_modified(operation, folder.node);
        self.report(folder.node, &name);
        Ok(())
    }

    /// Removes an entry that is a folder, or one that is not.
    pub(super) fn remove(&mut self, caller: &Caller, dir: Place, path: &[u8], as_folder: bool) -> Result<()> {
        let (folder, last) = self.parent(caller, dir, path, PLAIN)?;
        let name = match last {
            Last::Name(name) => name,
            Last::Dot if as_folder => return Err(Errno::INVAL),
            Last::DotDot if as_folder => return Err(Errno::NOTEMPTY),
            _ => return Err(Errno::ISDIR),
        };
        let victim = self.lookup(folder, &name)?.ok_or(Errno::NOENT)?;
        self.may_delete(caller, folder.node, victim.node, as_folder)?;
        if self.is_mount_point(folder.mount, victim.node) {
            return Err(Errno::BUSY);
        }
        if self.node(victim.node).entries().is_some_and(|entries| !entries.is_empty()) {
            return Err(Errno::NOTEMPTY);
        }
        let operation = self.begin(self.node(folder.node).volume)?;
        self.set_entry(operation, folder.node, &name, None);
        self.stamp_modified(operation, folder.node);
        if as_folder {
            self.stamp_modified(operation, victim.node)
        } else {
            self.stamp_changed(operation, victim.node)
        }
        self.report(folder.node, &name);
        self.unname(operation, Entry { node: victim.node, name: victim.name });
        Ok(())
    }

    /// Renames, in one of its ways.
    pub(super) fn rename(&mut self, caller: &Caller, from: (Place, &[u8]), to: (Place, &[u8]), how: Rename) -> Result<()> {
        let (old_folder, old) = self.parent(caller, from.0, from.1, PLAIN)?;
        let (new_folder, new) = self.parent(caller, to.0, to.1, PLAIN)?;
        if old_folder.mount != new_folder.mount {
            return Err(Errno::XDEV);
        }
        let (old, new) = match (old, new) {
            (Last::Name(old), Last::Name(new)) => (old, new),
            (Last::Name(_), _) if how == Rename::NoReplace => return Err(Errno::EXIST),
            _ => return Err(Errno::BUSY),
        };
        let source = self.lookup(old_folder, &old)?.ok_or(Errno::NOENT)?;
        let target = self.lookup(new_folder, &new)?;
        match (how, target) {
            (Rename::NoReplace, Some(_)) => return Err(Errno::EXIST),
            (Rename::Exchange, None) => return Err(Errno::NOENT),
            _ => {}
        }
        if self.is_within(source.node, new_folder.node) {
            return Err(Errno::INVAL);
        }
        if target.is_some_and(|target| self.is_within(target.node, old_folder.node)) {
            return Err(if how == Rename::Exchange { Errno::INVAL } else { Errno::NOTEMPTY });
        }
        if target.is_some_and(|target| target.node == source.node) {
            return Ok(());
        }
        self.check_rename(caller, (old_folder, source), (new_folder, target), how)?;
        let operation = self.begin(self.node(old_folder.node).volume)?;
        self.carry_out(operation, (old_folder.node, &old, source), (new_folder.node, &new, target), how);
        Ok(())
    }

    fn check_rename(&self, caller: &Caller, from: (Place, Place), to: (Place, Option<Place>), how: Rename) -> Result<()> {
        let ((old_folder, source), (new_folder, target)) = (from, to);
        let is_folder = |place: Place| self.node(place.node).is_folder();
        self.may_delete(caller, old_folder.node, source.node, is_folder(source))?;
        match target {
            None => self.may_create(caller, new_folder.node)?,
            Some(target) => {
                let as_folder = is_folder(if how == Rename::Exchange { target } else { source });
                self.may_delete(caller, new_folder.node, target.node, as_folder)?;
            }
        }
        // Its `..` changes.
        if old_folder.node != new_folder.node {
            for moved in [Some(source), target.filter(|_| how == Rename::Exchange)].into_iter().flatten().filter(|moved| is_folder(*moved))
            {
                caller.check(self.node(moved.node), WRITE)?;
            }
        }
        let is_busy = |place: Place| self.is_mount_point(old_folder.mount, place.node);
        if is_busy(source) || target.is_some_and(is_busy) {
            return Err(Errno::BUSY);
        }
        let can = &self.volume_of(source.node).options;
        if (how == Rename::Exchange && !can.exchange) || (how == Rename::NoReplace && !can.no_replace) {
            return Err(Errno::INVAL);
        }
        let is_filled = |place: Place| self.node(place.node).entries().is_some_and(|entries| !entries.is_empty());
        if how == Rename::Replace && target.is_some_and(is_filled) {
            return Err(Errno::NOTEMPTY);
        }
        Ok(())
    }

    fn carry_out(&mut self, operation: u64, from: (Id, &[u8], Place), to: (Id, &[u8], Option<Place>), how: Rename) {
        let ((old_folder, old, source), (new_folder, new, target)) = (from, to);
        let entry = |place: Place| Entry { node: place.node, name: place.name };
        let exchanged = target.filter(|_| how == Rename::Exchange);
        self.set_entry(operation, old_folder, old, exchanged.map(entry));
        self.set_entry(operation, new_folder, new, Some(entry(source)));
        self.move_name(operation, source, new_folder, new);
        if let Some(target) = exchanged {
            self.move_name(operation, target, old_folder, old);
        }
        self.stamp_modified(operation, old_folder);
        self.stamp_modified(operation, new_folder);
        for (folder, name) in [(old_folder, old), (new_folder, new)] {
            self.report(folder, name);
        }
        self.report_itself(source.node);
        match (exchanged, target) {
            (Some(target), _) => self.report_itself(target.node),
            (None, Some(target)) => {
                self.stamp_changed(operation, target.node);
                self.report_itself(target.node);
                self.unname(operation, entry(target));
            }
            (None, None) => {}
        }
    }

    fn move_name(&mut self, operation: u64, place: Place, folder: Id, bytes: &[u8]) {
        let name = self.names.get_mut(&place.name).expect("a name that is known");
        (name.parent, name.bytes) = (Some(folder), bytes.to_vec());
        self.stamp_changed(operation, place.node);
    }

    /// Whether a folder is another one, or lies beneath it.
    fn is_within(&self, upper: Id, folder: Id) -> bool {
        let mut at = Some(folder);
        while let Some(node) = at {
            if node == upper {
                return true;
            }
            at = self.known_name(node).and_then(|name| self.names[&name].parent);
        }
        false
    }
}
