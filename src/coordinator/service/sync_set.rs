//! `SyncSetService`.

use futures::future::Either;
use tonic::{Request, Response, Status};

use super::{PATH_BYTES_MAX, Service, decode_page, encode_page, time};
use crate::coordinator::auth::{Caller, CallingAgent, calling_account, calling_account_or_agent};
use crate::coordinator::content::AccountsGate;
use crate::coordinator::failure::Failure;
use crate::coordinator::library::{Actor, Lineage};
use crate::coordinator::sets::{self, Definition, MemberReport, NewSet, Removed};
use crate::coordinator::{accounts, agents, networks};
use crate::model::{AccountId, Fault, MemberState, NodeId, Reason, SetId, SetShape};
use crate::store::{Read, ReadExt as _};
use crate::wire::{ProtocolError, field, pb, set_choices, sync_options};

#[tonic::async_trait]
impl pb::sync_set_service_server::SyncSetService for Service {
    async fn create_sync_set(&self, request: Request<pb::CreateSyncSetRequest>) -> Result<Response<pb::CreateSyncSetResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let (shape, options) = set_choices(request.folder, request.options)?;
        let new = NewSet {
            id: field::id("set_id", &request.set_id)?,
            agent: field::id("agent_id", &request.agent_id)?,
            target_path: field::text("target_path", request.target_path, PATH_BYTES_MAX)?,
            create_folder: request.create_folder,
            shape,
            options,
            name: field::name("name", request.name)?,
            source_path: field::bounded("source_path", request.source_path, PATH_BYTES_MAX)?,
        };
        let (context, now) = (self.context.clone(), self.context.now());
        let made = self.context.transact(move |tx| {
            let name = new.target_path.trim_matches('/').split('/').next().unwrap_or_default();
            let (network, _, _) = networks::visible(tx, caller.account, name)?;
            if agents::get(tx, network, new.agent)?.revoked {
                return Err(Fault::not_found("the agent was revoked").into());
            }
            let actor = Actor::person(caller.account, now);
            let definition = sets::create(tx, &AccountsGate, actor, &new, &mut || context.mint())?;
            let encoded = encode(tx, &definition)?;
            Ok((definition, encoded))
        });
        let (definition, encoded) = made.await?;
        self.context.notices.changed(definition.set.network);
        tracing::info!(set = %definition.set.id, agent = %definition.set.agent, owner = %caller.account, "sync set created");
        Ok(Response::new(pb::CreateSyncSetResponse { sync_set: Some(encoded) }))
    }

    async fn get_sync_set(&self, request: Request<pb::GetSyncSetRequest>) -> Result<Response<pb::GetSyncSetResponse>, Status> {
        let caller = calling_account_or_agent(&request)?;
        let set: SetId = field::id("set_id", &request.get_ref().set_id)?;
        let set = self.context.read(|read| {
            let definition = match caller {
                Either::Left(Caller { account, .. }) => sets::visible(read, account, set)?,
                Either::Right(agent) => of_agent(read, agent, set)?.ok_or_else(unknown)?,
            };
            encode(read, &definition)
        })?;
        Ok(Response::new(pb::GetSyncSetResponse { sync_set: Some(set) }))
    }

    async fn list_sync_sets(&self, request: Request<pb::ListSyncSetsRequest>) -> Result<Response<pb::ListSyncSetsResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let limit = field::page_size("page_size", request.page_size, field::PAGE_SIZE_DEFAULT)?;
        let after = decode_page::<SetId>(&request.page_token)?;
        let (sync_sets, next) = self.context.read(|read| {
            let (definitions, next) = sets::list(read, caller.account, &request.network, request.failed_only, after, limit)?;
            let sets = definitions.iter().map(|definition| encode(read, definition)).collect::<Result<_, _>>()?;
            Ok((sets, next))
        })?;
        Ok(Response::new(pb::ListSyncSetsResponse { sync_sets, next_page_token: encode_page(next.as_ref())? }))
    }

    async fn list_member_statuses(
        &self,
        request: Request<pb::ListMemberStatusesRequest>,
    ) -> Result<Response<pb::ListMemberStatusesResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        let state = pb::MemberState::try_from(request.state).map_err(|_| ProtocolError::new("state", "is no state of a member"))?;
        let state: Option<MemberState> = state.into();
        let limit = field::page_size("page_size", request.page_size, field::PAGE_SIZE_DEFAULT)?;
        let after = decode_page::<NodeId>(&request.page_token)?;
        let (members, next) = self.context.read(|read| {
            let definition = sets::managed(read, caller.account, set)?;
            let (reports, next) = sets::list_reports(read, set, state, after, limit)?;
            let members = reports.into_iter().map(|(node, report)| encode_member(read, &definition, node, report));
            Ok((members.collect::<Result<_, _>>()?, next))
        })?;
        Ok(Response::new(pb::ListMemberStatusesResponse { members, next_page_token: encode_page(next.as_ref())? }))
    }

    async fn request_sync(&self, request: Request<pb::RequestSyncRequest>) -> Result<Response<pb::RequestSyncResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        let node: Option<NodeId> = field::optional_id("node_id", &request.node_id)?;
        let now = self.context.now();
        let asked = self.context.transact(move |tx| {
            let definition = sets::managed(tx, caller.account, set)?;
            sets::direct(tx, &definition, sets::Directive::RequestSync { node }, now)?;
            Ok(definition.set.agent)
        });
        let agent_connected = self.context.sessions.notify(asked.await?);
        Ok(Response::new(pb::RequestSyncResponse { agent_connected }))
    }

    async fn unsync(&self, request: Request<pb::UnsyncRequest>) -> Result<Response<pb::UnsyncResponse>, Status> {
        let caller = calling_account_or_agent(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        let node: Option<NodeId> = field::optional_id("node_id", &request.node_id)?;
        let remove = match (request.remove_from_cloud, request.with_non_members) {
            (false, _) => None,
            (true, false) => Some(Removed::Members),
            (true, true) => Some(Removed::Everything),
        };
        if remove.is_some() && matches!(caller, Either::Left(_)) {
            return Err(Fault::denied("only the agent removes the copies from the cloud: unsync at the source").into());
        }
        let found = self.context.read(|read| match caller {
            Either::Left(Caller { account, .. }) => Ok(Some((sets::managed(read, account, set)?, account))),
            Either::Right(agent) => {
                let definition = of_agent(read, agent, set)?;
                Ok(definition.map(|definition| {
                    let owner = definition.set.owner;
                    (definition, owner)
                }))
            }
        })?;
        // The agent asks for it again when it did not get the answer.
        let Some((definition, account)) = found else { return Ok(Response::new(pb::UnsyncResponse {})) };
        self.end(definition, account, node, remove).await?;
        Ok(Response::new(pb::UnsyncResponse {}))
    }

    async fn revoke_grant(&self, request: Request<pb::RevokeGrantRequest>) -> Result<Response<pb::RevokeGrantResponse>, Status> {
        let caller = calling_account(&request)?;
        let set: SetId = field::id("set_id", &request.get_ref().set_id)?;
        let revoked = self.context.transact(move |tx| {
            sets::managed(tx, caller.account, set)?;
            sets::set_grant_revoked(tx, set, true)
        });
        self.context.notices.changed(revoked.await?.set.network);
        tracing::info!(%set, by = %caller.account, "grant revoked");
        Ok(Response::new(pb::RevokeGrantResponse {}))
    }

    async fn restore_grant(&self, request: Request<pb::RestoreGrantRequest>) -> Result<Response<pb::RestoreGrantResponse>, Status> {
        let caller = calling_account(&request)?;
        let set: SetId = field::id("set_id", &request.get_ref().set_id)?;
        let restored = self.context.transact(move |tx| {
            if sets::managed(tx, caller.account, set)?.set.owner != caller.account {
                return Err(Fault::denied("only the owner of the sync set gives the grant back").into());
            }
            sets::set_grant_revoked(tx, set, false)
        });
        self.context.notices.changed(restored.await?.set.network);
        tracing::info!(%set, by = %caller.account, "grant restored");
        Ok(Response::new(pb::RestoreGrantResponse {}))
    }
}

