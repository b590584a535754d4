//! What the services and sessions of one coordinator share.

use std::sync::Arc;

use crate::config::CoordinatorConfig;
use crate::depot::Depot;
use crate::model::{AccountId, AgentId, Fault, NetworkId, NodeId, SiteId, Timestamp, TokenId};
use crate::net::authority::Authority;
use crate::store::{Snapshot, Store, TransactError, Transaction};
use crate::sys::World;
use crate::task::Tasks;

use super::accounts::{Attempts, Passwords};
use super::failure::Failure;
use super::library::NodeRef;
use super::networks;
use super::notices::Notices;
use super::session::Registry;

/// What the services and sessions of one coordinator share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// All durable state but content.
    pub store: Store,
    /// Content at rest.
    pub depot: Depot,
    /// Time and chance.
    pub world: Arc<dyn World>,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Counts attempts to sign in.
    pub attempts: Arc<Attempts>,
    /// Signs the certificates of agents.
    pub authority: Arc<Authority>,
    /// The sessions of agents.
    pub sessions: Registry,
    /// Tells sessions that a journal has grown.
    pub notices: Notices,
    /// The configuration.
    pub config: Arc<CoordinatorConfig>,
    /// The address that agents are told, such as `https://sync.example.com:7443`.
    pub address: Arc<str>,
    /// The hash of the operator's token.
    pub operator: [u8; 32],
    /// The tasks of sessions and streams.
    pub tasks: Tasks,
}

impl Context {
    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let millis = self.world.now_millis();
        Timestamp {
            seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX),
            nanoseconds: u32::try_from(millis % 1_000).unwrap_or_default() * 1_000_000,
        }
    }

    /// Mints an id.
    #[must_use]
    pub fn mint<T: Mint>(&self) -> T {
        T::of(self.world.mint())
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// What `body` returns, as told to the caller.
    pub fn read<T>(&self, body: impl FnOnce(&Snapshot<'_>) -> Result<T, Failure>) -> Result<T, Fault> {
        self.store.read(body).map_err(Fault::from)
    }

    /// Runs a transaction.
    ///
    /// # Errors
    /// What `body` returns, as told to the caller.
    pub async fn transact<T: Send + 'static>(
        &self,
        body: impl FnMut(&mut Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Fault> {
        self.store.transact(body).await.map_err(|error: TransactError<Failure>| error.into())
    }

    /// Runs a transaction that changes the library which `node` names, and then wakes those who follow its network's journal.
    ///
    /// # Errors
    /// As [`Context::transact`].
    pub async fn change<T: Send + 'static>(
        &self,
        node: &NodeRef,
        body: impl FnMut(&mut Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Fault> {
        let result = self.transact(body).await?;
        if let Some((network, _)) = self.read(|read| Ok(networks::find(read, network_name(node))?))? {
            self.notices.changed(network);
        }
        Ok(result)
    }
}

/// Returns the name of the network that a node is named in.
#[must_use]
pub(super) fn network_name(node: &NodeRef) -> &str {
    match node {
        NodeRef::Id { network, .. } => network,
        NodeRef::Path(path) => path.trim_matches('/').split('/').next().unwrap_or_default(),
    }
}

/// What the coordinator mints ids of.
pub trait Mint {
    /// Makes an id of a new UUID.
    fn of(uuid: uuid::Uuid) -> Self;
}

macro_rules! mint {
    ($($id:ident),+) => { $(impl Mint for $id { fn of(uuid: uuid::Uuid) -> Self { Self::from_uuid(uuid) } })+ };
}

mint!(AccountId, AgentId, NetworkId, NodeId, SiteId, TokenId);
