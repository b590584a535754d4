//! `admin …`: networks, sites, accounts, agents, quotas and tokens, as an administrator who signed in.

mod accounts;
mod agents;
mod networks;
mod tokens;

use crate::cli::Globals;

/// What can be administered.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Networks: separate worlds of accounts, sites and quotas
    #[command(subcommand)]
    Network(networks::Network),
    /// Sites, each with a document library
    #[command(subcommand)]
    Site(networks::Site),
    /// Who belongs to a site, and with which role
    #[command(subcommand)]
    Member(networks::Member),
    /// Limits of a network
    #[command(subcommand)]
    Quota(networks::Quota),
    /// Accounts of people and programs
    #[command(subcommand)]
    Account(accounts::Account),
    /// Agents beside repositories
    #[command(subcommand)]
    Agent(agents::Agent),
    /// Tokens with which programs sign in
    #[command(subcommand)]
    Token(tokens::Token),
}

/// Runs a command.
pub(crate) async fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Network(command) => networks::network(globals, command).await,
        Command::Site(command) => networks::site(globals, command).await,
        Command::Member(command) => networks::member(globals, command).await,
        Command::Quota(command) => networks::quota(globals, command).await,
        Command::Account(command) => accounts::run(globals, command).await,
        Command::Agent(command) => agents::run(globals, command).await,
        Command::Token(command) => tokens::run(globals, command).await,
    }
}
