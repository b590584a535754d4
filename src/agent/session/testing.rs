//! A coordinator that does what a test tells it to.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::*;
use crate::agent::planner::tests::Bench;
use crate::net::testing::duplex;
use crate::task::Tasks;
use crate::wire::{AgentMessage, CoordinatorMessage, VERSION_CURRENT, Welcome, pb};

pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) const WELCOME: Welcome = Welcome {
    version: VERSION_CURRENT,
    session_generation: 1,
    heartbeat: HEARTBEAT,
    window_batches: 4,
    batch_operations_max: 100,
    batch_bytes_max: 1 << 20,
    inline_bytes_max: 1 << 14,
    epoch: None,
};

type Answer = Result<pb::SynchronizeResponse, Status>;

/// A coordinator that says what it was given to say, and passes on what it hears.
struct Scripted {
    tasks: Tasks,
    said: Mutex<Option<mpsc::UnboundedReceiver<Answer>>>,
    heard: mpsc::UnboundedSender<AgentMessage>,
    pages: Mutex<VecDeque<Result<pb::ListMembersResponse, Status>>>,
}

#[tonic::async_trait]
impl pb::sync_service_server::SyncService for Scripted {
    type SynchronizeStream = BoxStream<'static, Answer>;

    async fn synchronize(&self, request: Request<Streaming<pb::SynchronizeRequest>>) -> Result<Response<Self::SynchronizeStream>, Status> {
        let (mut incoming, heard) = (request.into_inner(), self.heard.clone());
        let hear = async move {
            while let Ok(Some(message)) = incoming.message().await {
                heard.send(AgentMessage::try_from(message).unwrap()).ok();
            }
        };
        drop(self.tasks.spawn("hear", hear));
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Response::new(UnboundedReceiverStream::new(said.ok_or_else(|| Status::unavailable("once only"))?).boxed()))
    }

    async fn list_members(&self, _: Request<pb::ListMembersRequest>) -> Result<Response<pb::ListMembersResponse>, Status> {
        let page = self.pages.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        page.unwrap_or_else(|| Err(Status::unavailable("no more pages"))).map(Response::new)
    }
}

/// One conversation of an agent with a scripted coordinator.
pub(super) struct Talk {
    say: mpsc::UnboundedSender<Answer>,
    pub(super) heard: mpsc::UnboundedReceiver<AgentMessage>,
    pub(super) cancel: CancellationToken,
    ended: crate::task::Handle<Ended>,
}

impl Talk {
    /// A conversation that was welcomed, with a coordinator that lists these pages.
    pub(super) fn begin(bench: &Bench, tasks: &Tasks, pages: Vec<Result<pb::ListMembersResponse, Status>>) -> Self {
        let talk = Self::open(bench, tasks, pages);
        talk.say(CoordinatorMessage::Welcome(WELCOME));
        talk
    }

    /// One that was not.
    pub(super) fn open(bench: &Bench, tasks: &Tasks, pages: Vec<Result<pb::ListMembersResponse, Status>>) -> Self {
        let ((say, said), (heard, hears)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let scripted = Scripted { tasks: tasks.child(), said: Mutex::new(Some(said)), heard, pages: Mutex::new(pages.into()) };
        let routes = Routes::new(pb::sync_service_server::SyncServiceServer::new(scripted));
        let control = duplex(routes, None, tasks);
        let (context, channels, cancel) = (bench.context.clone(), Channels { bulk: control.clone(), control }, CancellationToken::new());
        let token = cancel.clone();
        let ended = tasks.spawn("talk", async move {
            // Its other end stays open, so that nothing is asked for and nothing ends.
            let (_pushes, pushes) = mpsc::unbounded_channel();
            let mut inlets = Inlets {
                pushes,
                commands: mpsc::unbounded_channel().1,
                under_way: UnderWay::default(),
                connection: watch::channel(Connection::Starting).0,
                directives: mpsc::channel(1).0,
            };
            let lives = Lives { now: Incarnation::new(1), earlier: Vec::new() };
            conversation::run(&context, &channels, &mut inlets, &lives, &token).await
        });
        Self { say, heard: hears, cancel, ended }
    }

    pub(super) fn say(&self, message: CoordinatorMessage) {
        self.say_raw(message.into());
    }

    pub(super) fn say_raw(&self, message: pb::SynchronizeResponse) {
        self.say.send(Ok(message)).unwrap();
    }

    pub(super) async fn end(self) -> Ended {
        self.ended.join().await.unwrap()
    }
}

pub(super) fn set(number: u128) -> SetId {
    SetId::from_uuid(Uuid::from_u128(number))
}
