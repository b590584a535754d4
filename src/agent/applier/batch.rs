//! One batch of orders: fetch, stage, flush, announce, place, settle, keep, record.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};

use super::{content, displaced};
use crate::agent::context::Context;
use crate::agent::planner::applied::{self, Ending};
use crate::agent::planner::{Order, committed, placing};
use crate::agent::repository::{At, Displaced, Leftover, Placed, RepoKey, Repository, RepositoryError, Staged, Stamp};
use crate::agent::state::{Displacements, SourceRow, members};
use crate::agent::tracker::Look;
use crate::agent::versions::{self, Cause, Version};
use crate::content::{Blob, ChunkerParameters};
use crate::engine::reconcile::Apply;
use crate::model::{ContentRef, Kind, Name, NodeState, Place, Property, Reason, Value};
use crate::net::Channel;
use crate::store::{StoreError, WriteExt as _};
use crate::task;
use crate::transfer::is_small;

/// Bytes of small contents that one batch holds in memory.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;

/// Displaced documents that are kept at one time.
const KEPT_AT_ONCE: usize = 32;

/// Divides orders: each large content for itself, small ones together.
pub(super) fn divide(orders: Vec<Order>) -> Vec<Vec<Order>> {
    let (mut divided, mut small, mut bytes) = (Vec::new(), Vec::new(), 0);
    for order in orders {
        match content_of(&order) {
            Some(content) if !is_small(&content) => divided.push(vec![order]),
            content => {
                bytes += content.map_or(0, |content| content.size_bytes);
                small.push(order);
                if bytes > BATCH_BYTES {
                    divided.push(std::mem::take(&mut small));
                    bytes = 0;
                }
            }
        }
    }
    if !small.is_empty() {
        divided.push(small);
    }
    divided
}

/// The content that an order brings.
pub(super) const fn content_of(order: &Order) -> Option<ContentRef> {
    match &order.apply {
        Apply::Create(state) => state.content,
        Apply::Update { content, .. } => *content,
        Apply::StepAside | Apply::Protect | Apply::Delete => None,
    }
}

/// An order on its way.
struct Job {
    order: Order,
    blobs: Vec<Blob>,
    staged: Option<Staged>,
    /// That of the new item that it puts in place.
    key: Option<RepoKey>,
    done: Option<Done>,
    failed: Option<Ending>,
}

/// What an order came to at the source.
struct Done {
    ending: Ending,
    displaced: Option<Displaced>,
}

/// Works on orders that have nothing to do with each other.
pub(super) async fn work(context: &Context, bulk: Channel, orders: Vec<Order>) -> Result<(), StoreError> {
    protect_first(context, &orders).await?;
    let jobs = content::fetch(context, bulk, orders).await;
    let jobs: Vec<_> = jobs
        .into_iter()
        .map(|fetched| {
            let content::Ready { order, blobs, staged, failed } = fetched;
            Job { order, blobs, staged, key: None, done: None, failed }
        })
        .collect();
    let Some(jobs) = step(context, jobs, stage_all).await else { return Ok(()) };
    announce(context, &jobs).await?;
    let Some(jobs) = step(context, jobs, place_all).await else { return Ok(()) };
    finish(context, jobs).await
}

/// Works on jobs in a thread. Orders that are lost there stay on record, and are planned again at the next start.
async fn step(context: &Context, jobs: Vec<Job>, work: fn(&Context, Vec<Job>) -> Vec<Job>) -> Option<Vec<Job>> {
    let context = context.clone();
    let worked = task::blocking("apply", move || work(&context, jobs)).await;
    worked.inspect_err(|lost| tracing::error!(%lost, "a batch of changes at the source was lost")).ok()
}

/// Says which items are about to be put in place, so that nobody takes them for somebody else's before they are on record.
async fn announce(context: &Context, jobs: &[Job]) -> Result<(), StoreError> {
    let ready = jobs.iter().filter(|job| job.failed.is_none());
    let announced: Vec<_> = ready.filter_map(|job| Some((job.key.clone()?, job.order.clone()))).collect();
    if announced.is_empty() {
        return Ok(());
    }
    committed(context.store.transact(move |tx| announced.iter().try_for_each(|(key, order)| placing::begin(tx, key, order))).await)
}

