//! `login` and `logout`: a token instead of a password between commands.

use std::{
    io::{BufRead as _, IsTerminal as _},
    path::PathBuf,
};

use anyhow::Context as _;

use crate::{
    cli::{
        Globals,
        connect::Cloud,
        failure::Failure,
        profile::{self, Profile},
        text,
    },
    net::channel::Trust,
    task,
    wire::pb,
};

/// Signs in.
#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// The account's address
    email: String,
    /// The coordinator's address, such as https://sync.example.com:7443 [default: the one of the last sign-in]
    #[arg(long, value_name = "URL")]
    coordinator: Option<String>,
    /// The coordinator's certificate authority: the file tls/ca.pem of its data directory
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    authority: Option<PathBuf>,
    /// The SHA-256 fingerprint of the coordinator's certificate authority, as the coordinator prints it when it starts
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    #[command(flatten)]
    password: Password,
}

/// Where a password comes from.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(skip)]
pub(crate) struct Password {
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl Password {
    /// Asks for a password, or reads it from standard input. It is never an argument: those can be seen by everybody on the machine.
    pub(crate) async fn read(self, prompt: String) -> anyhow::Result<String> {
        let from_stdin = self.password_stdin;
        if !from_stdin && !std::io::stdin().is_terminal() {
            return Err(
                Failure::usage("there is no terminal to ask for the password", "give it on standard input with --password-stdin").into()
            );
        }
        let read = move || {
            if !from_stdin {
                return rpassword::prompt_password(prompt);
            }
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            Ok(line.trim_end_matches(['\r', '\n']).to_owned())
        };
        let password = task::blocking("read a password", read).await?.context("cannot read the password")?;
        if password.is_empty() { Err(Failure::usage("the password is empty", "").into()) } else { Ok(password) }
    }
}

/// Signs in and keeps the token.
pub(crate) async fn login(globals: &Globals, arguments: Login) -> anyhow::Result<()> {
    let destination = profile::destination(globals.profile.as_deref())?;
    let before = Profile::read(&destination).ok();
    let address = arguments.coordinator.or_else(|| Some(before.as_ref()?.coordinator.clone())).ok_or_else(|| {
        Failure::usage(
            "no coordinator is known yet",
            "name it with --coordinator https://HOST:PORT and --authority FILE or --fingerprint HEX",
        )
    })?;
    let known = before.as_ref().filter(|before| before.coordinator == address);
    let authority = match (arguments.authority, arguments.fingerprint, known) {
        (Some(file), ..) => tokio::fs::read_to_string(&file)
            .await
            .map_err(|error| Failure::usage(format!("cannot read the certificate authority {}: {error}", file.display()), ""))?,
        (None, Some(fingerprint), _) => super::connect::authority_of(&address, &fingerprint).await?,
        (None, None, Some(known)) => known.authority.clone(),
        (None, None, None) => {
            let remedy = "name its certificate authority with --authority FILE or --fingerprint HEX";
            return Err(
                Failure::usage(format!("{address} is not known yet, and a password is sent only to whom it is meant for"), remedy).into()
            );
        }
    };
    let cloud = Cloud::connect(&address, Trust::Authority(authority.clone()), None).await?;
    let password = arguments.password.read(format!("Password of {}: ", text::printable(&arguments.email))).await?;
    let request = pb::SignInRequest { email: arguments.email, password, label: label() };
    let answer = cloud.accounts().sign_in(request).await.map_err(|status| match status.code() {
        // The usual advice, to sign in, is what is being done.
        tonic::Code::Unauthenticated => anyhow::Error::new(Failure::failed(status.message(), "")),
        _ => status.into(),
    })?;
    let answer = answer.into_inner();
    let email = answer.account.as_ref().map(|account| account.email.clone()).unwrap_or_default();
    let profile = Profile {
        coordinator: address,
        email,
        token: answer.token.clone(),
        token_id: answer.token_id.clone(),
        agent_socket: before.and_then(|before| before.agent_socket),
        authority,
    };
    profile.write(&destination)?;
    // The token itself is in the file and nowhere else.
    let shown = pb::SignInResponse { token: String::new(), ..answer };
    globals.output.print(&shown, |answer| {
        format!("signed in as {} until {}\n", text::printable(&profile.email), text::time(answer.expire_time.as_ref()))
    })
}

/// Ends the token and forgets the sign-in.
pub(crate) async fn logout(globals: &Globals) -> anyhow::Result<()> {
    let path = profile::find(globals.profile.as_deref())?;
    let profile = Profile::read(&path)?;
    let revoked = async {
        let cloud = Cloud::connect(&profile.coordinator, Trust::Authority(profile.authority.clone()), Some(&profile.token)).await?;
        cloud.accounts().revoke_token(pb::RevokeTokenRequest { token_id: profile.token_id.clone() }).await?;
        anyhow::Ok(())
    }
    .await;
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    revoked.context("the sign-in is forgotten here, but its token could not be ended and works until it expires")?;
    globals.output.print(&pb::RevokeTokenResponse {}, |_| "signed out\n".to_owned())
}

/// What lists of tokens call this sign-in.
fn label() -> String {
    let host = rustix::system::uname();
    format!("command line on {}", host.nodename().to_string_lossy()).chars().take(50).collect()
}
