//! Configuration files and their defaults. Each number says what follows from it.
//!
//! A file is TOML; a key that is not known is refused, so that a typing error is not silently a default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::brake::Limits;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what is expected; the text names line and key.
    #[error("the configuration {} is wrong: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        message: String,
    },
}

/// Reads a configuration file.
///
/// # Errors
/// When it cannot be read, or holds something unknown or of the wrong type.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| ConfigError::Parse { path: path.to_owned(), message: located(&text, &error) })
}

/// Says on one line where a file is wrong, and how.
fn located(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

/// An address of a proxy, which may hold a password: `http://user:password@proxy:3128`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProxyAddress(String);

impl ProxyAddress {
    /// Returns it with its password.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for ProxyAddress {
    fn from(address: String) -> Self {
        Self(address)
    }
}

impl std::fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyAddress(redacted)")
    }
}

/// Where logs, traces and metrics go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// What is logged, in the syntax of `RUST_LOG`, which wins over this.
    pub log: String,
    /// Log lines as JSON, for machines.
    pub log_json: bool,
    /// An OTLP/gRPC receiver for traces and metrics, such as `http://localhost:4317`; none if unset. Without TLS: put a
    /// collector nearby.
    pub otlp_endpoint: Option<String>,
    /// Where Prometheus can fetch `/metrics`; a loopback address. Nothing is served if unset.
    pub prometheus_listen: Option<SocketAddr>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".to_owned(), log_json: false, otlp_endpoint: None, prometheus_listen: None }
    }
}

