//! `NetworkService`.

use tonic::{Request, Response, Status};

use super::{NAME_BYTES_MAX, Service};
use crate::coordinator::auth::calling_account;
use crate::coordinator::networks::{Limits, Network, NewSite, Site};
use crate::coordinator::{accounts, administration, networks};
use crate::model::{Fault, NetworkId, Permission, Role, SiteId};
use crate::wire::{ProtocolError, field, pb};

#[tonic::async_trait]
impl pb::network_service_server::NetworkService for Service {
    async fn create_network(&self, request: Request<pb::CreateNetworkRequest>) -> Result<Response<pb::CreateNetworkResponse>, Status> {
        let request = request.into_inner();
        let made = administration::create_network(
            &self.context,
            request.name,
            request.administrator_email,
            Some(request.administrator_password).filter(|password| !password.is_empty()),
        );
        let (id, network) = made.await?;
        Ok(Response::new(pb::CreateNetworkResponse { network: Some(encode(id, network)) }))
    }

    async fn list_networks(&self, request: Request<pb::ListNetworksRequest>) -> Result<Response<pb::ListNetworksResponse>, Status> {
        let caller = calling_account(&request)?;
        let enabled_only = request.get_ref().sync_enabled_only;
        let networks = self.context.read(|read| Ok(networks::networks_of(read, caller.account)?))?;
        let wanted = networks.into_iter().filter(|(_, network, _)| network.sync_enabled || !enabled_only);
        Ok(Response::new(pb::ListNetworksResponse { networks: wanted.map(|(id, network, _)| encode(id, network)).collect() }))
    }

    async fn update_network(&self, request: Request<pb::UpdateNetworkRequest>) -> Result<Response<pb::UpdateNetworkResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let limits =
            Limits { sync_enabled: request.sync_enabled, quota_bytes: request.quota_bytes, document_bytes_max: request.document_bytes_max };
        let updated = self.context.transact(move |tx| {
            let (id, _) = networks::administered(tx, caller.account, &request.network)?;
            Ok((id, networks::update(tx, id, limits)?))
        });
        let (id, network) = updated.await?;
        tracing::info!(network = %id, by = %caller.account, ?limits, "network changed");
        Ok(Response::new(pb::UpdateNetworkResponse { network: Some(encode(id, network)) }))
    }

    async fn create_site(&self, request: Request<pb::CreateSiteRequest>) -> Result<Response<pb::CreateSiteResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let title = field::bounded("title", request.title, NAME_BYTES_MAX)?;
        let new = NewSite { id: self.context.mint(), library: self.context.mint(), name: request.name, title };
        let (id, now) = (new.id, self.context.now());
        let made = self.context.transact(move |tx| {
            let (network, _) = networks::administered(tx, caller.account, &request.network)?;
            networks::create_site(tx, network, &new, caller.account, now)
        });
        let site = made.await?;
        tracing::info!(site = %id, by = %caller.account, "site created");
        Ok(Response::new(pb::CreateSiteResponse { site: Some(encode_site(id, site, Role::Administrator)) }))
    }

    async fn list_sites(&self, request: Request<pb::ListSitesRequest>) -> Result<Response<pb::ListSitesResponse>, Status> {
        let caller = calling_account(&request)?;
        let sites = self.context.read(|read| {
            let (network, _, _) = networks::visible(read, caller.account, &request.get_ref().network)?;
            Ok(networks::sites_of(read, network, caller.account)?)
        })?;
        Ok(Response::new(pb::ListSitesResponse { sites: sites.into_iter().map(|(id, site, role)| encode_site(id, site, role)).collect() }))
    }

    async fn set_member(&self, request: Request<pb::SetMemberRequest>) -> Result<Response<pb::SetMemberResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let role = pb::Role::try_from(request.role).map_err(|_| ProtocolError::new("role", "is no role"))?;
        let role: Option<Role> = role.into();
        let set = self.context.transact(move |tx| {
            let (network, _, _) = networks::visible(tx, caller.account, &request.network)?;
            let (site, _, callers) = networks::visible_site(tx, network, caller.account, &request.site)?;
            if !callers.permits(Permission::Manage, false) {
                return Err(Fault::denied("only managers of the site and administrators may do this").into());
            }
            let (account, _) = accounts::find_in(tx, network, &request.email)?;
            networks::set_role(tx, network, site, account, role)?;
            Ok((network, site, account))
        });
        let (network, site, account) = set.await?;
        // Owners who lost or regained their role: their sets stop or go on.
        self.context.notices.changed(network);
        tracing::info!(%site, %account, ?role, by = %caller.account, "role in a site changed");
        Ok(Response::new(pb::SetMemberResponse {}))
    }

    async fn list_site_members(
        &self,
        request: Request<pb::ListSiteMembersRequest>,
    ) -> Result<Response<pb::ListSiteMembersResponse>, Status> {
        let caller = calling_account(&request)?;
        let pb::ListSiteMembersRequest { network, site } = request.into_inner();
        let mut members = self.context.read(|read| {
            let (network, _, _) = networks::visible(read, caller.account, &network)?;
            let (site, _, _) = networks::visible_site(read, network, caller.account, &site)?;
            let members = networks::site_members(read, network, site)?.into_iter();
            members.map(|(account, role)| Ok((accounts::get(read, account)?.email, role))).collect::<Result<Vec<_>, _>>()
        })?;
        members.sort();
        let members = members.into_iter().map(|(email, role)| pb::SiteMember { email, role: pb::Role::from(role).into() }).collect();
        Ok(Response::new(pb::ListSiteMembersResponse { members }))
    }
}

fn encode(id: NetworkId, network: Network) -> pb::Network {
    pb::Network {
        network_id: id.to_string(),
        name: network.name,
        sync_enabled: network.sync_enabled,
        quota_bytes: network.quota_bytes,
        used_bytes: network.used_bytes,
        document_bytes_max: network.document_bytes_max,
    }
}

fn encode_site(id: SiteId, site: Site, role: Role) -> pb::Site {
    pb::Site {
        site_id: id.to_string(),
        name: site.name,
        title: site.title,
        library_node_id: site.library.to_string(),
        role: pb::Role::from(role).into(),
    }
}
