//! Finding what is at a path.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use skybridge::sys::{Errno, Result};

use super::caller::{Caller, SEARCH};
use super::node::{Body, Id, NameId};
use super::state::{Place, State};

/// No name is longer.
const NAME_BYTES_MAX: usize = 255;
/// No path is longer.
const PATH_BYTES_MAX: usize = 4095;
/// So many links are followed.
const LINKS_MAX: usize = 40;

/// How a path is followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// A link at the end is followed.
    pub(super) follow_last: bool,
    /// Links on the way, and at the end where it is asked for, are followed; otherwise they are an error.
    pub(super) links: bool,
    /// The path may lead out of where it starts.
    pub(super) leave: bool,
    /// It may lead into another mount.
    pub(super) cross: bool,
}

/// As most calls do, whose last component is not followed.
pub(super) const PLAIN: How = How { follow_last: false, links: true, leave: true, cross: true };
/// As when the last component is followed too.
pub(super) const FOLLOWED: How = How { follow_last: true, ..PLAIN };

/// The last component of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Last {
    Name(Vec<u8>),
    /// `.`, or the top.
    Dot,
    DotDot,
}

impl Last {
    fn of(component: &[u8]) -> Self {
        match component {
            b"." => Self::Dot,
            b".." => Self::DotDot,
            name => Self::Name(name.to_vec()),
        }
    }
}

impl State {
    /// The top of the tree.
    pub(super) fn top(&self) -> Place {
        let mount = self.mounts.iter().find(|mount| mount.attached && mount.covers.is_none()).expect("the first one is always there");
        self.top_of(mount.id)
    }

    fn top_of(&self, mount: u64) -> Place {
        let volume = self.mounts.iter().find(|known| known.id == mount).expect("a mount that is known").volume;
        let node = self.volumes[volume].top;
        Place { mount, node, name: self.name_of(node) }
    }

    /// The name under which an inode is, the latest if it has several.
    pub(super) fn name_of(&self, node: Id) -> NameId {
        let names = &self.node(node).names;
        let linked = names.iter().rev().find(|name| self.names[name].linked);
        *linked.or_else(|| names.last()).expect("what is reached has or had a name")
    }

    /// Goes on to what is mounted there.
    fn covered(&self, mut place: Place) -> Place {
        while let Some(mount) = self.mounts.iter().rev().find(|mount| mount.attached && mount.covers == Some((place.mount, place.node))) {
            place = self.top_of(mount.id);
        }
        place
    }

    /// Whether a file system is mounted on a folder.
    pub(super) fn is_mount_point(&self, mount: u64, node: Id) -> bool {
        self.mounts.iter().any(|known| known.attached && known.covers == Some((mount, node)))
    }

    /// Goes on to the folder above; none when that was removed.
    fn above(&self, mut place: Place) -> Option<Place> {
        loop {
            if let Some(parent) = self.names[&place.name].parent {
                return self.known_name(parent).map(|name| Place { mount: place.mount, node: parent, name });
            }
            match self.covered_by(place.mount) {
                Some((mount, node)) => place = Place { mount, node, name: self.name_of(node) },
                None => return Some(place),
            }
        }
    }

    /// The mount and the folder that a mount covers, as long as it can be reached.
    fn covered_by(&self, mount: u64) -> Option<(u64, Id)> {
        self.mounts.iter().find(|known| known.id == mount && known.attached).and_then(|mount| mount.covers)
    }

    /// The name of an inode that may be gone.
    pub(super) fn known_name(&self, node: Id) -> Option<NameId> {
        self.nodes.get(&node).filter(|node| !node.names.is_empty()).map(|_| self.name_of(node))
    }

    /// Looks one name up.
    pub(super) fn lookup(&self, folder: Place, name: &[u8]) -> Result<Option<Place>> {
        if name.len() > NAME_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let entries = self.node(folder.node).entries().ok_or(Errno::NOTDIR)?;
        Ok(entries.get(name).map(|entry| Place { mount: folder.mount, node: entry.node, name: entry.name }))
    }

    /// Finds the folder that the last component of a path is in.
    pub(super) fn parent(&self, caller: &Caller, start: Place, path: &[u8], how: How) -> Result<(Place, Last)> {
        self.follow(caller, start, path, how, true).map(|(folder, last, _)| (folder, last))
    }

