//! The coordinator of a run: started, killed and started again over what its disk kept.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use argon2::Params;
use http::HeaderValue;
use http::header::DATE;
use skybridge::config::CoordinatorConfig;
use skybridge::coordinator::accounts::{Passwords, hash};
use skybridge::coordinator::server::{Files, Parts};
use skybridge::coordinator::{Context, Coordinator, administration, agents, networks};
use skybridge::depot::packs::PackLog;
use skybridge::model::{AgentId, Epoch, NetworkId};
use skybridge::net::authority::Authority;
use skybridge::net::server::serve_connections;
use skybridge::store::{ReadExt as _, RedbOptions, Store, StoreError, TransactError, WriteExt as _};
use skybridge::sys::World;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::service::Routes;

use super::machine::Machine;
use super::{Chance, SETTLED_LIMIT};
use crate::disk::Process;
use crate::net::{Host, Net};

pub(super) const NETWORK: &str = "acme";
pub(super) const ADA: &str = "ada@example.com";
pub(super) const PASSWORD: &str = "correct horse";
/// Packs are left early, so that some are compacted.
const PACK_BYTES_MAX: u64 = 256 * 1024;

pub(super) fn cache() -> RedbOptions {
    RedbOptions { cache_bytes: 1 << 20, quick_repair: false }
}

/// Certificates play no part in a simulation, so one authority will do.
fn authority() -> Arc<Authority> {
    static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
    let make = || {
        let directory = tempfile::tempdir().expect("a directory");
        Arc::new(Authority::open(directory.path()).expect("an authority"))
    };
    Arc::clone(AUTHORITY.get_or_init(make))
}

/// Starts the coordinator in a new process; with `life`, over a journal that begins another life by that number.
pub(super) async fn start(
    machine: Machine,
    process: Process,
    world: Arc<Chance>,
    net: Net,
    life: Option<u64>,
) -> Result<Coordinator, String> {
    let data = Path::new("/data");
    machine.disk.person(crate::disk::Caller::root()).make_folders(data).map_err(|error| error.to_string())?;
    let (files, world) = (process.clone(), world as Arc<dyn World>);
    let store = Store::open_inline(move || files.database(&data.join("state.redb")), cache()).map_err(|error| error.to_string())?;
    if let Some(life) = life {
        begin_anew(&store, Epoch::new(life)).await.map_err(|error| error.to_string())?;
    }
    let packs = process.packs(&data.join("packs")).and_then(|packs| PackLog::open_inline(packs, PACK_BYTES_MAX));
    let files = Files { store, packs: packs.map_err(|error| error.to_string())?, authority: authority(), operator: hash("operator") };
    let cheap = Params::new(8, 1, 1, None).expect("costs");
    let passwords = Passwords::new(Arc::clone(&world), cheap).map_err(|error| error.to_string())?;
    let parts = Parts { files, world: Arc::clone(&world), passwords, address: ([10, 0, 0, 1], 7443).into() };
    let connections = UnboundedReceiverStream::new(net.listen(Host::Coordinator));
    let serve = |routes: Routes, serving| serve_connections(dated(routes), world, connections, serving, SETTLED_LIMIT);
    let started = Coordinator::with(parts, CoordinatorConfig::default(), serve).await;
    if !process.is_alive() {
        return Err("it ended while it started".to_owned());
    }
    started.map_err(|error| error.to_string())
}

/// Makes the journals of all networks those of another life.
async fn begin_anew(store: &Store, epoch: Epoch) -> Result<(), TransactError<StoreError>> {
    let begin = store.transact(move |tx| {
        for (key, mut network) in tx.scan::<networks::Network>(&(), None, usize::MAX)? {
            network.epoch = epoch;
            tx.put::<networks::Network>(&key, &network)?;
        }
        Ok(())
    });
    begin.await
}

/// The transport stamps its answers with the time of the real world, unless they have a stamp.
fn dated(routes: Routes) -> Routes {
    Routes::from(routes.into_axum_router().layer(tower::util::MapResponseLayer::new(|mut answer: http::Response<_>| {
        answer.headers_mut().insert(DATE, HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
        answer
    })))
}

/// Makes network, sites and their administrator.
pub(super) async fn set_up(context: &Context, sites: &[String]) -> NetworkId {
    let mut network = None;
    for site in sites {
        let made = administration::ensure_site(context, NETWORK, site, ADA, PASSWORD.to_owned()).await;
        network = Some(made.expect("a network and a site"));
    }
    network.expect("a site")
}

/// Enrols an agent.
pub(super) async fn enrol(context: &Context, network: NetworkId, name: &str) -> AgentId {
    let enrolment = administration::create_enrolment(context, network, name.to_owned(), None).await.expect("an enrolment");
    let (agent, secret, now) = (context.mint::<AgentId>(), hash(&enrolment.secret), context.now());
    context.transact(move |tx| agents::enrol(tx, secret, agent, now)).await.expect("it enrols");
    agent
}