/// Stores the permissions of documents before they are made read-only.
async fn protect_first(context: &Context, orders: &[Order]) -> Result<(), StoreError> {
    for order in orders.iter().filter(|order| order.apply == Apply::Protect) {
        let Some(at) = at(order) else { continue };
        let repository = context.repository.clone();
        let Ok(Ok(original)) = task::blocking("read permissions", move || repository.protection(&at)).await else { continue };
        let (set, node) = (order.set, order.node);
        let stored = context.store.transact(move |tx| {
            members::update(tx, set, node, |row| {
                row.map(|mut row| {
                    row.protection = row.protection.or_else(|| Some(original.clone()));
                    row
                })
            })
        });
        committed(stored.await)?;
    }
    Ok(())
}

/// Where the member of an order is.
pub(super) fn at(order: &Order) -> Option<At> {
    let source = order.at.as_ref()?;
    let name = order.aside.clone().or_else(|| order.planned_on.as_ref().map(|state| state.place.name.clone()))?;
    Some(At { folder: source.folder.clone(), name, key: source.key.clone() })
}

/// Stages and flushes. Blocks.
fn stage_all(context: &Context, mut jobs: Vec<Job>) -> Vec<Job> {
    for job in jobs.iter_mut().filter(|job| job.failed.is_none()) {
        if let Err(error) = stage(context, job) {
            job.failed = Some(ending(&job.order, &error));
        }
        job.key = job.staged.as_ref().map(|staged| staged.key.clone());
    }
    let staged: Vec<_> = jobs.iter().filter(|job| job.failed.is_none()).filter_map(|job| job.staged.as_ref()).collect();
    if let Err(error) = context.repository.flush(&staged) {
        for job in &mut jobs {
            job.failed.get_or_insert_with(|| ending(&job.order, &error));
        }
    }
    jobs
}

/// Places and settles. Blocks.
fn place_all(context: &Context, mut jobs: Vec<Job>) -> Vec<Job> {
    for job in jobs.iter_mut().filter(|job| job.failed.is_none()) {
        match place(context, &job.order, job.staged.take()) {
            Ok(done) => job.done = Some(done),
            Err(error) => job.failed = Some(ending(&job.order, &error)),
        }
    }
    if let Err(error) = context.repository.settle() {
        // In place, but perhaps not durable: planned again from what is seen.
        for job in &mut jobs {
            job.done = None;
            job.failed.get_or_insert_with(|| ending(&job.order, &error));
        }
    }
    jobs
}

fn stage(context: &Context, job: &mut Job) -> Result<(), RepositoryError> {
    let repository = &context.repository;
    let order = &mut job.order;
    match &order.apply {
        Apply::Create(state) => {
            let folder = new_folder(&**repository, order)?;
            order.folder = Some(folder.clone());
            let mut staged = match (job.staged.take(), state.kind) {
                (Some(staged), _) => staged,
                (None, Kind::Folder) => repository.stage_folder(&folder, order.op)?,
                (None, Kind::Document) => repository.stage_document(&folder, order.op, ChunkerParameters::DEFAULT)?,
            };
            finish_content(context, &mut staged, &job.blobs, state.content.as_ref())?;
            let changes: BTreeMap<_, _> = state.properties.iter().map(|(property, value)| (property, Some(value.clone()))).collect();
            if !changes.is_empty() {
                repository.set_staged_properties(&staged, &changes)?;
            }
            job.staged = Some(staged);
        }
        Apply::Update { content: Some(content), properties, .. } => {
            let at = at(order).ok_or(RepositoryError::Changed)?;
            let mut staged = match job.staged.take() {
                Some(staged) => staged,
                None => repository.stage_document(&at.folder, order.op, ChunkerParameters::DEFAULT)?,
            };
            finish_content(context, &mut staged, &job.blobs, Some(content))?;
            repository.inherit(&staged, &at, &[])?;
            let changes = changes(properties);
            if !changes.is_empty() {
                repository.set_staged_properties(&staged, &changes)?;
            }
            job.staged = Some(staged);
        }
        Apply::Update { .. } | Apply::StepAside | Apply::Protect | Apply::Delete => {}
    }
    Ok(())
}

