//! `versions` and `restore`: what the agent kept of documents at the source when a sync replaced or deleted them.

use std::path::PathBuf;

use crate::{
    cli::{
        Globals, sync,
        text::{self, Table},
    },
    wire::pb,
};

/// Lists versions.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// A document at the source; one that was deleted too. A folder, for all that was beneath it
    path: PathBuf,
}

/// Puts a version back.
#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// A document at the source; one that was deleted too
    path: PathBuf,
    /// The number of the version, from `versions`
    #[arg(long, value_name = "N")]
    version: u32,
}

/// Lists what was kept.
pub(crate) async fn list(globals: &Globals, arguments: List) -> anyhow::Result<()> {
    let path = sync::absolute(&arguments.path)?;
    let mut agent = globals.agent().await?;
    let answer = agent.list_source_versions(pb::ListSourceVersionsRequest { path }).await?.into_inner();
    globals.output.print(&answer, |answer| {
        let mut table = Table::new(&[">VERSION", "KEPT", ">SIZE", "BECAUSE", "WAS AT"]);
        for version in &answer.versions {
            table.row([
                version.version.to_string(),
                text::time(version.keep_time.as_ref()),
                text::size(version.size_bytes),
                cause(version.cause()).to_owned(),
                text::printable(&version.path).to_string(),
            ]);
        }
        table.render_or("no versions are kept of this: no sync replaced or deleted any of it yet")
    })
}

/// Puts a kept version back.
pub(crate) async fn restore(globals: &Globals, arguments: Restore) -> anyhow::Result<()> {
    let path = sync::absolute(&arguments.path)?;
    let mut agent = globals.agent().await?;
    let request = pb::RestoreSourceVersionRequest { path, version: arguments.version };
    let answer = agent.restore_source_version(request).await?.into_inner();
    globals.output.print(&answer, |answer| format!("version {} is back: {}\n", arguments.version, text::printable(&answer.path)))
}

const fn cause(cause: pb::SourceVersionCause) -> &'static str {
    match cause {
        pb::SourceVersionCause::Unspecified => "",
        pb::SourceVersionCause::Replaced => "a change from the cloud replaced it",
        pb::SourceVersionCause::Conflict => "both sides had changed it, and the cloud's won",
        pb::SourceVersionCause::Deleted => "a delete in the cloud deleted it",
        pb::SourceVersionCause::WrittenMeanwhile => "it was written while a change from the cloud was put in place",
        pb::SourceVersionCause::Locked => "it was changed although its sync locks it",
        pb::SourceVersionCause::RestoredOver => "restoring another version replaced it",
    }
}
