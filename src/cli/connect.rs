//! Connections of commands: to the coordinator with the stored sign-in, to the agent by its socket. Must not know any command.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tonic::{
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    cli::{
        failure::Failure,
        output::Format,
        profile::{self, Profile},
    },
    net::{
        NetError,
        authority::Fingerprint,
        channel::{ChannelOptions, Trust, Use},
    },
    wire::pb::{
        account_service_client::AccountServiceClient, agent_service_client::AgentServiceClient,
        library_service_client::LibraryServiceClient, local_service_client::LocalServiceClient,
        network_service_client::NetworkServiceClient,
    },
};

/// How long a connection may take to come about: a person waits for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read; a page of 1,000 nodes with long descriptions can pass tonic's 4 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The longest path that a socket's address holds, with its closing zero.
const SOCKET_PATH_BYTES_MAX: usize = 108;

/// The heading of these options in every help text.
const EVERYWHERE: &str = "Options of every command";

/// What every command is given.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// Text for people, or JSON for programs
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t, value_name = "FORM")]
    pub output: Format,
    /// The file that keeps the sign-in [default: ~/.config/skybridge/credentials.toml]
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "SKYBRIDGE_CONFIG", value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// The agent's socket [default: /run/skybridge/agent.sock, /var/lib/skybridge/agent/agent.sock]
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "SKYBRIDGE_AGENT_SOCKET", value_name = "SOCKET")]
    pub agent_socket: Option<PathBuf>,
}

impl Globals {
    /// Connects to the coordinator with the stored sign-in.
    pub(crate) async fn cloud(&self) -> anyhow::Result<Cloud> {
        let profile = Profile::read(&profile::find(self.profile.as_deref())?)?;
        Cloud::connect(&profile.coordinator, Trust::Authority(profile.authority.clone()), Some(&profile.token)).await
    }

    /// Connects to the agent on this machine.
    pub(crate) async fn agent(&self) -> anyhow::Result<LocalServiceClient<Channel>> {
        let socket = profile::find_agent_socket(self.agent_socket.as_deref(), self.profile.as_deref())?;
        agent_at(&socket).await
    }
}

/// Connects to the agent at a socket.
pub(crate) async fn agent_at(socket: &Path) -> anyhow::Result<LocalServiceClient<Channel>> {
    let path = socket.to_owned();
    // The address is a placeholder: the connector goes to the socket whatever it says.
    let endpoint = Endpoint::from_static("http://agent.invalid").connect_timeout(CONNECT_TIMEOUT);
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { open_socket(&path).await.map(TokioIo::new) }
    });
    let channel = endpoint.connect_with_connector(connector).await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let message = format!("cannot reach the agent at {}: {cause}", socket.display());
        Failure::failed(message, "see that the agent is running and that you may use its socket").coded("UNAVAILABLE")
    })?;
    Ok(LocalServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX))
}

/// Opens a socket, by way of its directory's descriptor where its path is too long for an address.
async fn open_socket(path: &Path) -> std::io::Result<tokio::net::UnixStream> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return tokio::net::UnixStream::connect(path).await;
    };
    if path.as_os_str().len() < SOCKET_PATH_BYTES_MAX {
        return tokio::net::UnixStream::connect(path).await;
    }
    let directory = std::fs::File::open(parent)?;
    let short = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&directory));
    tokio::net::UnixStream::connect(Path::new(&short).join(name)).await
}

/// Adds the token to each call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Bearer {
    /// Makes the header of a token.
    pub(crate) fn new(token: Option<&str>) -> anyhow::Result<Self> {
        let header = token.map(|token| format!("Bearer {token}").parse()).transpose();
        Ok(Self(header.map_err(|_| Failure::usage("the token holds characters that no token has", "sign in again"))?))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// A channel that carries the sign-in.
pub(crate) type Authorized = InterceptedService<crate::net::Channel, Bearer>;

/// The coordinator's services, as the person who signed in.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    channel: crate::net::Channel,
    bearer: Bearer,
}

macro_rules! service {
    ($(#[$doc:meta])* $method:ident, $client:ident) => {
        $(#[$doc])*
        pub(crate) fn $method(&self) -> $client<Authorized> {
            $client::with_interceptor(self.channel.clone(), self.bearer.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
        }
    };
}

impl Cloud {
    /// Connects to a coordinator that is recognised as told.
    pub(crate) async fn connect(address: &str, trust: Trust, token: Option<&str>) -> anyhow::Result<Self> {
        // Documents travel on this connection as well, so it has the large windows.
        let channel = options(address, trust).connect(Use::Bulk).await.map_err(|error| failure(&error))?;
        Ok(Self { channel, bearer: Bearer::new(token)? })
    }

    service!(/// Accounts and tokens.
        accounts, AccountServiceClient);
    service!(/// Agents.
        agents, AgentServiceClient);
    service!(/// Documents and folders.
        library, LibraryServiceClient);
    service!(/// Networks, sites, members.
        networks, NetworkServiceClient);
}

/// Fetches the certificate authority of a coordinator that has this fingerprint; anything else is refused before a word is said.
pub(crate) async fn authority_of(address: &str, fingerprint: &str) -> anyhow::Result<String> {
    let fingerprint = fingerprint.parse::<Fingerprint>().map_err(|error| Failure::usage(error.to_string(), ""))?;
    options(address, Trust::Fingerprint(fingerprint)).fetch_authority().await.map_err(|error| failure(&error).into())
}

fn options(address: &str, trust: Trust) -> ChannelOptions {
    ChannelOptions { address: address.to_owned(), trust, identity: None, proxy: None }
}

fn failure(error: &NetError) -> Failure {
    match error {
        NetError::Unreachable { .. } => {
            Failure::failed(error.to_string(), "see that the coordinator is running and the address is right").coded("UNAVAILABLE")
        }
        NetError::Another { .. } => {
            let remedy = "compare the fingerprint with the one that the coordinator prints when it starts; if they differ, go no further";
            Failure::failed(error.to_string(), remedy)
        }
        _ => Failure::usage(error.to_string(), ""),
    }
}
