//! Which agent has a session. One each: a later session displaces the earlier one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::model::{AgentId, Fault, FaultKind};
use crate::telemetry::{self, metrics};

/// Why somebody else ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A later session of the same agent has begun.
    Displaced,
    /// The agent was revoked.
    Revoked,
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    verdict: watch::Sender<Option<Verdict>>,
    directives: Arc<Notify>,
}

/// The sessions of all agents. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Registry {
    entries: Arc<Mutex<HashMap<AgentId, Entry>>>,
    permits: Arc<Semaphore>,
}

/// A session's place in the registry; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Registry,
    agent: AgentId,
    generation: u64,
    /// Tells when somebody else ends the session.
    pub(super) verdict: watch::Receiver<Option<Verdict>>,
    /// Notified when a person asks something of the agent.
    pub(super) directives: Arc<Notify>,
    _counted: telemetry::Session,
}

impl Registry {
    /// Makes an empty registry with room for so many sessions.
    #[must_use]
    pub fn new(sessions_max: usize) -> Self {
        Self { entries: Arc::default(), permits: Arc::new(Semaphore::new(sessions_max)) }
    }

    /// Whether an agent has a session.
    #[must_use]
    pub fn is_connected(&self, agent: AgentId) -> bool {
        self.lock().contains_key(&agent)
    }

    /// Tells an agent's session, if there is one, that there is something new for it. Returns whether there is one.
    pub fn notify(&self, agent: AgentId) -> bool {
        self.lock().get(&agent).map(|entry| entry.directives.notify_one()).is_some()
    }

    /// Ends the session of an agent that was revoked.
    pub fn revoke(&self, agent: AgentId) {
        if let Some(entry) = self.lock().get(&agent) {
            entry.verdict.send_replace(Some(Verdict::Revoked));
        }
    }

    /// Takes room for a session, before anything is done for it.
    pub(super) fn admit(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let full = |_| Fault::new(FaultKind::Unavailable, "as many agents are connected as this coordinator takes; try again later");
        Arc::clone(&self.permits).try_acquire_owned().map_err(full)
    }

    /// Registers a session, and displaces the agent's earlier one. When a later one is there already, the new one is displaced at once.
    pub(super) fn register(&self, agent: AgentId, generation: u64) -> Registration {
        let (sender, verdict) = watch::channel(None);
        let directives = Arc::new(Notify::new());
        let mut entries = self.lock();
        match entries.get(&agent) {
            Some(entry) if entry.generation > generation => {
                sender.send_replace(Some(Verdict::Displaced));
            }
            earlier => {
                if let Some(entry) = earlier {
                    entry.verdict.send_replace(Some(Verdict::Displaced));
                }
                entries.insert(agent, Entry { generation, verdict: sender, directives: Arc::clone(&directives) });
            }
        }
        drop(entries);
        Registration { registry: self.clone(), agent, generation, verdict, directives, _counted: metrics().session() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgentId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    /// Returns the session's number.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Waits until somebody else ends the session.
    pub(super) async fn ended(&mut self) -> Verdict {
        match self.verdict.wait_for(Option::is_some).await {
            Ok(verdict) => verdict.unwrap_or(Verdict::Displaced),
            // The entry was replaced, so a later session is there.
            Err(_) => Verdict::Displaced,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut entries = self.registry.lock();
        if entries.get(&self.agent).is_some_and(|entry| entry.generation == self.generation) {
            entries.remove(&self.agent);
        }
    }
}