fn finish_content(context: &Context, staged: &mut Staged, blobs: &[Blob], content: Option<&ContentRef>) -> Result<(), RepositoryError> {
    let Some(content) = content else { return Ok(()) };
    for blob in blobs {
        context.repository.append(staged, blob)?;
    }
    context.repository.finish(staged, content)
}

/// Whether a folder is still in the site that the set's sources are in. What cannot be seen is not.
fn is_in_site(repository: &dyn Repository, folder: &RepoKey, order: &Order) -> bool {
    let Ok(Some(place)) = repository.locate(std::slice::from_ref(folder)).map(|mut places| places.pop().flatten()) else { return false };
    let path = repository.path_of(&place.folder, &place.name).ok();
    path.and_then(|path| repository.resolve(&path).ok()).is_some_and(|resolved| resolved.site == order.site)
}

fn changes(properties: &[(Property, Option<Value>)]) -> BTreeMap<Property, Option<Value>> {
    properties.iter().cloned().collect()
}

/// The folder that a new place is in.
pub(super) fn new_folder(repository: &dyn Repository, order: &Order) -> Result<RepoKey, RepositoryError> {
    // A direct member stays in whatever folder it is.
    let known = order.folder.clone().or_else(|| order.at.as_ref().map(|at| at.folder.clone()));
    match &order.apply {
        Apply::Create(state) if known.is_none() && state.place.parent.is_none() => home(repository, order),
        _ => known.ok_or(RepositoryError::Gone),
    }
}

/// Where a direct member comes back that is not at the source any more: in the folder that it was in, if that is still there, or else in the
/// library. What never was here has no such place: direct members, and the folder of a set, come from people at the source alone.
fn home(repository: &dyn Repository, order: &Order) -> Result<RepoKey, RepositoryError> {
    let nowhere = RepositoryError::Unsupported("it never was in a folder here, and the cloud cannot say in which it belongs");
    let last = order.last_folder.clone().ok_or(nowhere)?;
    let library = repository.sites().into_iter().find(|site| site.name == order.site).and_then(|site| site.library);
    if library.as_ref() == Some(&last) || is_in_site(repository, &last, order) {
        return Ok(last);
    }
    library.ok_or(RepositoryError::Gone)
}

fn place(context: &Context, order: &Order, staged: Option<Staged>) -> Result<Done, RepositoryError> {
    let repository = &context.repository;
    if let Apply::Create(state) = &order.apply {
        let (folder, staged) = (new_folder(&**repository, order)?, staged.ok_or(RepositoryError::Gone)?);
        let placed = repository.place_new(&staged, &folder, &state.place.name)?;
        return Ok(Done { ending: Ending::There(row(order, placed, folder, None), state.clone()), displaced: None });
    }
    let (at, source) = (at(order).ok_or(RepositoryError::Gone)?, order.at.as_ref().ok_or(RepositoryError::Gone)?);
    let state = order.planned_on.clone().ok_or(RepositoryError::Gone)?;
    match &order.apply {
        Apply::Create(_) => Err(RepositoryError::Gone),
        Apply::Delete if state.kind == Kind::Folder => {
            repository.remove_folder(&at)?;
            Ok(Done { ending: Ending::Gone, displaced: None })
        }
        Apply::Delete => {
            let displaced = repository.remove_document(&at, &source.stamp, order.op)?;
            Ok(Done { ending: Ending::Gone, displaced: Some(displaced) })
        }
        Apply::Protect => {
            let placed = repository.protect(&at, &source.stamp)?;
            Ok(Done { ending: Ending::There(row(order, placed, at.folder, None), state), displaced: None })
        }
        Apply::StepAside => {
            let name = Name::new(format!("{}.moving", order.node)).map_err(|_| RepositoryError::Unsupported("a name of its own"))?;
            let placed = repository.rename(&at, &at.folder, &name, &source.stamp)?;
            Ok(Done { ending: Ending::There(row(order, placed, at.folder, Some(name)), state), displaced: None })
        }
        Apply::Update { content, place, properties, .. } => {
            update(context, order, staged, at, state, (*content, place.as_ref(), properties))
        }
    }
}