/// The coordinator's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoordinatorConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its state is. One process at a time.
    pub data: PathBuf,
    /// The names and addresses for which its certificate is valid, besides `localhost`, the loopback addresses and the host's name.
    pub server_names: Vec<String>,
    /// The address that agents are told at enrolment, such as `https://sync.example.com:7443`; the listening one if unset.
    pub public_address: Option<String>,
    /// The largest document in a new network, in bytes; 0 is no limit.
    pub document_bytes_max: u64,
    /// The quota of a new network, in bytes; 0 is no limit.
    pub quota_bytes: u64,
    /// Agents that may be connected at one time; each takes about 64 KiB of memory while idle.
    pub sessions_max: usize,
    /// Connections that may be open at one time; more wait until one closes.
    pub connections_max: usize,
    /// Cache of the state's database, in MiB. Smaller, and more is read from disk.
    pub cache_mib: usize,
    /// How long what is in the trash, and what is no longer a document's newest version, is kept, in days; afterwards it
    /// is gone for good.
    pub retention_days: u32,
    /// Logs, traces, metrics.
    pub telemetry: TelemetryConfig,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 7443)),
            data: PathBuf::from("/var/lib/skybridge/coordinator"),
            server_names: Vec::new(),
            public_address: None,
            document_bytes_max: 0,
            quota_bytes: 0,
            sessions_max: 10_000,
            connections_max: 16_000,
            cache_mib: 256,
            retention_days: 30,
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// The agent's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// Where its state is. One process at a time.
    pub data: PathBuf,
    /// The coordinator's address; unset: the one that it was enrolled with.
    pub coordinator: Option<String>,
    /// An HTTP proxy that is asked to CONNECT.
    pub proxy: Option<ProxyAddress>,
    /// A directory with the layout `Sites/<site>/documentLibrary`.
    pub root: Option<PathBuf>,
    /// Sites and the directories that are their document libraries; besides, or instead of, `root`.
    pub sites: BTreeMap<String, PathBuf>,
    /// The locale of plain titles and descriptions.
    pub default_locale: String,
    /// The socket for commands; unset: `agent.sock` in `data`.
    pub socket: Option<PathBuf>,
    /// Members of this group see and manage every sync set.
    pub administrators_group: Option<String>,
    /// Only members of this group, and administrators, make sync sets; unset: everybody who may change what they sync.
    pub users_group: Option<String>,
    /// Whom what is made at the source belongs to, as `USER` or `USER:GROUP`, by names or numbers; unset: the agent itself. A folder that
    /// gives its own group goes before this one. Anybody but the agent itself takes an agent that is root, or may give files away.
    pub owner: Option<String>,
    /// How long something must be missing before it counts as deleted, in milliseconds. Shorter, and the halves of a slow move become a
    /// delete and an upload; longer, and deletes take longer.
    pub settle_millis: u64,
    /// How long a document must be unchanged before it is read, where it cannot be seen whether somebody writes, in milliseconds.
    pub quiet_millis: u64,
    /// How often everything is looked through although nothing was reported, in seconds. It finds what the system's events missed, and
    /// costs one look at each file's attributes.
    pub rescan_seconds: u64,
    /// Documents up to this size ride along with operations, in bytes; at most 16 KiB.
    pub inline_bytes_max: u64,
    /// Larger documents that are uploaded at one time. Each takes a few MiB of memory.
    pub uploads: usize,
    /// Documents that are fetched and put in place at one time. Each takes a few MiB of memory.
    pub downloads: usize,
    /// How many deletes are too many.
    pub brake: Limits,
    /// How long what a sync replaced or deleted at the source is kept, in days; afterwards it is gone for good.
    pub retention_days: u32,
    /// Logs, traces, metrics.
    pub telemetry: TelemetryConfig,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("/var/lib/skybridge/agent"),
            coordinator: None,
            proxy: None,
            root: None,
            sites: BTreeMap::new(),
            default_locale: "en_US".to_owned(),
            socket: None,
            administrators_group: None,
            users_group: None,
            owner: None,
            settle_millis: 500,
            quiet_millis: 2_000,
            rescan_seconds: 3_600,
            inline_bytes_max: 16 * 1024,
            uploads: 4,
            downloads: 8,
            brake: Limits::default(),
            retention_days: 30,
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl AgentConfig {
    /// Returns the socket for commands.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.data.join("agent.sock"))
    }

    /// Returns how long something must be missing before it counts as deleted.
    #[must_use]
    pub const fn settle(&self) -> Duration {
        Duration::from_millis(self.settle_millis)
    }

    /// Returns how often everything is looked through.
    #[must_use]
    pub const fn rescan_interval(&self) -> Duration {
        Duration::from_secs(self.rescan_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(toml::from_str::<CoordinatorConfig>(""), Ok(CoordinatorConfig::default()));
        assert_eq!(toml::from_str::<AgentConfig>(""), Ok(AgentConfig::default()));
    }

    #[test]
    fn the_examples_are_what_they_say_they_are() {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let coordinator = CoordinatorConfig {
            server_names: vec!["sync.example.com".to_owned()],
            public_address: Some("https://sync.example.com:7443".to_owned()),
            ..CoordinatorConfig::default()
        };
        assert_eq!(load::<CoordinatorConfig>(&deploy.join("coordinator.toml")).unwrap(), coordinator);
        let agent = AgentConfig {
            socket: Some("/run/skybridge/agent.sock".into()),
            sites: BTreeMap::from([("marketing".to_owned(), "/srv/docs/marketing".into())]),
            ..AgentConfig::default()
        };
        assert_eq!(load::<AgentConfig>(&deploy.join("agent.toml")).unwrap(), agent);
    }

    /// Reads an example with the lines that are commented out as well.
    fn whole<T: DeserializeOwned>(file: &str) -> T {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap();
        let uncommented = |line: &str| match line.strip_prefix("# ") {
            Some(key) if key.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => key.to_owned(),
            _ => line.to_owned(),
        };
        toml::from_str(&text.lines().map(uncommented).collect::<Vec<_>>().join("\n")).unwrap()
    }

    #[test]
    fn what_the_examples_leave_to_you_is_known_too() {
        let coordinator: CoordinatorConfig = whole("coordinator.toml");
        assert!(coordinator.telemetry.otlp_endpoint.is_some() && coordinator.telemetry.prometheus_listen.is_some());
        let agent: AgentConfig = whole("agent.toml");
        assert!(agent.coordinator.is_some() && agent.proxy.is_some() && agent.root.is_some() && agent.administrators_group.is_some());
        assert!(agent.telemetry.otlp_endpoint.is_some() && agent.telemetry.prometheus_listen.is_some());
    }

    #[test]
    fn a_proxys_password_is_not_printed() {
        let config: AgentConfig = toml::from_str("proxy = \"http://user:hunter2@proxy:3128\"").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.proxy.unwrap().expose(), "http://user:hunter2@proxy:3128");
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_name_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.toml");
        std::fs::write(&path, "uploads = 4\ndownlods = 8\n").unwrap();
        let error = load::<AgentConfig>(&path).unwrap_err().to_string();
        assert!(error.contains("agent.toml") && error.contains("line 2: unknown field `downlods`"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(load::<AgentConfig>(&directory.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
