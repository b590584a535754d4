//! What a person at the source may do, as the operating system decides it.
//!
//! Credentials of a thread are its own in Linux: a thread takes the person's user and groups by raw system calls, tries, and ends. The
//! wrappers of libc would change the whole process.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// What somebody wants to do with a file or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Read its content, or list it.
    Read,
    /// Read and change it.
    Write,
}

/// What people may do, as a trait.
pub trait Rights: std::fmt::Debug + Send + Sync {
    /// Whether the user may do this to what is at `path`, following no link at its end. Blocks.
    fn may(&self, user: u32, group: u32, path: &Path, want: Want) -> bool;

    /// Whether the user belongs to a group, by its name.
    fn is_in_group(&self, user: u32, group: u32, name: &str) -> bool;

    /// Whether there is anything at `path` that the agent can see, following no link at its end. Blocks.
    fn exists(&self, path: &Path) -> bool;

    /// What a user is called, if anything.
    fn name_of(&self, _user: u32) -> Option<String> {
        None
    }
}

/// The rights that the running kernel gives.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinuxRights;

impl Rights for LinuxRights {
    fn may(&self, user: u32, group: u32, path: &Path, want: Want) -> bool {
        may(user, group, path, want)
    }

    fn is_in_group(&self, user: u32, group: u32, name: &str) -> bool {
        is_in_group(user, group, name)
    }

    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn name_of(&self, user: u32) -> Option<String> {
        User::from_uid(Uid::from_raw(user)).ok().flatten().map(|user| user.name)
    }
}

/// An agent that is not root cannot try it for others: then only its own user may.
fn may(user: u32, group: u32, path: &Path, want: Want) -> bool {
    let own = rustix::process::geteuid().as_raw();
    if user == own || user == 0 {
        return access(path, want);
    }
    if own != 0 {
        return false;
    }
    let (path, groups) = (path.to_owned(), groups_of(user, group));
    std::thread::spawn(move || become_user(user, group, &groups) && access(&path, want)).join().unwrap_or(false)
}

fn is_in_group(user: u32, group: u32, name: &str) -> bool {
    group_named(name).is_some_and(|wanted| groups_of(user, group).contains(&wanted))
}

/// Returns the user and the group that `USER` or `USER:GROUP` means, by names or numbers. Without a group it is the user's own.
#[must_use]
pub fn owner_named(text: &str) -> Option<(u32, u32)> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number != u32::MAX);
    let known = user_known(user);
    let user = number(user).or(known.map(|(user, _)| user))?;
    let group = match group {
        Some(group) => number(group).or_else(|| group_named(group))?,
        None => known?.1,
    };
    Some((user, group))
}

fn group_named(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
}

/// Returns a user of this machine, by name or number, with its primary group.
fn user_known(text: &str) -> Option<(u32, u32)> {
    let found = match text.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(text),
    };
    found.ok().flatten().map(|user| (user.uid.as_raw(), user.gid.as_raw()))
}

fn access(path: &Path, want: Want) -> bool {
    let Ok(path) = CString::new(PathBuf::from(path).as_os_str().as_bytes()) else { return false };
    let mode = match want {
        Want::Read => libc::R_OK,
        Want::Write => libc::R_OK | libc::W_OK,
    };
    // SAFETY: `path` is a valid C string; AT_EACCESS asks for the effective user.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS | libc::AT_SYMLINK_NOFOLLOW) == 0 }
}

/// Returns all groups of a user; of one that is not known, the one given.
fn groups_of(user: u32, group: u32) -> Vec<u32> {
    let known = User::from_uid(Uid::from_raw(user)).ok().flatten().and_then(|user| CString::new(user.name).ok());
    let groups = known.and_then(|name| getgrouplist(&name, Gid::from_raw(group)).ok());
    groups.map_or_else(|| vec![group], |groups| groups.into_iter().map(Gid::as_raw).collect())
}

/// Gives this thread, and no other, the credentials of a user. There is no way back.
fn become_user(user: u32, group: u32, groups: &[u32]) -> bool {
    // SAFETY: raw system calls with numbers and one array that lives long enough; they change the calling thread alone.
    unsafe {
        libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) == 0
            && libc::syscall(libc::SYS_setresgid, group, group, group) == 0
            && libc::syscall(libc::SYS_setresuid, user, user, user) == 0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn s_b22_an_owner_is_named_by_names_or_numbers() {
        assert_eq!(owner_named("root"), Some((0, 0)));
        assert_eq!(owner_named("root:root"), Some((0, 0)));
        assert_eq!(owner_named("64001:64002"), Some((64_001, 64_002)));
        assert_eq!(owner_named("0"), Some((0, 0)));
        assert_eq!(LinuxRights.name_of(0).as_deref(), Some("root"));
        assert_eq!(LinuxRights.name_of(64_001), None);
        for junk in ["", ":", "64001", "nobody there", "root:nobody there", "4294967295:0", "root:"] {
            assert_eq!(owner_named(junk), None, "{junk}");
        }
    }

    #[test]
    fn s_a15_a_stranger_may_not_read_what_is_not_theirs() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert!(may(own, 0, &file, Want::Write));
        assert!(!may(64_000, 64_000, &file, Want::Read));
        if own == 0 {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(may(64_000, 64_000, &file, Want::Read));
            assert!(!may(64_000, 64_000, &file, Want::Write));
        }
    }
}
