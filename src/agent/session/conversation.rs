//! One conversation: from `Hello` until one side leaves.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, interval};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tracing::Instrument as _;

use super::outgoing::Outgoing;
use super::{Channels, Command, Connection, Ended, Inlets, Lives, listing, reports, ring};
use crate::agent::context::Context;
use crate::agent::planner::{committed, journal, outcome};
use crate::agent::state::{LocalSets, members};
use crate::model::{Cursor, Epoch, NodeId, Outcome, SetId};
use crate::store::{ReadExt as _, StoreError};
use crate::telemetry::adopt_traceparent;
use crate::wire::pb::sync_service_client::SyncServiceClient;
use crate::wire::{
    Ack, AgentMessage, ChangeBatch, CoordinatorMessage, Directive, HELLO_SUBSCRIPTIONS_MAX, Hello, PushOutcomes, Subscription,
    VERSION_CURRENT, VERSION_MIN_SUPPORTED, Welcome, pb,
};

/// How long to wait for `Welcome`.
const WELCOME: Duration = Duration::from_secs(10);
/// Messages that wait for the network; the rest waits in the store.
const QUEUE: usize = 32;
/// Change batches that the coordinator may send ahead of our acknowledgement.
const WINDOW_BATCHES: u32 = 16;
/// The largest message of the stream; batches stay far below.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often statuses of members are told.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Holds a conversation until it ends.
pub(super) async fn run(context: &Context, channels: &Channels, inlets: &mut Inlets, lives: &Lives, cancel: &CancellationToken) -> Ended {
    let opened = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ended::Cancelled,
        opened = open(context, channels, lives) => opened,
    };
    let mut conversation = match opened {
        Ok(opened) => {
            inlets.connection.send_replace(Connection::Open);
            Conversation::new(context, channels, opened)
        }
        Err(end) => return end,
    };
    let end = match conversation.run(inlets, cancel).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    conversation.outgoing.shutdown().await;
    let told = conversation.told.drain(..).map(|(_, member)| member).collect();
    match reports::again(context, told).await {
        Ok(()) => end,
        Err(error) => Ended::Store(error),
    }
}

/// A conversation that the coordinator agreed to.
struct Opened {
    requests: mpsc::Sender<pb::SynchronizeRequest>,
    responses: Streaming<pb::SynchronizeResponse>,
    welcome: Welcome,
    /// What found no room in `Hello`.
    more: Vec<Subscription>,
}

async fn open(context: &Context, channels: &Channels, lives: &Lives) -> Result<Opened, Ended> {
    let mut subscriptions = subscriptions(context)?;
    let more = subscriptions.split_off(subscriptions.len().min(HELLO_SUBSCRIPTIONS_MAX));
    let hello = Hello {
        version_min: VERSION_MIN_SUPPORTED,
        version_max: VERSION_CURRENT,
        incarnation: lives.now,
        earlier: lives.earlier.clone(),
        software: concat!("skybridge/", env!("CARGO_PKG_VERSION")).to_owned(),
        window_batches: WINDOW_BATCHES,
        subscriptions,
    };
    let (requests, outgoing) = mpsc::channel(QUEUE);
    // Queued before the call: its answer comes only with the first bytes from the other side.
    if requests.send(AgentMessage::Hello(hello).into()).await.is_err() {
        return Err(Ended::Cancelled);
    }
    let mut client = SyncServiceClient::new(channels.control.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let begin = async {
        let mut responses = client.synchronize(ReceiverStream::new(outgoing)).await?.into_inner();
        match next(&mut responses).await? {
            CoordinatorMessage::Welcome(welcome) if (VERSION_MIN_SUPPORTED..=VERSION_CURRENT).contains(&welcome.version) => {
                Ok((responses, welcome))
            }
            CoordinatorMessage::Welcome(welcome) => Err(Ended::Protocol(format!("version {}, which was not offered", welcome.version))),
            _ => Err(Ended::Protocol("something else than a welcome came first".to_owned())),
        }
    };
    let (responses, welcome) = tokio::time::timeout(WELCOME, begin).await.map_err(|_| Ended::Silent)??;
    tracing::info!(session_generation = welcome.session_generation, "conversation opened");
    Ok(Opened { requests, responses, welcome, more })
}

/// All sets, also those that are ending: of these the coordinator tells again that they ended, and what was left undone is done.
fn subscriptions(context: &Context) -> Result<Vec<Subscription>, StoreError> {
    let sets = context.store.read(|read| read.scan::<LocalSets>(&(), None, usize::MAX))?;
    Ok(sets.into_iter().map(|(id, set)| Subscription { set: id, cursor: trusted(&set) }).collect())
}

/// The cursor to go on from; none while the target tree is not complete.
const fn trusted(set: &crate::agent::state::LocalSet) -> Option<Cursor> {
    if set.target_complete { set.cursor } else { None }
}

async fn next(responses: &mut Streaming<pb::SynchronizeResponse>) -> Result<CoordinatorMessage, Ended> {
    match responses.message().await? {
        Some(message) => CoordinatorMessage::try_from(message).map_err(|error| Ended::Protocol(error.to_string())),
        None => Err(Ended::Drained(Duration::from_secs(1))),
    }
}

struct Conversation<'a> {
    context: &'a Context,
    channels: &'a Channels,
    requests: mpsc::Sender<pb::SynchronizeRequest>,
    responses: Option<Streaming<pb::SynchronizeResponse>>,
    heartbeat: Duration,
    /// Which life of the journal goes on.
    epoch: Option<Epoch>,
    heard: Instant,
    /// Small messages that wait for room in the queue.
    outbox: VecDeque<AgentMessage>,
    outgoing: Outgoing,
    /// Members told of lately: what a lost connection may have swallowed.
    told: Vec<(Instant, (SetId, NodeId))>,
}

