//! Waiting until both sides have done all that they know of, once nothing goes wrong any more.

use std::time::Duration;

use skybridge::agent::state::{Applying, Dirty, InFlight, LocalSets, Members, Retries};
use skybridge::coordinator::{journal, sets};
use skybridge::model::{Hash, Sequence, SetId};
use skybridge::store::{ReadExt as _, StoreError};
use skybridge::wire::pb::{self, local_service_server::LocalService};
use tokio::time::{Instant, sleep, timeout};

use super::agent::{LIBRARY, by_person, service};
use super::at_agent;
use super::ledger::root;
use super::run::{AgentHost, Sim};

/// How long it may take: longer than the longest wait between two tries.
const LIMIT: Duration = Duration::from_secs(900);
/// How long it may take before agents are asked to look at everything.
const LIMIT_BY_ITSELF: Duration = Duration::from_secs(300);
/// How long reports of the file system, and polls where there are none, are on their way.
const NOTICE: Duration = Duration::from_secs(30);
/// How long one look at an agent may take.
const LOOK: Duration = Duration::from_secs(30);
/// How long reports of states and acknowledgements are on their way, and waits between two tries grow to their longest.
const CALM: Duration = Duration::from_secs(90);
/// How long nothing more is sent. No longer than that longest wait, so that each member is tried once in it.
const QUIET: Duration = Duration::from_secs(60);
/// What heartbeats and the transport's own pings may take in that time, for each agent.
const QUIET_BYTES_MAX: u64 = 4_000;
/// What it may take besides for each member that is tried again by time: its content, if that is short enough to ride along.
const RETRY_BYTES_MAX: u64 = 20_000;
/// What asking for reports of changes, and whether the libraries are there, may take in that time.
const QUIET_CALLS_MAX: u64 = 2_000;

impl Sim {
    /// Lets nothing more go wrong and waits for rest. Returns what is wrong then.
    pub(super) async fn heal(&mut self) -> Vec<String> {
        if let Err(failure) = self.mend().await {
            return vec![failure];
        }
        self.trace.tell(|| "** everything is mended".to_owned());
        if let Err(failure) = self.comes_to_rest(true, LIMIT).await {
            return vec![failure];
        }
        if self.plays_again() {
            let unnoticed = self.find_unnoticed().await;
            if !unnoticed.is_empty() {
                return unnoticed;
            }
        }
        self.trace.tell(|| "** it rests".to_owned());
        self.stays_quiet().await
    }

    /// Plays the scene again, without anything else, and returns what agents do not notice by themselves, from reports of the file system: a
    /// look at everything would hide it.
    async fn find_unnoticed(&mut self) -> Vec<String> {
        self.play_again().await;
        if let Err(failure) = self.mend().await {
            return vec![failure];
        }
        self.trace.tell(|| "** everything is mended again".to_owned());
        self.wait(NOTICE).await;
        match self.comes_to_rest(false, LIMIT_BY_ITSELF).await {
            Ok(()) => self.check_now().await.into_iter().map(|failure| format!("UNNOTICED: {failure}")).collect(),
            Err(failure) => vec![failure],
        }
    }

    /// Waits for rest; with `rescan` agents look at everything anew.
    pub(super) async fn comes_to_rest(&mut self, rescan: bool, within: Duration) -> Result<(), String> {
        let limit = Instant::now() + within;
        let mut restless = String::new();
        let (mut quiet, mut pause) = (0, Duration::from_secs(1));
        while quiet < 2 {
            if Instant::now() > limit {
                return Err(format!("it does not come to rest: {restless}"));
            }
            match self.rests(rescan).await {
                Ok(()) => quiet += 1,
                Err(why) => {
                    self.trace.tell(|| format!("** not at rest: {why}"));
                    (quiet, restless) = (0, why);
                    self.wait(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(30));
                }
            }
        }
        Ok(())
    }

    /// Whether everybody has done all that they know of.
    async fn rests(&self, rescan: bool) -> Result<(), String> {
        for (index, host) in self.agents.iter().enumerate() {
            let local = host.running.as_ref().ok_or("an agent is down")?.local();
            let request = pb::GetStateRequest { wait_until_settled: true, rescan };
            let asked = service(local.clone());
            let state = timeout(LOOK, asked.get_state(by_person(request))).await;
            let state =
                state.map_err(|_| format!("agent {index} does not settle"))?.map_err(|status| format!("agent {index}: {status}"))?;
            let state = state.into_inner();
            if !state.connected {
                return Err(format!("agent {index} is not connected: {}", state.connection_problem));
            }
            at_agent::approve(&local).await.map_err(|status| status.to_string())?;
            for (_, members) in at_agent::members(&local).await.map_err(|status| status.to_string())? {
                for member in &members {
                    let busy = match member.state() {
                        pb::MemberState::Syncing | pb::MemberState::Retrying => true,
                        // It waits behind one that stands still: that one's reason is its own.
                        pb::MemberState::Pending => member.reason() == pb::Reason::Unspecified,
                        _ => false,
                    };
                    if busy {
                        return Err(format!("agent {index}: {member:?}"));
                    }
                }
            }
        }
        self.all_taken()
    }

