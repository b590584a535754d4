//! `SyncService`.

use tonic::{Request, Response, Status, Streaming};

use super::{Service, decode_page, encode_page};
use crate::coordinator::auth::calling_agent;
use crate::coordinator::content::AccountsGate;
use crate::coordinator::operations::check_grant;
use crate::coordinator::session::{self, Outgoing};
use crate::coordinator::sets::{self, MembersCursor};
use crate::model::{Fault, NodeId, Refusal, SetId};
use crate::wire::{MemberPage, field, pb};

#[tonic::async_trait]
impl pb::sync_service_server::SyncService for Service {
    type SynchronizeStream = Outgoing;

    async fn synchronize(&self, request: Request<Streaming<pb::SynchronizeRequest>>) -> Result<Response<Outgoing>, Status> {
        let caller = calling_agent(&request)?;
        Ok(Response::new(session::open(&self.context, caller, request.into_inner())?))
    }

    async fn list_members(&self, request: Request<pb::ListMembersRequest>) -> Result<Response<pb::ListMembersResponse>, Status> {
        let caller = calling_agent(&request)?;
        let request = request.into_inner();
        let set: SetId = field::id("set_id", &request.set_id)?;
        let beneath: Option<NodeId> = field::optional_id("beneath_id", &request.beneath_id)?;
        let limit = field::page_size("page_size", request.page_size, field::PAGE_SIZE_MAX)?;
        let from = decode_page::<MembersCursor>(&request.page_token)?;
        let page = self.context.read(|read| {
            let definition = check_grant(read, &AccountsGate, caller.agent, set)?.map_err(refused)?;
            sets::list_members(read, &definition, beneath, from, limit)
        })?;
        let next_page_token = encode_page(page.next.as_ref())?;
        Ok(Response::new(MemberPage { members: page.members, next_page_token, as_of: page.as_of }.into()))
    }
}

/// Tells an agent why it may do nothing for a set.
pub(in crate::coordinator) fn refused(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Because(reason, detail) => {
            let message = if detail.is_empty() { reason.text().to_owned() } else { detail };
            Fault::denied(message).because(reason)
        }
        _ => Fault::not_found("there is no such sync set for this agent"),
    }
}