impl Service {
    /// Ends a set, or takes a direct member out of it, in as many transactions as that takes.
    async fn end(&self, definition: Definition, account: AccountId, node: Option<NodeId>, remove: Option<Removed>) -> Result<(), Fault> {
        let (network, agent, set) = (definition.set.network, definition.set.agent, definition.set.id);
        let actor = Actor::person(account, self.context.now());
        loop {
            let definition = definition.clone();
            let step = self.context.transact(move |tx| match node {
                Some(node) => sets::unsync_member(tx, actor, &definition, node, remove).map(|()| true),
                None => sets::end(tx, actor, &definition, remove),
            });
            let done = step.await?;
            self.context.notices.changed(network);
            if done {
                break;
            }
        }
        self.context.sessions.notify(agent);
        tracing::info!(%set, ?node, ?remove, by = %account, "unsynced");
        Ok(())
    }
}

fn unknown() -> Fault {
    Fault::not_found("there is no such sync set for this agent")
}

/// Returns a set of the agent, whether or not its grant stands, and whether or not it is being ended.
fn of_agent(read: &(impl Read + ?Sized), agent: CallingAgent, set: SetId) -> Result<Option<Definition>, Failure> {
    Ok(read.get::<Definition>(&(set,))?.filter(|definition| definition.set.agent == agent.agent))
}

