//! One look at one folder: what the trees say of it, what the repository shows, and who is who.
//!
//! The trees are read first, so that whatever happens to a member afterwards raises its revision above the one that the sighting names.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::ingest::{Verdict, trouble, veils};
use super::oddities::{self, Oddity};
use super::outcome::{Missing, Outcome, Wanted};
use super::queue::Scope;
use super::scene::{self, Known, Scene};
use super::sort::{Guess, Sorted, Spot, sort};
use super::{BATCH_ROWS, Failure};
use crate::agent::context::Context;
use crate::agent::repository::{Entry, RepoKey, Repository, RepositoryError, Unhealthy};
use crate::model::{Kind, Reason, SetId};
use crate::store::{StoreError, Transaction};

/// Documents that are read at one time, by all looks together: enough to keep the disk busy.
const READERS: usize = 8;

/// Looks at folders. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Looker {
    pub(super) context: Context,
    pub(super) readers: Arc<Semaphore>,
}

/// What a folder has shown.
struct Shown {
    entries: Result<Vec<Entry>, RepositoryError>,
    watched: bool,
}

impl Looker {
    pub(super) fn new(context: Context) -> Self {
        Self { context, readers: Arc::new(Semaphore::new(READERS)) }
    }

    /// Looks at a folder, for the set that it is a member of and for those that have direct members in it.
    pub(super) async fn look(&self, wanted: Wanted, direct: Vec<SetId>) -> Outcome {
        let mut outcome = Outcome::default();
        if let Err(failure) = self.look_inner(&wanted, direct, &mut outcome).await {
            tracing::warn!(%failure, folder = %wanted.folder, "look failed, trying again");
            let again = wanted.again(wanted.scope.clone());
            outcome.again(again, failure.set);
        }
        outcome
    }

    async fn look_inner(&self, wanted: &Wanted, direct: Vec<SetId>, outcome: &mut Outcome) -> Result<(), Failure> {
        let has_guests = !direct.is_empty();
        // First, so that what was put in the place of a direct member is that member's new content, and no second member.
        for set in direct {
            let scene = self.context.store.read(|read| scene::of_direct(read, set, &wanted.folder, &wanted.scope))?;
            if let Some(scene) = scene {
                self.look_at(scene, wanted, outcome).await.map_err(|failure| failure.of(set))?;
            }
        }
        let member = self.context.store.read(|read| scene::of_member(read, &wanted.folder, &wanted.scope))?;
        if let Some(scene) = member {
            let set = scene.set;
            self.look_at(Scene { has_guests, ..scene }, wanted, outcome).await.map_err(|failure| failure.of(set))?;
        }
        Ok(())
    }

    async fn look_at(&self, scene: Scene, wanted: &Wanted, outcome: &mut Outcome) -> Result<(), Failure> {
        let shown = self.show(&scene).await?;
        if !shown.watched {
            outcome.unwatched.insert(scene.set);
        }
        let entries = match shown.entries {
            Ok(entries) => entries,
            Err(error) => return self.not_shown(&scene, wanted, &error, outcome).await,
        };
        // A folder that could not be seen kept what was in it from view: all of it is looked at again.
        let veiled = scene.names.is_none() && scene.parent.as_ref().is_some_and(|parent| parent.problem.is_some_and(veils));
        let deep = wanted.deep || veiled;
        let mut sorted = self.context.store.read(|read| sort(read, &scene, entries, deep))?;
        self.keep_oddities(&scene, std::mem::take(&mut sorted.oddities)).await?;
        for (known, reason, detail) in std::mem::take(&mut sorted.troubled) {
            self.blame(vec![known], (reason, detail)).await?;
        }
        for known in std::mem::take(&mut sorted.hidden) {
            self.veil(known, Reason::SourceUnknown, "Another file system is mounted over it.").await?;
        }
        outcome.missing.extend(sorted.missing.iter().map(Missing::of));
        outcome.looks.extend(sorted.folders.drain(..).map(|folder| Wanted::all(folder, deep)));
        if sorted.busy {
            outcome.again(wanted.again(wanted.scope.clone()), None);
        }
        let spots = self.certain(&scene, sorted, wanted, outcome).await?;
        self.read(&scene, spots, wanted, outcome).await?;
        if let Some(parent) = scene.parent.filter(|_| veiled) {
            let (set, node, revision) = (parent.set, parent.node, parent.revision);
            if self.transact(move |tx| trouble(tx, set, node, revision, None)).await? != Verdict::Done {
                outcome.again(wanted.again(Scope::All), Some(set));
            }
        }
        Ok(())
    }

