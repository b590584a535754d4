//! Making a sync set.

use std::path::{Path, PathBuf};

use super::Local;
use super::caller::{Caller, absolute};
use crate::agent::planner::committed;
use crate::agent::repository::{At, Item, NotSyncable, Observation, Resolved};
use crate::agent::session::Command;
use crate::agent::state::{Definition, Keys, LocalSet, LocalSets, MemberRow, SourceRow, members};
use crate::agent::tracker::Look;
use crate::content::BlobKind;
use crate::engine::brake::Window;
use crate::engine::{Source, SourceNode};
use crate::model::{Fault, FaultKind, Kind, Name, NodeId, NodeState, PairingId, Place, Properties, Reason, SetId};
use crate::store::{ReadExt as _, StoreError, TransactError, WriteExt as _};
use crate::sys::Want;
use crate::task;
use crate::transfer::AGENT_SCOPE;
use crate::wire::pb;
use crate::wire::pb::sync_set_service_client::SyncSetServiceClient;

/// Documents in one set at the most, when it is made.
const PATHS_MAX: usize = 1_000;

/// Something that a person selected.
struct Selected {
    path: PathBuf,
    resolved: Resolved,
    name: Name,
}

/// Makes a sync set; nothing is left of it if anything is refused.
pub(super) async fn create(local: &Local, caller: Caller, request: pb::CreateSyncRequest) -> Result<SetId, Fault> {
    caller.must_be_user(local)?;
    let selected = select(local, caller, &request.paths).await?;
    let folder = selected.iter().any(|item| item.resolved.entry.item == Item::Folder);
    if folder && selected.len() > 1 {
        return Err(Fault::invalid("paths", "a sync set holds one folder, or documents; make a set for each folder"));
    }
    let site = selected[0].resolved.site.clone();
    if let Some(other) = selected.iter().find(|item| item.resolved.site != site) {
        return Err(Fault::invalid(
            "paths",
            format!("{} is in another site than the rest; make a set for each site", other.path.display()),
        ));
    }
    not_synced_yet(local, &selected)?;
    let (shape, options) = crate::wire::set_choices(folder, request.options)?;
    let set = SetId::from_uuid(local.context.world.mint());
    let rows = observe(local, &selected).await?;
    let made = agree(local, set, &request, &selected, folder).await?;
    let definition = Definition {
        id: set,
        network: made.network.clone(),
        owner: made.owner_email.clone(),
        shape,
        options,
        name: selected[0].name.clone(),
    };
    let row = LocalSet {
        definition,
        target_path: made.target_path.clone(),
        site,
        creator_uid: caller.user,
        create_millis: local.context.world.now_millis(),
        cursor: None,
        source_complete: false,
        target_complete: false,
        brake_target: Window::default(),
        brake_source: Window::default(),
        braked: None,
        ending: false,
        counts: std::collections::BTreeMap::new(),
    };
    keep(local, set, row, rows).await?;
    // The session may be between two conversations; the next one finds the set in the store.
    let _away = local.session.send(Command::Subscribe(set));
    local.context.looks.look(set, Look::Set);
    local.context.planner.notify_one();
    tracing::info!(%set, user = caller.user, "sync set made");
    Ok(set)
}

async fn select(local: &Local, caller: Caller, paths: &[String]) -> Result<Vec<Selected>, Fault> {
    if paths.is_empty() || paths.len() > PATHS_MAX {
        return Err(Fault::invalid("paths", format!("give 1 to {PATHS_MAX} paths")));
    }
    let mut selected = Vec::new();
    for (index, text) in paths.iter().enumerate() {
        let path = absolute(&format!("paths[{index}]"), text)?;
        let (repository, asked) = (local.context.repository.clone(), path.clone());
        let resolved = task::blocking("resolve a path", move || repository.resolve(&asked)).await.map_err(Fault::internal)?;
        let resolved = resolved.map_err(|error| refuse(&path, &error))?;
        caller.must(local, &path, Want::Write).await?;
        let unsupported = || Fault::new(FaultKind::Precondition, format!("{}: this kind of item cannot be synced", path.display()));
        if matches!(resolved.entry.item, Item::Unsupported(_)) {
            return Err(unsupported().because(Reason::UnsupportedType));
        }
        let name = resolved.entry.name.allowed().cloned().ok_or_else(|| {
            Fault::new(FaultKind::Precondition, format!("{}: this name cannot be used in the cloud; rename it", path.display()))
                .because(Reason::NameNotAllowed)
        })?;
        selected.push(Selected { path, resolved, name });
    }
    Ok(selected)
}

/// Says why a path leads to nothing that can be synced.
pub(super) fn refuse(path: &Path, error: &NotSyncable) -> Fault {
    let message = format!("{}: {error}", path.display());
    match error {
        NotSyncable::Repository(crate::agent::repository::RepositoryError::Gone) => {
            Fault::not_found(format!("{}: there is nothing at this path", path.display()))
        }
        NotSyncable::Repository(_) => Fault::new(FaultKind::Precondition, message).because(Reason::SourceUnknown),
        _ => Fault::invalid("paths", message),
    }
}

