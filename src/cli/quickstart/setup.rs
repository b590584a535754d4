//! The steps of a quickstart. Each does nothing when it was done before.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rand::distr::{Alphanumeric, SampleString as _};
use tonic::transport::Channel;

use super::{NETWORK, Place, SITE};
use crate::{
    cli::{
        connect::{self, Cloud},
        profile::{self, Profile},
    },
    coordinator::server::Coordinator,
    net::channel::Trust,
    wire::pb::{self, local_service_client::LocalServiceClient},
};

const EMAIL: &str = "you@quickstart.example";
const PASSWORD_CHARACTERS: usize = 24;
/// How often it is tried whether the agent has started.
const POLL: Duration = Duration::from_millis(200);
/// How long the agent may take to open its socket.
const AGENT_START: Duration = Duration::from_secs(30);

/// Signs in, after making the network with its administrator, and writes the profile that the printed commands use.
pub(super) async fn signed_in(place: &Place, coordinator: &Coordinator, address: &str, socket: PathBuf) -> anyhow::Result<Profile> {
    let trust = Trust::Authority(coordinator.authority_pem().to_owned());
    let path = place.profile();
    if let Ok(mut profile) = Profile::read(&path) {
        let cloud = Cloud::connect(address, trust.clone(), Some(&profile.token)).await?;
        if cloud.accounts().get_self(pb::GetSelfRequest {}).await.is_ok() {
            // The port may be another one this time.
            (profile.coordinator, profile.agent_socket) = (address.to_owned(), Some(socket));
            profile.write(&path)?;
            return Ok(profile);
        }
    }
    let password = password(&place.data.join("password"))?;
    let operator = fs::read_to_string(place.data.join("coordinator/operator-token")).context("the operator's token")?;
    let cloud = Cloud::connect(address, trust, Some(operator.trim())).await?;
    let request = pb::CreateNetworkRequest {
        name: NETWORK.to_owned(),
        administrator_email: EMAIL.to_owned(),
        administrator_password: password.clone(),
    };
    done_or_there(cloud.networks().create_network(request).await)?;
    let request = pb::SignInRequest { email: EMAIL.to_owned(), password, label: "quickstart".to_owned() };
    let answer = cloud.accounts().sign_in(request).await?.into_inner();
    let profile = Profile {
        coordinator: address.to_owned(),
        email: EMAIL.to_owned(),
        token: answer.token,
        token_id: answer.token_id,
        agent_socket: Some(socket),
        authority: coordinator.authority_pem().to_owned(),
    };
    profile.write(&path)?;
    Ok(profile)
}

/// Reads the account's password, or draws one.
fn password(path: &Path) -> anyhow::Result<String> {
    if let Ok(password) = fs::read_to_string(path) {
        return Ok(password.trim().to_owned());
    }
    let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_CHARACTERS);
    profile::write_secret(path, format!("{password}\n").as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(password)
}

/// Makes the site.
pub(super) async fn site(cloud: &Cloud) -> anyhow::Result<()> {
    let request = pb::CreateSiteRequest { network: NETWORK.to_owned(), name: SITE.to_owned(), title: "Team".to_owned() };
    done_or_there(cloud.networks().create_site(request).await)
}

fn done_or_there<T>(outcome: Result<T, tonic::Status>) -> anyhow::Result<()> {
    match outcome {
        Ok(_) => Ok(()),
        Err(status) if status.code() == tonic::Code::AlreadyExists => Ok(()),
        Err(status) => Err(status.into()),
    }
}

/// Connects to the agent once it has opened its socket.
pub(super) async fn reach_agent(socket: &Path) -> anyhow::Result<LocalServiceClient<Channel>> {
    let begun = Instant::now();
    loop {
        match connect::agent_at(socket).await {
            Err(_) if begun.elapsed() < AGENT_START => tokio::time::sleep(POLL).await,
            outcome => return outcome,
        }
    }
}

/// Makes the sync set; returns its folder in the cloud.
pub(super) async fn sync_set(agent: &mut LocalServiceClient<Channel>, place: &Place, token: &str) -> anyhow::Result<String> {
    let syncs = agent.list_syncs(pb::ListSyncsRequest {}).await?.into_inner().syncs;
    if syncs.is_empty() {
        let path = place.folder.to_str().context("the folder's path is not UTF-8")?.to_owned();
        let request = pb::CreateSyncRequest {
            paths: vec![path],
            target_path: format!("{NETWORK}/{SITE}"),
            create_folder: false,
            options: Some(pb::SyncOptions::default()),
            token: token.to_owned(),
        };
        agent.create_sync(request).await?;
    }
    Ok(place.target())
}