    /// Watches, then lists.
    async fn show(&self, scene: &Scene) -> Result<Shown, Failure> {
        let (folder, names) = (scene.folder.clone(), scene.names.clone());
        let is_member = scene.parent.is_some();
        self.blocking("look", move |repository| {
            let watched = if names.is_none() || !is_member { repository.watch(&folder) } else { Ok(()) };
            let entries = match &names {
                None => repository.list(&folder),
                Some(names) => names.iter().filter_map(|name| repository.look(&folder, name).transpose()).collect(),
            };
            Shown { entries, watched: !matches!(watched, Err(RepositoryError::WatchLimit | RepositoryError::Unsupported(_))) }
        })
        .await
    }

    /// A folder that could not be looked at.
    async fn not_shown(&self, scene: &Scene, wanted: &Wanted, error: &RepositoryError, outcome: &mut Outcome) -> Result<(), Failure> {
        let concerned = scene.parent.as_ref().map_or_else(|| scene.known.clone(), |parent| vec![parent.clone()]);
        let (reason, detail) = match error {
            RepositoryError::Gone => {
                outcome.missing.extend(concerned.iter().map(Missing::of));
                return Ok(());
            }
            RepositoryError::Unknown(Unhealthy::RootMissing | Unhealthy::ForeignRoot | Unhealthy::ClaimedRoot | Unhealthy::CopiedRoot) => {
                outcome.unhealthy.insert(scene.set);
                return Ok(());
            }
            RepositoryError::Denied(_) | RepositoryError::Unknown(Unhealthy::Unreadable) => {
                (Reason::SourceAccessDenied, "The folder cannot be read.")
            }
            _ => (Reason::SourceUnknown, "The folder cannot be seen."),
        };
        // All of it is veiled, whatever was to be looked at in it.
        let scope = if scene.parent.is_some() { Scope::All } else { wanted.scope.clone() };
        outcome.again(wanted.again(scope), None);
        for known in concerned {
            self.veil(known, reason, detail).await?;
        }
        Ok(())
    }

    /// Settles the guesses that need another question to the repository.
    async fn certain(&self, scene: &Scene, sorted: Sorted, wanted: &Wanted, outcome: &mut Outcome) -> Result<Vec<Spot>, Failure> {
        let (doubtful, mut spots): (Vec<_>, Vec<_>) =
            sorted.spots.into_iter().partition(|spot| matches!(spot.guess, Guess::Elsewhere(_) | Guess::Replacing { .. }));
        if doubtful.is_empty() {
            return Ok(spots);
        }
        let folder = scene.folder.clone();
        let answer = self.blocking("verify", move |repository| verify(repository, &folder, doubtful)).await?;
        spots.extend(answer.spots);
        outcome.missing.extend(answer.missing.iter().map(Missing::of));
        outcome.looks.extend(answer.elsewhere);
        if let Some(error) = answer.undecided {
            tracing::debug!(%error, "could not tell whether an item is still there");
            outcome.again(wanted.again(wanted.scope.clone()), Some(scene.set));
        }
        Ok(spots)
    }

    /// Replaces what is known of a folder's oddities, or of those names that were looked at.
    async fn keep_oddities(&self, scene: &Scene, found: Vec<(Vec<u8>, Reason, String)>) -> Result<(), Failure> {
        let found: BTreeMap<_, _> = found.into_iter().map(|(name, reason, detail)| (name, Oddity { reason, detail })).collect();
        let (set, parent) = (scene.set, scene.parent_node());
        let mut known = match &scene.names {
            _ if scene.parent.is_none() => return Ok(()),
            None => self.context.store.read(|read| oddities::names(read, set, parent))?.into_iter().collect::<BTreeMap<_, _>>(),
            Some(names) => {
                let names = names.iter().map(|name| name.as_str().as_bytes().to_vec());
                self.context.store.read(|read| oddities::of_names(read, set, parent, names))?.into_iter().collect()
            }
        };
        let mut changes = Vec::new();
        for (name, oddity) in found {
            if known.remove(&name).as_ref() != Some(&oddity) {
                changes.push((name, Some(oddity)));
            }
        }
        changes.extend(known.into_keys().map(|name| (name, None)));
        for batch in changes.chunks(BATCH_ROWS) {
            let batch = batch.to_vec();
            self.transact(move |tx| {
                batch.iter().try_for_each(|(name, oddity)| oddities::save(tx, set, parent, name.clone(), oddity.as_ref()))
            })
            .await?;
        }
        Ok(())
    }

