//! What the parts of an agent share.

use std::sync::Arc;

use tokio::sync::Notify;

use super::at_work::AtWork;
use super::repository::Repository;
use super::tracker::LookQueue;
use crate::config::AgentConfig;
use crate::depot::Depot;
use crate::store::Store;
use crate::sys::World;

/// What the parts of an agent share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// The agent's state.
    pub store: Store,
    /// What it sits beside.
    pub repository: Arc<dyn Repository>,
    /// Manifest pages and kept versions.
    pub depot: Depot,
    /// Time and chance.
    pub world: Arc<dyn World>,
    /// The configuration.
    pub config: Arc<AgentConfig>,
    /// Notified after every transaction that may have marked members as dirty.
    pub planner: Arc<Notify>,
    /// What the tracker is asked to look at.
    pub looks: LookQueue,
    /// What is being done at the source without the planner.
    pub at_work: AtWork,
}