fn encode(read: &(impl Read + ?Sized), definition: &Definition) -> Result<pb::SyncSet, Failure> {
    let set = &definition.set;
    let counts = sets::counts(read, set.id)?;
    Ok(pb::SyncSet {
        set_id: set.id.to_string(),
        name: set.name.to_string(),
        network: networks::get(read, set.network)?.name,
        owner_email: accounts::get(read, set.owner)?.email,
        agent_id: set.agent.to_string(),
        agent_name: agents::get(read, set.network, set.agent)?.name,
        target_folder_id: set.target_folder.to_string(),
        target_path: path(read, definition, set.target_folder)?,
        source_path: definition.source_path.clone(),
        folder: matches!(set.shape, SetShape::Folder { .. }),
        options: Some(sync_options(set.shape, set.options)),
        create_time: time(definition.created),
        counts: counts.iter().map(|(state, count)| pb::StateCount { state: pb::MemberState::from(state).into(), count }).collect(),
        grant_revoked: definition.grant_revoked,
    })
}

/// Returns the path of a node of the set's network; empty if it is not there.
fn path(read: &(impl Read + ?Sized), definition: &Definition, node: NodeId) -> Result<String, Failure> {
    let network = definition.set.network;
    let Some(lineage) = Lineage::read(read, network, node)?.filter(|lineage| !lineage.in_trash) else { return Ok(String::new()) };
    let site = networks::site(read, network, lineage.site)?;
    let mut path = format!("{}/{}", networks::get(read, network)?.name, site.name);
    let inner = lineage.path_in_library();
    if !inner.is_empty() {
        path = format!("{path}/{inner}");
    }
    Ok(path)
}

fn encode_member(
    read: &(impl Read + ?Sized),
    definition: &Definition,
    node: NodeId,
    report: MemberReport,
) -> Result<pb::ReportedMember, Failure> {
    let reason = report.status.reason;
    Ok(pb::ReportedMember {
        node_id: node.to_string(),
        target_path: path(read, definition, node)?,
        source_path: report.source_path,
        state: pb::MemberState::from(report.status.state).into(),
        reason: reason.map_or(pb::Reason::Unspecified, pb::Reason::from).into(),
        text: reason.map(Reason::text).unwrap_or_default().to_owned(),
        remedy: reason.map(Reason::remedy).unwrap_or_default().to_owned(),
        detail: report.status.detail,
        report_time: time(report.at),
        success_time: report.times.success.and_then(time),
        attempt_time: report.times.attempt.and_then(time),
        retry_time: report.times.retry.and_then(time),
    })
}
