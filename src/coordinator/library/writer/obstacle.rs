//! What can stand in the way of a change, whoever makes it.

use crate::coordinator::failure::Failure;
use crate::coordinator::journal::NoRoom;
use crate::model::{Fault, FaultKind, InvalidProperty, Name, NodeId, Reason, SetId};
use crate::store::StoreError;

/// What stands in the way. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::coordinator) enum Obstacle {
    /// Another node in the folder has the name.
    NameTaken {
        /// Which.
        holder: NodeId,
        /// The name that was asked for.
        name: Name,
    },
    /// A folder would be moved into itself.
    IntoItself,
    /// There is no room.
    NoRoom(NoRoom),
    /// The content is not stored, or not for the caller to refer to.
    ContentMissing,
    /// A person would take content out of a set that does not allow deleting in the cloud.
    Protected {
        /// The set.
        set: SetId,
        /// What lists call it.
        name: Name,
    },
    /// More direct members are concerned than one transaction takes.
    TooManyDirectMembers {
        /// The most that it takes.
        limit: usize,
    },
    /// A property's value does not fit it.
    Property(InvalidProperty),
}

/// Why a change ended early.
#[derive(Debug)]
pub(in crate::coordinator) enum Stop {
    /// Something stands in the way; nothing was changed.
    Obstacle(Obstacle),
    /// The store failed.
    Store(StoreError),
}

impl From<Obstacle> for Stop {
    fn from(obstacle: Obstacle) -> Self {
        Self::Obstacle(obstacle)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Obstacle(obstacle) => Self::Refused(obstacle.into()),
            Stop::Store(error) => Self::Store(error),
        }
    }
}

impl From<Obstacle> for Fault {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::NameTaken { name, .. } => {
                Self::new(FaultKind::AlreadyExists, format!("there is something named {:?} already", name.as_str()))
                    .because(Reason::NameClash)
            }
            Obstacle::IntoItself => Self::new(FaultKind::Precondition, "a folder cannot be moved into itself"),
            Obstacle::NoRoom(NoRoom::Document { limit_bytes }) => {
                Self::new(FaultKind::Exhausted, format!("the document is larger than the network's limit of {limit_bytes} bytes"))
                    .because(Reason::ContentLimitExceeded)
            }
            Obstacle::NoRoom(NoRoom::Quota { quota_bytes }) => Self::new(
                FaultKind::Exhausted,
                format!("the network's quota of {quota_bytes} bytes would be exceeded: make room, or ask its administrator"),
            )
            .because(Reason::QuotaExceeded),
            Obstacle::ContentMissing => Self::new(FaultKind::Unavailable, "the content is no longer stored: send it again"),
            Obstacle::Protected { name, .. } => Self::new(
                FaultKind::Precondition,
                format!(
                    "the sync set {:?} does not allow its content to be deleted in the cloud: unsync it at the source first",
                    name.as_str()
                ),
            ),
            Obstacle::TooManyDirectMembers { limit } => Self::new(
                FaultKind::Precondition,
                format!("it holds more than {limit} items that are synced each by itself: move or delete them in parts"),
            ),
            Obstacle::Property(error) => Self::invalid("properties", error.to_string()),
        }
    }
}
