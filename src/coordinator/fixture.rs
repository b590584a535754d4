//! A coordinator without sockets, for tests of its services: a network `acme` with a site `marketing`, its administrator and an agent.

use std::sync::Arc;

use crate::net::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use super::accounts::{Attempts, Passwords, hash};
use super::context::Context;
use super::notices::Notices;
use super::session::Registry;
use super::{administration, agents, server, service};
use crate::config::CoordinatorConfig;
use crate::depot::packs::memory::MemoryDirectory;
use crate::depot::packs::{PACK_BYTES_MAX, PackLog};
use crate::depot::{Depot, DepotOptions};
use crate::model::{AgentId, Incarnation, NetworkId, NodeId, SetId};
use crate::net::authority::Authority;
use crate::net::server::PeerAgent;
use crate::net::testing::{duplex, slow};
use crate::store::Store;
use crate::sys::RealWorld;
use crate::task::Tasks;
use crate::wire::pb;

pub(super) const ADA: &str = "ada@example.com";
pub(super) const PASSWORD: &str = "correct horse";
pub(super) const OPERATOR: &str = "skyb_operator_test";

pub(super) struct Fixture {
    pub(super) context: Context,
    pub(super) network: NetworkId,
    pub(super) agent: AgentId,
    pub(super) tasks: Tasks,
    _directory: tempfile::TempDir,
}

/// A call with a token.
pub(super) fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// Returns the reason of a status, which every status has.
pub(super) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}")).reason.clone()
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let store = Store::memory();
        let context = Context {
            depot: Depot::new(
                store.clone(),
                PackLog::open_inline(MemoryDirectory::default(), PACK_BYTES_MAX).unwrap(),
                DepotOptions::default(),
            ),
            store,
            world: Arc::new(RealWorld),
            passwords: Passwords::new(Arc::new(RealWorld), argon2::Params::DEFAULT).unwrap(),
            attempts: Arc::new(Attempts::default()),
            authority: Arc::new(Authority::open(directory.path()).unwrap()),
            sessions: Registry::new(8),
            notices: Notices::default(),
            config: Arc::new(CoordinatorConfig::default()),
            address: "https://localhost:7443".into(),
            operator: hash(OPERATOR),
            tasks: tasks.child(),
        };
        let network = administration::ensure_site(&context, "acme", "marketing", ADA, PASSWORD.into()).await.unwrap();
        let now = context.now();
        let enrolment = administration::create_enrolment(&context, network, "fileserver".into(), None).await.unwrap();
        let (agent, secret) = (context.mint::<AgentId>(), hash(&enrolment.secret));
        context.transact(move |tx| agents::enrol(tx, secret, agent, now)).await.unwrap();
        Self { context, network, agent, tasks, _directory: directory }
    }

    /// A channel on which every caller is the agent, or nobody in particular.
    pub(super) async fn channel(&self, agent: Option<AgentId>) -> Channel {
        let (_, open) = server::health_and_reflection().await.unwrap();
        duplex(service::routes(&self.context, open), agent.map(PeerAgent), &self.tasks)
    }

    /// A channel of the agent's of so many bytes a second, which tells of the connections that it makes.
    pub(super) async fn slow_channel(&self, bytes_per_second: u64) -> (Channel, tokio::sync::mpsc::UnboundedReceiver<()>) {
        let (_, open) = server::health_and_reflection().await.unwrap();
        slow(service::routes(&self.context, open), Some(PeerAgent(self.agent)), &self.tasks, bytes_per_second)
    }

    pub(super) async fn sign_in(&self) -> String {
        let mut client = pb::account_service_client::AccountServiceClient::new(self.channel(None).await);
        let request = pb::SignInRequest { email: ADA.into(), password: PASSWORD.into(), label: "test".into() };
        client.sign_in(request).await.unwrap().into_inner().token
    }

    /// Makes a set of one folder into `acme/marketing/Shared`.
    pub(super) async fn set(&self) -> SetId {
        let token = self.sign_in().await;
        let set = SetId::from_uuid(uuid::Uuid::now_v7());
        let mut client = pb::sync_set_service_client::SyncSetServiceClient::new(self.channel(Some(self.agent)).await);
        let request = pb::CreateSyncSetRequest {
            set_id: set.to_string(),
            agent_id: self.agent.to_string(),
            target_path: "acme/marketing/Shared".into(),
            create_folder: true,
            folder: true,
            options: None,
            name: "Plans".into(),
            source_path: "/srv/Plans".into(),
        };
        let made = client.create_sync_set(with(&token, request)).await.unwrap().into_inner().sync_set.unwrap();
        assert_eq!((made.owner_email.as_str(), made.target_path.as_str()), (ADA, "acme/marketing/Shared"));
        set
    }

    pub(super) fn mint_node(&self) -> NodeId {
        self.context.mint()
    }

    pub(super) fn incarnation() -> Incarnation {
        Incarnation::new(1)
    }
}
