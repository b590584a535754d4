//! `admin network`, `site`, `member` and `quota`.

use std::path::PathBuf;

use crate::{
    cli::{
        Globals,
        account::Password,
        cloud::split_site,
        connect::Cloud,
        failure::Failure,
        text::{self, Table, printable},
    },
    net::channel::Trust,
    wire::pb,
};

/// The file in a coordinator's data directory that holds its certificate authority.
const AUTHORITY_FILE: &str = "tls/ca.pem";
/// The file in a coordinator's data directory that holds the operator's token.
const OPERATOR_FILE: &str = "operator-token";

/// Networks.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Network {
    /// Create a network with its first administrator; only for who may read the coordinator's data directory
    Create {
        /// 1 to 63 of a-z, 0-9, ".", "-"
        name: String,
        /// The first administrator's address
        #[arg(long, value_name = "EMAIL")]
        administrator: String,
        /// The coordinator's data directory, which holds the operator's token and the certificate authority
        #[arg(long, value_name = "DIR", default_value = "/var/lib/skybridge/coordinator")]
        data: PathBuf,
        /// The coordinator's address
        #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:7443")]
        coordinator: String,
        #[command(flatten)]
        password: Password,
    },
    /// List the networks that you belong to
    List,
    /// Offer sync in a network, or stop offering it
    Sync {
        /// The network
        network: String,
        /// Whether sync sets may be made in it
        #[arg(value_parser = ["on", "off"])]
        offered: String,
    },
}

/// Sites.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Site {
    /// Create a site with an empty document library
    Create {
        /// The network and the new site's name
        #[arg(value_name = "NETWORK/SITE")]
        site: String,
        /// What people see [default: the name]
        #[arg(long, default_value = "", hide_default_value = true)]
        title: String,
    },
    /// List the sites of a network
    List {
        /// The network
        network: String,
    },
}

/// Members of a site.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Member {
    /// Give an account a role in a site
    Set {
        /// The site
        #[arg(value_name = "NETWORK/SITE")]
        site: String,
        /// The account's address
        email: String,
        /// The role; each may do what those before it may
        #[arg(value_parser = ["consumer", "contributor", "collaborator", "manager"])]
        role: String,
    },
    /// Take an account out of a site
    Remove {
        /// The site
        #[arg(value_name = "NETWORK/SITE")]
        site: String,
        /// The account's address
        email: String,
    },
    /// List who belongs to a site
    List {
        /// The site
        #[arg(value_name = "NETWORK/SITE")]
        site: String,
    },
}

/// Limits.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Quota {
    /// Show a network's limits, and what is used
    Show {
        /// The network
        network: String,
    },
    /// Change a network's limits
    #[command(group = clap::ArgGroup::new("limit").required(true).multiple(true))]
    Set {
        /// The network
        network: String,
        /// What documents, versions and trash may take, such as 500G; 0 is no limit
        #[arg(long, value_name = "SIZE", value_parser = text::parse_size, group = "limit")]
        total: Option<u64>,
        /// The largest document, such as 4G; 0 is no limit
        #[arg(long, value_name = "SIZE", value_parser = text::parse_size, group = "limit")]
        document: Option<u64>,
    },
}

/// Runs `admin network …`.
pub(super) async fn network(globals: &Globals, command: Network) -> anyhow::Result<()> {
    match command {
        Network::Create { name, administrator, data, coordinator, password } => {
            let cloud = as_operator(&data, &coordinator).await?;
            let administrator_password = password.read(format!("Password for {}: ", printable(&administrator))).await?;
            let request = pb::CreateNetworkRequest { name, administrator_email: administrator, administrator_password };
            let answer = cloud.networks().create_network(request).await?.into_inner();
            globals.output.print(&answer, |answer| networks_table(answer.network.as_slice()))
        }
        Network::List => {
            let cloud = globals.cloud().await?;
            let answer = cloud.networks().list_networks(pb::ListNetworksRequest::default()).await?.into_inner();
            globals.output.print(&answer, |answer| networks_table(&answer.networks))
        }
        Network::Sync { network, offered } => {
            let request = pb::UpdateNetworkRequest { network, sync_enabled: Some(offered == "on"), ..Default::default() };
            update(globals, request).await
        }
    }
}

/// Connects with the token that the coordinator wrote for its operator.
async fn as_operator(data: &std::path::Path, address: &str) -> anyhow::Result<Cloud> {
    let read = |name: &str| {
        let path = data.join(name);
        std::fs::read_to_string(&path).map_err(|error| {
            let remedy = "run this on the coordinator's machine, as its user, and name its data directory with --data";
            Failure::usage(format!("cannot read {}: {error}", path.display()), remedy)
        })
    };
    Cloud::connect(address, Trust::Authority(read(AUTHORITY_FILE)?), Some(read(OPERATOR_FILE)?.trim())).await
}

