//! `quickstart`: a coordinator and an agent in one process, a network, a site, an account and one folder sync, in a minute.
//!
//! It calls what people call: the operator's token makes the network, an enrolment string enrols the agent, the agent's socket makes the
//! sync. Each step finds out whether it is done already, so that an interrupted start or a second run goes on where it was.

mod compare;
mod guide;
mod library;
mod setup;

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::fs::Access;
use serde::{Deserialize, Serialize};

use guide::Guide;

use crate::{
    agent,
    cli::{
        Format, Globals,
        connect::Cloud,
        failure::Failure,
        output,
        profile::{self, Profile, QUICKSTART_DIR},
        serve, status, sync, text,
    },
    config::{AgentConfig, CoordinatorConfig, TelemetryConfig},
    coordinator::server::{Coordinator, CoordinatorError},
    net::{NetError, channel::Trust},
    task::Tasks,
    wire::pb,
};

/// Where the coordinator listens; if that is taken, on a free port.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 7443);
const NETWORK: &str = "quickstart";
const SITE: &str = "team";
/// Members that are not in step that are shown at once.
const TROUBLED_SHOWN: usize = 20;
/// How long the agent may take to end.
const AGENT_STOP: Duration = Duration::from_secs(20);

/// Shows the whole thing.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder to sync [default: a small library that is made up]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = QUICKSTART_DIR)]
    data: PathBuf,
    /// End once everything is in step and was compared
    #[arg(long)]
    exit_when_synced: bool,
}

/// What a quickstart remembers from run to run.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    /// The folder that is synced.
    folder: PathBuf,
}

/// Runs until Ctrl-C, or until everything is in step.
pub(crate) async fn run(globals: &Globals, arguments: Arguments) -> anyhow::Result<()> {
    let cancel = serve::until_told_to_stop()?;
    let quiet = TelemetryConfig { log: "warn".to_owned(), ..TelemetryConfig::default() };
    let telemetry = serve::telemetry(&quiet, "quickstart")?;
    let place = Place::prepare(arguments.folder.as_deref(), &arguments.data)?;
    let coordinator = start_coordinator(&place.data.join("coordinator")).await?;
    let tasks = Tasks::new();
    let outcome = tokio::select! {
        outcome = with_coordinator(globals, &place, &coordinator, &tasks, arguments.exit_when_synced) => outcome,
        () = cancel.cancelled() => Ok(()),
    };
    tasks.shutdown(AGENT_STOP).await;
    coordinator.stop().await?;
    telemetry.shutdown().await;
    outcome
}

/// Where things are.
#[derive(Debug)]
struct Place {
    data: PathBuf,
    /// The folder that is synced, as the person named it.
    shown: PathBuf,
    /// The same, absolute.
    folder: PathBuf,
}

impl Place {
    fn prepare(asked: Option<&Path>, data: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot use the data directory {}", data.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(cannot)?;
        let shown_data = data;
        let data = data.canonicalize().with_context(cannot)?;
        let memory = data.join("quickstart.toml");
        let remembered: Option<Remembered> = fs::read_to_string(&memory).ok().and_then(|text| toml::from_str(&text).ok());
        let shown = match (asked, &remembered) {
            (Some(asked), _) => asked.to_owned(),
            (None, Some(remembered)) if !remembered.folder.starts_with(&data) => remembered.folder.clone(),
            (None, _) => library::make(&shown_data.join("library")).with_context(|| "cannot make up a library")?,
        };
        let folder =
            shown.canonicalize().map_err(|error| Failure::usage(format!("{}: {error}", shown.display()), "name a folder that is there"))?;
        if !folder.is_dir() || folder.parent().is_none() {
            return Err(Failure::usage(format!("{} cannot be synced", shown.display()), "name a folder below another one").into());
        }
        if let Some(parent) = folder.parent()
            && rustix::fs::access(parent, Access::WRITE_OK).is_err()
        {
            let message = format!(
                "{} cannot be synced: {} is not yours to write, and the agent keeps its own files there",
                shown.display(),
                parent.display()
            );
            return Err(Failure::usage(message, "name a folder in one that is yours").into());
        }
        if data.starts_with(&folder) {
            let message = format!("the data directory {} is in the folder that is to be synced", data.display());
            return Err(Failure::usage(message, "keep it elsewhere with --data DIR").into());
        }
        match remembered {
            Some(remembered) if remembered.folder != folder => {
                let message = format!("{} belongs to a quickstart over {}", data.display(), remembered.folder.display());
                Err(Failure::usage(message, "give another --data, or no folder to go on with that one").into())
            }
            _ => {
                let text = toml::to_string(&Remembered { folder: folder.clone() })?;
                profile::write_secret(&memory, text.as_bytes())?;
                Ok(Self { data, shown, folder })
            }
        }
    }

    fn profile(&self) -> PathBuf {
        self.data.join(profile::FILE_NAME)
    }

    /// The folder's copy in the cloud.
    fn target(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("{NETWORK}/{SITE}/{name}")
    }

    fn agent_config(&self, address: &str) -> AgentConfig {
        // The site is the folder above: a document library cannot be synced itself, only what is in it.
        let site = self.folder.parent().unwrap_or(&self.folder).to_owned();
        AgentConfig {
            data: self.data.join("agent"),
            coordinator: Some(address.to_owned()),
            sites: [(SITE.to_owned(), site)].into(),
            ..AgentConfig::default()
        }
    }
}