impl<'a> Conversation<'a> {
    fn new(context: &'a Context, channels: &'a Channels, opened: Opened) -> Self {
        Self {
            context,
            channels,
            requests: opened.requests,
            responses: Some(opened.responses),
            heartbeat: opened.welcome.heartbeat,
            epoch: opened.welcome.epoch,
            heard: Instant::now(),
            outbox: opened.more.into_iter().map(AgentMessage::Subscribe).collect(),
            outgoing: Outgoing::new(context.clone(), channels.bulk.clone(), &opened.welcome),
            told: Vec::new(),
        }
    }

    async fn run(&mut self, inlets: &mut Inlets, cancel: &CancellationToken) -> Result<std::convert::Infallible, Ended> {
        let mut responses = self.responses.take().ok_or_else(|| Ended::Protocol("the conversation was over before it began".to_owned()))?;
        self.outgoing.load()?;
        if let Some(epoch) = self.epoch {
            listing::outlive(self.context, epoch).await?;
        }
        let mut beat = interval(self.heartbeat / 2);
        let mut report = interval(REPORT_EVERY);
        let requests = self.requests.clone();
        loop {
            let has_message = !self.outbox.is_empty();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Ended::Cancelled),
                message = next(&mut responses) => self.take(message?, inlets).await?,
                permit = requests.reserve(), if has_message => {
                    let permit = permit.map_err(|_| Ended::Silent)?;
                    if let Some(message) = self.outbox.pop_front() {
                        permit.send(message.into());
                    }
                }
                op = inlets.pushes.recv() => match op {
                    Some(op) => self.outgoing.queue(op, &mut inlets.pushes),
                    None => return Err(Ended::Cancelled),
                },
                batch = self.outgoing.next_batch(), if !has_message => match batch? {
                    Some(batch) => self.outbox.push_back(AgentMessage::Push(batch)),
                    None => ring(self.context),
                },
                Some(command) = inlets.commands.recv() => self.command(&command)?,
                _ = report.tick() => self.report().await?,
                _ = beat.tick() => self.beat()?,
            }
            inlets.under_way.end(self.outgoing.take_ended());
        }
    }

    async fn take(&mut self, message: CoordinatorMessage, inlets: &Inlets) -> Result<(), Ended> {
        self.heard = Instant::now();
        match message {
            CoordinatorMessage::Welcome(_) => Err(Ended::Protocol("a second welcome".to_owned())),
            CoordinatorMessage::Outcomes(outcomes) => self.outcomes(outcomes).await,
            CoordinatorMessage::Changes(batch) => {
                let span = tracing::info_span!("take changes", set = %batch.set, entries = batch.changes.len());
                adopt_traceparent(&span, &batch.traceparent);
                self.changes(batch).instrument(span).await
            }
            CoordinatorMessage::ResyncRequired { set, detail } => self.resync(set, &detail).await,
            CoordinatorMessage::Directive(directive) => self.directive(directive, inlets).await,
            CoordinatorMessage::Heartbeat => Ok(()),
            CoordinatorMessage::Drain { reconnect_after } => Err(Ended::Drained(reconnect_after)),
        }
    }

    async fn outcomes(&mut self, outcomes: PushOutcomes) -> Result<(), Ended> {
        let answered = outcomes.outcomes.iter().map(|(op, _)| *op);
        if !self.outgoing.is_waiting(outcomes.batch, answered) {
            return Err(Ended::Protocol(format!("outcomes of batch {} that are not those of its operations", outcomes.batch)));
        }
        for (op, outcome) in &outcomes.outcomes {
            if let Outcome::Refused(refusal) = outcome {
                tracing::debug!(%op, ?refusal, "refused");
            }
        }
        let (world, answers) = (self.context.world.clone(), outcomes.outcomes.clone());
        let next = self.context.store.transact(move |tx| {
            answers.iter().map(|(op, answer)| Ok((*op, outcome::record(tx, *op, answer, &*world)?))).collect::<Result<Vec<_>, _>>()
        });
        let next = committed(next.await)?;
        let relisted: BTreeSet<_> =
            next.iter().filter_map(|(_, next)| if let outcome::Next::Relist(set) = next { Some(*set) } else { None }).collect();
        relisted.into_iter().for_each(|set| self.subscribe(Subscription { set, cursor: None }));
        self.outgoing.answered(outcomes.batch, next);
        ring(self.context);
        Ok(())
    }

    async fn changes(&mut self, batch: ChangeBatch) -> Result<(), Ended> {
        let Some(local) = self.context.store.read(|read| members::load_set(read, batch.set))? else { return Ok(()) };
        let held = local.cursor.filter(|_| local.target_complete);
        let Some(held) = held.filter(|held| held.epoch == batch.from_exclusive.epoch && held.sequence >= batch.from_exclusive.sequence)
        else {
            // A gap: ask again from where this side stands.
            self.subscribe(Subscription { set: batch.set, cursor: held });
            return Ok(());
        };
        let (set, to, world) = (batch.set, batch.to_inclusive, self.context.world.clone());
        let changes: Vec<_> = batch.changes.into_iter().filter(|change| change.sequence > held.sequence).collect();
        let folders = self.context.store.read(|read| journal::unannounced(read, set, &changes))?;
        let Some(listed) = listing::beneath(self.channels, set, folders).await? else {
            return self.resync(set, "more came into it with a folder than is taken at one time").await;
        };
        let took = self.context.store.transact(move |tx| {
            journal::take(tx, set, &changes, to, &*world)?;
            journal::take_listed(tx, set, &listed, false, &*world)?;
            let told = changes.iter().map(|entry| entry.change.node()).chain(listed.iter().map(|node| node.node));
            journal::drop_orphans(tx, set, told)
        });
        committed(took.await)?;
        self.acknowledge(Ack { set, cursor: to });
        ring(self.context);
        Ok(())
    }

    async fn resync(&mut self, set: SetId, detail: &str) -> Result<(), Ended> {
        if self.context.store.read(|read| members::load_set(read, set))?.is_none() {
            return Ok(());
        }
        tracing::info!(%set, detail, "listing the target anew");
        let cursor = listing::all(self.context, self.channels, set).await?;
        self.subscribe(Subscription { set, cursor: Some(cursor) });
        ring(self.context);
        Ok(())
    }

    async fn directive(&mut self, directive: Directive, inlets: &Inlets) -> Result<(), Ended> {
        inlets.directives.send(directive).await.map_err(|_| Ended::Cancelled)
    }

    fn command(&mut self, command: &Command) -> Result<(), Ended> {
        let Command::Subscribe(set) = command;
        let Some(local) = self.context.store.read(|read| members::load_set(read, *set))? else { return Ok(()) };
        self.subscribe(Subscription { set: *set, cursor: trusted(&local) });
        Ok(())
    }

    /// Asks for the changes of a set, once, however often that is called for before it leaves: nothing piles up for who never reads.
    fn subscribe(&mut self, subscription: Subscription) {
        self.outbox.retain(|queued| !matches!(queued, AgentMessage::Subscribe(earlier) if earlier.set == subscription.set));
        self.outbox.push_back(AgentMessage::Subscribe(subscription));
    }

    /// Says what is durable; the last word on a set says it all.
    fn acknowledge(&mut self, ack: Ack) {
        self.outbox.retain(|queued| !matches!(queued, AgentMessage::Ack(earlier) if earlier.set == ack.set));
        self.outbox.push_back(AgentMessage::Ack(ack));
    }

    async fn report(&mut self) -> Result<(), Ended> {
        if !self.outbox.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        self.told.retain(|(at, _)| now.duration_since(*at) < self.heartbeat * 2);
        for report in reports::next(self.context).await? {
            self.told.extend(report.members.iter().map(|member| (now, (report.set, member.node))));
            self.outbox.push_back(AgentMessage::Report(report));
        }
        Ok(())
    }

    fn beat(&mut self) -> Result<(), Ended> {
        if self.heard.elapsed() > self.heartbeat * 2 {
            return Err(Ended::Silent);
        }
        if self.outbox.is_empty() {
            self.outbox.push_back(AgentMessage::Heartbeat);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tonic::service::Routes;

    use super::super::testing::WELCOME;
    use super::*;
    use crate::agent::planner::tests::Bench;
    use crate::model::{Sequence, SetShape};
    use crate::net::testing::duplex;
    use crate::task::Tasks;

    #[tokio::test]
    async fn s_d01_of_a_set_whose_end_was_cut_short_the_coordinator_is_asked_again() {
        let bench = Bench::new(SetShape::Documents).await;
        let (set, _) = bench.context.store.read(|read| read.scan::<LocalSets>(&(), None, 1)).unwrap().remove(0);
        committed(bench.context.store.transact(move |tx| members::update_set(tx, set, |local| local.ending = true)).await).unwrap();
        let asked: Vec<_> = subscriptions(&bench.context).unwrap().into_iter().map(|subscription| subscription.set).collect();
        assert_eq!(asked, vec![set]);
    }

    #[tokio::test]
    async fn edge_w15_for_a_coordinator_that_never_reads_nothing_piles_up() {
        let bench = Bench::new(SetShape::Documents).await;
        let (set, _) = bench.context.store.read(|read| read.scan::<LocalSets>(&(), None, 1)).unwrap().remove(0);
        let at = |sequence| Cursor { epoch: Epoch::new(1), sequence: Sequence::new(sequence) };
        committed(bench.context.store.transact(move |tx| members::update_set(tx, set, |local| local.cursor = Some(at(5)))).await).unwrap();
        let control = duplex(Routes::default(), None, &Tasks::new());
        let channels = Channels { bulk: control.clone(), control };
        let mut conversation = Conversation {
            context: &bench.context,
            channels: &channels,
            requests: mpsc::channel(1).0,
            responses: None,
            heartbeat: WELCOME.heartbeat,
            epoch: None,
            heard: Instant::now(),
            outbox: VecDeque::new(),
            outgoing: Outgoing::new(bench.context.clone(), channels.bulk.clone(), &WELCOME),
            told: Vec::new(),
        };
        let batch = |from, to| ChangeBatch {
            set,
            from_exclusive: at(from),
            to_inclusive: at(to),
            changes: Vec::new(),
            more_follows: false,
            traceparent: String::new(),
        };
        for round in 5..50 {
            conversation.changes(batch(round, round + 1)).await.unwrap();
            conversation.changes(batch(round + 100, round + 101)).await.unwrap();
        }
        let left = [AgentMessage::Ack(Ack { set, cursor: at(50) }), AgentMessage::Subscribe(Subscription { set, cursor: Some(at(50)) })];
        assert_eq!(conversation.outbox, left, "the last of each says it all");
    }
}
