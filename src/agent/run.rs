//! An agent from its start to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::applier;
use super::at_work::AtWork;
use super::context::Context;
use super::enrolment::{self, EnrolError, Enrolled};
use super::forget::forget_set;
use super::housekeeping;
use super::local::{self, Local};
use super::planner::{self, Outlets, UnderWay, committed};
use super::repository::filesystem::{Config as RepositoryConfig, FilesystemRepository};
use super::repository::{Repository, RepositoryError, SiteName};
use super::session::{self, Channels, Command, Connection, Inlets};
use super::state::KnownSites;
use super::tracker::{LookQueue, Tracker};
use crate::config::AgentConfig;
use crate::depot::packs::{DiskDirectory, PackLog};
use crate::depot::{Depot, DepotOptions};
use crate::model::AgentId;
use crate::net::NetError;
use crate::net::channel::Use;
use crate::store::{OpenError, ReadExt as _, RedbOptions, Store, StoreError, WriteExt as _};
use crate::sys::{Files, LinuxFiles, LinuxRights, LinuxWatches, RealWorld, Rights, Watches, World, owner_named};
use crate::task::{Handle, Lost, Tasks};
use crate::wire::Directive;

/// How long a shutdown may take.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);
/// Directives that wait to be acted on.
const DIRECTIVES: usize = 64;

