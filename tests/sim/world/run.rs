//! A run from its beginning to what was found in the end.

mod hosts;
mod scenes;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{FutureExt as _, LocalBoxFuture};
use futures::stream::FuturesUnordered;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use skybridge::agent::Agent;
use skybridge::config::AgentConfig;
use skybridge::coordinator::{Coordinator, networks};
use skybridge::model::{AgentId, NetworkId, NodeId};
use skybridge::net::channel::Use;
use skybridge::store::{ReadExt as _, StoreError};
use skybridge::wire::pb::{self, account_service_client::AccountServiceClient};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::agent::{self, Running};
use super::cloud::InCloud;
use super::coordinator::{self, ADA, PASSWORD};
use super::events::{self, Event, Kinds};
use super::ledger::Ledger;
use super::library::Library;
use super::log::{self, Log};
use super::machine::{Crash, Machine};
use super::source::AtSource;
use super::trace::TraceClock;
use super::{Chance, Clock, Seed, Trace, at_agent};
use crate::disk::{Backup, Caller, Process};
use crate::net::{Host, Net};

pub(super) use scenes::Deed;
use scenes::Scene;

/// How many things people do at least.
const ACTS_MIN: u64 = 200;
/// How long a person waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a run may take, in the time of the real world: many times what the slowest takes.
const PATIENCE_FOR_A_RUN: Duration = Duration::from_secs(300);
/// How often it is looked whether time goes on in a run: of two such looks the second must see it, whole runs take seconds.
const LOOK_AT_A_RUN: Duration = Duration::from_secs(10);

/// What came out of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: Seed,
    /// What is not as it must be.
    pub(crate) failures: Vec<String>,
    /// Of all that happened.
    pub(crate) hash: String,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) told: Vec<String>,
}

/// Runs a seed; `told` keeps what a person reads to find a cause. In a thread of its own: libraries keep state in threads.
pub(crate) fn run(seed: Seed, told: bool) -> Outcome {
    let (done, outcome) = std::sync::mpsc::channel();
    let trace = TraceClock::default();
    let clock = trace.clone();
    let thread = std::thread::spawn(move || done.send(run_here(seed, told, clock)));
    match wait(&outcome, &trace) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => {
            // Its thread goes on until the process ends: there is no way to stop it.
            let failures = vec!["ENDLESS: time does not go on".to_owned()];
            Outcome { seed, failures, hash: String::new(), counts: BTreeMap::new(), told: Vec::new() }
        }
        Err(RecvTimeoutError::Disconnected) => {
            let panic = thread.join().map(drop).expect_err("it sends nothing only when it panics");
            std::panic::resume_unwind(panic)
        }
    }
}

/// Waits for the end of a run as long as its time goes on.
fn wait(outcome: &std::sync::mpsc::Receiver<Outcome>, clock: &TraceClock) -> Result<Outcome, RecvTimeoutError> {
    let (begun, mut before) = (std::time::Instant::now(), None);
    loop {
        match outcome.recv_timeout(LOOK_AT_A_RUN) {
            Err(RecvTimeoutError::Timeout) if before != Some(clock.now()) && begun.elapsed() < PATIENCE_FOR_A_RUN => {
                before = Some(clock.now());
            }
            ended => return ended,
        }
    }
}

fn run_here(seed: Seed, told: bool, clock: TraceClock) -> Outcome {
    skybridge::task::run_blocking_inline();
    log::keep_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let (trace, errors, mut failures) = runtime.block_on(async {
        let trace = Trace::new(told, clock);
        let log = Log::new(trace.clone(), told);
        let _here = tracing::subscriber::set_default(log.clone());
        let mut sim = Sim::new(seed, trace.clone()).await;
        sim.play().await;
        let mut failures = sim.heal().await;
        if failures.is_empty() {
            failures = sim.check().await;
        }
        failures.append(&mut sim.seen);
        if !failures.is_empty() {
            sim.tell_all();
        }
        (trace, log.errors(), failures)
    });
    drop(runtime);
    failures.extend(log::panics().into_iter().map(|panic| format!("panicked: {panic}")));
    for error in errors {
        let message = error.split(" message=").nth(1).unwrap_or_default();
        let end = message.find(['=']).and_then(|end| message[..end].rfind(' ')).unwrap_or(message.len());
        trace.count(format!("logged: {}", &message[..end]));
    }
    Outcome { seed, failures, hash: trace.hash(), counts: trace.counts(), told: trace.told() }
}

/// What a host is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Down,
    Starting,
    Up,
}

#[derive(Debug)]
pub(super) struct CoordinatorHost {
    pub(super) machine: Machine,
    world: Arc<Chance>,
    doing: Doing,
    process: Process,
    pub(super) running: Option<Coordinator>,
    /// What its journal is called after it was made as it was: whoever restores a backup says that it is another life of it.
    life: Option<u64>,
}

