//! Where a person's sign-in is kept between commands, and how commands find it and the agent's socket.
//!
//! The file holds a token, so only its owner may read it. A quickstart in the current directory is found by itself, but only when the
//! caller made it: else anybody could leave one in a shared directory and be sent a token.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::cli::failure::Failure;

/// The directory that `quickstart` makes in the current one unless told otherwise.
pub(crate) const QUICKSTART_DIR: &str = "skybridge-quickstart";
/// The file's name, in a quickstart's directory too.
pub(crate) const FILE_NAME: &str = "credentials.toml";
/// Where an agent's socket is by default.
const AGENT_SOCKETS: &[&str] = &["/run/skybridge/agent.sock", "/var/lib/skybridge/agent/agent.sock"];

/// A sign-in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The coordinator's address, such as `https://sync.example.com:7443`.
    pub(crate) coordinator: String,
    /// Who signed in.
    pub(crate) email: String,
    /// The token.
    pub(crate) token: String,
    /// The id with which the token can be ended.
    pub(crate) token_id: String,
    /// The agent's socket, where it is not at its default place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent_socket: Option<PathBuf>,
    /// The coordinator's certificate authority, PEM.
    pub(crate) authority: String,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("coordinator", &self.coordinator).field("email", &self.email).finish_non_exhaustive()
    }
}

impl Profile {
    /// Reads a profile.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::usage(format!("no sign-in at {}", path.display()), "sign in with `skybridge login EMAIL --coordinator URL`")
            }
            _ => Failure::usage(format!("cannot read the sign-in at {}: {error}", path.display()), ""),
        })?;
        toml::from_str(&text).map_err(|error| {
            let what = error.message();
            Failure::usage(format!("the sign-in at {} is damaged: {what}", path.display()), "sign in again with `skybridge login EMAIL`")
                .into()
        })
    }

    /// Writes a profile, whole or not at all, for its owner alone.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let what = || format!("cannot write the sign-in to {}", path.display());
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(directory).with_context(what)?;
        let text = format!("# A sign-in of skybridge. It holds a secret.\n{}", toml::to_string(self)?);
        write_secret(path, text.as_bytes()).with_context(what)
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // Nothing more can be done about it than to tell the first error.
        fs::remove_file(&temporary).ok();
    }
    written
}

/// Finds the profile to read: the one that was named, the person's own, or that of a quickstart in the current directory.
pub(crate) fn find(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let own = own_path()?;
    Ok(if own.exists() { own } else { quickstart_path().unwrap_or(own) })
}

/// Returns where `login` writes the profile.
pub(crate) fn destination(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    named.map_or_else(own_path, |path| Ok(path.to_owned()))
}

/// Finds the agent's socket.
pub(crate) fn find_agent_socket(named: Option<&Path>, profile: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let of_profile = |path: &Path| Profile::read(path).ok().and_then(|profile| profile.agent_socket);
    if let Some(path) = find(profile).ok().and_then(|path| of_profile(&path)) {
        return Ok(path);
    }
    if let Some(path) = AGENT_SOCKETS.iter().map(Path::new).find(|path| path.exists()) {
        return Ok(path.to_owned());
    }
    quickstart_path().and_then(|path| of_profile(&path)).ok_or_else(|| {
        Failure::usage(
            format!("no agent found on this machine (looked for {})", AGENT_SOCKETS.join(" and ")),
            "start the agent, or name its socket with --agent-socket or SKYBRIDGE_AGENT_SOCKET",
        )
        .into()
    })
}

fn own_path() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(".config")));
    match config {
        Some(config) => Ok(config.join("skybridge").join(FILE_NAME)),
        None => Err(Failure::usage("neither XDG_CONFIG_HOME nor HOME is set", "name the file with SKYBRIDGE_CONFIG").into()),
    }
}

/// The profile of a quickstart in the current directory, if the caller made it and nobody else may write there.
fn quickstart_path() -> Option<PathBuf> {
    let directory = std::env::current_dir().ok()?.join(QUICKSTART_DIR);
    let path = directory.join(FILE_NAME);
    let me = rustix::process::geteuid().as_raw();
    let mine = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.uid() == me && metadata.mode() & 0o022 == 0);
    (mine(&directory) && mine(&path)).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn profile() -> Profile {
        Profile {
            coordinator: "https://127.0.0.1:7443".into(),
            email: "ada@example.com".into(),
            token: "secret".into(),
            token_id: "0190b6f2-7a3c-7cc2-8f55-0d3a5f1f8a11".into(),
            agent_socket: Some("/run/agent.sock".into()),
            authority: "-----BEGIN CERTIFICATE-----\n".into(),
        }
    }

    #[test]
    fn a_profile_is_its_owners_alone_and_round_trips() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("deep").join(FILE_NAME);
        profile().write(&path).expect("written");
        profile().write(&path).expect("written again");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        let read = Profile::read(&path).expect("read");
        assert_eq!((read.token.as_str(), read.agent_socket), ("secret", Some("/run/agent.sock".into())));
        assert_eq!(fs::read_dir(path.parent().expect("a parent")).expect("listed").count(), 1, "no temporary file stays");
        assert!(!format!("{:?}", profile()).contains("secret"));
    }

    #[test]
    fn a_missing_or_damaged_profile_says_what_to_do() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE_NAME);
        for damage in [None, Some("not toml"), Some("coordinator = 7\n")] {
            if let Some(text) = damage {
                fs::write(&path, text).expect("written");
            }
            let error = Profile::read(&path).expect_err("it is refused");
            let failure = Failure::from_error(&error).expect("it is told");
            assert!(failure.remedy.contains("skybridge login"), "{failure:?}");
        }
    }
}
