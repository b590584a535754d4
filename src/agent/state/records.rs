//! The kinds of record that the agent stores.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::agent::repository::{Protection, RepoKey, SiteName, Stamp};
use crate::engine::Member;
use crate::engine::brake::Window;
use crate::engine::reconcile::Waits;
use crate::model::{
    Cursor, FoldedName, Incarnation, MemberState, MemberStatus, Name, NodeId, OpId, Operation, PairingId, Properties, SetId, SetOptions,
    SetShape,
};
use crate::store::{Record, Table};

/// The folder of a member as a part of a key: 16 bytes, zeros for direct members.
pub type Parent = [u8; 16];

/// What the agent is.
#[derive(Debug)]
pub struct Mine;

/// Who the agent is, and which life of its state this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MineRow {
    /// Drawn when the agent started.
    pub incarnation: Incarnation,
}

impl Record for Mine {
    const TABLE: Table = Table::Mine;
    const FORMAT: u8 = 1;
    type Key = ();
    type Value = MineRow;
}

/// The lives of the state before this one, the newest last: what tells a copy of it from the original.
#[derive(Debug)]
pub struct EarlierLives;

impl Record for EarlierLives {
    const TABLE: Table = Table::EarlierLives;
    const FORMAT: u8 = 1;
    type Key = ();
    type Value = Vec<Incarnation>;
}

/// The repository's identity, made once, and the sites that were healthy once.
#[derive(Debug)]
pub struct KnownSites;

impl Record for KnownSites {
    const TABLE: Table = Table::KnownSites;
    const FORMAT: u8 = 1;
    type Key = ();
    type Value = (uuid::Uuid, BTreeSet<SiteName>);
}

/// The sync sets.
#[derive(Debug)]
pub struct LocalSets;

/// What was agreed with the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The set.
    pub id: SetId,
    /// The network of its target, by name.
    pub network: String,
    /// The account that made it, by address.
    pub owner: String,
    /// Documents or a folder.
    pub shape: SetShape,
    /// The choices.
    pub options: SetOptions,
    /// What lists call it.
    pub name: Name,
}

/// A sync set at the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalSet {
    /// What was agreed with the coordinator.
    pub definition: Definition,
    /// NETWORK/SITE/FOLDER…, as it was at creation.
    pub target_path: String,
    /// The site that its sources are in.
    pub site: SiteName,
    /// The user who made it.
    pub creator_uid: u32,
    /// When, in milliseconds since 1970.
    pub create_millis: u64,
    /// Up to where the coordinator's journal is in the target tree.
    pub cursor: Option<Cursor>,
    /// The source was looked through completely since the set, or this state, was made.
    pub source_complete: bool,
    /// The target tree is complete as of `cursor`.
    pub target_complete: bool,
    /// Recent deletes that were pushed.
    pub brake_target: Window,
    /// Recent deletes that were applied.
    pub brake_source: Window,
    /// What the brake stopped, which waits for a person.
    pub braked: Option<Braked>,
    /// The set is being ended: nothing is planned any more.
    pub ending: bool,
    /// Members by state.
    pub counts: BTreeMap<MemberState, Count>,
}

/// Members, and the bytes of their contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub members: u64,
    /// How much all of them hold.
    pub bytes: u64,
}

/// Deletes that the brake stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Braked {
    /// They would be pushed; else they would be made at the source.
    pub at_target: bool,
    /// How many.
    pub deletes: u64,
    /// How many went shortly before.
    pub recent: u64,
    /// Members of the set before all of these.
    pub members: u64,
}

impl Record for LocalSets {
    const TABLE: Table = Table::LocalSets;
    const FORMAT: u8 = 1;
    type Key = SetId;
    type Value = LocalSet;
}

/// The members of the sets.
#[derive(Debug)]
pub struct Members;

/// A member, with what the planner does not need to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// The three trees.
    pub member: Member,
    /// The bond between the two sides.
    pub pairing: PairingId,
    /// Where the repository has it; set exactly when the source tree has it.
    pub source: Option<SourceRow>,
    /// Owner and permissions that it had before it was first made read-only. They outlive its item, so that whatever somebody puts into its place
    /// gets them back in the end.
    pub protection: Option<Protection>,
    /// The folder that it was in when it was last at the source: where a direct member comes back.
    pub last_folder: Option<RepoKey>,
    /// Raised by whatever changes `source` or the source tree. A look at the repository that began before is thrown away.
    pub source_revision: u64,
    /// The operation in flight for it, a push or an apply.
    pub operation: Option<OpId>,
    /// When a change that somebody made although it is locked was last put back: told until somebody asks for a sync.
    pub put_back_millis: Option<u64>,
    /// What it waits for.
    pub waits: Option<Waits>,
    /// What people see.
    pub status: Status,
}

