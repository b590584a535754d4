//! Cutting documents into chunks, and the manifests that list the chunks. Pure functions over bytes; imports only [`crate::model`].
//!
//! A document of at most one chunk *is* its chunk. A longer one has a **manifest**: a tree of pages above the chunks, in which leaf
//! pages list chunks and inner pages list pages. Chunk borders follow the bytes ([`chunker`]), page borders follow the hashes of what
//! the page lists ([`page`]), so that a small change in a long document changes a few chunks and a few pages.
//!
//! The module does no I/O of its own: [`Walk`] and [`Difference`] say which page they need next and are given its bytes. Everything
//! given to them is taken for hostile: a page is checked against its hash, its place in the tree and the sizes that its parent
//! claimed. A walk visits at most `size / PARAMETER_BYTES_MIN` chunks, so whoever accepts a reference bounds its size first.

mod blob;
pub mod chunker;
mod difference;
mod manifest;
pub mod page;
mod walk;

pub use blob::{Blob, BlobKind};
pub use chunker::{Chunk, Chunker, ChunkerParameters, Cutter};
pub use difference::{Difference, DifferenceStep, Tree};
pub use manifest::{ManifestBuilder, split};
pub use page::{InvalidPage, Page};
pub use walk::{ChunkEntry, InvalidManifest, Step, Walk};

#[cfg(test)]
mod tests;
