//! `cloud get` and `cat`: bytes from the cloud.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;

use super::{
    destination::{Destination, Draft},
    path, show,
};
use crate::{
    cli::{
        connect::Cloud,
        failure::Failure,
        output::{self, Format},
        progress::{Progress, Standing},
        text,
    },
    model::Name,
    task,
    wire::pb,
};

/// Documents moved at the same time: hides the latency of small ones without crowding a coordinator.
pub(super) const PARALLEL: usize = 8;

/// Downloads.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A document, or with -r a folder
    path: String,
    /// A folder to put it into, or its new path
    #[arg(default_value = ".")]
    destination: PathBuf,
    /// A folder with all that is in it
    #[arg(short, long)]
    recursive: bool,
    /// Replace documents that are there already
    #[arg(short, long)]
    force: bool,
    /// An older version of a document
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, conflicts_with = "recursive")]
    version: u32,
}

/// What a transfer came to.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct Summary {
    /// Documents moved.
    pub(super) documents: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Where to.
    pub(super) destination: String,
    /// What could not be moved, and why.
    pub(super) failures: Vec<ItemFailure>,
}

/// What could not be moved.
#[derive(Debug, serde::Serialize)]
pub(super) struct ItemFailure {
    /// Its path.
    pub(super) path: String,
    /// Why.
    pub(super) message: String,
}

impl ItemFailure {
    /// Describes a failure as commands tell it.
    pub(super) fn new(path: impl Into<String>, error: &anyhow::Error) -> Self {
        let message = Failure::from_error(error).map_or_else(|| error.to_string(), |failure| failure.message);
        Self { path: path.into(), message }
    }
}

impl Summary {
    /// Prints what was done; fails when something was not.
    pub(super) fn print(&self, output: Format, done: &str) -> anyhow::Result<()> {
        output.print_value(self, || {
            let failures: String = self
                .failures
                .iter()
                .map(|failure| format!("failed {}: {}\n", text::printable(&failure.path), text::printable(&failure.message)))
                .collect();
            let moved = text::count(self.documents, "document");
            format!("{failures}{done} {moved}, {}, to {}\n", text::size(self.bytes), text::printable(&self.destination))
        })?;
        match self.failures.first() {
            None => Ok(()),
            Some(first) => {
                let failed = text::count(self.failures.len() as u64, "item");
                let message = format!("{failed} failed, the first was {}: {}", first.path, first.message);
                Err(Failure::failed(message, "the others are done; run it again for the rest").into())
            }
        }
    }
}

/// Writes a document to standard output.
pub(super) async fn cat(cloud: &Cloud, at: &str, version: u32) -> anyhow::Result<()> {
    let request = pb::ReadDocumentRequest { node: Some(path::at(at)), version, offset: 0, length: 0 };
    let mut parts = cloud.library().read_document(request).await?.into_inner();
    while let Some(part) = parts.message().await? {
        output::write_out(&part.data)?;
    }
    Ok(())
}

/// Downloads a document or a folder.
pub(super) async fn run(cloud: &Cloud, output: Format, arguments: Arguments) -> anyhow::Result<()> {
    let node = path::get(cloud, &arguments.path).await.with_context(|| arguments.path.clone())?;
    if path::is_folder(&node) && !arguments.recursive {
        return Err(Failure::usage(format!("{} is a folder", node.path), "download it with all that is in it with -r").into());
    }
    let (folder, name) = landing(&node, &arguments.destination)?;
    let progress = Progress::new("downloading", output);
    let mut summary = Summary { destination: arguments.destination.display().to_string(), ..Summary::default() };
    if path::is_folder(&node) {
        let top = folder.enter(&[name]).with_context(|| arguments.destination.display().to_string())?;
        summary.failures = get_folder(cloud, &node, &top, arguments.force, &progress).await?;
    } else {
        progress.add(expected(&node));
        get_document(cloud, &node, arguments.version, &folder, &name, arguments.force, &progress).await?;
    }
    let done = progress.finish();
    (summary.documents, summary.bytes) = (done.items_done, done.bytes_done);
    summary.print(output, "downloaded")
}

