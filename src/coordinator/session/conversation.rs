//! One session from its first message to its end.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::deliveries::Deliveries;
use super::directives::Directives;
use super::notes::Notes;
use super::pushes::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, Pushes, WINDOW_BATCHES};
use super::registry::{Registration, Verdict};
use crate::coordinator::agents;
use crate::coordinator::auth::CallingAgent;
use crate::coordinator::context::Context;
use crate::coordinator::networks;
use crate::model::{Fault, FaultKind};
use crate::wire::{
    AgentMessage, CoordinatorMessage, Hello, INLINE_BYTES_MAX, ProtocolError, VERSION_CURRENT, VERSION_MIN_SUPPORTED, Welcome, pb,
};

/// How long the coordinator waits for `Hello`.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// How long each side may stay silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long what was received before a shutdown may take to be answered.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// Over how long agents spread their return after a shutdown.
const RETURN_SPREAD_MILLIS: u64 = 5_000;
/// Messages that wait for the agent to read them. All outcomes of a full window fit beside a full window of changes; an agent that lets
/// more gather does not read.
const QUEUE_MAX: usize = 96;
/// Room in the queue that is left to outcomes and heartbeats.
const QUEUE_RESERVE: usize = 32;

/// What the agent sends.
pub(super) type Incoming = Pin<Box<dyn Stream<Item = Result<pb::SynchronizeRequest, Status>> + Send>>;
/// What the agent gets.
pub type Outgoing = Pin<Box<dyn Stream<Item = Result<pb::SynchronizeResponse, Status>> + Send>>;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the agent left")]
    Left,
    #[error("a later session displaced it")]
    Displaced,
    #[error("the agent was revoked")]
    Revoked,
    #[error("the coordinator stops")]
    Draining,
    #[error("the agent was silent for too long")]
    Silent,
    #[error("the agent does not read")]
    NotRead,
    #[error("{0}")]
    Fault(#[from] Fault),
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        Self::Fault(error.into())
    }
}

impl End {
    /// Returns what the agent is told, if anything.
    fn status(self) -> Option<Status> {
        let unavailable = |message: &str| Fault::new(FaultKind::Unavailable, message);
        let fault = match self {
            Self::Left => return None,
            Self::Displaced => agents::fenced(),
            Self::Revoked => agents::revoked(),
            Self::Draining => unavailable("the coordinator stops; reconnect"),
            Self::Silent => unavailable("nothing was heard for too long; reconnect"),
            Self::NotRead => unavailable("what was sent was not read; reconnect"),
            Self::Fault(fault) => fault,
        };
        Some(fault.into())
    }
}

/// Starts a session in a task of its own, and returns what the agent gets.
///
/// # Errors
/// When as many agents are connected as are taken.
pub fn open(
    context: &Context,
    caller: CallingAgent,
    incoming: impl Stream<Item = Result<pb::SynchronizeRequest, Status>> + Send + 'static,
) -> Result<Outgoing, Fault> {
    let permit = context.sessions.admit()?;
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let (last, status) = oneshot::channel();
    let (context, incoming) = (context.clone(), incoming.boxed());
    let span = tracing::info_span!("session", agent = %caller.agent, generation = tracing::field::Empty);
    let tasks = context.tasks.clone();
    let session = async move {
        run(&context, caller, incoming, sender, last).await;
        drop(permit);
    };
    drop(tasks.spawn("session", session.instrument(span)));
    let last = futures::stream::once(status).filter_map(|status| std::future::ready(status.ok().map(Err)));
    Ok(ReceiverStream::new(receiver).map(|message: CoordinatorMessage| Ok(message.into())).chain(last).boxed())
}

/// Runs a session until the agent leaves, a fault ends it or the coordinator stops; says once how it ended.
async fn run(
    context: &Context,
    caller: CallingAgent,
    mut incoming: Incoming,
    sender: mpsc::Sender<CoordinatorMessage>,
    last: oneshot::Sender<Status>,
) {
    let end = match greet(context, caller, &mut incoming, &sender).await {
        Err(end) => {
            tracing::info!(%end, "no session began");
            end
        }
        Ok((hello, registration)) => {
            let mut session = Session::new(context, caller, registration, sender, &hello);
            let end = session.run(context.tasks.cancel(), incoming, hello).await;
            let now = context.now();
            let Counts { batches, operations, changes } = session.counts;
            tracing::info!(end = %end, batches, operations, changes, "session ended");
            if let Err(error) = context.transact(move |tx| Ok(agents::end_session(tx, caller.agent, now)?)).await {
                tracing::warn!(%error, "when the agent was last heard of could not be stored");
            }
            end
        }
    };
    if let Some(status) = end.status() {
        // The agent may be gone already; then nobody waits for the status.
        let _gone = last.send(status);
    }
}

