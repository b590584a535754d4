//! What each operation does and refuses, and what the sets are told.

mod answers;
mod edge;
mod leaving;
mod members;
mod moving;
mod refusals;

use super::*;
use crate::coordinator::networks::Limits;
use crate::coordinator::sets;
use crate::coordinator::testing::{FOLDER, KEEP, Told, World, content, document_state, folder_state, name, path, reason, time};
use crate::model::{
    AccountId, ContentRef, Departure, Fault, FaultKind, OpId, Place, Property, PropertyChange, SetOptions, SetShape, Value,
};

const FLAT: SetShape = SetShape::Folder { subfolders: false };

const DEFAULTS: SetOptions = SetOptions { lock_source: false, delete_on_cloud: true, delete_source: false };

fn properties(changes: Vec<PropertyChange>) -> Push {
    Push::Update { content: None, place: None, properties: changes }
}

fn through(world: &World) -> Push {
    Push::Delete { through: world.head().sequence }
}
