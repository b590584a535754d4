//! Skybridge keeps chosen content of an on-premise document repository in step with a cloud library.
//!
//! ```text
//! people ─ SMB, FTP, WebDAV, editors ─▶ REPOSITORY ◀─▶ AGENT ══ gRPC, outbound only ══▶ COORDINATOR ◀─ people, services
//!          on premises                               tracks changes and locks          holds target folders, sync sets
//! ```
//!
//! # The map
//!
//! | module | holds |
//! | --- | --- |
//! | [`model`] | the nouns: ids, names, nodes, properties, sync sets, changes, cursors, faults. No I/O, no clock |
//! | [`engine`] | the decisions: the planner and its table, the brake, who may do what. Pure functions |
//! | [`content`] | cutting documents into chunks, and manifests that list them. Pure functions |
//! | [`wire`] | generated protocol code, conversions both ways, faults as statuses. The only reader of generated fields |
//! | [`store`] | the transactional key-value interface and its back ends |
//! | [`depot`] | content at rest: packs, index, leases, collection, scrub |
//! | [`net`] | servers, channels, TLS and enrolment |
//! | [`transfer`] | moving content between the two roles |
//! | [`sys`] | the seam to the operating system |
//! | [`agent`] | beside the repository: tracker, uplink, applier, versions, the local service |
//! | [`coordinator`] | in the cloud: library, accounts, sync sets, journal, sessions |
//! | [`cli`] | the commands that people use |
//!
//! Imports point one way: `cli → agent | coordinator → transfer → net, depot → wire, store, content, engine → model`.
//! The two roles never import each other. `tests/it/tidy.rs` holds the rule.
//!
//! # Invariants
//!
//! 1. **Nothing is lost.** Every content that either side had stored durably as a document's content can be restored: live, from a
//!    version history or from a trash, until its retention ends.
//! 2. **Absence is not a delete.** A delete needs positive evidence: a fresh and complete look at a parent known to be the right one,
//!    with the node found nowhere else, or a tombstone with a revision. Unknown is not empty, for whole nodes and for single facets.
//! 3. **The target decides.** The coordinator orders everything. A push names the revisions that it builds on and is refused when
//!    they have moved on; the agent then sees the newer state and plans again.
//! 4. **Exactly-once effect.** Any message may be repeated and any process may die at any instruction. An acknowledgement means durable.
//! 5. **Convergence.** When nobody changes anything both sides become equal, but for members whose state says why not, and then
//!    nothing more is sent.
//! 6. **Nothing unsynced leaves**, and no network sees another's. A hash is not a permission.
//! 7. **Bounded.** Every queue, message, batch, retry and cache has a limit; cost follows the number of changes, not of nodes.
//! 8. **Explained.** Any difference between the sides has a member state with a reason and a remedy.

pub mod agent;
pub mod cli;
pub mod config;
pub mod content;
pub mod coordinator;
pub mod depot;
pub mod engine;
pub mod model;
pub mod net;
pub mod store;
pub mod sys;
pub mod task;
pub mod telemetry;
pub mod transfer;
pub mod wire;
