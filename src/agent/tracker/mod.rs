//! Keeps the source tree right: turns what the repository shows into the source side of members.
//!
//! Something asks for a look ([`LookQueue`]): the repository's reports, a rescan, a part of the agent. A look reads the trees ([`scene`]),
//! lists or looks, tells who is who ([`sort`]), reads what is new ([`read`]) and writes it in transactions that drop whatever was overtaken
//! ([`ingest`]). What is not at its place is *missing*; that is decided once nothing is left to look at and a settling time has passed
//! ([`missing`]), so that the halves of a move meet.
//!
//! The tracker never plans, never speaks to the coordinator and never writes to the repository. [`Tracker::run`] ends when its token is
//! cancelled; a look that fails for the store's sake is taken again later.

mod health;
mod ingest;
mod look;
mod missing;
pub mod oddities;
mod outcome;
mod properties;
mod queue;
mod read;
mod scene;
mod sort;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::look::Looker;
use self::outcome::{Later, Missing, Outcome, Wanted};
use self::queue::{Asked, Scope, Topic};
use super::context::Context;
use super::repository::{RepoKey, RepositoryError, Unhealthy};
use crate::depot::DepotError;
use crate::model::SetId;
use crate::store::{StoreError, TransactError};
use crate::task::{Lost, Tasks};

pub use queue::{Look, LookQueue, Problem};

