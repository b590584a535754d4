//! Who the agent is at the coordinator: its key, its certificate, and how it recognises the coordinator.
//!
//! In the data directory: `agent.json`, `agent.pem` (key and certificate in one file, readable by its owner alone, so that they are replaced
//! together), `ca.pem`. No person's password or token is kept.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::config::AgentConfig;
use crate::model::{AgentId, Fault};
use crate::net::authority::{Identity, is_renewal_due, new_agent_key};
use crate::net::channel::{ChannelOptions, Trust, Use};
use crate::net::credentials::Credentials;
use crate::net::enrolment::Enrolment;
use crate::net::{Channel, NetError};
use crate::wire::pb::agent_service_client::AgentServiceClient;
use crate::wire::{field, pb};

/// Why an agent cannot enrol, or its enrolment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// A file of the enrolment cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was enrolled before.
    #[error("this agent is enrolled already; to enrol it anew use another data directory than {}", data.display())]
    AlreadyEnrolled {
        /// The data directory.
        data: PathBuf,
    },
    /// It was not enrolled.
    #[error("this agent is not enrolled; ask an administrator for an enrolment string and run `skybridge agent enroll STRING`")]
    NotEnrolled,
    /// The enrolment is damaged.
    #[error("the enrolment in {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The coordinator cannot be reached, or is another one.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The coordinator refused.
    #[error("{0}")]
    Refused(Fault),
}

/// What an enrolment left behind.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    agent: AgentIdText,
    address: String,
}

type AgentIdText = String;

/// The file of the certificate and its key.
const IDENTITY: &str = "agent.pem";

/// An agent that is enrolled.
#[derive(Debug, Clone)]
pub(super) struct Enrolled {
    pub(super) agent: AgentId,
    pub(super) options: ChannelOptions,
    /// What its channels show.
    pub(super) credentials: Credentials,
}

/// Enrols an agent with the string that an administrator handed over. The string works once.
///
/// # Errors
/// When it was enrolled before, the coordinator cannot be reached, is not the one that the string names, or refuses.
pub async fn enrol(config: &AgentConfig, enrolment: &Enrolment) -> Result<AgentId, EnrolError> {
    if is_enrolled(config)? {
        return Err(EnrolError::AlreadyEnrolled { data: config.data.clone() });
    }
    let file = |source| EnrolError::File { path: config.data.clone(), source };
    std::fs::create_dir_all(&config.data).map_err(file)?;
    let (key_pem, request_pem) = new_agent_key()?;
    let options = ChannelOptions {
        address: enrolment.address.clone(),
        trust: Trust::Fingerprint(enrolment.fingerprint),
        identity: None,
        proxy: config.proxy.clone(),
    };
    // Tells a wrong or unreachable coordinator apart from one that refuses.
    options.fetch_authority().await?;
    let request = pb::EnrolRequest { secret: enrolment.secret.clone(), certificate_request_pem: request_pem };
    let answer = AgentServiceClient::new(options.channel(Use::Control)?).enrol(request).await;
    let answer = answer.map_err(|status| EnrolError::Refused(Fault::from_status(&status)))?.into_inner();
    let agent = field::id::<AgentId>("agent_id", &answer.agent_id).map_err(|error| EnrolError::Refused(error.into()))?;
    write(&config.data.join(IDENTITY), &(answer.certificate_pem + &key_pem), 0o600)?;
    write(&config.data.join("ca.pem"), &answer.authority_pem, 0o644)?;
    let stored = Stored { agent: agent.to_string(), address: enrolment.address.clone() };
    let text = serde_json::to_string_pretty(&stored).unwrap_or_default();
    // The last one: what is there without it counts as not enrolled.
    write(&config.data.join("agent.json"), &text, 0o644)?;
    Ok(agent)
}

/// Whether the agent was enrolled.
///
/// # Errors
/// When its data directory cannot be read.
pub fn is_enrolled(config: &AgentConfig) -> Result<bool, EnrolError> {
    let path = config.data.join("agent.json");
    path.try_exists().map_err(|source| EnrolError::File { path, source })
}

/// Reads the enrolment.
pub(super) fn load(config: &AgentConfig) -> Result<Enrolled, EnrolError> {
    if !is_enrolled(config)? {
        return Err(EnrolError::NotEnrolled);
    }
    let path = config.data.join("agent.json");
    let damaged = |reason: String| EnrolError::Damaged { path: path.clone(), reason };
    let stored: Stored = serde_json::from_str(&read(&path)?).map_err(|error| damaged(error.to_string()))?;
    let agent = stored.agent.parse().map_err(|error: crate::model::InvalidId| damaged(error.to_string()))?;
    let credentials = Credentials::new(&identity(read(&config.data.join(IDENTITY))?))?;
    let options = ChannelOptions {
        address: config.coordinator.clone().unwrap_or(stored.address),
        trust: Trust::Authority(read(&config.data.join("ca.pem"))?),
        identity: Some(credentials.clone()),
        proxy: config.proxy.clone(),
    };
    Ok(Enrolled { agent, options, credentials })
}

/// How often an agent looks whether its certificate is to be renewed.
const RENEWAL_TICK: Duration = Duration::from_secs(600);

/// Renews key and certificate once a third of their time is over, until `cancel` fires: an agent that is used never comes to the end of it.
pub(super) async fn keep_renewed(config: &AgentConfig, credentials: &Credentials, control: &Channel, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(RENEWAL_TICK);
    loop {
        let renewed = async {
            tick.tick().await;
            renew(config, credentials, control.clone()).await
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            // The former ones are used until then.
            renewed = renewed => if let Err(error) = renewed {
                tracing::warn!(%error, "the agent's certificate was not renewed; it is tried again");
            }
        }
    }
}

/// Connections that are made from now on show the new ones.
async fn renew(config: &AgentConfig, credentials: &Credentials, control: Channel) -> Result<(), EnrolError> {
    let path = config.data.join(IDENTITY);
    if !is_renewal_due(&read(&path)?)? {
        return Ok(());
    }
    let (key_pem, request_pem) = new_agent_key()?;
    let request = pb::RenewCertificateRequest { certificate_request_pem: request_pem };
    let answer = AgentServiceClient::new(control).renew_certificate(request).await;
    let answer = answer.map_err(|status| EnrolError::Refused(Fault::from_status(&status)))?.into_inner();
    let renewed = answer.certificate_pem + &key_pem;
    // Looked at before it takes the place of the one that works.
    let newer = Credentials::new(&identity(renewed.clone()))?;
    write(&path, &renewed, 0o600)?;
    credentials.replace(newer);
    tracing::info!("key and certificate renewed");
    Ok(())
}

fn identity(both_pem: String) -> Identity {
    Identity { certificate_pem: both_pem.clone(), key_pem: both_pem }
}

fn read(path: &Path) -> Result<String, EnrolError> {
    std::fs::read_to_string(path).map_err(|source| EnrolError::File { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), EnrolError> {
    let temporary = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|source| EnrolError::File { path: path.to_owned(), source })
}
