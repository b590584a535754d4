//! What the tracker is asked to look at: deduplicated, bounded, and with a rendezvous for those who wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::agent::repository::{Hint, RepoKey};
use crate::model::{Name, NodeId, SetId};

/// The most folders and members that wait to be looked at. Beyond, everything is looked through instead, which costs no memory.
const ASKED_MAX: usize = 10_000;
/// The most names of one folder that are looked at one by one. Beyond, listing the folder is cheaper.
const NAMES_MAX: usize = 32;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// All of a folder, not beneath it.
    Folder(RepoKey),
    /// One name in a folder.
    Name(RepoKey, Name),
    /// A member, at the place where it was last seen.
    Member(NodeId),
    /// The whole set.
    Set,
}

/// Why the source of a set, or how it is watched, is not as it should be. For people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The set.
    pub set: SetId,
    /// What is wrong, and what it means.
    pub text: String,
}

/// What a problem is about; a set has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// The site cannot be seen.
    Health,
    /// Folders are polled.
    Watching,
    /// Items could not be searched for.
    Searching,
}

/// How much of a folder to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    All,
    Names(BTreeSet<Name>),
}

impl Scope {
    pub(super) fn name(name: Name) -> Self {
        Self::Names(BTreeSet::from([name]))
    }

    pub(super) fn join(&mut self, other: Self) {
        *self = match (std::mem::replace(self, Self::All), other) {
            (Self::Names(mut names), Self::Names(more)) => {
                names.extend(more);
                if names.len() > NAMES_MAX { Self::All } else { Self::Names(names) }
            }
            _ => Self::All,
        };
    }
}

/// What was asked for since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) folders: BTreeMap<RepoKey, Scope>,
    pub(super) members: BTreeSet<(SetId, NodeId)>,
    pub(super) sets: BTreeSet<SetId>,
    pub(super) everything: bool,
}

impl Asked {
    pub(super) fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.members.is_empty() && self.sets.is_empty() && !self.everything
    }

    pub(super) fn folder(&mut self, folder: RepoKey, scope: Scope) {
        match self.folders.get_mut(&folder) {
            Some(asked) => asked.join(scope),
            None => drop(self.folders.insert(folder, scope)),
        }
    }

    fn bound(&mut self) {
        if self.everything || self.folders.len() + self.members.len() > ASKED_MAX {
            *self = Self { everything: true, ..Self::default() };
        }
    }
}

#[derive(Debug, Default)]
struct State {
    asked: Asked,
    /// How often anything was asked for.
    count: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// All that was asked for up to this count was looked at.
    count: u64,
    stopped: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    asked: Notify,
    reading: tokio::sync::Mutex<()>,
    progress: watch::Sender<Progress>,
    problems: Mutex<BTreeMap<(SetId, Topic), String>>,
}

/// Asks the tracker to look at things. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LookQueue {
    shared: Arc<Shared>,
}

impl LookQueue {
    /// Asks for a look.
    pub fn look(&self, set: SetId, look: Look) {
        self.ask(|asked| match look {
            Look::Folder(folder) => asked.folder(folder, Scope::All),
            Look::Name(folder, name) => asked.folder(folder, Scope::name(name)),
            Look::Member(node) => asked.members.extend([(set, node)]),
            Look::Set => asked.sets.extend([set]),
        });
    }

    /// Asks for a look at everything.
    pub fn everything(&self) {
        self.ask(|asked| asked.everything = true);
    }

    /// Waits until all that was asked for was looked at and stored. What somebody is still writing is not waited for. Returns `false`
    /// when the tracker has stopped.
    pub(super) async fn settled(&self) -> bool {
        let mut progress = self.shared.progress.subscribe();
        let count = self.state().count;
        progress.wait_for(|progress| progress.stopped || progress.count >= count).await.is_ok_and(|progress| !progress.stopped)
    }

    /// Lists what is wrong with the sources, for people.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let problems = self.shared.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.iter().map(|((set, _), text)| Problem { set: *set, text: text.clone() }).collect()
    }

    /// Sets or takes back a problem; `true` if that is news.
    pub(super) fn report(&self, set: SetId, topic: Topic, text: Option<String>) -> bool {
        let mut problems = self.shared.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => problems.insert((set, topic), text.clone()) != Some(text),
            None => problems.remove(&(set, topic)).is_some(),
        }
    }

    /// Takes over what the repository reported.
    pub(super) fn hints(&self, hints: Vec<Hint>) {
        if hints.is_empty() {
            return;
        }
        self.ask(|asked| {
            for hint in hints {
                match hint {
                    Hint::Folder(folder, Some(name)) => asked.folder(folder, Scope::name(name)),
                    Hint::Folder(folder, None) | Hint::Unwatched(folder) => asked.folder(folder, Scope::All),
                    Hint::Overflow => asked.everything = true,
                }
            }
        });
    }

    /// Held from reading a report to asking for the look that it calls for, so that nobody misses what another has just read.
    pub(super) async fn reading(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.reading.lock().await
    }

    pub(super) fn take(&self) -> Asked {
        std::mem::take(&mut self.state().asked)
    }

    /// Says that all that was ever taken is done.
    pub(super) fn idle(&self) {
        let state = self.state();
        if state.asked.is_empty() {
            self.shared.progress.send_modify(|progress| progress.count = state.count);
        }
    }

    pub(super) fn stopped(&self) {
        self.shared.progress.send_modify(|progress| progress.stopped = true);
    }

    /// Waits until something is asked for.
    pub(super) async fn asked(&self) {
        self.shared.asked.notified().await;
    }

    fn ask(&self, add: impl FnOnce(&mut Asked)) {
        let mut state = self.state();
        add(&mut state.asked);
        state.asked.bound();
        state.count += 1;
        drop(state);
        self.shared.asked.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
