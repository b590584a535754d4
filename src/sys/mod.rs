//! The seam to the operating system: a small set of file system calls, watch events and peer credentials.
//!
//! [`Files`] and [`Watches`] are what a simulation replaces by a model of a file system, so they are few, take all they need as
//! arguments, and decide nothing. They know no documents and no repository. This is the only module that may use `unsafe`.
#![allow(unsafe_code)]

mod caller;
mod files;
mod linux;
mod linux_watch;
mod peer;
mod raw;
mod watches;
mod world;

pub use caller::{LinuxRights, Rights, Want, owner_named};
pub use files::{Access, DirEntry, Errno, FileHandle, FileKind, FileStat, Files, Handle, Result};
pub use linux::LinuxFiles;
pub use linux_watch::LinuxWatches;
pub use peer::{Peer, peer_of};
pub use watches::{WatchEvent, WatchId, Watches};
pub use world::{RealWorld, World};
