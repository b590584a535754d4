//! One coordinator from its data directory to its last answer.
//!
//! The data directory holds `state.redb`, `packs/`, `tls/` and `operator-token`. One process at a time uses it: the store's lock says so.
//! Shutting down goes from the outside in: health says NOT_SERVING, no connection is taken any more, sessions answer what they have and
//! say when to come back, calls end, the store is closed; all of it within a limit.

use std::fs;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use argon2::Params;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::accounts::{Attempts, Passwords, Secret, hash};
use super::context::Context;
use super::maintenance;
use super::notices::Notices;
use super::service;
use super::session::Registry;
use crate::config::CoordinatorConfig;
use crate::depot::packs::{DiskDirectory, PackLog};
use crate::depot::{Depot, DepotOptions};
use crate::model::Fault;
use crate::net::NetError;
use crate::net::authority::{Authority, Fingerprint};
use crate::net::server::Listener;
use crate::store::{OpenError, RedbOptions, Store};
use crate::sys::{RealWorld, World};
use crate::task::{self, Handle, Tasks};
use crate::wire;

/// How long a shutdown may take: sessions answer within 5 seconds, and a proxy gives up after 10.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

/// Why a coordinator cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// A file or directory of the data directory cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The state cannot be opened: another process uses it, a newer program wrote it, or it is damaged.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The address or a certificate cannot be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Serving failed.
    #[error("serving failed: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// Something of the start was refused.
    #[error(transparent)]
    Refused(#[from] Fault),
    /// A task of the start or of the server panicked.
    #[error(transparent)]
    Lost(#[from] task::Lost),
}

/// Serves until `cancel` fires, and then shuts down in order.
///
/// # Errors
/// When it cannot start, or serving fails.
pub async fn run(config: CoordinatorConfig, cancel: CancellationToken) -> Result<(), CoordinatorError> {
    let mut coordinator = Coordinator::start(config).await?;
    tracing::info!(address = %coordinator.address(), fingerprint = %coordinator.fingerprint(), "listening");
    tokio::select! {
        biased;
        () = cancel.cancelled() => coordinator.stop().await,
        ended = coordinator.ended() => ended,
    }
}

/// A coordinator that serves.
#[derive(Debug)]
pub struct Coordinator {
    context: Context,
    address: SocketAddr,
    health: Health,
    serving: CancellationToken,
    server: Option<Handle<Result<(), tonic::transport::Error>>>,
    tasks: Tasks,
}

impl Coordinator {
    /// Opens the data directory, or makes it, and serves; port 0 takes a free one.
    ///
    /// # Errors
    /// When the directory is in use or was written by a newer program, the address is taken, or a file cannot be used.
    pub async fn start(config: CoordinatorConfig) -> Result<Self, CoordinatorError> {
        crate::net::install_provider();
        let files = Files::open(&config).await?;
        let names = server_names(&config);
        let listener = Listener::bind(config.listen, &files.authority, &names, config.connections_max).await?;
        let address = listener.address();
        let world: Arc<dyn World> = Arc::new(RealWorld);
        let parts = Parts { passwords: Passwords::new(Arc::clone(&world), Params::DEFAULT)?, world: Arc::clone(&world), files, address };
        Self::with(parts, config, |routes, serving| listener.serve(routes, world, serving, SHUTDOWN_LIMIT)).await
    }

    /// Serves over whatever `serve` takes connections from.
    ///
    /// # Errors
    /// When the descriptions of the services cannot be read.
    pub async fn with<S>(
        parts: Parts,
        config: CoordinatorConfig,
        serve: impl FnOnce(Routes, CancellationToken) -> S,
    ) -> Result<Self, CoordinatorError>
    where
        S: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
    {
        let (tasks, address) = (Tasks::new(), parts.address);
        let context = context(parts, config, tasks.child());
        let (health, open) = health_and_reflection().await?;
        drop(tasks.spawn("maintenance", maintenance::run(context.clone())));
        let serving = CancellationToken::new();
        let server = Some(tasks.spawn("serve", serve(service::routes(&context, open), serving.clone())));
        Ok(Self { context, address, health, serving, server, tasks })
    }

    /// Ends at once, as a process that is killed.
    pub fn kill(&self) {
        self.serving.cancel();
        self.tasks.abort();
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the fingerprint of its certificate authority.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.context.authority.fingerprint()
    }

    /// Returns its certificate authority, PEM.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        self.context.authority.certificate_pem()
    }

    /// Returns what it works with, for setting things up without a call.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Waits until serving fails.
    async fn ended(&mut self) -> Result<(), CoordinatorError> {
        match self.server.take() {
            Some(server) => Ok(server.join().await??),
            None => Ok(()),
        }
    }

    /// Shuts down in order.
    ///
    /// # Errors
    /// When serving had failed.
    pub async fn stop(mut self) -> Result<(), CoordinatorError> {
        self.health.set(ServingStatus::NotServing).await;
        self.serving.cancel();
        self.context.tasks.cancel().cancel();
        let served = self.ended().await;
        self.tasks.shutdown(SHUTDOWN_LIMIT).await;
        tracing::info!("stopped");
        served
    }
}

