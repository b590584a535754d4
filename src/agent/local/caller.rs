//! Who calls, and what they may.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Local;
use crate::agent::state::LocalSet;
use crate::model::{Fault, FaultKind};
use crate::sys::{Peer, Want};
use crate::task;

/// The person at the other end of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) user: u32,
    group: u32,
    pub(super) administrator: bool,
}

impl Caller {
    /// Returns who sent a request, as the operating system says.
    pub(super) fn of<T>(local: &Local, request: &tonic::Request<T>) -> Result<Self, Fault> {
        let peer = request.extensions().get::<Peer>().copied();
        let Peer { user, group, .. } =
            peer.ok_or_else(|| Fault::new(FaultKind::Unauthenticated, "the operating system does not say who calls"))?;
        let own = rustix::process::geteuid().as_raw();
        let in_group = local.context.config.administrators_group.as_ref().is_some_and(|name| local.rights.is_in_group(user, group, name));
        Ok(Self { user, group, administrator: user == 0 || user == own || in_group })
    }

    /// Refuses whoever may not make sync sets here.
    pub(super) fn must_be_user(self, local: &Local) -> Result<(), Fault> {
        let Some(group) = &local.context.config.users_group else { return Ok(()) };
        if self.administrator || local.rights.is_in_group(self.user, self.group, group) {
            return Ok(());
        }
        Err(Fault::denied(format!("only members of the group {group:?} may make syncs on this machine: ask its administrator")))
    }

    /// Refuses what the caller's own rights in the repository do not allow.
    pub(super) async fn must(self, local: &Local, path: &Path, want: Want) -> Result<(), Fault> {
        let (caller, tried, rights) = (self, path.to_owned(), Arc::clone(&local.rights));
        let may = move || {
            let may = |path: &Path, want| rights.may(caller.user, caller.group, path, want);
            // Who may not see the folder is not told what is missing from it.
            let missing = || !rights.exists(&tried) && tried.parent().is_some_and(|folder| may(folder, Want::Read));
            if may(&tried, want) { Ok(()) } else { Err(missing()) }
        };
        match task::blocking("try as the caller", may).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(true)) => Err(Fault::not_found(format!("{}: there is nothing at this path", path.display()))),
            Ok(Err(false)) => {
                let what = if want == Want::Read { "read" } else { "change" };
                Err(Fault::denied(format!("you may not {what} {}: ask its owner for access", path.display())))
            }
            Err(lost) => Err(Fault::internal(lost)),
        }
    }

    /// Whether the set is the caller's to see, change or end.
    pub(super) const fn owns(self, set: &LocalSet) -> bool {
        self.administrator || set.creator_uid == self.user
    }

    /// Refuses somebody else's set, as if it were not there.
    pub(super) fn must_own(self, set: &LocalSet) -> Result<(), Fault> {
        if self.owns(set) {
            return Ok(());
        }
        Err(Fault::not_found(format!("there is no sync set {} of yours; an administrator sees all of them", set.definition.id)))
    }
}

/// Takes an absolute path.
pub(super) fn absolute(field: &str, text: &str) -> Result<PathBuf, Fault> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Fault::invalid(field, format!("{text:?} must be an absolute path")))
}