#[derive(Debug)]
pub(super) struct AgentHost {
    pub(super) machine: Machine,
    world: Arc<Chance>,
    pub(super) site: String,
    pub(super) id: AgentId,
    config: AgentConfig,
    doing: Doing,
    process: Process,
    life: u64,
    pub(super) running: Option<Running>,
}

enum Started {
    Coordinator(Coordinator),
    Agent(Running, Agent),
}

enum Done {
    Acted,
    Started(Host, Result<Started, String>),
    /// An agent ended by itself: the number of its life.
    Ended(usize, u64, String),
}

type UnderWay = FuturesUnordered<LocalBoxFuture<'static, Done>>;

pub(super) struct Sim {
    pub(super) seed: Seed,
    pub(super) trace: Trace,
    pub(super) net: Net,
    pub(super) coordinator: CoordinatorHost,
    pub(super) agents: Vec<AgentHost>,
    pub(super) network: NetworkId,
    /// The document libraries, by the name of their sites.
    pub(super) libraries: BTreeMap<NodeId, String>,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) token: String,
    died: mpsc::UnboundedReceiver<Host>,
    schedule: StdRng,
    queue: BTreeMap<(Instant, u64), Event>,
    queued: u64,
    under_way: UnderWay,
    /// Nothing more goes wrong.
    healing: bool,
    /// The disks of the coordinator as they were.
    backup: Option<Backup>,
    /// What was not as it must be while the run went on.
    pub(super) seen: Vec<String>,
}

impl Sim {
    pub(super) async fn new(seed: Seed, trace: Trace) -> Self {
        let mut workload = StdRng::seed_from_u64(seed.workload);
        let schedule = StdRng::seed_from_u64(seed.schedule ^ 0x5eed);
        let begun = Instant::now();
        let net = Net::new(seed.schedule, trace.clone());
        let (dead, died) = mpsc::unbounded_channel();
        // In some runs people are root, in others not, and what the agent makes is theirs.
        let people = Caller::user(if workload.random() { 0 } else { 1_000 });
        let machine = |host, number: u64| {
            Machine::new((host, people.clone()), seed.schedule ^ number, Clock::new(begun), trace.clone(), dead.clone())
        };
        let chance = |machine: &Machine, number: u64| Arc::new(Chance::new(machine.clock.clone(), seed.schedule ^ (number << 32)));
        let at = machine(Host::Coordinator, 1);
        let (process, world) = (at.boot(), chance(&at, 1));
        let started = coordinator::start(at.clone(), process.clone(), Arc::clone(&world), net.clone(), None).await;
        let running = started.expect("the coordinator starts");
        let count = if workload.random_ratio(2, 5) { 2 } else { 1 };
        let sites: Vec<String> = (0..count).map(|agent| format!("site{agent}")).collect();
        let network = coordinator::set_up(running.context(), &sites).await;
        let mut agents = Vec::new();
        for (index, site) in sites.iter().enumerate() {
            let at = machine(Host::Agent(index), 2 + index as u64);
            let id = coordinator::enrol(running.context(), network, &format!("agent{index}")).await;
            let config = agent::config(site, &people);
            let (process, world) = (at.boot(), chance(&at, 2 + index as u64));
            agents.push(AgentHost {
                machine: at,
                world,
                site: site.clone(),
                id,
                config,
                doing: Doing::Down,
                process,
                life: 0,
                running: None,
            });
        }
        let coordinator = CoordinatorHost { machine: at, world, doing: Doing::Up, process, running: Some(running), life: None };
        let mut sim = Self {
            seed,
            trace,
            net,
            coordinator,
            agents,
            network,
            libraries: BTreeMap::new(),
            ledger: Rc::default(),
            token: String::new(),
            died,
            schedule,
            queue: BTreeMap::new(),
            queued: 0,
            under_way: UnderWay::new(),
            healing: false,
            backup: None,
            seen: Vec::new(),
        };
        sim.ledger.borrow_mut().locks = workload.random_ratio(1, 6);
        sim.furnish(&mut workload).await;
        sim
    }

