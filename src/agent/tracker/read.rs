//! Reads what is new or changed in a folder, several documents at a time, and writes it into the trees batch by batch, so that planning
//! begins while a first look at a large folder still goes on.

use futures::StreamExt as _;

use super::ingest::{Identity, Reading, Sighting, Verdict, ingest};
use super::look::Looker;
use super::oddities::{self, Oddity};
use super::outcome::{Outcome, Wanted};
use super::queue::Scope;
use super::scene::Scene;
use super::sort::{Guess, Spot, describe};
use super::{BATCH_ROWS, Failure};
use crate::agent::repository::{At, Item, KnownContent, Observation, RepositoryError};
use crate::content::{Blob, BlobKind};
use crate::model::{Kind, Name, NodeId, PairingId, Reason};
use crate::transfer::AGENT_SCOPE;

/// Documents of one folder that are on their way at one time; how many of them are read at once the readers' bound decides.
const READ_AHEAD: usize = 16;
/// Manifest pages that are held before they are stored, in bytes: a document of about 10 GiB.
const PAGES_BYTES_MAX: usize = 8 << 20;

/// What reading one entry came to.
enum Read {
    Seen(Box<Observation>, Vec<Blob>),
    /// It cannot be synced as it is.
    Cannot(Reason, String),
    /// Somebody is writing to it.
    Busy,
    /// It changed or went away meanwhile.
    Changed,
}

/// What was read and not yet written into the trees.
#[derive(Default)]
struct Batch {
    sightings: Vec<Sighting>,
    pages: Vec<Blob>,
    pages_bytes: usize,
    oddities: Vec<(Name, Oddity)>,
}

impl Looker {
    /// Reads entries as far as needed and writes them into the source tree.
    pub(super) async fn read(&self, scene: &Scene, spots: Vec<Spot>, wanted: &Wanted, outcome: &mut Outcome) -> Result<(), Failure> {
        let mut reading = futures::stream::iter(spots).map(|spot| self.read_one(scene, spot)).buffer_unordered(READ_AHEAD);
        let mut batch = Batch::default();
        while let Some(read) = reading.next().await {
            let (spot, read) = read?;
            self.take(scene, spot, read, wanted, &mut batch, outcome);
            if batch.sightings.len() >= BATCH_ROWS || batch.oddities.len() >= BATCH_ROWS || batch.pages_bytes >= PAGES_BYTES_MAX {
                self.commit(scene, std::mem::take(&mut batch), wanted, outcome).await?;
            }
        }
        self.commit(scene, batch, wanted, outcome).await
    }

    async fn read_one(&self, scene: &Scene, spot: Spot) -> Result<(Spot, Option<Read>), Failure> {
        if !spot.read {
            return Ok((spot, None));
        }
        let permit = self.readers.acquire().await;
        let at = At { folder: scene.folder.clone(), name: spot.name.clone(), key: spot.entry.key.clone() };
        let known = match &spot.guess {
            Guess::Same(known) | Guess::Elsewhere(known) => known.content.map(|content| KnownContent { stamp: known.stamp, content }),
            Guess::New { .. } | Guess::Replacing { .. } => None,
        };
        let read = self.blocking("observe", move |repository| {
            let mut pages = Vec::new();
            let seen = repository.observe(&at, known.as_ref(), &mut |blob| {
                if blob.kind() == BlobKind::Page {
                    pages.push(blob);
                }
                true
            });
            judge(seen, pages)
        });
        let read = read.await?;
        drop(permit);
        Ok((spot, Some(read)))
    }

    fn take(&self, scene: &Scene, spot: Spot, read: Option<Read>, wanted: &Wanted, batch: &mut Batch, outcome: &mut Outcome) {
        let is_new = matches!(spot.guess, Guess::New { .. });
        let scope = || Scope::name(spot.name.clone());
        let reading = match read {
            None => Reading::Unread,
            Some(Read::Seen(seen, pages)) => {
                batch.pages_bytes += pages.iter().map(|page| page.bytes().len()).sum::<usize>();
                batch.pages.extend(pages);
                Reading::Read(seen)
            }
            Some(Read::Cannot(reason, detail)) => {
                if reason == Reason::SourceUnknown {
                    outcome.again(wanted.again(scope()), None);
                }
                if is_new {
                    batch.oddities.push((spot.name, Oddity { reason, detail }));
                    return;
                }
                Reading::Failed(reason, detail)
            }
            Some(Read::Busy) => {
                outcome.again(wanted.again(scope()), None);
                match &spot.guess {
                    // Where it is can be told while somebody writes to it; what it holds cannot.
                    Guess::Same(known) | Guess::Elsewhere(known) if !known.is_at(&scene.folder, &spot.name) => Reading::Unread,
                    _ => return,
                }
            }
            Some(Read::Changed) => {
                outcome.again(wanted.again(scope()), None);
                return;
            }
        };
        let identity = self.identity(spot.guess);
        let parent = scene.parent_node();
        let Spot { name, kind, entry, .. } = spot;
        batch.sightings.push(Sighting { set: scene.set, parent, folder: scene.folder.clone(), name, kind, entry, identity, reading });
    }

