//! The commands that people use: a file a family, text for people and `--output json` for programs.
//!
//! Owns arguments, printing, exit codes and the stored sign-in. Decides nothing: what is permitted and what happens is said by the
//! services that the commands call.

mod account;
mod admin;
mod cloud;
mod connect;
mod failure;
mod output;
mod profile;
mod progress;
mod quickstart;
mod serve;
mod source_versions;
mod status;
mod sync;
mod text;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};

use failure::{EXIT_DONE, EXIT_USAGE, Failure};

pub use connect::Globals;
pub use output::Format;

/// Keeps chosen content of an on-premise document repository in step with a cloud library, in both directions.
#[derive(Debug, Parser)]
#[command(name = "skybridge", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole thing in a minute: a coordinator and an agent in one process, over a folder of documents
    Quickstart(quickstart::Arguments),
    /// Run the coordinator: the side in the cloud
    Coordinator(serve::Coordinator),
    /// Run or enrol an agent: the side beside the repository
    Agent(serve::Agent),
    /// Sign in to a coordinator
    Login(account::Login),
    /// Forget the sign-in and end its token
    Logout,
    /// Say whether everything is in step, and if not, what and why
    Status(status::Arguments),
    /// Make, show and end syncs of the agent on this machine
    #[command(subcommand)]
    Sync(sync::Command),
    /// List the kept versions of a document at the source
    Versions(source_versions::List),
    /// Put a kept version of a document at the source back
    Restore(source_versions::Restore),
    /// Work with documents and folders in the cloud
    #[command(subcommand)]
    Cloud(cloud::Command),
    /// Administer networks, sites, accounts, agents, quotas and tokens
    #[command(subcommand)]
    Admin(admin::Command),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the program with the arguments of its process, and returns its exit code.
///
/// Not generic: else all of the program would be compiled once more where it is called.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&arguments, &error),
    };
    let json = cli.globals.output == Format::Json;
    let outcome = runtime().and_then(|runtime| {
        let outcome = runtime.block_on(run(cli));
        // What is still blocked, such as a prompt, must not hold up the end.
        runtime.shutdown_background();
        outcome
    });
    match outcome.as_ref().map_err(Failure::from_error) {
        Ok(()) | Err(None) => ExitCode::from(EXIT_DONE),
        Err(Some(failure)) => {
            failure.report(json);
            ExitCode::from(failure.exit())
        }
    }
}

/// Answers a command line that is none: with help if that was asked for, else with what is wrong with it.
fn misunderstood(arguments: &[OsString], error: &clap::Error) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let mut words = arguments.iter().skip_while(|word| *word != "--output" && *word != "--output=json");
    let is_json = words.next().is_some_and(|word| word == "--output=json") || words.next().is_some_and(|word| word == "json");
    if is_json && !asked_for {
        Failure::from_arguments(error).report(true);
    } else {
        // Nothing can be told when even this cannot be printed.
        error.print().ok();
    }
    ExitCode::from(if asked_for { EXIT_DONE } else { EXIT_USAGE })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let globals = &cli.globals;
    match cli.command {
        // These three end in their own orderly way when they are interrupted.
        Command::Quickstart(arguments) => Box::pin(quickstart::run(globals, arguments)).await,
        Command::Coordinator(arguments) => Box::pin(serve::coordinator(arguments)).await,
        Command::Agent(arguments) => Box::pin(serve::agent(globals, arguments)).await,
        Command::Login(arguments) => interruptible(account::login(globals, arguments)).await,
        Command::Logout => interruptible(account::logout(globals)).await,
        Command::Status(arguments) => interruptible(status::run(globals, &arguments)).await,
        Command::Sync(command) => interruptible(sync::run(globals, command)).await,
        Command::Versions(arguments) => interruptible(source_versions::list(globals, arguments)).await,
        Command::Restore(arguments) => interruptible(source_versions::restore(globals, arguments)).await,
        Command::Cloud(command) => interruptible(cloud::run(globals, command)).await,
        Command::Admin(command) => interruptible(admin::run(globals, command)).await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "skybridge", &mut script);
            output::write_out(&script)
        }
    }
}

/// Runs a command that answers and ends; dropping it midway on Ctrl-C leaves nothing half-made.
async fn interruptible(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        outcome = Box::pin(command) => outcome,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err(Failure::failed("interrupted", "").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
