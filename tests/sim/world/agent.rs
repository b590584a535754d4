//! An agent of a run: started, killed and started again over what its disk kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use skybridge::agent::local::{self, Local};
use skybridge::agent::session::Channels;
use skybridge::agent::{Agent, Parts};
use skybridge::config::AgentConfig;
use skybridge::depot::packs::PackLog;
use skybridge::model::AgentId;
use skybridge::net::Channel;
use skybridge::net::channel::{Use, over};
use skybridge::net::server::PeerAgent;
use skybridge::store::Store;
use skybridge::sys::{Peer, World};
use skybridge::task::Tasks;
use tonic::Request;

use super::Chance;
use super::coordinator::cache;
use super::machine::{AllMay, Machine};
use crate::disk::{Caller, Process};
use crate::net::{Host, Net};

/// The document library at the source.
pub(super) const LIBRARY: &str = "/srv/library";
const PACK_BYTES_MAX: u64 = 256 * 1024;

/// An agent that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) tasks: Tasks,
    local: Local,
}

impl Running {
    /// What its local service works with.
    pub(super) fn local(&self) -> Local {
        self.local.clone()
    }
}

/// The service that people at the source use.
pub(super) fn service(local: Local) -> impl skybridge::wire::pb::local_service_server::LocalService {
    local::service(local)
}

/// A request of somebody at the source.
pub(super) fn by_person<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Peer { user: 0, group: 0, process: 1 });
    request
}

/// A channel from a host to the coordinator.
pub(super) fn channel(net: &Net, from: Host, agent: Option<AgentId>, purpose: Use) -> Channel {
    let net = net.clone();
    let connector = tower::service_fn(move |_: http::Uri| {
        let net = net.clone();
        async move { net.connect(from, Host::Coordinator, agent.map(PeerAgent)).await.map(TokioIo::new) }
    });
    over(purpose, connector)
}

/// Starts an agent in a new process.
pub(super) async fn start(
    machine: Machine,
    process: Process,
    world: Arc<Chance>,
    net: Net,
    agent: AgentId,
    config: AgentConfig,
) -> Result<(Running, Agent), String> {
    let person = machine.disk.person(Caller::root());
    let data = config.data.clone();
    for folder in [&data, &PathBuf::from(LIBRARY)] {
        person.make_folders(folder).map_err(|error| error.to_string())?;
    }
    let files = process.clone();
    let at = data.join("state.redb");
    let store = Store::open_inline(move || files.database(&at), cache()).map_err(|error| error.to_string())?;
    let packs = process.packs(&data.join("packs")).and_then(|packs| PackLog::open_inline(packs, PACK_BYTES_MAX));
    let channel = |purpose| channel(&net, machine.host, Some(agent), purpose);
    let parts = Parts {
        store,
        packs: packs.map_err(|error| error.to_string())?,
        files: Arc::new(process.clone()),
        watches: Some(Arc::new(process.watches())),
        rights: Arc::new(AllMay(machine.disk.clone())),
        world: world as Arc<dyn World>,
        channels: Channels { control: channel(Use::Control), bulk: channel(Use::Bulk) },
        agent,
        coordinator_address: "https://coordinator.invalid".to_owned(),
    };
    let tasks = Tasks::new();
    let started = Agent::start(parts, config, tasks.clone()).await;
    if !process.is_alive() {
        tasks.abort();
        return Err("it ended while it started".to_owned());
    }
    let agent = started.map_err(|error| error.to_string())?;
    Ok((Running { tasks, local: agent.local().clone() }, agent))
}

/// The configuration of an agent.
pub(super) fn config(site: &str, people: &Caller) -> AgentConfig {
    AgentConfig {
        data: PathBuf::from("/data"),
        sites: [(site.to_owned(), Path::new(LIBRARY).to_owned())].into(),
        owner: Some(format!("{}:{}", people.user, people.group)),
        ..AgentConfig::default()
    }
}