/// A node belongs to one set at most, and so does what is in it.
fn not_synced_yet(local: &Local, selected: &[Selected]) -> Result<(), Fault> {
    let (sets, held) = local.context.store.read(|read| {
        let mut held = Vec::new();
        for item in selected {
            let chain = std::iter::once(&item.resolved.entry.key).chain(&item.resolved.folders);
            for key in chain {
                if let Some((set, _)) = read.get::<Keys>(&(key.as_bytes().to_vec(),))? {
                    held.push((item.path.clone(), set));
                }
            }
        }
        Ok::<_, StoreError>((read.scan::<LocalSets>(&(), None, usize::MAX)?, held))
    })?;
    let already = |path: &Path, set: SetId| {
        let message = format!("{} is already synced by the sync set {set}: use that set, or unsync it there", path.display());
        Fault::new(FaultKind::AlreadyExists, message).because(Reason::AlreadySynced)
    };
    if let Some((path, set)) = held.first() {
        return Err(already(path, *set));
    }
    for (set, _) in sets {
        for direct in super::show::direct_paths(local, set)? {
            if let Some(item) = selected.iter().find(|item| direct.starts_with(&item.path)) {
                return Err(already(&item.path, set));
            }
        }
    }
    Ok(())
}

/// Reads what was selected: the direct members.
async fn observe(local: &Local, selected: &[Selected]) -> Result<Vec<MemberRow>, Fault> {
    let mut rows = Vec::new();
    for item in selected {
        let folder = item.resolved.folders.last().cloned().ok_or_else(|| Fault::internal("a path without a folder"))?;
        let at = At { folder, name: item.name.clone(), key: item.resolved.entry.key.clone() };
        let repository = local.context.repository.clone();
        let observed = task::blocking("read a document", move || {
            let mut pages = Vec::new();
            let mut sink = |blob: crate::content::Blob| {
                if blob.kind() == BlobKind::Page {
                    pages.push(blob);
                }
                true
            };
            let observation = repository.observe(&at, None, &mut sink);
            observation.map(|observation| (at, observation, pages))
        });
        let (at, observation, pages) = observed.await.map_err(Fault::internal)?.map_err(|error| {
            Fault::new(FaultKind::Precondition, format!("{}: {error}; try again once that is settled", item.path.display()))
                .because(Reason::SourceAccessDenied)
        })?;
        local.context.depot.keep(AGENT_SCOPE, pages).await.map_err(Fault::internal)?;
        rows.push(direct_member(local, item, at, observation));
    }
    Ok(rows)
}

fn direct_member(local: &Local, item: &Selected, at: At, observation: Observation) -> MemberRow {
    let world = &local.context.world;
    let mut row = MemberRow::new(NodeId::from_uuid(world.mint()), PairingId::from_uuid(world.mint()));
    let kind = if item.resolved.entry.item == Item::Folder { Kind::Folder } else { Kind::Document };
    let properties = observation.properties.effective();
    let state = NodeState { kind, place: Place { parent: None, name: at.name }, content: observation.content, properties };
    row.member.source = Source::Present(SourceNode { state, properties_known: true, problem: None });
    row.source = Some(SourceRow {
        key: at.key,
        folder: at.folder,
        aside: None,
        stamp: observation.stamp,
        custom_type: observation.custom_type,
        notes: observation.notes,
        left_library: false,
        obsolete: Properties::default(),
        protected: false,
    });
    row
}

/// Makes the set in the cloud, as the person whose token it is.
async fn agree(
    local: &Local,
    set: SetId,
    request: &pb::CreateSyncRequest,
    selected: &[Selected],
    folder: bool,
) -> Result<pb::SyncSet, Fault> {
    let message = pb::CreateSyncSetRequest {
        set_id: set.to_string(),
        agent_id: local.agent.to_string(),
        target_path: request.target_path.clone(),
        create_folder: request.create_folder,
        folder,
        options: request.options,
        name: selected[0].name.to_string(),
        source_path: selected.iter().map(|item| item.path.display().to_string()).collect::<Vec<_>>().join(", "),
    };
    let mut message = tonic::Request::new(message);
    let bearer = format!("Bearer {}", request.token).parse();
    message.metadata_mut().insert("authorization", bearer.map_err(|_| Fault::invalid("token", "this is no token; sign in again"))?);
    let made = SyncSetServiceClient::new(local.channels.control.clone()).create_sync_set(message).await;
    let made = made.map_err(|status| Fault::from_status(&status))?.into_inner();
    made.sync_set.ok_or_else(|| Fault::internal("the coordinator answered without the sync set"))
}

/// Stores the set. If that fails the set in the cloud is ended again.
async fn keep(local: &Local, set: SetId, row: LocalSet, rows: Vec<MemberRow>) -> Result<(), Fault> {
    let stored = local.context.store.transact(move |tx| {
        tx.put::<LocalSets>(&set, &row)?;
        rows.iter().try_for_each(|row| members::save(tx, set, None, Some(row)))
    });
    let stored: Result<(), TransactError<StoreError>> = stored.await;
    if let Err(error) = committed(stored) {
        let ended = pb::UnsyncRequest { set_id: set.to_string(), ..pb::UnsyncRequest::default() };
        if let Err(status) = SyncSetServiceClient::new(local.channels.control.clone()).unsync(ended).await {
            tracing::warn!(%set, %status, "a sync set that could not be stored could not be ended in the cloud either");
        }
        return Err(Fault::internal(error));
    }
    Ok(())
}
