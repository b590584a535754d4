//! The processes of a run: they are killed, lose their power, end by themselves, and are started again.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{FutureExt as _, LocalBoxFuture};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use super::{Doing, Done, Sim, Started};
use crate::disk::Torn;
use crate::net::Host;
use crate::world::agent::LIBRARY;
use crate::world::events::Event;
use crate::world::ledger::{Ledger, Side, root};
use crate::world::machine::Faults;
use crate::world::{agent, coordinator};

/// What a sync puts in place is durable before anybody sees it there. What people write is not, nor a copy that they make.
fn check_torn(ledger: &Ledger, site: &str, torn: &Torn) -> Option<String> {
    let path = torn.path.strip_prefix(LIBRARY).ok()?;
    let content = ledger.contents.get(&root(&torn.seen))?;
    let is_from_cloud = content.by == Side::Cloud && content.copies == 0;
    (is_from_cloud && !path.starts_with(".skybridge"))
        .then(|| format!("TORN: {} of {} was put in place at {site} before it was durable", path.display(), content.name))
}

impl Sim {
    /// Ends a host, or takes note that it has ended, and lets it start again.
    pub(super) fn bury(&mut self, host: Host, power: Option<u64>) {
        let (doing, process) = match host {
            Host::Agent(index) => (self.agents[index].doing, self.agents[index].process.clone()),
            Host::Coordinator | Host::People => (self.coordinator.doing, self.coordinator.process.clone()),
        };
        process.kill();
        if let Some(seed) = power {
            let loss = self.machine(host).disk.lose_power(seed);
            self.trace.tell(|| {
                let torn: Vec<_> = loss.torn.iter().map(|torn| &torn.path).collect();
                format!("{} operations are undone, torn: {torn:?}", loss.undone)
            });
            if let Host::Agent(index) = host {
                let mut ledger = self.ledger.borrow_mut();
                self.seen.extend(loss.torn.iter().filter_map(|torn| check_torn(&ledger, &self.agents[index].site, torn)));
                ledger.lost_power_at_source(index);
            }
        }
        let silently = power.is_some() || self.schedule.random();
        self.net.crash(host, silently);
        match host {
            Host::Agent(index) => {
                if let Some(running) = self.agents[index].running.take() {
                    running.tasks.abort();
                }
            }
            Host::Coordinator | Host::People => {
                if let Some(running) = self.coordinator.running.take() {
                    running.kill();
                }
            }
        }
        self.trace.count(format!("crash of {}", self.machine(host).kind()));
        // One that was starting is started again when that has come to nothing.
        if doing == Doing::Up {
            self.set_doing(host, Doing::Down);
            let millis = if self.schedule.random() { 10..500 } else { 500..15_000 };
            let pause = Duration::from_millis(self.schedule.random_range(millis));
            self.plan(pause, Event::Start { host });
        }
    }

    pub(super) fn set_doing(&mut self, host: Host, doing: Doing) {
        match host {
            Host::Agent(index) => self.agents[index].doing = doing,
            Host::Coordinator | Host::People => self.coordinator.doing = doing,
        }
    }

    /// Starts a host.
    pub(super) fn starting(&mut self, host: Host) -> LocalBoxFuture<'static, Done> {
        self.set_doing(host, Doing::Starting);
        let (machine, net) = (self.machine(host).clone(), self.net.clone());
        let process = machine.boot();
        match host {
            Host::Agent(index) => {
                let at = &mut self.agents[index];
                at.process = process.clone();
                let start = agent::start(machine, process, Arc::clone(&at.world), net, at.id, at.config.clone());
                start.map(move |started| Done::Started(host, started.map(|(running, agent)| Started::Agent(running, agent)))).boxed_local()
            }
            Host::Coordinator | Host::People => {
                self.coordinator.process = process.clone();
                let start = coordinator::start(machine, process, Arc::clone(&self.coordinator.world), net, self.coordinator.life);
                start.map(move |started| Done::Started(host, started.map(Started::Coordinator))).boxed_local()
            }
        }
    }

    pub(super) fn done(&mut self, done: Done) {
        let (host, started) = match done {
            Done::Acted => return,
            Done::Started(host, started) => (host, started),
            Done::Ended(index, life, why) => {
                // Whoever looks after it starts it again.
                let host = &self.agents[index];
                if host.life == life && host.running.is_some() {
                    self.trace.tell(|| format!("agent {index} ended: {why}"));
                    self.trace.count("an agent ended by itself");
                    self.bury(Host::Agent(index), None);
                }
                return;
            }
        };
        match started {
            Ok(Started::Agent(running, agent)) => {
                if let Host::Agent(index) = host {
                    self.agents[index].running = Some(running);
                    self.agents[index].life += 1;
                    let life = self.agents[index].life;
                    let ended = agent.ended().map(move |ended| Done::Ended(index, life, format!("{ended:?}")));
                    self.under_way.push(ended.boxed_local());
                }
                self.set_doing(host, Doing::Up);
            }
            Ok(Started::Coordinator(running)) => {
                self.coordinator.running = Some(running);
                self.set_doing(host, Doing::Up);
            }
            Err(error) => {
                self.trace.tell(|| format!("{host:?} does not start: {error}"));
                self.trace.count(format!("{} did not start", self.machine(host).kind()));
                self.net.crash(host, false);
                self.set_doing(host, Doing::Down);
                self.plan(Duration::from_secs(1), Event::Start { host });
            }
        }
    }

    /// Lets nothing more go wrong, and waits until everybody is up.
    pub(in crate::world) async fn mend(&mut self) -> Result<(), String> {
        self.healing = true;
        self.net.heal();
        for host in self.hosts() {
            *self.machine(host).faults() = (Faults::default(), StdRng::seed_from_u64(0));
        }
        self.agents.iter().for_each(|host| {
            host.machine.disk.hold_events(false);
            host.machine.catch_up();
        });
        self.queue.retain(|_, event| matches!(event, Event::Start { .. }));
        let limit = Instant::now() + Duration::from_secs(120);
        loop {
            self.go_on(true).await;
            if self.is_up() {
                return Ok(());
            }
            if Instant::now() > limit {
                return Err("a host does not start although nothing is in its way".to_owned());
            }
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.coordinator.doing == Doing::Up && self.agents.iter().all(|host| host.doing == Doing::Up)
    }

    pub(super) fn hosts(&self) -> Vec<Host> {
        (0..self.agents.len()).map(Host::Agent).chain([Host::Coordinator]).collect()
    }
}
