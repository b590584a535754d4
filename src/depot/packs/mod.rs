//! Where the bytes of blobs are: packs, large things that are appended to and removed as a whole. Knows nothing of what is in them.

mod directory;
mod log;
pub mod memory;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use directory::{DiskDirectory, PackDirectory, PackFile};
pub use log::{PACK_BYTES_MAX, PackLog};

/// Where a run of bytes lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// The number of the pack.
    pub pack: u32,
    /// Where the run begins in the pack, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u32,
}

/// Why packs could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The storage refused.
    #[error("pack {pack}: {source}")]
    Io {
        /// The pack; 0 when it is about none.
        pack: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such pack, or it ends before the bytes that were asked for.
    #[error("pack {pack} does not hold what the index says")]
    Gone {
        /// The pack.
        pack: u32,
    },
    /// The work was lost with the thread that did it.
    #[error(transparent)]
    Lost(#[from] crate::task::Lost),
}

/// Stores packs. Within one run of the program their numbers only grow.
pub trait PackStore: std::fmt::Debug + Send + Sync {
    /// Appends bytes in one piece and returns the pack and the offset where they begin, once they are durable.
    ///
    /// Failing leaves the store usable. What is appended and never referred to is waste, which goes with its pack.
    fn append(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<(u32, u64), PackError>>;

    /// Reads the bytes at a location. Never waits for an append.
    fn read(&self, at: Location) -> BoxFuture<'_, Result<Vec<u8>, PackError>>;

    /// Returns the least number of a pack that later appends may go to. It only grows.
    fn floor(&self) -> u32;

    /// Returns all packs with their sizes in bytes, in the order of their numbers.
    fn list(&self) -> BoxFuture<'_, Result<Vec<(u32, u64)>, PackError>>;

    /// Removes a pack below [`PackStore::floor`]. Removing one that is not there succeeds.
    fn remove(&self, pack: u32) -> BoxFuture<'_, Result<(), PackError>>;
}
