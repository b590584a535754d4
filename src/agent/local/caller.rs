//! Who calls, and what they may.

use std::path::{Path, PathBuf};

use tonic::transport::server::UdsConnectInfo;

use super::Local;
use crate::agent::state::LocalSet;
use crate::model::{Fault, FaultKind};
use crate::sys::{Want, is_in_group, may};
use crate::task;

/// The person at the other end of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) user: u32,
    group: u32,
    pub(super) administrator: bool,
}

impl Caller {
    /// Asks the operating system who sent a request.
    pub(super) fn of<T>(local: &Local, request: &tonic::Request<T>) -> Result<Self, Fault> {
        let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
        let peer = peer.ok_or_else(|| Fault::new(FaultKind::Unauthenticated, "the operating system does not say who calls"))?;
        let (user, group) = (peer.uid(), peer.gid());
        let own = rustix::process::geteuid().as_raw();
        let in_group = local.context.config.administrators_group.as_ref().is_some_and(|name| is_in_group(user, group, name));
        Ok(Self { user, group, administrator: user == 0 || user == own || in_group })
    }

    /// Refuses what the caller's own rights in the repository do not allow.
    pub(super) async fn must(self, path: &Path, want: Want) -> Result<(), Fault> {
        let (caller, tried) = (self, path.to_owned());
        let may = move || {
            let may = |path: &Path, want| may(caller.user, caller.group, path, want);
            // Who may not see the folder is not told what is missing from it.
            let missing = || tried.symlink_metadata().is_err() && tried.parent().is_some_and(|folder| may(folder, Want::Read));
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