    /// Tells the state of everything, for whoever looks for a cause.
    pub(super) fn tell_all(&self) {
        for live in self.library().into_iter().flat_map(|library| library.live) {
            let content = live.node.content.map(|content| content.root);
            self.trace.tell(|| format!("cloud has {} {} {content:?} {:?}", live.path, live.id, live.node.marker));
        }
        for host in &self.agents {
            let items = host.machine.disk.tree(std::path::Path::new(LIBRARY)).unwrap_or_default();
            for (path, item) in items.iter().filter(|(path, _)| !path.starts_with(b".skybridge")) {
                let content = Hash::from_bytes(root(&item.bytes));
                self.trace.tell(|| format!("{} has {} {:?} {content}", host.site, path.escape_ascii(), item.stat.kind));
            }
            let Some(running) = &host.running else { continue };
            let store = running.local().context.store;
            let read = store.read(|read| {
                for ((set, node), row) in read.scan::<Members>(&(), None, usize::MAX)? {
                    let dirty = read.exists::<Dirty>(&(set, node))?;
                    self.trace.tell(|| format!("{}: set {set} node {node} dirty {dirty}: {row:?}", host.site));
                }
                for (op, pushed) in read.scan::<InFlight>(&(), None, usize::MAX)? {
                    self.trace.tell(|| format!("{}: in flight {op}: {pushed:?}", host.site));
                }
                for (key, ()) in read.scan::<Retries>(&(), None, usize::MAX)? {
                    self.trace.tell(|| format!("{}: retry {key:?}", host.site));
                }
                for (set, local) in read.scan::<LocalSets>(&(), None, usize::MAX)? {
                    self.trace.tell(|| format!("{}: set {set}: {local:?}", host.site));
                }
                for (key, ()) in read.scan::<Dirty>(&(), None, usize::MAX)? {
                    self.trace.tell(|| format!("{}: dirty {key:?}", host.site));
                }
                for (op, applied) in read.scan::<Applying>(&(), None, usize::MAX)? {
                    self.trace.tell(|| format!("{}: applying {op}: {applied:?}", host.site));
                }
                Ok::<_, StoreError>(())
            });
            self.trace.tell(|| format!("{}: read {read:?}", host.site));
        }
    }

    /// Whether the agents have taken all that happened in the cloud.
    fn all_taken(&self) -> Result<(), String> {
        let context = self.coordinator.running.as_ref().ok_or("the coordinator is down")?.context();
        let restored = self.ledger.borrow().cloud_restored;
        for host in &self.agents {
            let local = host.running.as_ref().ok_or("an agent is down")?;
            let known: Result<_, StoreError> = local.local().context.store.read(|read| read.scan::<LocalSets>(&(), None, usize::MAX));
            let known: Vec<_> = known.map_err(|error| error.to_string())?.into_iter().map(|(set, _)| set).collect();
            let lag = context.read(|read| {
                let mut lag = 0;
                // A set that ended after the backup is there again, and nobody follows it.
                let followed = |set: &SetId| !restored || known.contains(set);
                for definition in sets::of_agent(read, host.id)?.into_iter().filter(|definition| followed(&definition.set.id)) {
                    let held = sets::acknowledged(read, definition.set.id)?.map_or(Sequence::ZERO, |held| held.cursor.sequence);
                    lag += journal::lag(read, definition.set.id, held, 10)?;
                }
                Ok(lag)
            });
            if lag.map_err(|fault| fault.to_string())? > 0 {
                return Err(format!("{} has not taken all changes", host.site));
            }
        }
        Ok(())
    }

    /// Once everybody rests, nothing more is sent but that they live.
    async fn stays_quiet(&self) -> Vec<String> {
        sleep(CALM).await;
        let before = self.net.bytes_sent();
        let tried_again: u64 = self.agents.iter().map(tried_again).sum();
        let calls: Vec<u64> = self.agents.iter().map(|host| host.machine.calls()).collect();
        sleep(QUIET).await;
        let mut failures = Vec::new();
        for (host, before) in self.agents.iter().zip(calls) {
            let made = host.machine.calls() - before;
            if made > QUIET_CALLS_MAX {
                failures.push(format!("BUSY: {} made {made} calls of the file system although nobody did anything", host.site));
            }
        }
        for (way, after) in self.net.bytes_sent() {
            let sent = after - before.get(&way).copied().unwrap_or_default();
            if sent > QUIET_BYTES_MAX + tried_again * RETRY_BYTES_MAX {
                failures.push(format!("BUSY: {sent} bytes were sent from {:?} to {:?} although nobody did anything", way.0, way.1));
            }
        }
        failures
    }
}

/// How many members are about to be tried again.
fn tried_again(host: &AgentHost) -> u64 {
    let Some(running) = &host.running else { return 0 };
    let tried = running.local().context.store.read(|read| Ok::<_, StoreError>(read.scan::<Retries>(&(), None, usize::MAX)?.len()));
    tried.unwrap_or_default() as u64
}
