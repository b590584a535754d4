//! Access control lists, as Linux keeps them in extended attributes.

use skybridge::sys::{Errno, Result};

use super::caller::Caller;

const VERSION: u32 = 2;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AclEntry {
    tag: u16,
    permissions: u32,
    id: u32,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acl(Vec<AclEntry>);

impl Acl {
    /// Reads a list; none if it has no entries.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let (version, rest) = bytes.split_first_chunk::<4>().ok_or(Errno::INVAL)?;
        if u32::from_le_bytes(*version) != VERSION {
            return Err(Errno::OPNOTSUPP);
        }
        let (entries, []) = rest.as_chunks::<8>() else { return Err(Errno::INVAL) };
        if entries.is_empty() {
            return Ok(None);
        }
        let entry = |[t0, t1, p0, p1, id @ ..]: &[u8; 8]| AclEntry {
            tag: u16::from_le_bytes([*t0, *t1]),
            permissions: u16::from_le_bytes([*p0, *p1]).into(),
            id: u32::from_le_bytes(*id),
        };
        Ok(Some(Self(entries.iter().map(entry).collect())))
    }

    /// Owner, named users, group, named groups, mask, others: in this order, and a mask where anybody is named.
    pub(super) fn is_valid(&self) -> bool {
        let count = |tag: u16| self.0.iter().filter(|entry| entry.tag == tag).count();
        let named = count(USER) + count(GROUP) > 0;
        let once = [USER_OBJ, GROUP_OBJ, OTHER].into_iter().all(|tag| count(tag) == 1);
        let known = |entry: &AclEntry| {
            [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER].contains(&entry.tag)
                && entry.permissions <= 7
                && (!matches!(entry.tag, USER | GROUP) || entry.id != u32::MAX)
        };
        once && count(MASK) <= 1 && (!named || count(MASK) == 1) && self.0.iter().all(known) && self.0.is_sorted_by_key(|entry| entry.tag)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for AclEntry { tag, permissions, id } in &self.0 {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&(*permissions as u16).to_le_bytes());
            bytes.extend_from_slice(&if matches!(*tag, USER | GROUP) { *id } else { u32::MAX }.to_le_bytes());
        }
        bytes
    }

    fn of(&self, tag: u16) -> Option<u32> {
        self.0.iter().find(|entry| entry.tag == tag).map(|entry| entry.permissions)
    }

    /// It says no more than a mode can.
    pub(super) fn is_minimal(&self) -> bool {
        self.0.iter().all(|entry| matches!(entry.tag, USER_OBJ | GROUP_OBJ | OTHER))
    }

    /// The permission bits that show it.
    pub(super) fn mode(&self) -> u32 {
        let group = self.of(MASK).or_else(|| self.of(GROUP_OBJ));
        self.of(USER_OBJ).unwrap_or(0) << 6 | group.unwrap_or(0) << 3 | self.of(OTHER).unwrap_or(0)
    }

    /// The entry that the group's permission bits stand for.
    fn group_class(&self) -> u16 {
        if self.of(MASK).is_some() { MASK } else { GROUP_OBJ }
    }

    /// Makes a default list the one of something that is made with this mode; returns the mode that it gets.
    pub(super) fn limit_to(&mut self, mode: u32) -> u32 {
        let class = self.group_class();
        for entry in &mut self.0 {
            match entry.tag {
                USER_OBJ => entry.permissions &= mode >> 6,
                OTHER => entry.permissions &= mode,
                tag if tag == class => entry.permissions &= mode >> 3,
                _ => {}
            }
        }
        self.mode()
    }

    /// Takes over permission bits that were set.
    pub(super) fn set_mode(&mut self, mode: u32) {
        let class = self.group_class();
        for entry in &mut self.0 {
            match entry.tag {
                USER_OBJ => entry.permissions = mode >> 6 & 7,
                OTHER => entry.permissions = mode & 7,
                tag if tag == class => entry.permissions = mode >> 3 & 7,
                _ => {}
            }
        }
    }

    /// What somebody other than the owner may do. Of several groups the one with most: Linux asks for one right after the other.
    pub(super) fn granted(&self, caller: &Caller, group: u32) -> u32 {
        let mask = self.of(MASK).unwrap_or(7);
        if let Some(entry) = self.0.iter().find(|entry| entry.tag == USER && entry.id == caller.user) {
            return entry.permissions & mask;
        }
        let is_theirs = |entry: &&AclEntry| match entry.tag {
            GROUP_OBJ => caller.is_in(group),
            GROUP => caller.is_in(entry.id),
            _ => false,
        };
        let groups: Vec<u32> = self.0.iter().filter(is_theirs).map(|entry| entry.permissions & mask).collect();
        match groups.iter().max_by_key(|permissions| permissions.count_ones()) {
            Some(permissions) => *permissions,
            None => self.of(OTHER).unwrap_or(0),
        }
    }
}
