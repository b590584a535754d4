//! Decides about members that are not where they were: moved, or gone.
//!
//! Absence is not a delete. A member becomes absent only when a fresh look shows that it is not at its place and a search that looked at
//! everything found it nowhere, or found it where its set does not reach. A search that fails decides nothing.

use std::collections::BTreeSet;

use super::Failure;
use super::ingest::{Verdict, depart, remove, trouble};
use super::look::Looker;
use super::outcome::{Missing, Outcome, Wanted};
use super::queue::{Look, Scope, Topic};
use super::scene::{self, Known};
use super::sort::{Guess, Spot, describe, is_outdated};
use crate::agent::forget::unprotect_at;
use crate::agent::repository::{
    At, EntryName, Item, RepoKey, RepoPlace, Repository, RepositoryError, SiteName, Unhealthy, UnsupportedKind,
};
use crate::agent::state::Keys;
use crate::agent::state::members::{load, load_set};
use crate::model::{Kind, NodeId, Reason, SetId, SetShape};
use crate::store::{StoreError, WriteExt as _};

/// The attempt that a look after an undecided search counts as: searching is costly, so not too soon.
const UNDECIDED_ATTEMPT: u32 = 3;

/// What was found at the place of a missing member.
#[derive(Debug, Clone, Copy)]
enum Occupant {
    /// Nothing, or another member.
    None,
    /// An item that nobody knows: the member's new content, unless its old item is found.
    Unknown,
    /// Something that cannot be synced.
    Unsupported(UnsupportedKind),
}

/// What is found out about a missing member without the trees.
enum Trace {
    /// It is nowhere.
    Gone(Occupant),
    /// It is here now; with the site, where the repository could name it.
    At(RepoPlace, Option<SiteName>),
}

/// What to do about a missing member.
enum Decision {
    Remove,
    /// The item is this other member's.
    Yield((SetId, NodeId)),
    /// It lies here now, where its set does not reach.
    Leave(At),
    Blame(Reason, String),
    /// It is a direct member, and left its library.
    Depart,
    /// It is a direct member, and lies here now.
    Follow(RepoPlace),
}

