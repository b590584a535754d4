//! `admin token …`: how programs sign in.

use std::time::Duration;

use crate::{
    cli::{
        Globals,
        text::{self, Table, printable},
    },
    wire::pb,
};

/// Tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Token {
    /// Create a token and print it, this once
    Create {
        #[command(flatten)]
        whose: Whose,
        /// What lists call it
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        label: String,
        /// What it may be used for: all that the account may; documents and folders; only reading them
        #[arg(long, value_parser = ["full", "library", "read"], default_value = "full")]
        scope: String,
        /// How long it works, such as 90d or 12h
        #[arg(long, value_name = "SPAN", value_parser = text::parse_span, default_value = "90d")]
        lifetime: Duration,
    },
    /// List tokens that still work, without their secrets
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// End a token at once
    Revoke {
        /// Its id, from the list
        token: String,
    },
}

/// Whose tokens.
#[derive(Debug, clap::Args)]
pub(crate) struct Whose {
    /// A program's account [default: your own]
    #[arg(long, value_name = "EMAIL", requires = "network", default_value = "", hide_default_value = true)]
    account: String,
    /// The network that the program's account belongs to
    #[arg(long, requires = "account", default_value = "", hide_default_value = true)]
    network: String,
}

/// Runs `admin token …`.
pub(super) async fn run(globals: &Globals, command: Token) -> anyhow::Result<()> {
    let cloud = globals.cloud().await?;
    match command {
        Token::Create { whose, label, scope, lifetime } => {
            let scope = pb::TokenScope::from_str_name(&format!("TOKEN_SCOPE_{}", scope.to_uppercase())).unwrap_or_default();
            let lifetime = prost_types::Duration::try_from(lifetime)?;
            let Whose { account: email, network } = whose;
            let request = pb::CreateTokenRequest { email, network, label, scope: scope.into(), lifetime: Some(lifetime) };
            let answer = cloud.accounts().create_token(request).await?.into_inner();
            // Only the secret, so that `TOKEN=$(skybridge admin token create …)` works.
            globals.output.print(&answer, |answer| format!("{}\n", printable(&answer.token)))
        }
        Token::List { whose } => {
            let request = pb::ListTokensRequest { email: whose.account, network: whose.network };
            let answer = cloud.accounts().list_tokens(request).await?.into_inner();
            globals.output.print(&answer, |answer| {
                let mut table = Table::new(&["ID", "ACCOUNT", "LABEL", "SCOPE", "MADE", "ENDS"]);
                for token in &answer.tokens {
                    table.row([
                        token.token_id.clone(),
                        token.email.clone(),
                        token.label.clone(),
                        token.scope().as_str_name().trim_start_matches("TOKEN_SCOPE_").to_lowercase(),
                        text::time(token.create_time.as_ref()),
                        text::time(token.expire_time.as_ref()),
                    ]);
                }
                table.render_or("no tokens")
            })
        }
        Token::Revoke { token } => {
            let answer = cloud.accounts().revoke_token(pb::RevokeTokenRequest { token_id: token }).await?.into_inner();
            globals.output.print(&answer, |_| "the token has ended\n".to_owned())
        }
    }
}