type Facets<'a> = (Option<ContentRef>, Option<&'a Place>, &'a [(Property, Option<Value>)]);

fn update(
    context: &Context,
    order: &Order,
    staged: Option<Staged>,
    mut at: At,
    mut state: NodeState,
    (content, place, properties): Facets<'_>,
) -> Result<Done, RepositoryError> {
    let repository = &context.repository;
    let stamp = order.at.as_ref().map(|source| source.stamp).ok_or(RepositoryError::Gone)?;
    let mut now: Option<Placed> = None;
    let mut displaced = None;
    if content.is_some() {
        let (placed, old) = repository.replace(&staged.ok_or(RepositoryError::Gone)?, &at, &stamp)?;
        at.key.clone_from(&placed.key);
        (now, displaced) = (Some(placed), Some(old));
    } else if !properties.is_empty() {
        now = Some(repository.set_properties(&at, &stamp, &changes(properties))?);
    }
    change(&mut state, content, properties);
    if let Some(place) = place {
        let folder = new_folder(&**repository, order)?;
        let known = now.as_ref().map_or(stamp, |placed| placed.stamp);
        match repository.rename(&at, &folder, &place.name, &known) {
            Ok(placed) => {
                now = Some(placed);
                at = At { folder, name: place.name.clone(), key: at.key };
                state.place = place.clone();
            }
            // The rest was done, and is written down; the move is planned again.
            Err(error) if now.is_some() => tracing::debug!(%error, "a move waits"),
            Err(error) => return Err(error),
        }
    }
    let aside = order.aside.clone().filter(|aside| *aside == at.name);
    let placed = now.ok_or(RepositoryError::Changed)?;
    Ok(Done { ending: Ending::There(row(order, placed, at.folder, aside), state), displaced })
}

fn change(state: &mut NodeState, content: Option<ContentRef>, properties: &[(Property, Option<Value>)]) {
    state.content = content.or(state.content);
    for (property, value) in properties {
        let fits = state.properties.set(*property, value.clone());
        debug_assert!(fits.is_ok(), "a value taken from properties fits its property");
    }
}

/// How an order ended that put an item with this key in place, though nobody lived to say so. What became of the item since is not looked at
/// here, nor whether it was to be moved after that.
pub(super) fn placed(order: &Order, key: RepoKey) -> Option<Ending> {
    let placed = Placed { key, stamp: Stamp::UNSEEN };
    match &order.apply {
        Apply::Create(state) => Some(Ending::There(row(order, placed, order.folder.clone()?, None), state.clone())),
        Apply::Update { content, properties, .. } => {
            let (mut state, at) = (order.planned_on.clone()?, at(order)?);
            change(&mut state, *content, properties);
            Some(Ending::There(row(order, placed, at.folder, order.aside.clone()), state))
        }
        Apply::StepAside | Apply::Protect | Apply::Delete => None,
    }
}

fn row(order: &Order, placed: Placed, folder: RepoKey, aside: Option<Name>) -> SourceRow {
    let before = order.at.as_ref();
    SourceRow {
        key: placed.key,
        folder,
        aside,
        stamp: placed.stamp,
        custom_type: before.and_then(|before| before.custom_type.clone()),
        notes: Vec::new(),
        left_library: false,
        obsolete: before.map(|before| before.obsolete.clone()).unwrap_or_default(),
        protected: order.apply == Apply::Protect || before.is_some_and(|before| before.protected),
    }
}

/// What a failure of the repository means for the member.
pub(super) fn ending(order: &Order, error: &RepositoryError) -> Ending {
    let because = |reason: Reason| Ending::Failed(reason, error.to_string());
    match error {
        RepositoryError::Gone | RepositoryError::Changed | RepositoryError::Busy | RepositoryError::Sink => Ending::Changed,
        RepositoryError::Exists => match &order.apply {
            Apply::Create(state) => Ending::Failed(Reason::NameClash, format!("The name {:?} is taken at the source.", state.place.name)),
            _ => because(Reason::NameClash),
        },
        RepositoryError::NotEmpty => {
            Ending::Failed(Reason::DeletedOnCloud, "The folder holds items that are not synced, so it stays.".to_owned())
        }
        RepositoryError::Denied(_) => because(Reason::SourceAccessDenied),
        RepositoryError::Unknown(_) | RepositoryError::NoSpace | RepositoryError::WatchLimit => because(Reason::SourceUnknown),
        RepositoryError::Unsupported(_) | RepositoryError::PropertiesDoNotFit => because(Reason::SourceAccessDenied),
    }
}

