//! What comes out of a look, beyond what it wrote: more to look at, now or later.

use std::collections::BTreeSet;
use std::time::Duration;

use super::queue::Scope;
use super::scene::Known;
use crate::agent::repository::RepoKey;
use crate::model::{Name, NodeId, SetId};

/// The first wait before something is looked at again; it doubles with each attempt.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// The longest wait: a document that somebody keeps open for writing is looked at this often, besides being reported when it is closed.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A look to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) folder: RepoKey,
    pub(super) scope: Scope,
    /// List the subfolders too.
    pub(super) deep: bool,
    /// How often it was tried in vain.
    pub(super) attempt: u32,
}

impl Wanted {
    pub(super) const fn all(folder: RepoKey, deep: bool) -> Self {
        Self { folder, scope: Scope::All, deep, attempt: 0 }
    }

    pub(super) fn name(folder: RepoKey, name: Name) -> Self {
        Self { folder, scope: Scope::name(name), deep: false, attempt: 0 }
    }

    /// Whether it is a look at the same folder, in the same manner.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        (&self.folder, self.deep, self.attempt) == (&other.folder, other.deep, other.attempt)
    }

    /// The same look, after it was in vain.
    pub(super) fn again(&self, scope: Scope) -> Self {
        Self { scope, attempt: self.attempt + 1, ..self.clone() }
    }

    fn delay(&self) -> Duration {
        RETRY_FIRST.saturating_mul(1 << self.attempt.saturating_sub(1).min(16)).min(RETRY_MAX)
    }
}

/// A look to take later.
#[derive(Debug, Clone)]
pub(super) struct Later {
    pub(super) wanted: Wanted,
    pub(super) delay: Duration,
    /// The set that is not looked through completely before.
    pub(super) blocks: Option<SetId>,
}

impl Later {
    /// What it is about.
    pub(super) fn place(&self) -> (RepoKey, Scope) {
        (self.wanted.folder.clone(), self.wanted.scope.clone())
    }
}

/// A member that was not at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Missing {
    pub(super) set: SetId,
    pub(super) node: NodeId,
    pub(super) revision: u64,
}

impl Missing {
    pub(super) const fn of(known: &Known) -> Self {
        Self { set: known.set, node: known.node, revision: known.revision }
    }
}

/// What comes out of a look.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) looks: Vec<Wanted>,
    pub(super) later: Vec<Later>,
    /// Gone from their places: whether they are gone at all is decided after a while.
    pub(super) missing: Vec<Missing>,
    /// Gone with the folder that they were in: decided at once.
    pub(super) bereft: Vec<Missing>,
    /// Sets whose site does not look right.
    pub(super) unhealthy: BTreeSet<SetId>,
    /// Sets in which a folder cannot be watched.
    pub(super) unwatched: BTreeSet<SetId>,
    /// Sets whose direct members lie elsewhere now.
    pub(super) moved: BTreeSet<SetId>,
}

impl Outcome {
    pub(super) fn again(&mut self, wanted: Wanted, blocks: Option<SetId>) {
        self.later.push(Later { delay: wanted.delay(), wanted, blocks });
    }
}
