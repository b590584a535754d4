//! Networks (tenants), their sites, and who belongs to them with which role.
//!
//! Owned by the coordinator. It knows accounts only by id: whether one is active, what its address is and how it signs in is not known
//! here. A network's row also holds the head of its journal and the bytes that it uses, so every change of a library writes it: what
//! happens in one network has one order.

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::library::Node;
use crate::model::{AccountId, Epoch, Fault, FaultKind, Name, NetworkId, NodeId, Role, Sequence, SiteId, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// The longest name of a network or a site.
const LABEL_BYTES_MAX: usize = 63;
/// The most sites, members or networks that are listed; nobody is expected to come near.
const LISTED_MAX: usize = 10_000;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name, which paths begin with.
    pub name: String,
    /// Whether sync sets may be made in it.
    pub sync_enabled: bool,
    /// Bytes that documents, versions and trash may take; 0 is no limit.
    pub quota_bytes: u64,
    /// Bytes that they take.
    pub used_bytes: u64,
    /// The largest document; 0 is no limit.
    pub document_bytes_max: u64,
    /// Which life of the journal this is.
    pub epoch: Epoch,
    /// The last sequence of the journal.
    pub head: Sequence,
    /// The last sequence that was compacted away.
    pub compacted: Sequence,
    /// When it was made.
    pub created: Timestamp,
}

impl Record for Network {
    const TABLE: Table = Table::Network;
    const FORMAT: u8 = 1;
    type Key = (NetworkId,);
    type Value = Self;
}

/// Finds a network by its name.
#[derive(Debug)]
struct NetworkName;

impl Record for NetworkName {
    const TABLE: Table = Table::NetworkName;
    const FORMAT: u8 = 1;
    type Key = (String,);
    type Value = NetworkId;
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its name, the second part of paths.
    pub name: String,
    /// What people see.
    pub title: String,
    /// The folder that is its document library.
    pub library: NodeId,
    /// The locale of plain titles and descriptions.
    pub default_locale: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Record for Site {
    const TABLE: Table = Table::Site;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, SiteId);
    type Value = Self;
}

/// Finds a site by its name.
#[derive(Debug)]
struct SiteName;

impl Record for SiteName {
    const TABLE: Table = Table::SiteName;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, String);
    type Value = SiteId;
}

/// That an account belongs to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkMember {
    /// Whether it administers the network.
    pub administrator: bool,
}

impl Record for NetworkMember {
    const TABLE: Table = Table::NetworkMember;
    const FORMAT: u8 = 1;
    type Key = (AccountId, NetworkId);
    type Value = Self;
}

/// An account's role in a site.
#[derive(Debug)]
struct SiteMember;

impl Record for SiteMember {
    const TABLE: Table = Table::SiteMember;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, SiteId, AccountId);
    type Value = Role;
}

/// What to change of a network; `None` leaves it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Whether sync sets may be made in it.
    pub sync_enabled: Option<bool>,
    /// Bytes that documents, versions and trash may take.
    pub quota_bytes: Option<u64>,
    /// The largest document.
    pub document_bytes_max: Option<u64>,
}

/// Makes a network, with sync enabled and without limits. The epoch is random.
///
/// # Errors
/// When the name is not allowed or taken.
pub fn create(tx: &mut Transaction<'_>, id: NetworkId, name: &str, epoch: Epoch, now: Timestamp) -> Result<Network, Failure> {
    let name = label(name)?;
    if tx.exists::<NetworkName>(&(name.clone(),))? {
        return Err(taken("network", &name));
    }
    let network = Network {
        name: name.clone(),
        sync_enabled: true,
        quota_bytes: 0,
        used_bytes: 0,
        document_bytes_max: 0,
        epoch,
        head: Sequence::ZERO,
        compacted: Sequence::ZERO,
        created: now,
    };
    tx.put::<Network>(&(id,), &network)?;
    tx.put::<NetworkName>(&(name,), &id)?;
    Ok(network)
}

/// Changes a network's limits.
///
/// # Errors
/// When there is no such network.
pub fn update(tx: &mut Transaction<'_>, id: NetworkId, limits: Limits) -> Result<Network, Failure> {
    let mut network = get(tx, id)?;
    network.sync_enabled = limits.sync_enabled.unwrap_or(network.sync_enabled);
    network.quota_bytes = limits.quota_bytes.unwrap_or(network.quota_bytes);
    network.document_bytes_max = limits.document_bytes_max.unwrap_or(network.document_bytes_max);
    tx.put::<Network>(&(id,), &network)?;
    Ok(network)
}