    /// Says why members cannot be synced as they are.
    async fn blame(&self, members: Vec<Known>, problem: (Reason, String)) -> Result<(), Failure> {
        for batch in members.chunks(BATCH_ROWS) {
            let (batch, problem) = (batch.to_vec(), problem.clone());
            self.transact(move |tx| {
                batch.iter().try_for_each(|known| trouble(tx, known.set, known.node, known.revision, Some(&problem)).map(drop))
            })
            .await?;
        }
        Ok(())
    }

    /// A folder, or document, cannot be seen: nothing beneath is known any more, and nothing is deleted because of it.
    async fn veil(&self, top: Known, reason: Reason, detail: &str) -> Result<(), Failure> {
        let (set, mut folders) = (top.set, vec![top.node]);
        self.blame(vec![top], (reason, detail.to_owned())).await?;
        while let Some(folder) = folders.pop() {
            let children = self.context.store.read(|read| scene::children(read, set, folder))?;
            folders.extend(children.iter().filter(|known| known.kind == Kind::Folder).map(|known| known.node));
            self.blame(children, (Reason::SourceUnknown, "The folder that it is in cannot be seen.".to_owned())).await?;
        }
        Ok(())
    }

    pub(super) async fn transact<T: Send + 'static>(
        &self,
        body: impl FnMut(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let done = self.context.store.transact(body).await?;
        self.context.planner.notify_one();
        Ok(done)
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&dyn Repository) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let repository = Arc::clone(&self.context.repository);
        Ok(crate::task::blocking(name, move || work(&*repository)).await?)
    }
}

/// What became of doubtful guesses.
#[derive(Default)]
struct Answer {
    spots: Vec<Spot>,
    missing: Vec<Known>,
    elsewhere: Vec<Wanted>,
    undecided: Option<RepositoryError>,
}

fn verify(repository: &dyn Repository, folder: &RepoKey, doubtful: Vec<Spot>) -> Answer {
    let mut answer = Answer::default();
    let mut replacing = Vec::new();
    for mut spot in doubtful {
        match &spot.guess {
            Guess::Elsewhere(known) => match moved(repository, folder, &spot, known) {
                Ok(Some(linked)) => {
                    if linked {
                        spot.guess = Guess::New { linked };
                        spot.read = true;
                    }
                    answer.spots.push(spot);
                }
                // It was here when the folder was listed and is not any more; what took it away is reported too.
                Ok(None) => {}
                Err(error) => answer.undecided = Some(error),
            },
            _ => replacing.push(spot),
        }
    }
    replaced(repository, replacing, &mut answer);
    answer
}

/// Whether a member from elsewhere is here, and if so whether this is merely another name of it.
fn moved(repository: &dyn Repository, folder: &RepoKey, spot: &Spot, known: &Known) -> Result<Option<bool>, RepositoryError> {
    // Its place was read from the trees after the listing, so the listing may be the older of the two.
    let here = repository.look(folder, &spot.name)?;
    if here.is_none_or(|entry| entry.key != spot.entry.key) {
        return Ok(None);
    }
    if spot.kind == Kind::Folder || spot.entry.links <= 1 {
        return Ok(Some(false));
    }
    match repository.look(&known.folder, &known.name) {
        Ok(there) => Ok(Some(there.is_some_and(|entry| entry.key == known.key))),
        Err(RepositoryError::Gone) => Ok(Some(false)),
        Err(error) => Err(error),
    }
}

/// A new item at the place of a child is an edit of that child if the child's own item is nowhere any more.
fn replaced(repository: &dyn Repository, spots: Vec<Spot>, answer: &mut Answer) {
    let keys: Vec<_> = spots.iter().filter_map(|spot| old(spot).map(|known| known.key.clone())).collect();
    if keys.is_empty() {
        return;
    }
    let places = match repository.locate(&keys) {
        Ok(places) => places,
        Err(error) => {
            answer.undecided = Some(error);
            return;
        }
    };
    for (mut spot, place) in spots.into_iter().zip(places) {
        if place.is_some()
            && let Guess::Replacing { old, absorbed } = spot.guess
        {
            answer.missing.push(old.clone());
            spot.guess = absorbed.map_or(Guess::New { linked: false }, Guess::Same);
            if old.direct {
                continue;
            }
        }
        answer.spots.push(spot);
    }
}

fn old(spot: &Spot) -> Option<&Known> {
    match &spot.guess {
        Guess::Replacing { old, .. } => Some(old),
        _ => None,
    }
}