    /// Makes what there is in the beginning: documents, agents that run, and sync sets.
    async fn furnish(&mut self, workload: &mut StdRng) {
        let context = self.coordinator.running.as_ref().expect("it runs").context();
        let (network, store) = (self.network, &context.store);
        let sites = store.read(|read| read.scan::<networks::Site>(&(network,), None, usize::MAX));
        let sites: Result<_, StoreError> = sites;
        self.libraries = sites.expect("sites").into_iter().map(|(_, site)| (site.library, site.name)).collect();
        let channel = agent::channel(&self.net, Host::People, None, Use::Control);
        let request = pb::SignInRequest { email: ADA.to_owned(), password: PASSWORD.to_owned(), label: String::new() };
        self.token = AccountServiceClient::new(channel).sign_in(request).await.expect("she signs in").into_inner().token;
        for index in 0..self.agents.len() {
            let host = &self.agents[index];
            AtSource::new(index, &host.machine, &self.trace, &mut self.ledger.borrow_mut()).furnish(workload);
            let done = self.starting(Host::Agent(index)).await;
            self.done(done);
            let local = self.agents[index].running.as_ref().expect("the agent starts").local();
            let locks = self.ledger.borrow().locks;
            at_agent::furnish(local, &self.agents[index].site, &self.token, locks, workload).await;
        }
    }

    /// People act and things go wrong.
    async fn play(&mut self) {
        let mut workload = StdRng::seed_from_u64(self.seed.workload ^ 0xac75);
        let mut at = Duration::from_millis(workload.random_range(0..5_000));
        let acts = ACTS_MIN + workload.random_range(0..40);
        for act in 0..acts {
            at += match workload.random_range(0..10) {
                0..5 => Duration::from_millis(workload.random_range(0..60)),
                5..9 => Duration::from_millis(workload.random_range(60..1_500)),
                _ => Duration::from_millis(workload.random_range(1_500..12_000)),
            };
            self.plan(at, Event::Act(act));
        }
        if let Some(scene) = Scene::of(self.seed) {
            scene.turns(self.seed, at).into_iter().for_each(|(at, turn)| self.plan(at, turn));
        }
        let kinds = Kinds::draw(&mut self.schedule);
        let events = events::draw(&mut self.schedule, kinds, self.agents.len(), at);
        events.into_iter().for_each(|(at, event)| self.plan(at, event));
        for agent in 0..self.agents.len() {
            (1..=at.as_secs() / 5).for_each(|turn| self.plan(Duration::from_secs(turn * 5), Event::WriteBack { agent }));
        }
        self.go_on(false).await;
    }

    fn plan(&mut self, within: Duration, event: Event) {
        self.queued += 1;
        self.queue.insert((Instant::now() + within, self.queued), event);
    }