/// How an order ended, and what it displaced.
struct Ended {
    order: Order,
    key: Option<RepoKey>,
    ending: Ending,
    kept: Option<Version>,
    displaced: Option<Displaced>,
}

/// Keeps what was displaced, writes down how the orders ended, and only then discards.
async fn finish(context: &Context, jobs: Vec<Job>) -> Result<(), StoreError> {
    // At one time, so that they share their flushes.
    let ended: Vec<_> = stream::iter(jobs).map(|job| end(context, job)).buffered(KEPT_AT_ONCE).collect().await;
    let world = context.world.clone();
    let row = |ended: &Ended| (ended.order.clone(), ended.key.clone(), ended.ending.clone(), ended.kept.clone());
    let rows: Vec<_> = ended.iter().map(row).collect();
    let recorded = context.store.transact(move |tx| {
        rows.iter().try_for_each(|(order, key, ending, kept)| {
            key.iter().try_for_each(|key| placing::end(tx, key))?;
            if let Some(version) = kept {
                versions::list(tx, order.set, order.node, version.clone())?;
                tx.put::<Displacements>(&order.op, &(order.set, order.node))?;
            }
            applied::record(tx, order, ending, &*world)
        })
    });
    committed(recorded.await)?;
    context.planner.notify_one();
    for ended in ended {
        look_again(context, &ended);
        match (ended.displaced, ended.kept) {
            (Some(displaced), Some(_)) => displaced::discard(context, displaced).await,
            // Kept where it is, and tried again with the leftovers.
            (Some(_), None) => {}
            (None, _) => discard_staged(context, &ended.order).await?,
        }
    }
    Ok(())
}

/// Asks the tracker to look at what is not what the plan was made for, and at what was made: nobody was told of the latter before it was
/// written down just now, so that what people did to it meanwhile was not seen, and a new folder is not watched yet.
fn look_again(context: &Context, ended: &Ended) {
    let is_new = matches!(ended.order.apply, Apply::Create(_));
    if is_new || ended.ending == Ending::Changed {
        context.looks.look(ended.order.set, Look::Member(ended.order.node));
    }
    match &ended.ending {
        Ending::There(source, state) if is_new && state.kind == Kind::Folder => {
            context.looks.look(ended.order.set, Look::Folder(source.key.clone()));
        }
        _ => {}
    }
}

async fn end(context: &Context, job: Job) -> Ended {
    let (ending, displaced) = match job.done {
        Some(done) => (done.ending, done.displaced),
        None => (job.failed.unwrap_or(Ending::Changed), None),
    };
    let kept = match &displaced {
        Some(displaced) => displaced::keep(context, &job.order, displaced).await,
        None => None,
    };
    Ended { order: job.order, key: job.key, ending, kept, displaced }
}

/// Discards what a failed order may have staged. An order that staged nothing, or placed it, leaves nothing to discard.
async fn discard_staged(context: &Context, order: &Order) -> Result<(), StoreError> {
    let Some(local) = context.store.read(|read| members::load_set(read, order.set))? else { return Ok(()) };
    let (repository, leftover) = (context.repository.clone(), Leftover::Staged(local.site, order.op));
    if let Ok(Err(error)) = task::blocking("discard", move || repository.discard(&leftover)).await {
        tracing::warn!(%error, "something staged could not be discarded; it is tried again at the next start");
    }
    Ok(())
}

/// Why the displaced version of an order is kept.
pub(super) const fn cause(order: &Order, as_expected: bool, locks_source: bool) -> Cause {
    match &order.apply {
        _ if !as_expected => Cause::WrittenMeanwhile,
        Apply::Delete => Cause::Deleted,
        Apply::Update { conflict: true, .. } if locks_source => Cause::Locked,
        Apply::Update { conflict: true, .. } => Cause::Conflict,
        _ => Cause::Replaced,
    }
}