/// Returns a network.
///
/// # Errors
/// When there is no such network.
pub fn get(read: &(impl Read + ?Sized), id: NetworkId) -> Result<Network, Failure> {
    read.get::<Network>(&(id,))?.ok_or_else(|| Fault::not_found("there is no such network").into())
}

/// Finds a network by its name, whoever asks.
///
/// # Errors
/// When the store fails.
pub fn find(read: &(impl Read + ?Sized), name: &str) -> Result<Option<(NetworkId, Network)>, StoreError> {
    let Some(id) = read.get::<NetworkName>(&(name.to_ascii_lowercase(),))? else { return Ok(None) };
    Ok(read.get::<Network>(&(id,))?.map(|network| (id, network)))
}

/// Finds a network by its name, if the account belongs to it.
///
/// # Errors
/// [`FaultKind::NotFound`] when there is none, or the account does not belong to it: the two are not told apart.
pub fn visible(read: &(impl Read + ?Sized), account: AccountId, name: &str) -> Result<(NetworkId, Network, NetworkMember), Failure> {
    let unknown = || Fault::not_found(format!("there is no network {name:?}, or you do not belong to it"));
    let (id, network) = find(read, name)?.ok_or_else(unknown)?;
    let member = read.get::<NetworkMember>(&(account, id))?.ok_or_else(unknown)?;
    Ok((id, network, member))
}

/// As [`visible`], for administrators of the network only.
///
/// # Errors
/// As [`visible`], and [`FaultKind::Denied`] when the account does not administer it.
pub fn administered(read: &(impl Read + ?Sized), account: AccountId, name: &str) -> Result<(NetworkId, Network), Failure> {
    match visible(read, account, name)? {
        (id, network, NetworkMember { administrator: true }) => Ok((id, network)),
        _ => Err(Fault::denied(format!("only an administrator of the network {name:?} may do this")).into()),
    }
}

/// Lists the networks that an account belongs to, by name.
///
/// # Errors
/// When the store fails.
pub fn networks_of(read: &(impl Read + ?Sized), account: AccountId) -> Result<Vec<(NetworkId, Network, NetworkMember)>, StoreError> {
    let mut networks = Vec::new();
    for ((_, id), member) in read.scan::<NetworkMember>(&(account,), None, LISTED_MAX)? {
        networks.extend(read.get::<Network>(&(id,))?.map(|network| (id, network, member)));
    }
    networks.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    Ok(networks)
}

/// Makes an account belong to a network, or changes whether it administers it, or with `None` ends that it belongs.
///
/// # Errors
/// When the store fails.
pub fn set_member(
    tx: &mut Transaction<'_>,
    network: NetworkId,
    account: AccountId,
    member: Option<NetworkMember>,
) -> Result<(), StoreError> {
    match member {
        Some(member) => tx.put::<NetworkMember>(&(account, network), &member),
        None => tx.delete::<NetworkMember>(&(account, network)),
    }
}

/// Returns how an account belongs to a network.
///
/// # Errors
/// When the store fails.
pub fn member(read: &(impl Read + ?Sized), network: NetworkId, account: AccountId) -> Result<Option<NetworkMember>, StoreError> {
    read.get::<NetworkMember>(&(account, network))
}

/// What makes a site.
#[derive(Debug, Clone)]
pub struct NewSite {
    /// Its identity.
    pub id: SiteId,
    /// The identity of its document library.
    pub library: NodeId,
    /// Its name.
    pub name: String,
    /// What people see; the name if empty.
    pub title: String,
}

/// Makes a site with an empty document library. The caller has checked that `by` administers the network.
///
/// # Errors
/// When the name is not allowed or taken.
pub fn create_site(tx: &mut Transaction<'_>, network: NetworkId, new: &NewSite, by: AccountId, now: Timestamp) -> Result<Site, Failure> {
    let name = label(&new.name)?;
    if tx.exists::<SiteName>(&(network, name.clone()))? {
        return Err(taken("site", &name));
    }
    let title = if new.title.is_empty() { name.clone() } else { new.title.clone() };
    let site = Site { name: name.clone(), title, library: new.library, default_locale: "en_US".to_owned(), created: now };
    let root = Name::new(name.clone()).map_err(|error| Fault::invalid("name", error.to_string()))?;
    tx.put::<Node>(&(network, new.library), &Node::library(new.id, root, by, now))?;
    tx.put::<Site>(&(network, new.id), &site)?;
    tx.put::<SiteName>(&(network, name), &new.id)?;
    Ok(site)
}

