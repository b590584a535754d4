//! The nouns that every other module speaks: no I/O, no clock, no randomness.
//!
//! Constructors check; whatever holds a value of these types may rely on it being valid.

mod change;
mod content;
mod cursor;
mod fault;
mod ids;
mod member;
mod name;
mod node;
mod principal;
mod properties;
mod set;

pub use change::{Change, Departure, JournalEntry, Operation, Outcome, PropertyChange, Push, Refusal};
pub use content::{ContentRef, Hash};
pub use cursor::{Cursor, Epoch, Incarnation, Sequence};
pub use fault::{Fault, FaultKind};
pub use ids::{AccountId, AgentId, InvalidId, NetworkId, NodeId, OpId, PairingId, SetId, SiteId, TokenId};
pub use member::{MemberState, MemberStatus, MemberTimes, Reason};
pub use name::{FOLDING_VERSION, FoldedName, InvalidName, NAME_BYTES_MAX, Name};
pub use node::{Kind, NodeState, Place, Revisions, TargetNode};
pub use principal::{Permission, Role};
pub use properties::{InvalidProperty, Properties, Property, Timestamp, Value};
pub use set::{SetOptions, SetShape, SyncSet};