/// Starts the coordinator on its usual port, or on a free one.
async fn start_coordinator(data: &Path) -> anyhow::Result<Coordinator> {
    let config = CoordinatorConfig { listen: SocketAddr::from(LISTEN), data: data.to_owned(), ..CoordinatorConfig::default() };
    match Coordinator::start(config.clone()).await {
        Err(CoordinatorError::Net(NetError::Listen { .. })) => {
            let listen = SocketAddr::from((LISTEN.0, 0));
            Ok(Coordinator::start(CoordinatorConfig { listen, ..config }).await?)
        }
        started => Ok(started?),
    }
}

async fn with_coordinator(
    globals: &Globals,
    place: &Place,
    coordinator: &Coordinator,
    tasks: &Tasks,
    exit_when_synced: bool,
) -> anyhow::Result<()> {
    let address = format!("https://{}", coordinator.address());
    say(globals, &format!("coordinator  {address}, its state in {}\n", text::printable(&place.data.display().to_string())))?;
    let config = place.agent_config(&address);
    let profile = setup::signed_in(place, coordinator, &address, config.socket_path()).await?;
    let cloud = Cloud::connect(&address, Trust::Authority(profile.authority.clone()), Some(&profile.token)).await?;
    setup::site(&cloud).await?;
    if !agent::is_enrolled(&config)? {
        let request = pb::CreateEnrolmentRequest { network: NETWORK.to_owned(), name: "quickstart".to_owned(), address: address.clone() };
        let enrolment = cloud.agents().create_enrolment(request).await?.into_inner().enrolment;
        agent::enrol(&config, &enrolment.parse()?).await?;
    }
    let running = tasks.spawn("agent", agent::run(config.clone(), tasks.cancel().clone())).join();
    tokio::select! {
        outcome = until_in_step(globals, place, &cloud, &profile, exit_when_synced) => outcome,
        ended = running => {
            ended?.context("the agent ended")?;
            Err(Failure::failed("the agent ended", "").into())
        }
    }
}

/// Makes the sync, shows its progress, and says what to try next; then stays, or proves what it did and ends.
async fn until_in_step(globals: &Globals, place: &Place, cloud: &Cloud, profile: &Profile, exit_when_synced: bool) -> anyhow::Result<()> {
    let socket = profile.agent_socket.as_deref().unwrap_or(Path::new(""));
    let mut agent = setup::reach_agent(socket).await?;
    let target = setup::sync_set(&mut agent, place, &profile.token).await?;
    say(globals, &format!("syncing      {} with {}\n", shown(&place.shown), text::printable(&target)))?;
    let begun = Instant::now();
    let (state, done) = status::settle(&mut agent, globals.output, "pushing", false).await?;
    let took = begun.elapsed().as_secs_f64();
    let moved = format!("{}, {}", text::count(done.items_done, "item"), text::size(done.bytes_done));
    if state.in_step {
        say(globals, &format!("in step      after {took:.1} s: {moved}\n"))?;
    } else {
        let troubled = sync::troubled(&mut agent, None, TROUBLED_SHOWN).await?;
        say(globals, &format!("not in step  after {took:.1} s: {moved}\n\n{}", sync::member_table(&troubled).render_or("")))?;
    }
    if !exit_when_synced {
        say(globals, &guide(globals, place, &target)?.text())?;
        return std::future::pending().await;
    }
    if !state.in_step {
        return Err(Failure::failed("not everything is in step", "see the reasons above, and `skybridge sync errors`").into());
    }
    let found = compare::compare(cloud, &place.folder, &target).await.context("cannot compare the two sides")?;
    if let Some(first) = found.differences.first() {
        let message = format!("{} between the two sides, the first: {first}", text::count(found.differences.len() as u64, "difference"));
        return Err(Failure::failed(message, "").into());
    }
    let result = serde_json::json!({
        "coordinator": profile.coordinator, "profile": place.profile(), "agent_socket": socket, "folder": place.folder, "target": target,
        "seconds": took, "items": done.items_done, "documents": found.documents, "bytes": found.bytes, "equal": true,
    });
    globals.output.print_value(&result, || {
        format!("compared     {}, {}: equal, byte for byte\n", text::count(found.documents, "document"), text::size(found.bytes))
    })
}

/// Says something to a person; a program gets the result at the end.
fn say(globals: &Globals, text: &str) -> anyhow::Result<()> {
    if globals.output == Format::Text { output::write_out(text.as_bytes()) } else { Ok(()) }
}

fn shown(path: &Path) -> String {
    text::printable(&path.display().to_string())
}

fn guide(globals: &Globals, place: &Place, target: &str) -> anyhow::Result<Guide> {
    let program = std::env::current_exe()?;
    let here = std::env::current_dir()?;
    let found = profile::find(globals.profile.as_deref()).and_then(|path| Ok(path.canonicalize()?));
    Ok(Guide {
        program: program.strip_prefix(&here).unwrap_or(&program).display().to_string(),
        profile: (found.ok() != Some(place.profile())).then(|| place.profile()),
        folder: place.shown.clone(),
        target: target.to_owned(),
        example: example(&place.folder),
    })
}

/// Finds a document to try things with: a text if there is one near the top.
fn example(folder: &Path) -> Option<String> {
    let mut waiting = vec![folder.to_owned()];
    let mut looked_at = 0;
    while let Some(folder_here) = waiting.pop() {
        for entry in fs::read_dir(&folder_here).ok()?.flatten() {
            looked_at += 1;
            let path = entry.path();
            let is_text = path.extension().is_some_and(|extension| extension == "md" || extension == "txt");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(path),
                Ok(kind) if kind.is_file() && is_text => return path.strip_prefix(folder).ok()?.to_str().map(str::to_owned),
                _ => {}
            }
        }
        // A large folder is not searched for an example.
        if looked_at > 1_000 {
            return None;
        }
    }
    None
}
