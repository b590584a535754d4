//! Setting up networks and enrolling agents: what the services offer to those who may, and `quickstart` does directly.

use super::accounts::{self, NewAccount, Secret};
use super::agents;
use super::context::Context;
use super::networks::{self, Limits, Network, NewSite};
use crate::model::{AccountId, Epoch, Fault, NetworkId};
use crate::net::enrolment::Enrolment;

/// Makes a network with the limits of the configuration and its first administrator, whose account is made if there is none.
///
/// # Errors
/// When a name is not allowed or taken, or the account must be made and there is no good password.
pub async fn create_network(
    context: &Context,
    name: String,
    administrator_email: String,
    administrator_password: Option<String>,
) -> Result<(NetworkId, Network), Fault> {
    let known = context.read(|read| Ok(accounts::find(read, &administrator_email)?))?.is_some();
    let password = match administrator_password {
        _ if known => None,
        Some(password) => Some(context.passwords.hash("administrator_password", password).await?),
        None => return Err(Fault::invalid("administrator_password", "is required, as the administrator has no account yet")),
    };
    let (id, administrator, now) = (context.mint::<NetworkId>(), context.mint::<AccountId>(), context.now());
    let epoch = Epoch::new(context.world.draw().max(1));
    let limits = Limits {
        sync_enabled: None,
        quota_bytes: Some(context.config.quota_bytes),
        document_bytes_max: Some(context.config.document_bytes_max),
    };
    let made = context.transact(move |tx| {
        networks::create(tx, id, &name, epoch, now)?;
        let network = networks::update(tx, id, limits)?;
        if let Some((account, record)) = accounts::find(tx, &administrator_email)? {
            accounts::join(tx, id, account, &record, true)?;
        } else {
            let new = NewAccount {
                id: administrator,
                network: id,
                email: administrator_email.clone(),
                display_name: String::new(),
                password: password.clone(),
                administrator: true,
                request: None,
            };
            accounts::create(tx, &new, now)?;
        }
        Ok(network)
    });
    let network = made.await?;
    tracing::info!(network = %id, name = network.name, "network created");
    Ok((id, network))
}

/// Makes a one-time secret for an agent of this name, and returns what the agent is given.
///
/// # Errors
/// When the name is not allowed or taken, or the address is none.
pub async fn create_enrolment(context: &Context, network: NetworkId, name: String, address: Option<String>) -> Result<Enrolment, Fault> {
    let address = address.unwrap_or_else(|| context.address.to_string());
    let address = address.trim_end_matches('/').to_owned();
    if !address.starts_with("https://") {
        return Err(Fault::invalid("address", "must look like https://sync.example.com:7443"));
    }
    let secret = Secret::draw(&*context.world, "");
    let (hash, now) = (secret.hash(), context.now());
    context.transact(move |tx| agents::create_enrolment(tx, network, &name, hash, now)).await?;
    Ok(Enrolment { address, fingerprint: context.authority.fingerprint(), secret: secret.expose().to_owned() })
}

/// Makes sure that there is a network with an administrator and a site in it, and returns the network. What is there already stays.
///
/// # Errors
/// When a name is not allowed, or the administrator must get an account and the password is too short.
pub async fn ensure_site(context: &Context, network: &str, site: &str, email: &str, password: String) -> Result<NetworkId, Fault> {
    let found = context.read(|read| Ok(networks::find(read, network)?))?;
    let id = match found {
        Some((id, _)) => id,
        None => create_network(context, network.to_owned(), email.to_owned(), Some(password)).await?.0,
    };
    let administrator = context.read(|read| accounts::find_in(read, id, email))?.0;
    let new = NewSite { id: context.mint(), library: context.mint(), name: site.to_owned(), title: String::new() };
    let now = context.now();
    let made = context.transact(move |tx| {
        if networks::sites_of(tx, id, administrator)?.iter().any(|(_, site, _)| site.name.eq_ignore_ascii_case(&new.name)) {
            return Ok(());
        }
        networks::create_site(tx, id, &new, administrator, now).map(drop)
    });
    made.await?;
    Ok(id)
}
