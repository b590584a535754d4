//! A coordinator and an agent in the test's process, over directories of their own, with everything real between them: TLS, gRPC, the
//! agent's socket, the file system. Nothing is driven but by what people use.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use skybridge::agent::{self, AgentError};
use skybridge::config::{AgentConfig, CoordinatorConfig};
use skybridge::coordinator::server::Coordinator;
use skybridge::net::Channel;
use skybridge::net::channel::{ChannelOptions, Trust, Use};
use skybridge::task::{Handle, Tasks};
use skybridge::wire::pb;

use super::{Local, Person, Process, Source};

pub(crate) const NETWORK: &str = "acme";
pub(crate) const SITE: &str = "team";
/// The administrator of the network.
pub(crate) const ADA: &str = "ada@example.com";
/// A user that the machine has not.
const SOMEBODY: u32 = 64_000;
const PASSWORD: &str = "correct horse";

/// How long anything may take before a test gives up: far more than a busy machine needs, since passing tests never wait for it.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How long something must be missing at the source before it counts as deleted; short, as nothing moves slowly here.
const SETTLE_MILLIS: u64 = 100;

/// Waits until `look` finds what it looks for; `None` when it did not in time.
async fn look_until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        let mut tick = tokio::time::interval(POLL);
        loop {
            tick.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.ok()
}

/// Waits until `look` finds what it looks for.
async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    look_until(look).await.unwrap_or_else(|| panic!("waited in vain until {what}"))
}