    /// Lets things happen until nothing is planned and, with `up`, everybody is up.
    pub(super) async fn go_on(&mut self, up: bool) {
        loop {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            if next.is_none() && (!up || self.is_up()) {
                return;
            }
            tokio::select! {
                biased;
                Some(host) = self.died.recv() => self.bury(host, None),
                Some(done) = self.under_way.next() => self.done(done),
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    if let Some((_, event)) = self.queue.pop_first() {
                        self.happen(event);
                    }
                }
            }
        }
    }

    /// Lets time pass, and takes care of who ends meanwhile.
    pub(super) async fn wait(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            tokio::select! {
                biased;
                Some(host) = self.died.recv() => self.bury(host, None),
                Some(done) = self.under_way.next() => self.done(done),
                () = sleep_until(until) => {}
            }
        }
        self.go_on(true).await;
    }

    fn happen(&mut self, event: Event) {
        if !matches!(event, Event::Act(_) | Event::WriteBack { .. } | Event::Do(_)) {
            self.trace.note(&[format!("{event:?}").as_bytes()]);
            self.trace.tell(|| format!("** {event:?}"));
            let text = format!("{event:?}");
            self.trace.count(format!("event: {}", text.split([' ', '{', '(']).next().unwrap_or_default()));
        }
        match event {
            Event::Act(number) => self.act(number),
            Event::CrashAtEffect { host, effect, after, names } => {
                self.machine(host).faults().0.crash = Some(Crash { left: effect, after, names, after_rename: false });
            }
            Event::CrashAfterRename { agent, effect } => {
                let crash = Crash { left: effect, after: true, names: false, after_rename: true };
                self.agents[agent].machine.faults().0.crash = Some(crash);
            }
            Event::FailLooks { agent, share, seconds } => {
                self.agents[agent].machine.faults().0.looks = Some(share);
                self.plan(Duration::from_secs(seconds), Event::StopFailingLooks { agent });
            }
            Event::StopFailingLooks { agent } => self.agents[agent].machine.faults().0.looks = None,
            Event::Strand { agent } => self.net.strand(Host::Agent(agent), Host::Coordinator),
            Event::LetThrough => self.net.let_through(),
            Event::BackUp => {
                self.backup = Some(self.coordinator.machine.disk.back_up());
                self.ledger.borrow_mut().backed_up();
            }
            Event::Restore => self.restore(),
            Event::Turn(number) => self.turn(number),
            Event::Do(deed) => self.act_out(deed),
            Event::Kill { host } => self.bury(host, None),
            Event::LosePower { host, seed } => self.bury(host, Some(seed)),
            Event::Start { host } => {
                let starting = self.starting(host);
                self.under_way.push(starting);
            }
            Event::Fail { host, errno, share, seconds } => {
                self.machine(host).faults().0.errors = Some((errno, share));
                self.plan(Duration::from_secs(seconds), Event::StopFailing { host });
            }
            Event::StopFailing { host } => self.machine(host).faults().0.errors = None,
            Event::Partition { agent, seconds } => {
                for (from, to) in [(Host::Agent(agent), Host::Coordinator), (Host::Coordinator, Host::Agent(agent))] {
                    self.stall(from, to, seconds);
                }
            }
            Event::Stall { from, to, seconds } => self.stall(from, to, seconds),
            Event::Unblock { from, to } => self.net.block(from, to, false),
            Event::Reset { agent } => self.net.reset(Host::Agent(agent), Host::Coordinator),
            Event::HalfOpen { deaf, other } => self.net.half_open(deaf, other),
            Event::Slow { agent, delay, bytes_per_second } => {
                for (from, to) in [(Host::Agent(agent), Host::Coordinator), (Host::Coordinator, Host::Agent(agent))] {
                    self.net.set_link(from, to, delay, bytes_per_second);
                }
            }
            Event::ClockJump { host, millis } => self.machine(host).clock.jump(millis),
            Event::OverflowWatches { agent } => self.agents[agent].machine.disk.overflow_watches(),
            Event::HoldWatches { agent, seconds } => {
                self.agents[agent].machine.disk.hold_events(true);
                self.plan(Duration::from_secs(seconds), Event::ReleaseWatches { agent });
            }
            Event::ReleaseWatches { agent } => self.agents[agent].machine.disk.hold_events(false),
            Event::ShuffleWatches { agent, seed } => self.agents[agent].machine.disk.shuffle_events(seed),
            Event::WriteBack { agent } => {
                self.agents[agent].machine.disk.write_back();
                self.ledger.borrow_mut().durable_at_source(agent);
            }
        }
    }

    fn stall(&mut self, from: Host, to: Host, seconds: u64) {
        self.net.block(from, to, true);
        self.plan(Duration::from_secs(seconds), Event::Unblock { from, to });
    }

    pub(super) fn machine(&self, host: Host) -> &Machine {
        match host {
            Host::Agent(index) => &self.agents[index].machine,
            Host::Coordinator | Host::People => &self.coordinator.machine,
        }
    }

    /// Somebody does something.
    fn act(&mut self, number: u64) {
        let mut chance = StdRng::seed_from_u64(self.seed.workload ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let agent = chance.random_range(0..self.agents.len());
        match chance.random_range(0..100) {
            0..50 => {
                let (machine, trace, ledger) = (self.agents[agent].machine.clone(), self.trace.clone(), Rc::clone(&self.ledger));
                let calls = chance.random_ratio(1, 3).then(|| chance.random_range(1..80));
                let at = machine.clone();
                let mut act = move || AtSource::new(agent, &machine, &trace, &mut ledger.borrow_mut()).act(&mut chance);
                match calls {
                    Some(calls) => at.meanwhile(calls, act),
                    None => act(),
                }
            }
            50..92 => {
                let Some(library) = self.library() else { return };
                let cloud = self.in_cloud();
                let sites: Vec<String> = self.agents.iter().map(|host| format!("{}/{}", coordinator::NETWORK, host.site)).collect();
                let Some(plan) = cloud.plan(&library, &sites, &mut chance) else { return };
                self.under_way.push(timeout(PATIENCE, cloud.act(plan)).map(|_| Done::Acted).boxed_local());
            }
            _ => {
                let Some(running) = &self.agents[agent].running else { return };
                let asked = at_agent::Asks {
                    local: running.local(),
                    site: self.agents[agent].site.clone(),
                    token: self.token.clone(),
                    trace: self.trace.clone(),
                    ledger: Rc::clone(&self.ledger),
                };
                let gone = running.tasks.cancel().clone();
                let asking = async move { gone.run_until_cancelled(timeout(PATIENCE, asked.ask(chance))).await };
                self.under_way.push(asking.map(|_| Done::Acted).boxed_local());
            }
        }
    }

    /// Somebody who uses the cloud.
    pub(super) fn in_cloud(&self) -> InCloud {
        let channel = agent::channel(&self.net, Host::People, None, Use::Control);
        InCloud::new(channel, self.token.clone(), self.trace.clone(), Rc::clone(&self.ledger))
    }

    /// What is in the cloud, if that can be seen now.
    pub(super) fn library(&self) -> Option<Library> {
        let context = self.coordinator.running.as_ref()?.context();
        Library::read(context, self.network, &self.libraries).ok()
    }
}