/// Where and how the repository has a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// Its key.
    pub key: RepoKey,
    /// The folder that holds it.
    pub folder: RepoKey,
    /// Its name there, when that is not the one in the source tree because it stands aside.
    pub aside: Option<Name>,
    /// Its stamp when it was last read.
    pub stamp: Stamp,
    /// The type of its own that it has, which is synced as the nearer of document and folder.
    pub custom_type: Option<String>,
    /// What was noticed when it was read, for a person.
    pub notes: Vec<String>,
    /// It is a direct member and was moved out of its document library, which ends its pairing: both copies stay.
    pub left_library: bool,
    /// EXIF values that stand beside the content and were made meaningless by newer content.
    pub obsolete: Properties,
    /// It was made read-only for people, and still was when it was last read.
    pub protected: bool,
}

/// How a member is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// State, reason, detail.
    pub now: MemberStatus,
    /// When both sides were last seen equal, in milliseconds since 1970.
    pub success_millis: Option<u64>,
    /// When it was last tried.
    pub attempt_millis: Option<u64>,
    /// How often it failed for a passing cause since the last success.
    pub failures: u32,
    /// When it is tried again, if by time.
    pub retry_millis: Option<u64>,
}

impl Record for Members {
    const TABLE: Table = Table::Members;
    const FORMAT: u8 = 1;
    type Key = (SetId, NodeId);
    type Value = MemberRow;
}

/// Which member a repository key is.
#[derive(Debug)]
pub struct Keys;

impl Record for Keys {
    const TABLE: Table = Table::RepositoryKeys;
    const FORMAT: u8 = 1;
    type Key = (Vec<u8>,);
    type Value = (SetId, NodeId);
}

/// Who holds a name at the source.
#[derive(Debug)]
pub struct SourceNames;

impl Record for SourceNames {
    const TABLE: Table = Table::SourceNames;
    const FORMAT: u8 = 1;
    type Key = (SetId, Parent, FoldedName, Vec<u8>, NodeId);
    type Value = ();
}

/// Who holds a name at the target.
#[derive(Debug)]
pub struct TargetNames;

impl Record for TargetNames {
    const TABLE: Table = Table::TargetNames;
    const FORMAT: u8 = 1;
    type Key = (SetId, Parent, FoldedName, NodeId);
    type Value = ();
}

/// Which sets have a member: more than one while it crosses between them.
#[derive(Debug)]
pub struct Holders;

impl Record for Holders {
    const TABLE: Table = Table::Holders;
    const FORMAT: u8 = 1;
    type Key = (NodeId, SetId);
    type Value = ();
}

/// What has to be planned.
#[derive(Debug)]
pub struct Dirty;

impl Record for Dirty {
    const TABLE: Table = Table::Dirty;
    const FORMAT: u8 = 1;
    type Key = (SetId, NodeId);
    type Value = ();
}

/// Who waits for what.
#[derive(Debug)]
pub struct Waiting;

/// What is waited for, as a part of a key.
pub type WaitKey = Vec<u8>;

impl Record for Waiting {
    const TABLE: Table = Table::Waiting;
    const FORMAT: u8 = 1;
    type Key = (SetId, WaitKey, NodeId);
    type Value = ();
}

/// Pushes whose outcome is not known.
#[derive(Debug)]
pub struct InFlight;

/// A push that left, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The member that it is for. Another than the operation's node when that one is to be adopted.
    pub member: NodeId,
    /// What was asked for.
    pub operation: Operation,
}

impl Record for InFlight {
    const TABLE: Table = Table::InFlight;
    const FORMAT: u8 = 1;
    type Key = OpId;
    type Value = Pushed;
}

/// Whose status the coordinator has not heard yet.
#[derive(Debug)]
pub struct Unreported;

impl Record for Unreported {
    const TABLE: Table = Table::Unreported;
    const FORMAT: u8 = 1;
    type Key = (SetId, NodeId);
    type Value = ();
}

/// What to plan again at a time.
#[derive(Debug)]
pub struct Retries;

/// Nothing more than the key says.
pub type Retry = ();

impl Record for Retries {
    const TABLE: Table = Table::Retries;
    const FORMAT: u8 = 1;
    type Key = (u64, SetId, NodeId);
    type Value = Retry;
}

/// Orders that the applier works on.
#[derive(Debug)]
pub struct Applying;

impl Record for Applying {
    const TABLE: Table = Table::Applying;
    const FORMAT: u8 = 1;
    type Key = OpId;
    type Value = (SetId, NodeId);
}

/// Whose document an operation displaced, for as long as somebody may still have it open.
#[derive(Debug)]
pub struct Displacements;

impl Record for Displacements {
    const TABLE: Table = Table::Displacements;
    const FORMAT: u8 = 1;
    type Key = OpId;
    type Value = (SetId, NodeId);
}
