//! An agent from its start to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::applier;
use super::context::Context;
use super::enrolment::{self, EnrolError, Enrolled};
use super::forget::forget_set;
use super::housekeeping;
use super::local::{self, Local};
use super::planner::{self, Outlets, UnderWay, committed};
use super::repository::filesystem::{Config as RepositoryConfig, FilesystemRepository};
use super::repository::{Repository, RepositoryError, SiteName};
use super::session::{self, Channels, Connection, Inlets};
use super::state::KnownSites;
use super::tracker::{LookQueue, Tracker};
use crate::config::AgentConfig;
use crate::depot::packs::{DiskDirectory, PackLog};
use crate::depot::{Depot, DepotOptions};
use crate::net::NetError;
use crate::net::channel::Use;
use crate::store::{OpenError, ReadExt as _, RedbOptions, Store, StoreError, WriteExt as _};
use crate::sys::{LinuxFiles, LinuxWatches, RealWorld, Watches, World, owner_named};
use crate::task::{Lost, Tasks};
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
    let context = open(config).await?;
    applier::recover(&context).await?;
    let channels = Channels { control: enrolled.options.channel(Use::Control)?, bulk: enrolled.options.channel(Use::Bulk)? };
    let tasks = Tasks::under(&cancel);
    let ended = work(&context, &enrolled, &channels, &tasks).await;
    tasks.shutdown(SHUTDOWN_LIMIT).await;
    ended
}

/// Opens the state and the repository.
async fn open(config: AgentConfig) -> Result<Context, AgentError> {
    if config.root.is_none() && config.sites.is_empty() {
        return Err(AgentError::NoSites);
    }
    let store = Store::open(&config.data.join("state.redb"), RedbOptions::default())?;
    let world: Arc<dyn World> = Arc::new(RealWorld);
    let packs = DiskDirectory::new(config.data.join("packs")).and_then(PackLog::open).map_err(AgentError::Depot)?;
    let depot = Depot::new(store.clone(), packs, DepotOptions::default());
    let (identity, known) = identity(&store, &*world).await?;
    let repository = FilesystemRepository::open(
        Arc::new(LinuxFiles),
        LinuxWatches::new().ok().map(|watches| Arc::new(watches) as Arc<dyn Watches>),
        RepositoryConfig {
            repository: identity,
            root: config.root.clone(),
            mapped: config.sites.iter().map(|(name, path)| (SiteName(name.clone()), path.clone())).collect(),
            known,
            default_locale: config.default_locale.clone(),
            owner: config.owner.as_deref().map(owner).transpose()?,
            quiet: Duration::from_millis(config.quiet_millis),
        },
    )?;
    remember(&store, &repository).await?;
    Ok(Context {
        store,
        repository: Arc::new(repository),
        depot,
        world,
        config: Arc::new(config),
        planner: Arc::new(Notify::new()),
        looks: LookQueue::default(),
    })
}

fn owner(configured: &str) -> Result<(u32, u32), AgentError> {
    owner_named(configured).ok_or_else(|| AgentError::Owner { owner: configured.to_owned() })
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

/// Starts the parts and waits until one of them ends, which they do when the agent stops or its state failed.
async fn work(context: &Context, enrolled: &Enrolled, channels: &Channels, tasks: &Tasks) -> Result<(), AgentError> {
    let (pushes, planned_pushes) = mpsc::unbounded_channel();
    let (orders, planned_orders) = mpsc::unbounded_channel();
    let (commands, session_commands) = mpsc::unbounded_channel();
    let (directives, taken_directives) = mpsc::channel(DIRECTIVES);
    let (connection, connected) = watch::channel(Connection::Starting);
    let under_way = UnderWay::default();
    let cancel = tasks.cancel().clone();
    let outlets = Outlets { pushes, orders, under_way: under_way.clone() };
    let inlets = Inlets { pushes: planned_pushes, commands: session_commands, under_way: under_way.clone(), connection, directives };
    let local = Local {
        context: context.clone(),
        channels: channels.clone(),
        agent: enrolled.agent,
        coordinator_address: enrolled.options.address.clone(),
        connection: connected,
        session: commands,
    };
    let socket = context.config.socket_path();
    let (c, w) = (context.clone(), tasks.clone());
    let planner = tasks.spawn("planner", planner::run(context.clone(), outlets, cancel.clone()));
    let applier = tasks.spawn("applier", applier::run(c.clone(), channels.bulk.clone(), planned_orders, under_way, w, cancel.clone()));
    let session = tasks.spawn("session", session::run(c.clone(), channels.clone(), inlets, cancel.clone()));
    let tracker = tasks.spawn("tracker", Tracker::new(c.clone()).run(cancel.clone()));
    let (served, ended) = (socket.clone(), cancel.clone());
    let commands = tasks.spawn("local service", async move { local::serve(local, &served, ended).await });
    drop(tasks.spawn("directives", obey(c.clone(), taken_directives)));
    drop(tasks.spawn("housekeeping", housekeeping::run(c, enrolled.credentials.clone(), channels.control.clone(), cancel.clone())));
    tokio::select! {
        ended = planner.join() => Ok(ended??),
        ended = applier.join() => Ok(ended??),
        ended = session.join() => Ok(ended??),
        ended = tracker.join() => Ok(ended?),
        ended = commands.join() => ended?.map_err(|source| AgentError::Socket { path: socket, source }),
        () = cancel.cancelled() => Ok(()),
    }
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
