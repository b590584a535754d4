//! The messages of `SyncService.Synchronize`, and the pages of `ListMembers`, as the rest of the program has them.

use std::time::Duration;

use crate::model::{Cursor, Epoch, Incarnation, JournalEntry, MemberStatus, MemberTimes, NodeId, SetId, TargetNode, Timestamp};

use super::{PushBatch, PushOutcomes};

/// The oldest version of the conversation that this program speaks.
pub const VERSION_MIN_SUPPORTED: u32 = 1;
/// The newest version of the conversation that this program speaks.
pub const VERSION_CURRENT: u32 = 1;
/// The largest content that rides in an operation: smaller than the smallest chunk that the chunker cuts.
pub const INLINE_BYTES_MAX: u32 = 16 * 1024;

/// The most earlier lives of its state that an agent tells of.
pub const EARLIER_MAX: usize = 256;

/// The most subscriptions in a [`Hello`]; further sets are subscribed to later.
pub const HELLO_SUBSCRIPTIONS_MAX: usize = 1_000;

/// The longest path, and the longest detail, of a member in a [`MemberReport`].
pub const REPORT_TEXT_BYTES_MAX: usize = 4_096;

/// What an agent sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentMessage {
    /// Opens the conversation.
    Hello(Hello),
    /// Asks for the changes of one set.
    Subscribe(Subscription),
    /// Operations to do.
    Push(PushBatch),
    /// Says which changes are durable at the agent.
    Ack(Ack),
    /// Says how members are doing.
    Report(MemberReport),
    /// Says that the agent is alive.
    Heartbeat,
}

/// What the coordinator sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoordinatorMessage {
    /// Answers [`Hello`].
    Welcome(Welcome),
    /// The answers to one push batch.
    Outcomes(PushOutcomes),
    /// Changes of one set.
    Changes(ChangeBatch),
    /// A set cannot go on from the cursor that was given.
    ResyncRequired {
        /// The set.
        set: SetId,
        /// Why, for the log.
        detail: String,
    },
    /// What a person asked of the agent.
    Directive(Directive),
    /// Says that the coordinator is alive.
    Heartbeat,
    /// The coordinator is about to stop.
    Drain {
        /// How long to wait before connecting again.
        reconnect_after: Duration,
    },
}

/// Opens the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The lowest version that the agent speaks.
    pub version_min: u32,
    /// The highest version.
    pub version_max: u32,
    /// Which life of the agent's state this is.
    pub incarnation: Incarnation,
    /// The lives of this state before, the newest last.
    pub earlier: Vec<Incarnation>,
    /// The agent's software.
    pub software: String,
    /// The most unacknowledged change batches that the agent takes.
    pub window_batches: u32,
    /// The sets to begin with.
    pub subscriptions: Vec<Subscription>,
}

/// Asks for the changes of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The set.
    pub set: SetId,
    /// Where the agent stands; `None` when it holds nothing.
    pub cursor: Option<Cursor>,
}

/// Says that everything of a set up to a cursor is durable at the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The set.
    pub set: SetId,
    /// The cursor.
    pub cursor: Cursor,
}

/// Answers [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The version that is spoken from here on.
    pub version: u32,
    /// Grows with every session of the agent.
    pub session_generation: u64,
    /// How long each side may stay silent.
    pub heartbeat: Duration,
    /// The most push batches that may wait for their outcomes.
    pub window_batches: u32,
    /// The most operations in one push batch.
    pub batch_operations_max: u32,
    /// The most bytes of one push batch.
    pub batch_bytes_max: u32,
    /// The largest content that may ride in an operation.
    pub inline_bytes_max: u32,
    /// Which life of the journal goes on.
    pub epoch: Option<Epoch>,
}

/// Changes of one set, in the order in which they were committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeBatch {
    /// The set.
    pub set: SetId,
    /// The cursor just before the first change.
    pub from_exclusive: Cursor,
    /// The cursor that the receiver stands at once it holds the batch.
    pub to_inclusive: Cursor,
    /// The changes; may be empty.
    pub changes: Vec<JournalEntry>,
    /// Whether a further batch is ready.
    pub more_follows: bool,
    /// W3C trace context of the sender; may be empty.
    pub traceparent: String,
}

/// How members are doing at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReport {
    /// The set.
    pub set: SetId,
    /// Members whose status changed.
    pub members: Vec<MemberUpdate>,
}

/// How one member is doing at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberUpdate {
    /// The member.
    pub node: NodeId,
    /// Its status; `None` when the member is gone.
    pub status: Option<MemberStatus>,
    /// Its path at the source; `None` when unchanged.
    pub source_path: Option<String>,
    /// When this was so.
    pub time: Timestamp,
    /// When its sync did what.
    pub times: MemberTimes,
}

/// What a person asked of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// Look again, and try again what failed.
    RequestSync {
        /// The set.
        set: SetId,
        /// One member with what is in it; `None` for the whole set.
        node: Option<NodeId>,
    },
    /// The set was ended, or is no longer granted to this agent.
    SetEnded {
        /// The set.
        set: SetId,
    },
}

/// A page of the members of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPage {
    /// The members; parents come before what is in them.
    pub members: Vec<TargetNode>,
    /// Gets the next page; empty after the last.
    pub next_page_token: String,
    /// The journal's head when the first page was read.
    pub as_of: Cursor,
}