/// One coordinator with a network and a site, and one agent beside a library.
#[derive(Debug)]
pub(crate) struct World {
    directory: tempfile::TempDir,
    address: SocketAddr,
    coordinator: Option<Coordinator>,
    running: Option<(Tasks, Handle<Result<(), AgentError>>)>,
    config: AgentConfig,
    /// The library on premises.
    pub(crate) source: Source,
    /// The agent's service.
    pub(crate) agent: Local,
    /// The administrator of the network, who also owns the sync sets.
    pub(crate) ada: Person,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts with some of the agent's configuration changed.
    pub(crate) async fn with(configure: impl FnOnce(&mut AgentConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let coordinator = start_coordinator(directory.path(), SocketAddr::from(([127, 0, 0, 1], 0))).await;
        let (address, authority) = (coordinator.address(), coordinator.authority_pem().to_owned());
        let channel = connect(address, &authority).await;
        let operator = fs::read_to_string(directory.path().join("coordinator/operator-token")).expect("a token");
        let operator = Person::with_token(channel.clone(), operator.trim());
        operator.create_network(NETWORK, ADA, PASSWORD).await.expect("a network");
        let ada = Person::sign_in(channel, ADA, PASSWORD).await.expect("she signs in");
        ada.create_site(NETWORK, SITE).await.expect("a site");

        let source = Source::new(directory.path().join("library"));
        let mut config = AgentConfig {
            data: directory.path().join("agent"),
            sites: [(SITE.to_owned(), source.path(""))].into(),
            settle_millis: SETTLE_MILLIS,
            ..AgentConfig::default()
        };
        configure(&mut config);
        let enrolment = ada.create_enrolment("fileserver", &format!("https://{address}")).await.expect("an enrolment");
        agent::enrol(&config, &enrolment.parse().expect("an enrolment")).await.expect("it enrols");
        let running = start_agent(&config);
        let agent = reach(&config, &source).await;
        Self { directory, address, coordinator: Some(coordinator), running: Some(running), config, source, agent, ada }
    }

    /// The address of the coordinator, for people and programs.
    pub(crate) fn address(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Starts an agent beside a library of its own as somebody who is not root, so that it may not do everything; `None` where this process
    /// cannot. It ends with the process that is returned.
    pub(crate) async fn agent_of_somebody(&self) -> Option<(Local, Source, Process)> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let home = self.elsewhere().join("somebody");
        let data = home.join("data");
        let source = Source::of(home.join("library"), SOMEBODY);
        fs::create_dir(&data).expect("it is made");
        std::os::unix::fs::chown(&data, Some(SOMEBODY), Some(SOMEBODY)).expect("it is given away");
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o755)).expect("they may come in");
        // The build directory may be nobody else's to read.
        let program = home.join("skybridge");
        fs::copy(env!("CARGO_BIN_EXE_skybridge"), &program).expect("it is copied");
        let enrolment = self.ada.create_enrolment("somebody", &self.address()).await.expect("an enrolment");
        let (data_text, site) = (data.to_str().expect("UTF-8"), format!("{SITE}={}", source.path("").display()));
        let enrolled = Process::run(&mut Process::command_by(SOMEBODY, &program, ["agent", "enroll", &enrolment, "--data", data_text]));
        assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
        let process = Process::start(&mut Process::command_by(SOMEBODY, &program, ["agent", "run", "--data", data_text, "--site", &site]));
        let config = AgentConfig { data, ..AgentConfig::default() };
        Some((reach(&config, &source).await, source, process))
    }

    /// The agent's service for another user of the machine; `None` where this process cannot be somebody else.
    pub(crate) async fn as_user(&self, user: u32, group: u32) -> Option<Local> {
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o755)).expect("they may come in");
        Local::connect_as(&self.config.socket_path(), &self.source, user, group).await
    }

    /// Where the agent keeps its state.
    pub(crate) fn agent_data(&self) -> PathBuf {
        self.config.data.clone()
    }

    /// A directory that is nobody's, outside of the library.
    pub(crate) fn elsewhere(&self) -> PathBuf {
        let path = self.directory.path().join("elsewhere");
        fs::create_dir_all(&path).expect("it is made");
        path
    }

    /// Where the coordinator keeps its state.
    pub(crate) fn coordinator_data(&self) -> PathBuf {
        self.directory.path().join("coordinator")
    }

    /// A channel of one's own.
    pub(crate) async fn channel(&self) -> Channel {
        let authority = fs::read_to_string(self.directory.path().join("agent/ca.pem")).expect("a certificate");
        connect(self.address, &authority).await
    }

    /// Whoever runs the coordinator.
    pub(crate) async fn operator(&self) -> Person {
        let token = fs::read_to_string(self.coordinator_data().join("operator-token")).expect("a token");
        Person::with_token(self.channel().await, token.trim())
    }

    /// Makes an account with a role in the site, and signs in with it.
    pub(crate) async fn person(&self, email: &str, role: pb::Role) -> Person {
        self.ada.create_account(email, PASSWORD).await.expect("an account");
        self.ada.set_role(email, role).await.expect("a role");
        Person::sign_in(self.channel().await, email, PASSWORD).await.expect("they sign in")
    }

    /// Makes a sync set of Ada's, and waits until it is in step.
    pub(crate) async fn sync(&self, paths: &[&str], target: &str, options: pb::SyncOptions) -> String {
        let made = self.agent.create(paths, target, options, &self.ada.token).await;
        let set = made.unwrap_or_else(|refused| panic!("{paths:?}: {refused:?}")).set_id;
        self.settle().await;
        set
    }

    /// Waits until each side has done all that it knows of: the agent holds every change of the cloud, has looked at the whole source, and
    /// has no more to do.
    pub(crate) async fn settle(&self) {
        let rest = async || {
            let before = self.lag().await?;
            self.agent.state(true, true).await.ok()?;
            (before == 0 && self.lag().await? == 0).then_some(())
        };
        if look_until(rest).await.is_none() {
            panic!("it does not come to rest\n{}", self.dump().await);
        }
    }

    /// Waits until the agent says by itself, without being asked to look, that something is so.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        match look_until(look).await {
            Some(found) => found,
            None => panic!("waited in vain until {what}\n{}", self.dump().await),
        }
    }

    /// How many changes of the cloud the agent has yet to take; `None` while it has no session.
    async fn lag(&self) -> Option<u64> {
        let agents = self.ada.agents().await.ok()?;
        agents.into_iter().find(|agent| agent.connected).map(|agent| agent.lag_entries)
    }

    /// Expects a folder at the source and one in the cloud to be equal; returns what is in them.
    pub(crate) async fn same(&self, source: &str, target: &str) -> super::Tree {
        let (here, there) = (self.source.tree(source), self.ada.tree(target).await);
        assert!(here == there, "the two sides differ\n{}", self.dump().await);
        here
    }

    /// Describes both sides and all members, for a test that failed.
    pub(crate) async fn dump(&self) -> String {
        let mut out = format!("source: {:#?}\n", self.source.tree(""));
        let _ = writeln!(out, "cloud: {:#?}", self.ada.tree(&format!("{NETWORK}/{SITE}")).await);
        if let Ok(state) = self.agent.state(false, false).await {
            let _ = writeln!(out, "agent: connected {} {:?} {:?}", state.connected, state.connection_problem, state.problems);
            for (path, member) in self.agent.members().await {
                let _ = writeln!(out, "  {path}: {:?} {:?} {:?} {}", member.state, member.reason, member.told, member.node_id);
            }
        }
        let _ = writeln!(out, "agents: {:?}", self.ada.agents().await);
        out
    }

    /// Ends the agent, in order.
    pub(crate) async fn stop_agent(&mut self) {
        let (tasks, handle) = self.running.take().expect("it runs");
        tasks.cancel().cancel();
        handle.join().await.expect("it ends").expect("it ends well");
    }

    /// Starts the agent again over the same state.
    pub(crate) async fn start_agent(&mut self) {
        self.running = Some(start_agent(&self.config));
        self.agent = reach(&self.config, &self.source).await;
    }

    /// Ends the coordinator, in order.
    pub(crate) async fn stop_coordinator(&mut self) {
        self.coordinator.take().expect("it runs").stop().await.expect("it ends well");
    }

    /// Starts the coordinator again, where it was.
    pub(crate) async fn start_coordinator(&mut self) {
        self.coordinator = Some(start_coordinator(self.directory.path(), self.address).await);
    }
}

async fn start_coordinator(directory: &Path, listen: SocketAddr) -> Coordinator {
    let config = CoordinatorConfig { listen, data: directory.join("coordinator"), cache_mib: 16, ..CoordinatorConfig::default() };
    Coordinator::start(config).await.expect("the coordinator starts")
}

async fn connect(address: SocketAddr, authority: &str) -> Channel {
    let trust = Trust::Authority(authority.to_owned());
    let options = ChannelOptions { address: format!("https://{address}"), trust, identity: None, proxy: None };
    options.connect(Use::Control).await.expect("the coordinator is reached")
}

fn start_agent(config: &AgentConfig) -> (Tasks, Handle<Result<(), AgentError>>) {
    let tasks = Tasks::new();
    let handle = tasks.spawn("agent", agent::run(config.clone(), tasks.cancel().clone()));
    (tasks, handle)
}

async fn reach(config: &AgentConfig, source: &Source) -> Local {
    until("the agent opens its socket", async || Local::connect(&config.socket_path(), source).await.ok()).await
}