impl Looker {
    /// Decides about members, at most a batch of them.
    pub(super) async fn decide(&self, missing: Vec<Missing>) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        let rows: Vec<_> = self.context.store.read(|read| {
            let rows = missing.iter().map(|missing| load(read, missing.set, missing.node));
            rows.collect::<Result<_, _>>()
        })?;
        let mut known = Vec::with_capacity(rows.len());
        for (missing, row) in missing.iter().zip(rows) {
            match row.and_then(|row| Known::of(missing.set, &row)) {
                Some(same) if same.revision == missing.revision && !same.applying => known.push(same),
                // Another look wrote down something since, perhaps of before it went, or something is being done to it. Nobody need report it
                // again.
                Some(_) => self.context.looks.look(missing.set, Look::Member(missing.node)),
                None => {}
            }
        }
        if known.is_empty() {
            return Ok(outcome);
        }
        let asked = known.clone();
        let at_place = self.blocking("look", move |repository| asked.iter().map(|known| at(repository, known)).collect::<Vec<_>>()).await?;
        let (mut searched, mut twins) = (Vec::new(), Vec::new());
        for (known, found) in known.into_iter().zip(at_place) {
            match found {
                Ok(None) => searched.push((known, Occupant::None)),
                Ok(Some((item, key))) => {
                    let reached = self.is_reached(&known)?;
                    if reached && key == known.key {
                        match self.twin(&known)? {
                            Some(twin) => twins.push((known, Decision::Yield(twin))),
                            None => outcome.looks.push(Wanted::name(known.folder, known.name)),
                        }
                    } else {
                        // What is where no set reaches is nobody's new content.
                        let occupant = if reached { self.occupant(&known, item, &key)? } else { Occupant::None };
                        searched.push((known, occupant));
                    }
                }
                Err(error) => undecided(&known, &error, &mut outcome),
            }
        }
        self.search(searched, &mut outcome).await?;
        self.write(twins, &mut outcome).await?;
        Ok(outcome)
    }

    /// Another member that has this very item at this very place, and is the one that looks find there: one of them was made for what
    /// somebody had put there before it was known whose it is.
    fn twin(&self, known: &Known) -> Result<Option<(SetId, NodeId)>, Failure> {
        let holder = self.context.store.read(|read| match Known::by_key(read, &known.folder)? {
            Some(folder) => scene::holder_at(read, &folder, &known.name, &known.key),
            None => Ok(None),
        })?;
        Ok(holder.map(|holder| (holder.set, holder.node)).filter(|twin| *twin != (known.set, known.node)))
    }

    /// Whether a look at the member's place is about this member: its folder, if that is synced, is still in the set.
    fn is_reached(&self, known: &Known) -> Result<bool, Failure> {
        let folder = self.context.store.read(|read| Known::by_key(read, &known.folder))?;
        Ok(known.direct || folder.is_some_and(|folder| folder.set == known.set))
    }

    fn occupant(&self, known: &Known, item: Item, key: &RepoKey) -> Result<Occupant, Failure> {
        let kind = match item {
            Item::Folder => Kind::Folder,
            Item::Document => Kind::Document,
            Item::Unsupported(kind) => return Ok(Occupant::Unsupported(kind)),
        };
        let holder = self.context.store.read(|read| Known::by_key(read, key))?;
        Ok(if kind == known.kind && holder.is_none() { Occupant::Unknown } else { Occupant::None })
    }

    async fn search(&self, searched: Vec<(Known, Occupant)>, outcome: &mut Outcome) -> Result<(), Failure> {
        if searched.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = searched.iter().map(|(known, occupant)| (known.key.clone(), *occupant)).collect();
        let traces = self.blocking("locate", move |repository| locate(repository, &asked)).await?;
        let failed =
            traces.as_ref().err().map(|error| format!("Missing items could not be searched for, so nothing was deleted: {error}."));
        let sets: BTreeSet<_> = searched.iter().map(|(known, _)| known.set).collect();
        for set in sets {
            self.context.looks.report(set, Topic::Searching, failed.clone());
        }
        let traces = match traces {
            Ok(traces) => traces,
            Err(error) => {
                searched.iter().for_each(|(known, _)| undecided(known, &error, outcome));
                return Ok(());
            }
        };
        let mut decided = Vec::new();
        for ((known, _), trace) in searched.into_iter().zip(traces) {
            let decision = match trace {
                Trace::Gone(Occupant::None) => Some(Decision::Remove),
                Trace::Gone(Occupant::Unknown) => {
                    outcome.looks.push(Wanted::name(known.folder.clone(), known.name.clone()));
                    None
                }
                Trace::Gone(Occupant::Unsupported(kind)) => {
                    let reason = if kind == UnsupportedKind::Mount { Reason::SourceUnknown } else { Reason::UnsupportedType };
                    Some(Decision::Blame(reason, describe(kind).to_owned()))
                }
                Trace::At(place, site) => self.found(&known, place, site, outcome)?,
            };
            decided.extend(decision.map(|decision| (known, decision)));
        }
        self.write(decided, outcome).await
    }

    /// It lies elsewhere now.
    fn found(&self, known: &Known, place: RepoPlace, site: Option<SiteName>, outcome: &mut Outcome) -> Result<Option<Decision>, Failure> {
        let (folder, local, holder) = self.context.store.read(|read| {
            let taken =
                Known::by_key(read, &known.key)?.filter(|taken| place.name.allowed().is_some_and(|name| taken.is_at(&place.folder, name)));
            let folder = Known::by_key(read, &place.folder)?;
            let set = folder.as_ref().map_or(known.set, |folder| folder.set);
            let holder = match (taken, &folder, place.name.allowed()) {
                (None, Some(folder), Some(name)) => scene::holder_at(read, folder, name, &known.key)?,
                (taken, ..) => taken,
            };
            Ok::<_, StoreError>((folder, load_set(read, set)?, holder))
        })?;
        if holder.is_some_and(|holder| (holder.set, holder.node) != (known.set, known.node)) {
            // Another name of the same item, which is a member of its own; or it was put in the place of a member.
            return Ok(Some(Decision::Remove));
        }
        if known.direct {
            let own = self.context.store.read(|read| load_set(read, known.set))?;
            if site.is_none_or(|site| own.is_some_and(|own| own.site != site)) {
                return Ok(Some(Decision::Depart));
            }
            return Ok(match &place.name {
                EntryName::Allowed(_) => Some(Decision::Follow(place)),
                EntryName::NotAllowed(_, error) => Some(Decision::Blame(Reason::NameNotAllowed, error.to_string())),
            });
        }
        let takes = folder.is_some_and(|folder| folder.kind == Kind::Folder)
            && local.is_some_and(|local| known.kind == Kind::Document || local.definition.shape == SetShape::Folder { subfolders: true });
        if !takes {
            return Ok(Some(match place.name {
                EntryName::Allowed(name) => Decision::Leave(At { folder: place.folder, name, key: known.key.clone() }),
                EntryName::NotAllowed(..) => Decision::Remove,
            }));
        }
        outcome.looks.push(match place.name {
            EntryName::Allowed(name) => Wanted::name(place.folder, name),
            EntryName::NotAllowed(..) => Wanted { scope: Scope::All, ..Wanted::all(place.folder, false) },
        });
        Ok(None)
    }

    async fn write(&self, decided: Vec<(Known, Decision)>, outcome: &mut Outcome) -> Result<(), Failure> {
        let mut direct = Vec::new();
        let mut rows = Vec::new();
        for (known, decision) in decided {
            match decision {
                Decision::Follow(place) => direct.push((known, place)),
                decision => rows.push((known, decision)),
            }
        }
        for (known, decision) in &rows {
            // Before it is no member any more: whoever dies in between does it again.
            if let Decision::Leave(at) = decision
                && let Some(row) = self.context.store.read(|read| load(read, known.set, known.node))?
            {
                unprotect_at(&self.context, &row, at.clone()).await;
            }
        }
        let rows = std::sync::Arc::new(rows);
        let shared = std::sync::Arc::clone(&rows);
        let verdicts = self
            .transact(move |tx| {
                shared
                    .iter()
                    .map(|(known, decision)| match decision {
                        Decision::Blame(reason, detail) => {
                            trouble(tx, known.set, known.node, known.revision, Some(&(*reason, detail.clone())))
                        }
                        Decision::Depart => depart(tx, known.set, known.node, known.revision),
                        Decision::Yield(twin) => {
                            let verdict = remove(tx, known.set, known.node, known.revision)?;
                            if verdict == Verdict::Done {
                                tx.put::<Keys>(&(known.key.as_bytes().to_vec(),), twin)?;
                            }
                            Ok(verdict)
                        }
                        Decision::Remove | Decision::Leave(_) | Decision::Follow(_) => remove(tx, known.set, known.node, known.revision),
                    })
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        for ((known, decision), verdict) in rows.iter().zip(verdicts) {
            if verdict != Verdict::Done {
                outcome.looks.push(Wanted::name(known.folder.clone(), known.name.clone()));
            } else if known.kind == Kind::Folder && matches!(decision, Decision::Remove | Decision::Leave(_)) {
                self.context.repository.unwatch(&known.key);
                let children = self.context.store.read(|read| scene::children(read, known.set, known.node))?;
                outcome.bereft.extend(children.iter().map(Missing::of));
            }
        }
        for (known, place) in direct {
            self.follow_direct(known, place, outcome).await?;
        }
        Ok(())
    }

    /// A direct member may lie anywhere in its library: its place there is not synced, only its name.
    async fn follow_direct(&self, known: Known, place: RepoPlace, outcome: &mut Outcome) -> Result<(), Failure> {
        let EntryName::Allowed(name) = place.name else { return Ok(()) };
        let scene = self.context.store.read(|read| scene::beside(read, known.set, &place.folder))?;
        let (folder, asked) = (place.folder.clone(), name.clone());
        let entry = self.blocking("look", move |repository| repository.look(&folder, &asked)).await?;
        let look = Wanted::name(place.folder, name.clone());
        if let (Some(scene), Ok(Some(entry))) = (scene, entry)
            && entry.key == known.key
        {
            let read = is_outdated(&entry, &known);
            let spot = Spot { name, kind: known.kind, entry, guess: Guess::Elsewhere(known), read };
            self.read(&scene, vec![spot], &look, outcome).await?;
        }
        // From now on this folder is watched for it.
        outcome.looks.push(look);
        Ok(())
    }
}

/// What is at a member's place: its kind and key.
fn at(repository: &dyn Repository, known: &Known) -> Result<Option<(Item, RepoKey)>, RepositoryError> {
    match repository.look(&known.folder, &known.name) {
        Ok(entry) => Ok(entry.map(|entry| (entry.item, entry.key))),
        Err(RepositoryError::Gone) => Ok(None),
        Err(error) => Err(error),
    }
}

fn locate(repository: &dyn Repository, asked: &[(RepoKey, Occupant)]) -> Result<Vec<Trace>, RepositoryError> {
    let keys: Vec<_> = asked.iter().map(|(key, _)| key.clone()).collect();
    let places = repository.locate(&keys)?;
    Ok(places.into_iter().zip(asked).map(|(place, (_, occupant))| trace(repository, place, *occupant)).collect())
}

fn trace(repository: &dyn Repository, place: Option<RepoPlace>, occupant: Occupant) -> Trace {
    let Some(place) = place else { return Trace::Gone(occupant) };
    let path = repository.path_of(&place.folder, &place.name).ok();
    let site = path.and_then(|path| repository.resolve(&path).ok()).map(|resolved| resolved.site);
    Trace::At(place, site)
}

/// Nothing is decided: the place is looked at again.
fn undecided(known: &Known, error: &RepositoryError, outcome: &mut Outcome) {
    if let RepositoryError::Unknown(Unhealthy::RootMissing | Unhealthy::ForeignRoot | Unhealthy::ClaimedRoot | Unhealthy::CopiedRoot) =
        error
    {
        outcome.unhealthy.insert(known.set);
    } else {
        let look = Wanted { attempt: UNDECIDED_ATTEMPT, ..Wanted::name(known.folder.clone(), known.name.clone()) };
        outcome.again(look, Some(known.set));
    }
}
