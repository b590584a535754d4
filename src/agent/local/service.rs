//! The service: who calls, what they ask, the answer.

use tonic::{Request, Response, Status};

use super::caller::Caller;
use super::{Local, create, end, excluded, request, restore, show};
use crate::wire::pb;
use crate::wire::pb::local_service_server::LocalService;

type Answer<T> = Result<Response<T>, Status>;

/// `skybridge.v1.LocalService`.
pub(super) struct Service {
    local: Local,
}

impl Service {
    pub(super) const fn new(local: Local) -> Self {
        Self { local }
    }
}

#[tonic::async_trait]
impl LocalService for Service {
    async fn get_state(&self, request: Request<pb::GetStateRequest>) -> Answer<pb::GetStateResponse> {
        let caller = Caller::of(&self.local, &request)?;
        Ok(Response::new(show::state(&self.local, caller, request.into_inner()).await?))
    }

    async fn create_sync(&self, request: Request<pb::CreateSyncRequest>) -> Answer<pb::CreateSyncResponse> {
        let caller = Caller::of(&self.local, &request)?;
        let set = create::create(&self.local, caller, request.into_inner()).await?;
        let (id, row) = show::set(&self.local, caller, &set.to_string())?;
        let sync = show::describe(&self.local, id, &row).map_err(crate::model::Fault::internal)?;
        Ok(Response::new(pb::CreateSyncResponse { sync: Some(sync) }))
    }

    async fn list_syncs(&self, request: Request<pb::ListSyncsRequest>) -> Answer<pb::ListSyncsResponse> {
        let caller = Caller::of(&self.local, &request)?;
        let sets = show::sets(&self.local, caller).map_err(crate::model::Fault::internal)?;
        let syncs = sets.iter().map(|(id, set)| show::describe(&self.local, *id, set)).collect::<Result<_, _>>();
        Ok(Response::new(pb::ListSyncsResponse { syncs: syncs.map_err(crate::model::Fault::internal)? }))
    }

    async fn list_sync_members(&self, request: Request<pb::ListSyncMembersRequest>) -> Answer<pb::ListSyncMembersResponse> {
        let caller = Caller::of(&self.local, &request)?;
        Ok(Response::new(show::list(&self.local, caller, request.into_inner()).await?))
    }

    async fn list_excluded_items(&self, request: Request<pb::ListExcludedItemsRequest>) -> Answer<pb::ListExcludedItemsResponse> {
        let caller = Caller::of(&self.local, &request)?;
        Ok(Response::new(excluded::list(&self.local, caller, request.into_inner()).await?))
    }

    async fn request_local_sync(&self, request: Request<pb::RequestLocalSyncRequest>) -> Answer<pb::RequestLocalSyncResponse> {
        let caller = Caller::of(&self.local, &request)?;
        let member_count = request::request(&self.local, caller, request.into_inner()).await?;
        Ok(Response::new(pb::RequestLocalSyncResponse { member_count }))
    }

    async fn approve_brake(&self, request: Request<pb::ApproveBrakeRequest>) -> Answer<pb::ApproveBrakeResponse> {
        let caller = Caller::of(&self.local, &request)?;
        let delete_count = request::approve(&self.local, caller, &request.into_inner().set_id).await?;
        Ok(Response::new(pb::ApproveBrakeResponse { delete_count }))
    }

    async fn end_sync(&self, request: Request<pb::EndSyncRequest>) -> Answer<pb::EndSyncResponse> {
        let caller = Caller::of(&self.local, &request)?;
        let set_ended = end::end(&self.local, caller, request.into_inner()).await?;
        Ok(Response::new(pb::EndSyncResponse { set_ended }))
    }

    async fn list_source_versions(&self, request: Request<pb::ListSourceVersionsRequest>) -> Answer<pb::ListSourceVersionsResponse> {
        let caller = Caller::of(&self.local, &request)?;
        let versions = restore::list(&self.local, caller, &request.into_inner().path).await?;
        Ok(Response::new(pb::ListSourceVersionsResponse { versions }))
    }

    async fn restore_source_version(&self, request: Request<pb::RestoreSourceVersionRequest>) -> Answer<pb::RestoreSourceVersionResponse> {
        let caller = Caller::of(&self.local, &request)?;
        let request = request.into_inner();
        let path = restore::restore(&self.local, caller, &request.path, request.version).await?;
        Ok(Response::new(pb::RestoreSourceVersionResponse { path }))
    }
}