/// Waits for `Hello`, agrees on a version, and begins a session that fences the earlier ones.
async fn greet(
    context: &Context,
    caller: CallingAgent,
    incoming: &mut Incoming,
    sender: &mpsc::Sender<CoordinatorMessage>,
) -> Result<(Hello, Registration), End> {
    let first = timeout(HELLO_WAIT, incoming.next()).await.map_err(|_| End::Silent)?;
    let Some(Ok(first)) = first else { return Err(End::Left) };
    let AgentMessage::Hello(hello) = AgentMessage::try_from(first)? else {
        return Err(Fault::invalid("kind", "the first message must be hello").into());
    };
    if hello.version_min > VERSION_CURRENT || hello.version_max < VERSION_MIN_SUPPORTED {
        let message = format!(
            "the agent speaks versions {} to {} of the conversation, and the coordinator {VERSION_MIN_SUPPORTED} to {VERSION_CURRENT}: \
             bring both to the same release",
            hello.version_min, hello.version_max
        );
        return Err(Fault::new(FaultKind::VersionUnsupported, message).into());
    }
    let (now, lives, software) = (context.now(), (hello.incarnation, hello.earlier.clone()), hello.software.clone());
    let begin = context.transact(move |tx| agents::begin_session(tx, caller.agent, (lives.0, &lives.1), &software, now));
    let generation = begin.await?;
    let epoch = context.read(|read| Ok(networks::get(read, caller.network)?.epoch))?;
    tracing::Span::current().record("generation", generation);
    let registration = context.sessions.register(caller.agent, generation);
    let welcome = Welcome {
        version: hello.version_max.min(VERSION_CURRENT),
        session_generation: generation,
        heartbeat: HEARTBEAT,
        window_batches: WINDOW_BATCHES,
        batch_operations_max: BATCH_OPERATIONS_MAX,
        batch_bytes_max: BATCH_BYTES_MAX,
        inline_bytes_max: INLINE_BYTES_MAX,
        epoch: Some(epoch),
    };
    sender.try_send(CoordinatorMessage::Welcome(welcome)).map_err(|_| End::Left)?;
    tracing::info!(software = %hello.software, sets = hello.subscriptions.len(), "session began");
    Ok((hello, registration))
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    batches: u64,
    operations: u64,
    changes: u64,
}

struct Session<'a> {
    context: &'a Context,
    registration: Registration,
    sender: mpsc::Sender<CoordinatorMessage>,
    journal: watch::Receiver<u64>,
    pushes: Pushes,
    deliveries: Deliveries,
    notes: Notes,
    directives: Directives,
    counts: Counts,
    /// After how long a silence of our own is broken.
    beat: Duration,
    last_sent: Instant,
    last_received: Instant,
}

impl<'a> Session<'a> {
    fn new(
        context: &'a Context,
        caller: CallingAgent,
        registration: Registration,
        sender: mpsc::Sender<CoordinatorMessage>,
        hello: &Hello,
    ) -> Self {
        let generation = registration.generation();
        Self {
            context,
            registration,
            sender,
            journal: context.notices.watch(caller.network),
            pushes: Pushes::new(context.clone(), caller, generation),
            deliveries: Deliveries::new(caller, hello.window_batches),
            notes: Notes::new(context.clone(), caller, generation),
            directives: Directives::new(caller),
            counts: Counts::default(),
            beat: beat_after(context.world.draw()),
            last_sent: Instant::now(),
            last_received: Instant::now(),
        }
    }