/// Where a download goes: into the folder at `destination` under its own name, or to that path itself.
fn landing(node: &pb::Node, destination: &Path) -> anyhow::Result<(Destination, Name)> {
    let what = || format!("cannot write to {}", destination.display());
    if destination.is_dir() {
        let name = Name::new(node.name.clone()).with_context(|| format!("the name {:?} cannot be used here", node.name))?;
        return Ok((Destination::open(destination).with_context(what)?, name));
    }
    let name = destination.file_name().and_then(|name| name.to_str()).context("the destination has no name").with_context(what)?;
    let parent = destination.parent().unwrap_or(Path::new("."));
    Ok((Destination::open(parent).with_context(what)?, Name::new(name).with_context(what)?))
}

async fn get_folder(
    cloud: &Cloud,
    top: &pb::Node,
    destination: &Destination,
    replace: bool,
    progress: &Progress,
) -> anyhow::Result<Vec<ItemFailure>> {
    let nodes = show::walk(cloud, top).await?;
    for (_, node) in nodes.iter().filter(|(_, node)| !path::is_folder(node)) {
        progress.add(expected(node));
    }
    // The names from the top down to the node at hand: nodes come parents first.
    let mut names: Vec<Name> = Vec::new();
    let mut failures = Vec::new();
    let mut documents = Vec::new();
    // Below a folder that could not be made nothing is tried; its depth stands here.
    let mut skipped_below = usize::MAX;
    for (depth, node) in &nodes {
        if *depth > skipped_below {
            continue;
        }
        skipped_below = usize::MAX;
        names.truncate(depth - 1);
        let placed = Name::new(node.name.clone()).map_err(anyhow::Error::from).and_then(|name| {
            names.push(name.clone());
            if path::is_folder(node) {
                destination.enter(&names)?;
            }
            Ok(name)
        });
        match placed {
            Ok(name) if !path::is_folder(node) => documents.push((node, names[..depth - 1].to_vec(), name)),
            Ok(_) => {}
            Err(error) => {
                failures.push(ItemFailure::new(&node.path, &error));
                skipped_below = *depth;
            }
        }
    }
    let outcomes: Vec<Option<ItemFailure>> = futures::stream::iter(documents)
        .map(|(node, folder, name)| async move {
            let got = async {
                let folder = destination.enter(&folder)?;
                get_document(cloud, node, 0, &folder, &name, replace, progress).await
            };
            got.await.err().map(|error| ItemFailure::new(&node.path, &error))
        })
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    failures.extend(outcomes.into_iter().flatten());
    Ok(failures)
}

fn expected(node: &pb::Node) -> Standing {
    let bytes_total = node.content.as_ref().map_or(0, |content| content.size_bytes);
    Standing { items_total: 1, bytes_total, ..Standing::default() }
}

async fn get_document(
    cloud: &Cloud,
    node: &pb::Node,
    version: u32,
    folder: &Destination,
    name: &Name,
    replace: bool,
    progress: &Progress,
) -> anyhow::Result<()> {
    let shown = folder.path().join(name.as_str());
    let draft = folder.draft(name).with_context(|| format!("cannot write {}", shown.display()))?;
    let request = pb::ReadDocumentRequest { node: Some(path::by_id(node)), version, offset: 0, length: 0 };
    let parts = cloud.library().read_document(request).await?.into_inner();
    write_parts(&draft, parts, progress).await?;
    let committed = task::blocking("flush a document", move || draft.commit(replace)).await?;
    committed.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let remedy = "give another destination, or replace it with --force";
            Failure::failed(format!("{} is there already", shown.display()), remedy).coded("ALREADY_EXISTS").into()
        }
        _ => anyhow::Error::new(error).context(format!("cannot write {}", shown.display())),
    })?;
    progress.add(Standing { items_done: 1, ..Standing::default() });
    Ok(())
}

async fn write_parts(draft: &Draft, mut parts: tonic::Streaming<pb::ReadDocumentResponse>, progress: &Progress) -> anyhow::Result<()> {
    let mut file = tokio::fs::File::from_std(draft.file()?);
    while let Some(part) = parts.try_next().await? {
        file.write_all(&part.data).await?;
        progress.add(Standing { bytes_done: part.data.len() as u64, ..Standing::default() });
    }
    Ok(file.flush().await?)
}