/// Rows that one transaction writes at most: large enough to share a flush, small enough that nobody waits for it.
const BATCH_ROWS: usize = 500;
/// Folders that are looked at at one time.
const LOOKS: usize = 8;
/// How long one wait for reports lasts: how long it takes to stop, at most.
const HINTS_WAIT: Duration = Duration::from_millis(250);
/// How often reports are read one after the other. The operating system keeps some ten thousand, and each read takes hundreds.
const READS_MAX: usize = 100;
/// How long to wait after reports failed.
const HINTS_RETRY: Duration = Duration::from_secs(5);
/// How often sites are checked, and folders that cannot be watched are looked through.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
struct Failure {
    /// The set that it was for.
    set: Option<SetId>,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Transact(#[from] TransactError<StoreError>),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Depot(#[from] DepotError),
}

impl Failure {
    const fn of(mut self, set: SetId) -> Self {
        self.set = Some(set);
        self
    }
}

impl<E: Into<Cause>> From<E> for Failure {
    fn from(cause: E) -> Self {
        Self { set: None, cause: cause.into() }
    }
}

/// Looks at the repository.
#[derive(Debug)]
pub struct Tracker {
    looker: Looker,
    /// Folders that hold direct members, with the sets of these.
    direct: BTreeMap<RepoKey, BTreeSet<SetId>>,
    /// Sets that are looked through and were not completely since.
    scanning: BTreeSet<SetId>,
    unhealthy: BTreeSet<SetId>,
    /// Sets with folders that cannot be watched.
    polled: BTreeSet<SetId>,
    /// What to look at now; the last first, so that a tree is walked in depth and few folders wait.
    stack: Vec<Wanted>,
    /// When to look at what; the number keeps equal times apart.
    later: BTreeMap<(Instant, u64), Later>,
    numbers: u64,
    /// When a place in `later` is due.
    waiting: BTreeMap<(RepoKey, Scope), (Instant, u64)>,
    /// Since when members are missing.
    missing: BTreeMap<Missing, Instant>,
    rescan_at: Instant,
    check_at: Instant,
}

impl Tracker {
    /// Makes the tracker of an agent. It looks at everything first.
    #[must_use]
    pub fn new(context: Context) -> Self {
        let now = Instant::now();
        context.looks.everything();
        Self {
            rescan_at: now + context.config.rescan_interval(),
            check_at: now + CHECK_INTERVAL,
            looker: Looker::new(context),
            direct: BTreeMap::new(),
            scanning: BTreeSet::new(),
            unhealthy: BTreeSet::new(),
            polled: BTreeSet::new(),
            stack: Vec::new(),
            later: BTreeMap::new(),
            numbers: 0,
            waiting: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    /// Runs until `cancel` fires.
    pub async fn run(mut self, cancel: CancellationToken) {
        let tasks = Tasks::under(&cancel);
        let hints = tasks.spawn("hints", read_hints(self.looker.context.clone(), cancel.clone()));
        loop {
            self.work(&cancel).await;
            let wake = self.next_time();
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                () = self.looker.context.looks.asked() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        if let Err(lost) = hints.join().await {
            tracing::error!(%lost, "reports of the repository were no longer read");
        }
        self.looker.context.looks.stopped();
    }

    fn next_time(&self) -> Instant {
        let settle = self.looker.context.config.settle();
        let later = self.later.keys().next().map(|(at, _)| *at);
        let missing = self.missing.values().min().map(|since| *since + settle);
        [later, missing].into_iter().flatten().fold(self.rescan_at.min(self.check_at), Instant::min)
    }

    /// Takes all looks that are due, and what comes out of them.
    async fn work(&mut self, cancel: &CancellationToken) {
        let mut running: FuturesUnordered<BoxFuture<'static, (RepoKey, Outcome)>> = FuturesUnordered::new();
        let mut looking = BTreeSet::new();
        loop {
            if cancel.is_cancelled() {
                return;
            }
            self.gather().await;
            while running.len() < LOOKS
                && let Some(wanted) = self.pop(&looking)
            {
                let folder = wanted.folder.clone();
                looking.insert(folder.clone());
                let direct = self.direct.get(&wanted.folder).map(|sets| sets.iter().copied().collect()).unwrap_or_default();
                let looker = self.looker.clone();
                running.push(Box::pin(async move { (folder, looker.look(wanted, direct).await) }));
            }
            if running.is_empty() {
                if self.decide_missing().await {
                    continue;
                }
                break;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Some((folder, outcome)) = running.next() => {
                    looking.remove(&folder);
                    self.take(outcome).await;
                }
                () = self.looker.context.looks.asked() => {}
            }
        }
        self.finish_scans().await;
        if self.missing.is_empty() {
            self.looker.context.looks.idle();
        }
    }

    /// Collects what is due.
    async fn gather(&mut self) {
        let now = Instant::now();
        if self.rescan_at <= now {
            self.rescan_at = now + self.looker.context.config.rescan_interval();
            self.looker.context.looks.everything();
        }
        if self.check_at <= now {
            self.check_at = now + CHECK_INTERVAL;
            self.check().await;
        }
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let later = entry.remove();
            self.waiting.remove(&later.place());
            self.push(later.wanted);
        }
        let mut asked = self.looker.context.looks.take();
        for (set, node) in std::mem::take(&mut asked.members) {
            match self.looker.place(set, node) {
                Ok(Some(wanted)) if wanted.deep => {
                    // The cloud's changes bring direct members into folders that none was in before.
                    if !self.direct.get(&wanted.folder).is_some_and(|sets| sets.contains(&set)) {
                        self.refresh(set);
                    }
                    self.push(wanted);
                }
                // Of one folder, they are looked at together, with what else is to be looked at in it.
                Ok(place) => place.into_iter().for_each(|wanted| asked.folder(wanted.folder, wanted.scope)),
                Err(failure) => tracing::warn!(%failure, "a member could not be looked at"),
            }
        }
        let Asked { folders, sets, everything, .. } = asked;
        for (folder, scope) in folders {
            self.push(Wanted { scope, ..Wanted::all(folder, false) });
        }
        if !everything && sets.is_empty() {
            return;
        }
        match self.looker.sets() {
            Ok(all) => {
                self.forget(&all);
                for set in if everything { all } else { sets.intersection(&all).copied().collect() } {
                    self.scan(set).await;
                }
            }
            Err(failure) => tracing::warn!(%failure, "the sync sets could not be read"),
        }
    }

    /// Looks at one folder that come one after the other are taken as one.
    fn push(&mut self, wanted: Wanted) {
        match self.stack.last_mut() {
            Some(last) if last.is_alike(&wanted) => last.scope.join(wanted.scope),
            _ => self.stack.push(wanted),
        }
    }

    /// Takes the last look at a folder that nobody is looking at. Of two looks at one folder at the same time the first could write down last
    /// what it saw first: that something is there, of which the second, to whom it was not yet known, had nothing to say.
    fn pop(&mut self, looking: &BTreeSet<RepoKey>) -> Option<Wanted> {
        let at = self.stack.iter().rposition(|wanted| !looking.contains(&wanted.folder))?;
        Some(self.stack.remove(at))
    }

    async fn take(&mut self, outcome: Outcome) {
        let Outcome { looks, later, missing, bereft, unhealthy, unwatched, moved } = outcome;
        for set in moved {
            self.refresh(set);
        }
        for set in unwatched {
            self.polled.insert(set);
            let text = "Changes in some folders are not reported; they are looked at every few seconds.".to_owned();
            self.looker.context.looks.report(set, Topic::Watching, Some(text));
        }
        looks.into_iter().for_each(|wanted| self.push(wanted));
        let now = Instant::now();
        later.into_iter().for_each(|later| self.postpone(now, later));
        for missing in missing {
            self.missing.entry(missing).or_insert(now);
        }
        let long_ago = now.checked_sub(self.looker.context.config.settle()).unwrap_or(now);
        self.missing.extend(bereft.into_iter().map(|missing| (missing, long_ago)));
        // What was not seen cannot count as looked through.
        self.scanning.retain(|set| !unhealthy.contains(set));
        if unhealthy.difference(&self.unhealthy).next().is_some() {
            self.check().await;
            // Whatever the check says, these looks failed: they are looked through again once a later check finds nothing wrong.
            self.unhealthy.extend(unhealthy);
        }
    }

    /// A place waits once: a later reason to look again replaces an earlier one.
    fn postpone(&mut self, now: Instant, later: Later) {
        self.numbers += 1;
        let due = (now + later.delay, self.numbers);
        if let Some(earlier) = self.waiting.insert(later.place(), due) {
            self.later.remove(&earlier);
        }
        self.later.insert(due, later);
    }

    /// Decides about members that have been missing for long enough. Returns whether there is more to do at once.
    async fn decide_missing(&mut self) -> bool {
        let settle = self.looker.context.config.settle();
        let now = Instant::now();
        let due: Vec<_> =
            self.missing.iter().filter(|(_, since)| **since + settle <= now).map(|(missing, _)| *missing).take(BATCH_ROWS).collect();
        if due.is_empty() {
            return !self.stack.is_empty();
        }
        match self.looker.decide(due.clone()).await {
            Ok(outcome) => {
                for missing in &due {
                    self.missing.remove(missing);
                }
                self.take(outcome).await;
                true
            }
            Err(failure) => {
                tracing::warn!(%failure, "missing members could not be decided about, trying again");
                self.missing.extend(due.into_iter().map(|missing| (missing, now)));
                false
            }
        }
    }
}

/// Waits until all that the repository had reported when this was called, and all that was asked for, was looked at and stored. What
/// somebody is still writing is not waited for. Returns `false` when the tracker has stopped.
pub async fn settled(context: &Context) -> bool {
    match take_hints(context).await {
        Ok(()) | Err(RepositoryError::Unsupported(_)) => {}
        Err(error) => reports_failed(context, &error),
    }
    context.looks.settled().await
}

/// Turns all that the repository has reported into looks.
async fn take_hints(context: &Context) -> Result<(), RepositoryError> {
    let _turn = context.looks.reading().await;
    for _ in 0..READS_MAX {
        let repository = std::sync::Arc::clone(&context.repository);
        let hints = hinted("hints", move || repository.hints()).await?;
        if hints.is_empty() {
            return Ok(());
        }
        context.looks.hints(hints);
    }
    // Changes come faster than they are read: one look at everything is cheaper than to follow each.
    context.looks.everything();
    Ok(())
}

/// Reads what the repository reports, until the agent ends.
async fn read_hints(context: Context, cancel: CancellationToken) {
    while !cancel.is_cancelled() {
        let repository = std::sync::Arc::clone(&context.repository);
        let waited = Instant::now() + HINTS_WAIT;
        let read = match hinted("wait for hints", move || repository.wait_for_hints(HINTS_WAIT)).await {
            Ok(true) => take_hints(&context).await.map(|()| true),
            none => none,
        };
        let until = match read {
            Ok(true) => continue,
            // Reports that cannot be waited for were looked for at once.
            Ok(false) => waited,
            // A repository without reports answers at once.
            Err(RepositoryError::Unsupported(_)) => Instant::now() + CHECK_INTERVAL,
            Err(error) => {
                reports_failed(&context, &error);
                Instant::now() + HINTS_RETRY
            }
        };
        cancel.run_until_cancelled(tokio::time::sleep_until(until)).await;
    }
}

fn reports_failed(context: &Context, error: &RepositoryError) {
    tracing::warn!(%error, "reports of the repository failed, looking at everything");
    context.looks.everything();
}

async fn hinted<T: Send + 'static>(
    name: &'static str,
    ask: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, RepositoryError> {
    crate::task::blocking(name, ask).await.unwrap_or_else(|lost| {
        tracing::error!(%lost, "reading reports ended");
        Err(RepositoryError::Unknown(Unhealthy::Failed(libc::EIO)))
    })
}