/// What a coordinator works with, besides its configuration.
#[derive(Debug)]
pub struct Parts {
    /// What is opened in the data directory.
    pub files: Files,
    /// Time and chance.
    pub world: Arc<dyn World>,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What is opened in the data directory.
#[derive(Debug)]
pub struct Files {
    /// All durable state but content.
    pub store: Store,
    /// Where content is.
    pub packs: PackLog,
    /// Signs the certificates of agents.
    pub authority: Arc<Authority>,
    /// The hash of the operator's token.
    pub operator: [u8; 32],
}

impl Files {
    async fn open(config: &CoordinatorConfig) -> Result<Self, CoordinatorError> {
        let (data, cache_mib) = (config.data.clone(), config.cache_mib);
        task::blocking("open the data directory", move || {
            let unusable = |path: &Path| {
                let path = path.to_owned();
                move |source| CoordinatorError::Data { path, source }
            };
            fs::create_dir_all(&data).map_err(unusable(&data))?;
            let options = RedbOptions { cache_bytes: cache_mib << 20, ..RedbOptions::default() };
            // First, as it locks the directory.
            let store = Store::open(&data.join("state.redb"), options)?;
            let packs = data.join("packs");
            let packs = DiskDirectory::new(&packs).and_then(PackLog::open).map_err(unusable(&packs))?;
            let authority = Arc::new(Authority::open(&data.join("tls"))?);
            let token = data.join("operator-token");
            let operator = operator_token(&token).map_err(unusable(&token))?;
            Ok(Self { store, packs, authority, operator })
        })
        .await?
    }
}

/// Reads the operator's token, or draws one at the first start; returns its hash.
fn operator_token(path: &Path) -> std::io::Result<[u8; 32]> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(hash(text.trim())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = Secret::draw(&RealWorld, "skyb_operator_");
            let temporary = path.with_extension("new");
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            writeln!(file, "{}", secret.expose())?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            Ok(secret.hash())
        }
        Err(error) => Err(error),
    }
}

fn context(Parts { files, world, passwords, address }: Parts, config: CoordinatorConfig, tasks: Tasks) -> Context {
    let told = config.public_address.clone().unwrap_or_else(|| match address.ip() {
        ip if ip.is_unspecified() => format!("https://{}:{}", host_name().as_deref().unwrap_or("localhost"), address.port()),
        _ => format!("https://{address}"),
    });
    Context {
        depot: Depot::new(files.store.clone(), files.packs, DepotOptions::default()),
        store: files.store,
        world,
        passwords,
        attempts: Arc::new(Attempts::default()),
        authority: files.authority,
        sessions: Registry::new(config.sessions_max),
        notices: Notices::default(),
        config: Arc::new(config),
        address: told.into(),
        operator: files.operator,
        tasks,
    }
}

/// The names and addresses that the certificate is valid for.
fn server_names(config: &CoordinatorConfig) -> Vec<String> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let listening = Some(config.listen.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
    let mut names: Vec<_> = own.into_iter().chain(listening).chain(host_name()).chain(config.server_names.iter().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// What health tells of each service and of all of them.
#[derive(Clone)]
pub(super) struct Health(HealthReporter);

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}

impl Health {
    async fn set(&self, status: ServingStatus) {
        for name in service::NAMES.into_iter().chain([""]) {
            self.0.set_service_status(name, status).await;
        }
    }
}

/// Returns the services that anybody may call: health, and reflection in both of its versions.
pub(super) async fn health_and_reflection() -> Result<(Health, Routes), Fault> {
    let (reporter, service) = tonic_health::server::health_reporter();
    let health = Health(reporter);
    health.set(ServingStatus::Serving).await;
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(wire::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        service::NAMES.into_iter().fold(builder, tonic_reflection::server::Builder::with_service_name)
    };
    let routes = Routes::new(service)
        .add_service(builder().build_v1().map_err(Fault::internal)?)
        .add_service(builder().build_v1alpha().map_err(Fault::internal)?);
    Ok((health, routes))
}
