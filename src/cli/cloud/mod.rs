//! `cloud …`: documents and folders in the cloud, as the person who signed in.

mod change;
mod destination;
mod get;
mod path;
mod put;
mod show;
mod values;

use std::path::PathBuf;

use crate::{
    cli::{Globals, connect::Cloud},
    wire::pb,
};

pub(crate) use path::split_site;

/// What can be done in the cloud. A PATH is NETWORK/SITE/FOLDER/…/NAME.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List a folder; without a path the networks, with NETWORK its sites
    Ls {
        /// What to list
        path: Option<String>,
    },
    /// List a folder with all that is in it
    Tree {
        /// The folder
        path: String,
    },
    /// Write a document to standard output (its bytes, with --output json too)
    Cat {
        /// The document
        path: String,
        /// An older version
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        version: u32,
    },
    /// Download a document, or with -r a folder
    Get(get::Arguments),
    /// Upload documents, or with -r folders
    Put(put::Arguments),
    /// Make folders
    Mkdir {
        /// The folders
        #[arg(required = true)]
        paths: Vec<String>,
        /// Make those above as well, and do not mind if a folder is there
        #[arg(short, long)]
        parents: bool,
    },
    /// Move or rename
    Mv {
        /// What to move
        from: String,
        /// A folder to move it into, or its new path
        to: String,
    },
    /// Copy
    Cp {
        /// What to copy
        from: String,
        /// A folder to copy it into, or the copy's path
        to: String,
    },
    /// Move to the trash
    Rm {
        /// What to delete
        #[arg(required = true)]
        paths: Vec<String>,
        /// Folders with all that is in them, too
        #[arg(short, long)]
        recursive: bool,
    },
    /// Show or change properties, such as cm:title
    Set {
        /// A document or folder
        path: String,
        /// cm:author=Ada, cm:title.de_DE=Bericht; nothing after = removes. None: show what is set
        #[arg(value_name = "PROPERTY=VALUE")]
        assignments: Vec<String>,
    },
    /// List the versions of a document
    Versions {
        /// The document
        path: String,
    },
    /// Make an old version the newest, or bring back what was deleted
    Restore {
        /// The document, or where it was when it was deleted
        path: String,
        /// The version; without one, what was deleted last at this path comes back from the trash
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
    /// List the trash of a site, bring back what is in it, or remove it for good
    Trash {
        /// The site
        #[arg(value_name = "NETWORK/SITE")]
        site: String,
        /// Bring the node with this id back
        #[arg(long, value_name = "ID")]
        restore: Option<String>,
        /// The folder to bring it back to [default: where it was]
        #[arg(long, value_name = "PATH", requires = "restore")]
        to: Option<String>,
        /// The name to bring it back with [default: the one that it had]
        #[arg(long, value_name = "NAME", requires = "restore")]
        name: Option<String>,
        /// Remove the node with this id for good, with all its versions: there is no way back
        #[arg(long, value_name = "ID", conflicts_with = "restore")]
        purge: Option<String>,
        /// Remove everything in it for good: there is no way back
        #[arg(long, conflicts_with_all = ["restore", "purge"])]
        empty: bool,
    },
}

/// Runs a command.
pub(crate) async fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    let cloud = globals.cloud().await?;
    let output = globals.output;
    match command {
        Command::Ls { path } => show::list(&cloud, output, path.as_deref().unwrap_or("")).await,
        Command::Tree { path } => show::tree(&cloud, output, &path).await,
        Command::Cat { path, version } => get::cat(&cloud, &path, version).await,
        Command::Get(arguments) => get::run(&cloud, output, arguments).await,
        Command::Put(arguments) => put::run(&cloud, output, arguments).await,
        Command::Mkdir { paths, parents } => change::make_folders(&cloud, output, paths, parents).await,
        Command::Mv { from, to } => change::rename(&cloud, output, from, to).await,
        Command::Cp { from, to } => change::copy(&cloud, output, from, to).await,
        Command::Rm { paths, recursive } => change::remove(&cloud, output, paths, recursive).await,
        Command::Set { path, assignments } => values::run(&cloud, output, path, &assignments).await,
        Command::Versions { path } => show::versions(&cloud, output, path).await,
        Command::Restore { path, version } => change::restore(&cloud, output, path, version).await,
        Command::Trash { site, restore: Some(node_id), to, name, .. } => {
            change::restore_node(&cloud, output, &site, node_id, to, name.unwrap_or_default()).await
        }
        Command::Trash { site, purge: Some(node_id), .. } => change::empty_trash(&cloud, output, &site, node_id).await,
        Command::Trash { site, empty: true, .. } => change::empty_trash(&cloud, output, &site, String::new()).await,
        Command::Trash { site, .. } => show::trash(&cloud, output, &site).await,
    }
}

/// The last part of a local path, as a name in the cloud.
fn local_name(path: &std::path::Path) -> anyhow::Result<String> {
    // A path such as ".." has a name only once it is resolved.
    let resolved: PathBuf = if path.file_name().is_some() { path.to_owned() } else { path.canonicalize()? };
    match resolved.file_name().map(|name| name.to_str()) {
        Some(Some(name)) => Ok(name.to_owned()),
        _ => anyhow::bail!("{} has no name that can be used in the cloud", path.display()),
    }
}

/// Lists what is in a folder of the cloud, all the way down.
pub(crate) async fn tree_of(cloud: &Cloud, at: &str) -> anyhow::Result<Vec<pb::Node>> {
    let top = path::get(cloud, at).await?;
    Ok(show::walk(cloud, &top).await?.into_iter().map(|(_, node)| node).collect())
}

/// Reads a document's newest bytes.
pub(crate) async fn read(cloud: &Cloud, node: &pb::Node) -> anyhow::Result<tonic::Streaming<pb::ReadDocumentResponse>> {
    let request = pb::ReadDocumentRequest { node: Some(path::by_id(node)), version: 0, offset: 0, length: 0 };
    Ok(cloud.library().read_document(request).await?.into_inner())
}
