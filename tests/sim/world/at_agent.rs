//! What people ask of an agent, by its local service.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use skybridge::agent::local::Local;
use skybridge::agent::versions::Versions;
use skybridge::store::ReadExt as _;
use skybridge::wire::pb::{self, local_service_server::LocalService};
use tonic::Status;

use super::Trace;
use super::agent::{LIBRARY, by_person, service};
use super::coordinator::NETWORK;
use super::ledger::{Ledger, key};

/// Somebody who asks.
#[derive(Debug)]
pub(super) struct Asks {
    pub(super) local: Local,
    pub(super) site: String,
    pub(super) token: String,
    pub(super) trace: Trace,
    pub(super) ledger: Rc<RefCell<Ledger>>,
}

fn options(chance: &mut StdRng, folder: bool, locks: bool) -> pb::SyncOptions {
    let deletes = chance.random_range(0..4);
    pb::SyncOptions {
        lock_source: locks && chance.random(),
        no_delete_on_cloud: deletes == 0,
        delete_source: deletes >= 2,
        no_subfolders: folder && chance.random_ratio(1, 6),
    }
}

async fn create(local: &Local, paths: &[&str], target: &str, options: pb::SyncOptions, token: &str) -> Result<(), Status> {
    let paths = paths.iter().map(|path| Path::new(LIBRARY).join(path).display().to_string()).collect();
    let request = pb::CreateSyncRequest {
        paths,
        target_path: target.to_owned(),
        create_folder: true,
        options: Some(options),
        token: token.to_owned(),
    };
    service(local.clone()).create_sync(by_person(request)).await.map(drop)
}

/// Makes the sync sets of the beginning.
pub(super) async fn furnish(local: Local, site: &str, token: &str, locks: bool, chance: &mut StdRng) {
    let shared = format!("{NETWORK}/{site}/Shared");
    let other = if chance.random() { shared.clone() } else { format!("{NETWORK}/{site}/Other") };
    let made = [
        create(&local, &["Plans"], &shared, options(chance, true, locks), token).await,
        create(&local, &["Ideas"], &other, options(chance, true, locks), token).await,
        create(&local, &["single.txt", "second.txt"], &format!("{NETWORK}/{site}/Singles"), options(chance, false, locks), token).await,
    ];
    made.into_iter().for_each(|made| made.expect("a sync set"));
}

/// Returns all members that a page lists, of all sets.
pub(super) async fn members(local: &Local) -> Result<Vec<(pb::LocalSync, Vec<pb::LocalMember>)>, Status> {
    let service = service(local.clone());
    let mut found = Vec::new();
    for sync in service.list_syncs(by_person(pb::ListSyncsRequest {})).await?.into_inner().syncs {
        let request = pb::ListSyncMembersRequest { set_id: sync.set_id.clone(), page_size: 1_000, ..Default::default() };
        found.push((sync, service.list_sync_members(by_person(request)).await?.into_inner().members));
    }
    Ok(found)
}

/// Returns what lies in synced folders and cannot be synced.
pub(super) async fn excluded(local: &Local, set: &str) -> Result<Vec<pb::LocalMember>, Status> {
    let request = pb::ListExcludedItemsRequest { set_id: set.to_owned(), page_size: 1_000, ..Default::default() };
    Ok(service(local.clone()).list_excluded_items(by_person(request)).await?.into_inner().items)
}

/// Approves all deletes that wait for a person.
pub(super) async fn approve(local: &Local) -> Result<(), Status> {
    let service = service(local.clone());
    for sync in service.list_syncs(by_person(pb::ListSyncsRequest {})).await?.into_inner().syncs {
        if sync.brake_deletes > 0 {
            service.approve_brake(by_person(pb::ApproveBrakeRequest { set_id: sync.set_id })).await?;
        }
    }
    Ok(())
}

impl Asks {
    /// Asks something.
    pub(super) async fn ask(self, mut chance: StdRng) {
        let (what, done) = match chance.random_range(0..100) {
            0..30 => ("request sync", self.request_sync(&mut chance).await),
            30..55 => ("restore", self.restore(&mut chance).await),
            55..70 => ("unsync", self.unsync(&mut chance).await),
            70..85 => ("create", self.create(&mut chance).await),
            _ => ("approve", approve(&self.local).await),
        };
        let outcome = done.as_ref().map_or_else(|status| format!("{:?}: {}", status.code(), status.message()), |()| "done".to_owned());
        self.trace.count(format!("agent: {what}"));
        if let Err(status) = done {
            self.trace.count(format!("agent: {what} refused: {:?}", status.code()));
        }
        self.trace.note(&[what.as_bytes(), outcome.as_bytes()]);
        self.trace.tell(|| format!("at the agent of {}: somebody asks to {what}: {outcome}", self.site));
    }

    async fn some_member(&self, chance: &mut StdRng, direct: bool) -> Option<pb::LocalMember> {
        let members: Vec<_> = members(&self.local).await.ok()?.into_iter().flat_map(|(_, members)| members).collect();
        // What is not at the source has no path that somebody there could name.
        let named = |member: &pb::LocalMember| member.path.starts_with('/') && (!direct || member.direct);
        let wanted: Vec<_> = members.into_iter().filter(named).collect();
        wanted.choose(chance).cloned()
    }

    async fn request_sync(&self, chance: &mut StdRng) -> Result<(), Status> {
        let Some(member) = self.some_member(chance, false).await else { return Ok(()) };
        self.ledger.borrow_mut().asked_again();
        self.trace.tell(|| format!("requests sync of {}", member.path));
        let request = pb::RequestLocalSyncRequest { set_id: String::new(), path: member.path };
        service(self.local.clone()).request_local_sync(by_person(request)).await.map(drop)
    }

    async fn restore(&self, chance: &mut StdRng) -> Result<(), Status> {
        let versions = self.local.context.store.read(|read| read.scan::<Versions>(&(), None, usize::MAX));
        let versions = versions.unwrap_or_default();
        let Some(((.., number), version)) = versions.choose(chance) else { return Ok(()) };
        for (_, version) in versions.iter().filter(|(_, other)| other.path == version.path) {
            let root = key(&version.content.root);
            self.ledger.borrow_mut().change(&root, |content| (content.copies, content.restored) = (content.copies + 1, true));
        }
        self.trace.tell(|| format!("restores version {number} of {}", version.path));
        let request = pb::RestoreSourceVersionRequest { path: version.path.clone(), version: *number };
        service(self.local.clone()).restore_source_version(by_person(request)).await.map(drop)
    }

    async fn unsync(&self, chance: &mut StdRng) -> Result<(), Status> {
        let Some(member) = self.some_member(chance, true).await else { return Ok(()) };
        self.ledger.borrow_mut().unsynced();
        self.trace.tell(|| format!("unsyncs {}", member.path));
        let (remove_from_cloud, with_non_members) = (chance.random_ratio(1, 4), chance.random());
        let request = pb::EndSyncRequest { set_id: String::new(), path: member.path, remove_from_cloud, with_non_members };
        service(self.local.clone()).end_sync(by_person(request)).await.map(drop)
    }

    async fn create(&self, chance: &mut StdRng) -> Result<(), Status> {
        let path = *["Plans", "Old", "New", "Ideas", "a.txt", "note"].choose(chance).expect("one of them");
        let target = format!("{NETWORK}/{}/{}", self.site, ["Shared", "More"].choose(chance).expect("one of them"));
        let options = options(chance, !path.contains('.') && path != "note", self.ledger.borrow().locks);
        create(&self.local, &[path], &target, options, &self.token).await
    }
}
