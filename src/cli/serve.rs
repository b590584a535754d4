//! `coordinator` and `agent`: the two roles as processes that run until they are told to stop.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{self, AgentError, EnrolError},
    cli::{Globals, failure::Failure, text::printable},
    config::{self, AgentConfig, CoordinatorConfig, TelemetryConfig},
    coordinator,
    net::NetError,
    task::Tasks,
    telemetry::{self, TelemetryGuard},
};

/// Runs a coordinator.
#[derive(Debug, clap::Args)]
pub(crate) struct Coordinator {
    /// Its configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where it listens; port 0 takes a free one [default: 0.0.0.0:7443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where its state is [default: /var/lib/skybridge/coordinator]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs or enrols an agent.
#[derive(Debug, clap::Args)]
pub(crate) struct Agent {
    #[command(subcommand)]
    command: Option<AgentCommand>,
    #[command(flatten)]
    options: AgentOptions,
}

/// What an agent is told.
#[derive(Debug, clap::Args)]
struct AgentOptions {
    /// Its configuration
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where its state is [default: /var/lib/skybridge/agent]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A site and the directory that is its document library; can be given several times
    #[arg(long = "site", global = true, value_name = "NAME=/PATH", value_parser = parse_site)]
    sites: Vec<(String, PathBuf)>,
    /// A directory with the layout Sites/<site>/documentLibrary
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum AgentCommand {
    /// Run the agent; the same as without a command
    Run,
    /// Make this machine an agent of a coordinator
    Enroll {
        /// The string that `skybridge admin agent enroll` printed
        #[arg(value_name = "ENROLMENT")]
        enrolment: String,
    },
}

/// Runs a coordinator until it is told to stop.
pub(crate) async fn coordinator(arguments: Coordinator) -> anyhow::Result<()> {
    let mut config: CoordinatorConfig = load(arguments.config)?;
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.data = arguments.data.unwrap_or(config.data);
    let telemetry = telemetry(&config.telemetry, "coordinator")?;
    let ended = coordinator::server::run(config, until_told_to_stop()?).await;
    telemetry.shutdown().await;
    Ok(ended?)
}

/// Runs an agent until it is told to stop, or enrols it.
pub(crate) async fn agent(globals: &Globals, arguments: Agent) -> anyhow::Result<()> {
    let options = arguments.options;
    let mut config: AgentConfig = load(options.config)?;
    config.data = options.data.unwrap_or(config.data);
    config.root = options.root.or(config.root);
    config.socket = globals.agent_socket.clone().or(config.socket);
    config.sites.extend(options.sites.into_iter().collect::<BTreeMap<_, _>>());
    if let Some(AgentCommand::Enroll { enrolment }) = arguments.command {
        let data = config.data.display().to_string();
        let enrolment = enrolment.parse().map_err(|error: NetError| Failure::usage(error.to_string(), ""))?;
        let agent_id = agent::enrol(&config, &enrolment).await?.to_string();
        let value = serde_json::json!({ "agent_id": agent_id, "data": data });
        return globals.output.print_value(&value, || format!("enrolled as agent {agent_id}, kept in {}\n", printable(&data)));
    }
    if config.sites.is_empty() && config.root.is_none() {
        let remedy = "name one with --site NAME=/PATH, or a tree of them with --root DIR";
        return Err(Failure::usage("the agent is to serve no site", remedy).into());
    }
    let telemetry = telemetry(&config.telemetry, "agent")?;
    let ended = agent::run(config, until_told_to_stop()?).await;
    telemetry.shutdown().await;
    ended.map_err(|error| match error {
        // Starting it again does not help.
        AgentError::Enrolment(EnrolError::NotEnrolled) => Failure::usage(error.to_string(), "").into(),
        error => error.into(),
    })
}

/// Sets up logs, spans and metrics; what cannot be set up is wrongly configured.
pub(crate) fn telemetry(config: &TelemetryConfig, role: &'static str) -> anyhow::Result<TelemetryGuard> {
    telemetry::init(config, role).map_err(|error| Failure::usage(error.to_string(), "").into())
}

/// Reads a configuration, or takes the defaults; a wrong one ends the program before anything is bound.
fn load<T: serde::de::DeserializeOwned + Default>(path: Option<PathBuf>) -> anyhow::Result<T> {
    match path {
        None => Ok(T::default()),
        Some(path) => config::load(&path).map_err(|error| Failure::usage(error.to_string(), "").into()),
    }
}

/// Returns a token that fires on SIGINT or SIGTERM.
pub(crate) fn until_told_to_stop() -> anyhow::Result<CancellationToken> {
    let cancel = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let fired = cancel.clone();
    Tasks::new().spawn("wait for a signal", async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        fired.cancel();
    });
    Ok(cancel)
}

fn parse_site(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && path.starts_with('/') => Ok((name.to_owned(), PathBuf::from(path))),
        _ => Err("write it as NAME=/PATH, with an absolute path".to_owned()),
    }
}