    fn identity(&self, guess: Guess) -> Identity {
        match guess {
            Guess::New { linked } => {
                let (node, pairing) = self.mint();
                Identity::New { node, pairing, linked }
            }
            Guess::Same(known) | Guess::Elsewhere(known) => {
                Identity::Known { set: known.set, node: known.node, revision: known.revision, spare: self.mint() }
            }
            Guess::Replacing { old, absorbed } => {
                let absorbed = absorbed.map(|known| (known.node, known.revision));
                Identity::Edit { node: old.node, revision: old.revision, absorbed }
            }
        }
    }

    fn mint(&self) -> (NodeId, PairingId) {
        let world = &self.context.world;
        (NodeId::from_uuid(world.mint()), PairingId::from_uuid(world.mint()))
    }

    async fn commit(&self, scene: &Scene, batch: Batch, wanted: &Wanted, outcome: &mut Outcome) -> Result<(), Failure> {
        let Batch { sightings, pages, oddities, .. } = batch;
        let (set, parent) = (scene.set, scene.parent_node());
        if !oddities.is_empty() && parent.is_some() {
            self.transact(move |tx| {
                let mut save =
                    |(name, oddity): &(Name, Oddity)| oddities::save(tx, set, parent, name.as_str().as_bytes().to_vec(), Some(oddity));
                oddities.iter().try_for_each(&mut save)
            })
            .await?;
        }
        if sightings.is_empty() {
            return Ok(());
        }
        self.keep(pages).await?;
        let shared = std::sync::Arc::new(sightings);
        let sightings = std::sync::Arc::clone(&shared);
        let verdicts = self.transact(move |tx| ingest(tx, &sightings)).await?;
        for (sighting, verdict) in shared.iter().zip(verdicts) {
            match verdict {
                Verdict::Done => self.follow(sighting, wanted, outcome),
                Verdict::Stale => outcome.again(wanted.again(Scope::name(sighting.name.clone())), Some(set)),
                Verdict::Busy => outcome.again(wanted.again(Scope::name(sighting.name.clone())), None),
            }
        }
        Ok(())
    }

    /// A folder that is new to its set is listed; one that moved within it brings what is known of it along.
    fn follow(&self, sighting: &Sighting, wanted: &Wanted, outcome: &mut Outcome) {
        let is_new = match sighting.identity {
            Identity::New { .. } | Identity::Edit { .. } => true,
            Identity::Known { set, .. } => set != sighting.set,
        };
        if sighting.kind == Kind::Folder && (is_new || wanted.deep) {
            outcome.looks.push(Wanted::all(sighting.entry.key.clone(), true));
        }
        if sighting.parent.is_none() {
            outcome.moved.insert(sighting.set);
        }
    }

    /// Makes manifest pages durable, before anything refers to them.
    async fn keep(&self, pages: Vec<Blob>) -> Result<(), Failure> {
        if pages.is_empty() {
            return Ok(());
        }
        Ok(self.context.depot.keep(AGENT_SCOPE, pages).await?)
    }
}

fn judge(seen: Result<Observation, RepositoryError>, pages: Vec<Blob>) -> Read {
    match seen {
        Ok(Observation { item: Item::Unsupported(kind), .. }) => Read::Cannot(Reason::UnsupportedType, describe(kind).to_owned()),
        Ok(seen) => Read::Seen(Box::new(seen), pages),
        Err(RepositoryError::Busy) => Read::Busy,
        Err(RepositoryError::Changed | RepositoryError::Gone) => Read::Changed,
        Err(RepositoryError::Denied(detail)) => Read::Cannot(Reason::SourceAccessDenied, detail.to_owned()),
        Err(error) => Read::Cannot(Reason::SourceUnknown, error.to_string()),
    }
}