/// Returns a site.
///
/// # Errors
/// When there is no such site.
pub fn site(read: &(impl Read + ?Sized), network: NetworkId, site: SiteId) -> Result<Site, Failure> {
    read.get::<Site>(&(network, site))?.ok_or_else(|| Fault::not_found("there is no such site").into())
}

/// Finds a site by its name, if the account has a role in it.
///
/// # Errors
/// [`FaultKind::NotFound`] when there is none, or the account has no role in it: the two are not told apart.
pub fn visible_site(
    read: &(impl Read + ?Sized),
    network: NetworkId,
    account: AccountId,
    name: &str,
) -> Result<(SiteId, Site, Role), Failure> {
    let unknown = || Fault::not_found(format!("there is no site {name:?}, or you do not belong to it"));
    let id = read.get::<SiteName>(&(network, name.to_ascii_lowercase()))?.ok_or_else(unknown)?;
    let role = role(read, network, id, account)?.ok_or_else(unknown)?;
    Ok((id, site(read, network, id)?, role))
}

/// Lists the sites of a network in which an account has a role, by name.
///
/// # Errors
/// When the store fails.
pub fn sites_of(read: &(impl Read + ?Sized), network: NetworkId, account: AccountId) -> Result<Vec<(SiteId, Site, Role)>, StoreError> {
    let mut sites = Vec::new();
    for ((_, id), site) in read.scan::<Site>(&(network,), None, LISTED_MAX)? {
        sites.extend(role(read, network, id, account)?.map(|role| (id, site, role)));
    }
    sites.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    Ok(sites)
}

/// Returns an account's role in a site: administrators of the network have theirs in each of its sites.
///
/// # Errors
/// When the store fails.
pub fn role(read: &(impl Read + ?Sized), network: NetworkId, site: SiteId, account: AccountId) -> Result<Option<Role>, StoreError> {
    match read.get::<NetworkMember>(&(account, network))? {
        None => Ok(None),
        Some(NetworkMember { administrator: true }) => Ok(Some(Role::Administrator)),
        Some(NetworkMember { administrator: false }) => read.get::<SiteMember>(&(network, site, account)),
    }
}

/// Gives an account a role in a site, or with `None` takes it away. The caller has checked who asks.
///
/// # Errors
/// When the account does not belong to the network, or the role is not one of a site.
pub fn set_role(tx: &mut Transaction<'_>, network: NetworkId, site: SiteId, account: AccountId, role: Option<Role>) -> Result<(), Failure> {
    match role {
        Some(Role::Administrator) => Err(Fault::invalid("role", "administrator is not a role in a site").into()),
        Some(_) if !tx.exists::<NetworkMember>(&(account, network))? => {
            Err(Fault::not_found("the account does not belong to the network").into())
        }
        Some(role) => Ok(tx.put::<SiteMember>(&(network, site, account), &role)?),
        None => Ok(tx.delete::<SiteMember>(&(network, site, account))?),
    }
}

/// Lists who has a role of its own in a site.
///
/// # Errors
/// When the store fails.
pub fn site_members(read: &(impl Read + ?Sized), network: NetworkId, site: SiteId) -> Result<Vec<(AccountId, Role)>, StoreError> {
    let rows = read.scan::<SiteMember>(&(network, site), None, LISTED_MAX)?;
    Ok(rows.into_iter().map(|((_, _, account), role)| (account, role)).collect())
}

fn taken(what: &str, name: &str) -> Failure {
    Fault::new(FaultKind::AlreadyExists, format!("there is a {what} {name:?} already")).into()
}

/// Checks the name of a network or a site, and brings it to lower case.
///
/// # Errors
/// When it is not 1 to 63 of `a`-`z`, `0`-`9`, `.`, `-`, or begins or ends with a dot or a dash.
pub fn label(text: &str) -> Result<String, Fault> {
    let text = text.to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let fits = (1..=LABEL_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
    if !fits || text.starts_with(['.', '-']) || text.ends_with(['.', '-']) {
        let rule = "a name of 1 to 63 letters a-z, digits, dots and dashes, that begins and ends with a letter or digit";
        return Err(Fault::invalid("name", format!("{:?} is not {rule}", text.chars().take(80).collect::<String>())));
    }
    Ok(text)
}
