//! `AgentService`.

use tonic::{Request, Response, Status};

use super::{NAME_BYTES_MAX, Service};
use crate::coordinator::agents::{self, Agent};
use crate::coordinator::auth::{calling_account, calling_agent};
use crate::coordinator::failure::Failure;
use crate::coordinator::{accounts, administration, journal, networks, sets};
use crate::model::{AgentId, Fault, Sequence};
use crate::net::NetError;
use crate::store::Read;
use crate::wire::{field, pb};

/// How far behind an agent is counted.
const LAG_MAX: usize = 10_000;
/// The longest certificate request.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

#[tonic::async_trait]
impl pb::agent_service_server::AgentService for Service {
    async fn create_enrolment(
        &self,
        request: Request<pb::CreateEnrolmentRequest>,
    ) -> Result<Response<pb::CreateEnrolmentResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let address = Some(field::bounded("address", request.address, NAME_BYTES_MAX)?).filter(|address| !address.is_empty());
        let (network, _) = self.context.read(|read| networks::administered(read, caller.account, &request.network))?;
        let enrolment = administration::create_enrolment(&self.context, network, request.name, address).await?;
        tracing::info!(%network, by = %caller.account, "enrolment created");
        Ok(Response::new(pb::CreateEnrolmentResponse { enrolment: enrolment.to_string() }))
    }

    async fn enrol(&self, request: Request<pb::EnrolRequest>) -> Result<Response<pb::EnrolResponse>, Status> {
        let request = request.into_inner();
        let csr = field::text("certificate_request_pem", request.certificate_request_pem, REQUEST_BYTES_MAX)?;
        let hash = accounts::hash(&request.secret);
        let (id, now) = (self.context.mint::<AgentId>(), self.context.now());
        let certificate_pem = self.context.authority.issue_agent(id, &csr).map_err(|error| refused(&error))?;
        let agent = self.context.transact(move |tx| agents::enrol(tx, hash, id, now)).await?;
        tracing::info!(agent = %id, network = %agent.network, name = agent.name, "agent enrolled");
        let authority_pem = self.context.authority.certificate_pem().to_owned();
        Ok(Response::new(pb::EnrolResponse { agent_id: id.to_string(), certificate_pem, authority_pem }))
    }

    async fn renew_certificate(
        &self,
        request: Request<pb::RenewCertificateRequest>,
    ) -> Result<Response<pb::RenewCertificateResponse>, Status> {
        let caller = calling_agent(&request)?;
        let csr = field::text("certificate_request_pem", request.into_inner().certificate_request_pem, REQUEST_BYTES_MAX)?;
        let certificate_pem = self.context.authority.issue_agent(caller.agent, &csr).map_err(|error| refused(&error))?;
        tracing::info!(agent = %caller.agent, "certificate renewed");
        Ok(Response::new(pb::RenewCertificateResponse { certificate_pem }))
    }

    async fn list_agents(&self, request: Request<pb::ListAgentsRequest>) -> Result<Response<pb::ListAgentsResponse>, Status> {
        let caller = calling_account(&request)?;
        let agents = self.context.read(|read| {
            let (network, _) = networks::administered(read, caller.account, &request.get_ref().network)?;
            let agents = agents::list(read, network)?.into_iter();
            agents.map(|(id, agent)| encode(read, id, agent, self.context.sessions.is_connected(id))).collect()
        })?;
        Ok(Response::new(pb::ListAgentsResponse { agents }))
    }

    async fn revoke_agent(&self, request: Request<pb::RevokeAgentRequest>) -> Result<Response<pb::RevokeAgentResponse>, Status> {
        let caller = calling_account(&request)?;
        let pb::RevokeAgentRequest { network, agent } = request.into_inner();
        let agent = field::text("agent", agent, NAME_BYTES_MAX)?;
        let revoked = self.context.transact(move |tx| {
            let (network, _) = networks::administered(tx, caller.account, &network)?;
            agents::revoke(tx, network, &agent)
        });
        let agent = revoked.await?;
        self.context.sessions.revoke(agent);
        tracing::info!(%agent, by = %caller.account, "agent revoked");
        Ok(Response::new(pb::RevokeAgentResponse {}))
    }

    async fn readmit_agent(&self, request: Request<pb::ReadmitAgentRequest>) -> Result<Response<pb::ReadmitAgentResponse>, Status> {
        let caller = calling_account(&request)?;
        let pb::ReadmitAgentRequest { network, agent } = request.into_inner();
        let agent = field::text("agent", agent, NAME_BYTES_MAX)?;
        let readmitted = self.context.transact(move |tx| {
            let (network, _) = networks::administered(tx, caller.account, &network)?;
            agents::readmit(tx, network, &agent)
        });
        let agent = readmitted.await?;
        tracing::info!(%agent, by = %caller.account, "agent readmitted");
        Ok(Response::new(pb::ReadmitAgentResponse {}))
    }
}

fn refused(error: &NetError) -> Fault {
    Fault::invalid("certificate_request_pem", error.to_string())
}

fn encode(read: &(impl Read + ?Sized), id: AgentId, agent: Agent, connected: bool) -> Result<pb::Agent, Failure> {
    let sets = sets::of_agent(read, id)?;
    let mut lag = 0;
    for definition in &sets {
        let held = sets::acknowledged(read, definition.set.id)?.map_or(Sequence::ZERO, |held| held.cursor.sequence);
        lag += journal::lag(read, definition.set.id, held, LAG_MAX)? as u64;
    }
    Ok(pb::Agent {
        agent_id: id.to_string(),
        name: agent.name,
        software: agent.software,
        connected,
        seen_time: agent.seen.map(Into::into),
        lag_entries: lag,
        revoked: agent.revoked,
        set_count: u32::try_from(sets.len()).unwrap_or(u32::MAX),
    })
}