    /// Finds what is at a path.
    pub(super) fn walk(&self, caller: &Caller, start: Place, path: &[u8], how: How) -> Result<Place> {
        let (folder, last, place) = self.follow(caller, start, path, how, false)?;
        match last {
            Last::Name(_) => place.ok_or(Errno::NOENT),
            Last::Dot | Last::DotDot => Ok(place.unwrap_or(folder)),
        }
    }

    /// Follows a path, to the end or only to the folder that its last component is in. At the end there can be nothing.
    pub(super) fn follow(
        &self,
        caller: &Caller,
        start: Place,
        path: &[u8],
        how: How,
        only_parent: bool,
    ) -> Result<(Place, Last, Option<Place>)> {
        check_path(path)?;
        let mut at = start;
        let mut links = 0;
        if path[0] == b'/' {
            at = self.absolute(how)?;
        }
        let mut waiting: VecDeque<Vec<u8>> = components(path).collect();
        let Some(mut component) = waiting.pop_front() else { return Ok((at, Last::Dot, Some(at))) };
        loop {
            let node = self.node(at.node);
            if !node.is_folder() {
                return Err(Errno::NOTDIR);
            }
            caller.check(node, SEARCH)?;
            let is_last = waiting.is_empty();
            let last = Last::of(&component);
            if is_last && only_parent {
                return Ok((at, last, None));
            }
            let next = match &last {
                Last::Dot => Some(at),
                Last::DotDot => Some(self.step_up(start, at, how)?),
                Last::Name(name) => self.lookup(at, name)?.map(|found| self.covered(found)),
            };
            if !how.cross && next.is_some_and(|next| next.mount != at.mount) {
                return Err(Errno::XDEV);
            }
            if let Some(Body::Link(target)) = next.map(|next| &self.node(next.node).body)
                && (!is_last || how.follow_last)
            {
                links += 1;
                if !how.links || links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                check_path(target)?;
                if target[0] == b'/' {
                    at = self.absolute(how)?;
                }
                components(target).rev().for_each(|component| waiting.push_front(component));
                match waiting.pop_front() {
                    Some(first) => component = first,
                    None => return Ok((at, Last::Dot, Some(at))),
                }
                continue;
            }
            match waiting.pop_front() {
                None => return Ok((at, last, next)),
                Some(following) => {
                    at = next.ok_or(Errno::NOENT)?;
                    component = following;
                }
            }
        }
    }

    fn absolute(&self, how: How) -> Result<Place> {
        if how.leave { Ok(self.covered(self.top())) } else { Err(Errno::XDEV) }
    }

    fn step_up(&self, start: Place, at: Place, how: How) -> Result<Place> {
        if !how.leave && (at.mount, at.node) == (start.mount, start.node) {
            return Err(Errno::XDEV);
        }
        self.above(at).ok_or(Errno::NOENT)
    }

    /// The absolute path of a place, as far as the kernel knows it.
    pub(super) fn known_path(&self, place: Place) -> PathBuf {
        let (mut name, mut mount) = (place.name, place.mount);
        let mut parts: Vec<&[u8]> = Vec::new();
        loop {
            let named = &self.names[&name];
            if let Some(parent) = named.parent {
                parts.push(&named.bytes);
                let Some(above) = self.known_name(parent) else { break };
                name = above;
                continue;
            }
            let Some((outer, node)) = self.covered_by(mount) else { break };
            (mount, name) = (outer, self.name_of(node));
        }
        parts.push(b"");
        parts.reverse();
        let mut path = parts.join(&b'/');
        if path.is_empty() {
            path.push(b'/');
        }
        if !self.names[&place.name].linked {
            path.extend_from_slice(b" (deleted)");
        }
        PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(path))
    }

    /// What an absolute path means for a caller who follows links.
    pub(super) fn at_path(&self, caller: &Caller, path: &Path, how: How) -> Result<Place> {
        self.walk(caller, self.top(), std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()), how)
    }
}

fn check_path(path: &[u8]) -> Result<()> {
    match path.len() {
        0 => Err(Errno::NOENT),
        length if length > PATH_BYTES_MAX => Err(Errno::NAMETOOLONG),
        _ if path.contains(&0) => Err(Errno::INVAL),
        _ => Ok(()),
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec)
}