async fn update(globals: &Globals, request: pb::UpdateNetworkRequest) -> anyhow::Result<()> {
    let cloud = globals.cloud().await?;
    let answer = cloud.networks().update_network(request).await?.into_inner();
    globals.output.print(&answer, |answer| networks_table(answer.network.as_slice()))
}

/// Runs `admin site …`.
pub(super) async fn site(globals: &Globals, command: Site) -> anyhow::Result<()> {
    let cloud = globals.cloud().await?;
    match command {
        Site::Create { site, title } => {
            let (network, name) = split_site(&site)?;
            let request = pb::CreateSiteRequest { network: network.to_owned(), name: name.to_owned(), title };
            let answer = cloud.networks().create_site(request).await?.into_inner();
            globals.output.print(&answer, |answer| sites_table(answer.site.as_slice()))
        }
        Site::List { network } => {
            let answer = cloud.networks().list_sites(pb::ListSitesRequest { network }).await?.into_inner();
            globals.output.print(&answer, |answer| sites_table(&answer.sites))
        }
    }
}

/// Runs `admin member …`.
pub(super) async fn member(globals: &Globals, command: Member) -> anyhow::Result<()> {
    let cloud = globals.cloud().await?;
    let (site, change) = match command {
        Member::List { site } => {
            let (network, site) = split_site(&site)?;
            let request = pb::ListSiteMembersRequest { network: network.to_owned(), site: site.to_owned() };
            let answer = cloud.networks().list_site_members(request).await?.into_inner();
            return globals.output.print(&answer, |answer| {
                let mut table = Table::new(&["EMAIL", "ROLE"]);
                for member in &answer.members {
                    table.row([member.email.clone(), role_name(member.role())]);
                }
                table.render_or("nobody belongs to this site but the network's administrators")
            });
        }
        Member::Set { site, email, role } => (site, (email, Some(role))),
        Member::Remove { site, email } => (site, (email, None)),
    };
    let (email, role) = change;
    let (network, name) = split_site(&site)?;
    let wanted = role.as_deref().and_then(|role| pb::Role::from_str_name(&format!("ROLE_{}", role.to_uppercase()))).unwrap_or_default();
    let request = pb::SetMemberRequest { network: network.to_owned(), site: name.to_owned(), email: email.clone(), role: wanted.into() };
    let answer = cloud.networks().set_member(request).await?.into_inner();
    globals.output.print(&answer, |_| {
        let email = printable(&email);
        role.map_or_else(|| format!("{email} no longer belongs to {site}\n"), |role| format!("{email} is {role} of {site}\n"))
    })
}

/// Runs `admin quota …`.
pub(super) async fn quota(globals: &Globals, command: Quota) -> anyhow::Result<()> {
    match command {
        Quota::Set { network, total, document } => {
            let request = pb::UpdateNetworkRequest { network, quota_bytes: total, document_bytes_max: document, ..Default::default() };
            update(globals, request).await
        }
        Quota::Show { network } => {
            let cloud = globals.cloud().await?;
            let answer = cloud.networks().list_networks(pb::ListNetworksRequest::default()).await?.into_inner();
            let found = answer.networks.into_iter().find(|candidate| candidate.name == network);
            let found =
                found.ok_or_else(|| Failure::failed(format!("you belong to no network {network}"), "see `skybridge admin network list`"));
            globals.output.print(&found?, |network| networks_table(std::slice::from_ref(network)))
        }
    }
}

fn networks_table(networks: &[pb::Network]) -> String {
    let mut table = Table::new(&["NETWORK", "SYNC", ">USED", ">QUOTA", ">LARGEST DOCUMENT"]);
    for network in networks {
        table.row([
            network.name.clone(),
            if network.sync_enabled { "on" } else { "off" }.to_owned(),
            text::size(network.used_bytes),
            text::limit(network.quota_bytes),
            text::limit(network.document_bytes_max),
        ]);
    }
    table.render_or("you belong to no network")
}

fn sites_table(sites: &[pb::Site]) -> String {
    let mut table = Table::new(&["SITE", "TITLE", "YOUR ROLE"]);
    for site in sites {
        table.row([site.name.clone(), site.title.clone(), role_name(site.role())]);
    }
    table.render_or("no sites")
}

fn role_name(role: pb::Role) -> String {
    role.as_str_name().trim_start_matches("ROLE_").to_lowercase()
}
