//! What integration tests share.

mod cloud;
mod local;
mod people;
mod process;
pub(crate) mod raw;
mod source;
mod tree;
mod world;

pub(crate) use cloud::{Cloud, PASSWORD};
pub(crate) use local::{Local, options};
pub(crate) use people::{Person, Refused};
pub(crate) use process::{Process, eventually};
pub(crate) use source::Source;
pub(crate) use tree::{Tree, tree};
pub(crate) use world::{ADA, NETWORK, SITE, World};