/// Why an agent cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It is not enrolled, or its enrolment cannot be used.
    #[error(transparent)]
    Enrolment(#[from] EnrolError),
    /// Its state cannot be opened: another process uses it, a newer program wrote it, or it is damaged.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its state failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its content store cannot be used.
    #[error("the content store cannot be used: {0}")]
    Depot(std::io::Error),
    /// The repository cannot be opened.
    #[error("the repository cannot be opened: {0}")]
    Repository(#[from] RepositoryError),
    /// No site is configured.
    #[error("no site is configured: give --root DIR with Sites/<site>/documentLibrary in it, or --site NAME=DIR")]
    NoSites,
    /// Nobody is who new items are to belong to.
    #[error("owner = {owner:?}: this machine has no such user or group; give USER or USER:GROUP, by names or numbers")]
    Owner {
        /// Who is configured.
        owner: String,
    },
    /// The coordinator's address or a certificate cannot be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The socket for commands cannot be made.
    #[error("the socket {} cannot be made: {source}", path.display())]
    Socket {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A part of it panicked.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Runs an agent until `cancel` fires.
///
/// # Errors
/// When it cannot start, or its state fails for good.
pub async fn run(config: AgentConfig, cancel: CancellationToken) -> Result<(), AgentError> {
    let enrolled = enrolment::load(&config)?;
    let tasks = Tasks::under(&cancel);
    let (credentials, renewed) = (enrolled.credentials.clone(), config.clone());
    let parts = Parts::open(&config, enrolled)?;
    let (control, ended) = (parts.channels.control.clone(), tasks.cancel().clone());
    drop(tasks.spawn("renewal", async move { enrolment::keep_renewed(&renewed, &credentials, &control, ended).await }));
    let agent = Agent::start(parts, config, tasks.clone()).await?;
    let (local, socket, ended) = (agent.local().clone(), agent.local.context.config.socket_path(), tasks.cancel().clone());
    let served = socket.clone();
    let commands = tasks.spawn("local service", async move { local::serve(local, &served, ended).await });
    let ended = tokio::select! {
        biased;
        ended = agent.ended() => ended,
        ended = commands.join() => ended?.map_err(|source| AgentError::Socket { path: socket, source }),
    };
    tasks.shutdown(SHUTDOWN_LIMIT).await;
    ended
}

/// What an agent works with, besides its configuration.
#[derive(Debug)]
pub struct Parts {
    /// Its state.
    pub store: Store,
    /// Where manifest pages and kept versions are.
    pub packs: PackLog,
    /// The file system that the repository is on.
    pub files: Arc<dyn Files>,
    /// Reports of changes in it, if there are any.
    pub watches: Option<Arc<dyn Watches>>,
    /// What people may do in it.
    pub rights: Arc<dyn Rights>,
    /// Time and chance.
    pub world: Arc<dyn World>,
    /// Channels to the coordinator.
    pub channels: Channels,
    /// Who the agent is there.
    pub agent: AgentId,
    /// Where the coordinator is.
    pub coordinator_address: String,
}

impl Parts {
    /// Opens the data directory.
    fn open(config: &AgentConfig, enrolled: Enrolled) -> Result<Self, AgentError> {
        if config.root.is_none() && config.sites.is_empty() {
            return Err(AgentError::NoSites);
        }
        Ok(Self {
            // First, as it locks the directory.
            store: Store::open(&config.data.join("state.redb"), RedbOptions::default())?,
            packs: DiskDirectory::new(config.data.join("packs")).and_then(PackLog::open).map_err(AgentError::Depot)?,
            files: Arc::new(LinuxFiles),
            watches: LinuxWatches::new().ok().map(|watches| Arc::new(watches) as Arc<dyn Watches>),
            rights: Arc::new(LinuxRights),
            world: Arc::new(RealWorld),
            channels: Channels { control: enrolled.options.channel(Use::Control)?, bulk: enrolled.options.channel(Use::Bulk)? },
            agent: enrolled.agent,
            coordinator_address: enrolled.options.address,
        })
    }
}

/// An agent that works.
#[derive(Debug)]
pub struct Agent {
    local: Local,
    cancel: CancellationToken,
    planner: Handle<Result<(), StoreError>>,
    applier: Handle<Result<(), StoreError>>,
    session: Handle<Result<(), StoreError>>,
    tracker: Handle<()>,
}

/// Returns the identity of the repository, made once, and the sites that were opened before.
async fn identity(store: &Store, world: &dyn World) -> Result<(Uuid, BTreeSet<SiteName>), StoreError> {
    let fresh = world.mint();
    let stored = store.transact(move |tx| match tx.get::<KnownSites>(&())? {
        Some((identity, sites)) => Ok::<_, StoreError>((identity, sites)),
        None => {
            tx.put::<KnownSites>(&(), &(fresh, BTreeSet::new()))?;
            Ok((fresh, BTreeSet::new()))
        }
    });
    committed(stored.await)
}

/// Remembers the sites that were healthy once: if one of them is empty some day, it is not mounted.
async fn remember(store: &Store, repository: &dyn Repository) -> Result<(), StoreError> {
    let healthy: Vec<_> = repository.sites().into_iter().map(|site| site.name).filter(|name| repository.health(name).is_ok()).collect();
    let stored = store.transact(move |tx| {
        if let Some((identity, mut sites)) = tx.get::<KnownSites>(&())? {
            sites.extend(healthy.clone());
            tx.put::<KnownSites>(&(), &(identity, sites))?;
        }
        Ok::<_, StoreError>(())
    });
    committed(stored.await)
}

impl Agent {
    /// Opens the repository, takes up what an earlier life of the agent left, and starts its parts in `tasks`.
    ///
    /// # Errors
    /// When the state or the repository cannot be used.
    pub async fn start(parts: Parts, config: AgentConfig, tasks: Tasks) -> Result<Self, AgentError> {
        let Parts { store, packs, files, watches, rights, world, channels, agent, coordinator_address } = parts;
        let repository = Arc::new(repository(&store, &*world, files, watches, &config).await?);
        let context = Context {
            depot: Depot::new(store.clone(), packs, DepotOptions::default()),
            store,
            repository,
            world,
            config: Arc::new(config),
            planner: Arc::new(Notify::new()),
            looks: LookQueue::default(),
            at_work: AtWork::default(),
        };
        applier::recover(&context).await?;
        let (connection, connected) = watch::channel(Connection::Starting);
        let (commands, session_commands) = mpsc::unbounded_channel();
        let local =
            Local { context: context.clone(), channels, agent, coordinator_address, connection: connected, rights, session: commands };
        Ok(Self::work(context, local, connection, session_commands, &tasks))
    }

    fn work(
        context: Context,
        local: Local,
        connection: watch::Sender<Connection>,
        commands: mpsc::UnboundedReceiver<Command>,
        tasks: &Tasks,
    ) -> Self {
        let (pushes, planned_pushes) = mpsc::unbounded_channel();
        let (orders, planned_orders) = mpsc::unbounded_channel();
        let (directives, taken_directives) = mpsc::channel(DIRECTIVES);
        let (under_way, channels, cancel) = (UnderWay::default(), local.channels.clone(), tasks.cancel().clone());
        let outlets = Outlets { pushes, orders, under_way: under_way.clone() };
        let inlets = Inlets { pushes: planned_pushes, commands, under_way: under_way.clone(), connection, directives };
        let (c, w) = (context, tasks.clone());
        drop(tasks.spawn("directives", obey(c.clone(), taken_directives)));
        drop(tasks.spawn("housekeeping", housekeeping::run(c.clone(), cancel.clone())));
        Self {
            planner: tasks.spawn("planner", planner::run(c.clone(), outlets, cancel.clone())),
            applier: tasks.spawn("applier", applier::run(c.clone(), channels.bulk.clone(), planned_orders, under_way, w, cancel.clone())),
            session: tasks.spawn("session", session::run(c.clone(), channels, inlets, cancel.clone())),
            tracker: tasks.spawn("tracker", Tracker::new(c).run(cancel.clone())),
            local,
            cancel,
        }
    }

    /// Returns what its local service works with.
    #[must_use]
    pub const fn local(&self) -> &Local {
        &self.local
    }

    /// Waits until one of its parts ends, which they do when the agent stops or its state failed.
    ///
    /// # Errors
    /// When its state failed for good, or a part panicked.
    pub async fn ended(self) -> Result<(), AgentError> {
        tokio::select! {
            biased;
            ended = self.planner.join() => Ok(ended??),
            ended = self.applier.join() => Ok(ended??),
            ended = self.session.join() => Ok(ended??),
            ended = self.tracker.join() => Ok(ended?),
            () = self.cancel.cancelled() => Ok(()),
        }
    }
}

/// Opens the repository of an agent, and remembers which it is.
async fn repository(
    store: &Store,
    world: &dyn World,
    files: Arc<dyn Files>,
    watches: Option<Arc<dyn Watches>>,
    config: &AgentConfig,
) -> Result<FilesystemRepository, AgentError> {
    let owner = |configured: &str| owner_named(configured).ok_or_else(|| AgentError::Owner { owner: configured.to_owned() });
    let (identity, known) = identity(store, world).await?;
    let config = RepositoryConfig {
        repository: identity,
        root: config.root.clone(),
        mapped: config.sites.iter().map(|(name, path)| (SiteName(name.clone()), path.clone())).collect(),
        known,
        default_locale: config.default_locale.clone(),
        owner: config.owner.as_deref().map(owner).transpose()?,
        quiet: Duration::from_millis(config.quiet_millis),
    };
    let repository = FilesystemRepository::open(files, watches, config)?;
    remember(store, &repository).await?;
    Ok(repository)
}

/// Does what people in the cloud asked for.
async fn obey(context: Context, mut directives: mpsc::Receiver<Directive>) {
    while let Some(directive) = directives.recv().await {
        let done = match directive {
            Directive::RequestSync { set, node } => local::try_again(&context, set, node).await.map(|_| ()),
            Directive::SetEnded { set } => forget_set(&context, set).await,
        };
        if let Err(error) = done {
            tracing::error!(%error, "a request from the cloud could not be carried out");
        }
    }
}