    async fn run(&mut self, cancel: &CancellationToken, mut incoming: Incoming, hello: Hello) -> End {
        match self.run_inner(cancel, &mut incoming, hello).await {
            Ok(()) => match self.drain().await {
                Ok(()) => End::Draining,
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    /// Returns when the coordinator stops.
    async fn run_inner(&mut self, cancel: &CancellationToken, incoming: &mut Incoming, hello: Hello) -> Result<(), End> {
        hello.subscriptions.into_iter().try_for_each(|subscription| self.deliveries.subscribe(subscription))?;
        self.direct()?;
        let asked = std::sync::Arc::clone(&self.registration.directives);
        loop {
            self.deliver()?;
            let (beat, silence) = (self.last_sent + self.beat, self.last_received + HEARTBEAT * 2);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                verdict = self.registration.ended() => return Err(match verdict {
                    Verdict::Displaced => End::Displaced,
                    Verdict::Revoked => End::Revoked,
                }),
                outcomes = self.pushes.next() => {
                    let outcomes = outcomes?;
                    self.counts.batches += 1;
                    self.counts.operations += outcomes.outcomes.len() as u64;
                    self.send(CoordinatorMessage::Outcomes(outcomes))?;
                }
                stored = self.notes.store() => stored?,
                message = incoming.next(), if self.notes.has_room() => match message {
                    Some(Ok(message)) => self.receive(AgentMessage::try_from(message)?)?,
                    Some(Err(status)) if status.code() == Code::OutOfRange => {
                        return Err(Fault::invalid("message", "is larger than what is taken").into());
                    }
                    // An agent that goes away without a word resets the stream.
                    Some(Err(_)) | None => return Err(End::Left),
                },
                changed = self.journal.changed() => {
                    // The sender lives as long as the context does.
                    changed.map_err(|_| End::Draining)?;
                    self.deliveries.wake();
                }
                () = asked.notified() => self.direct()?,
                () = sleep_until(silence) => return Err(End::Silent),
                () = sleep_until(beat) => self.beat().await?,
            }
        }
    }

    fn receive(&mut self, message: AgentMessage) -> Result<(), End> {
        self.last_received = Instant::now();
        match message {
            AgentMessage::Hello(_) => return Err(Fault::invalid("hello", "only the first message is hello").into()),
            AgentMessage::Subscribe(subscription) => self.deliveries.subscribe(subscription)?,
            AgentMessage::Push(batch) => self.pushes.accept(batch)?,
            AgentMessage::Ack(ack) => {
                if self.deliveries.acknowledge(&ack)? {
                    self.notes.acknowledge(ack.set, ack.cursor);
                }
            }
            AgentMessage::Report(report) => self.notes.report(report),
            AgentMessage::Heartbeat => {}
        }
        Ok(())
    }

    /// Sends changes as long as there are some and there is room.
    fn deliver(&mut self) -> Result<(), End> {
        while self.sender.capacity() > QUEUE_RESERVE {
            let Some(message) = self.deliveries.next(self.context)? else { break };
            if let CoordinatorMessage::Changes(batch) = &message {
                self.counts.changes += batch.changes.len() as u64;
            }
            self.send(message)?;
        }
        for (set, cursor) in self.deliveries.take_resumed() {
            self.notes.acknowledge(set, cursor);
        }
        Ok(())
    }

    fn direct(&mut self) -> Result<(), End> {
        for directive in self.directives.take(self.context)? {
            self.send(CoordinatorMessage::Directive(directive))?;
        }
        Ok(())
    }

    /// Breaks a silence of our own: with progress if there is some, else with a heartbeat.
    async fn beat(&mut self) -> Result<(), End> {
        self.directives.settle(self.context, HEARTBEAT * 2).await?;
        let message = self.deliveries.progress().unwrap_or(CoordinatorMessage::Heartbeat);
        self.send(message)
    }

    /// Never waits: an agent that does not read does not hold up anything.
    fn send(&mut self, message: CoordinatorMessage) -> Result<(), End> {
        self.last_sent = Instant::now();
        self.sender.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => End::NotRead,
            mpsc::error::TrySendError::Closed(_) => End::Left,
        })
    }

    /// Answers what was received, and says when to come back.
    async fn drain(&mut self) -> Result<(), End> {
        let until = Instant::now() + DRAIN_LIMIT;
        while !(self.pushes.is_idle() && self.notes.is_idle()) {
            tokio::select! {
                biased;
                outcomes = self.pushes.next() => {
                    let outcomes = CoordinatorMessage::Outcomes(outcomes?);
                    self.send(outcomes)?;
                }
                stored = self.notes.store() => stored?,
                () = sleep_until(until) => break,
            }
        }
        let spread = self.context.world.draw() % RETURN_SPREAD_MILLIS;
        self.send(CoordinatorMessage::Drain { reconnect_after: Duration::from_millis(spread) })
    }
}

/// Half of what may be silent, less up to a tenth, so that agents that connected together do not beat together.
fn beat_after(salt: u64) -> Duration {
    let half = HEARTBEAT / 2;
    half - half / 100 * u32::try_from(salt % 11).unwrap_or_default()
}
