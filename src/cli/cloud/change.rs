//! `cloud mkdir`, `mv`, `cp`, `rm` and `restore`: changes that need no bytes.

use anyhow::Context as _;

use super::{path, show};
use crate::{
    cli::{
        connect::Cloud,
        failure::Failure,
        output::Format,
        text::{self, printable},
    },
    model::Reason,
    wire::pb,
};

/// Prints nodes that were changed: their paths, or as JSON the whole of them.
fn print(output: Format, what: &str, nodes: Vec<pb::Node>) -> anyhow::Result<()> {
    output.print(&pb::ListNodesResponse { nodes, next_page_token: String::new() }, |answer| {
        answer.nodes.iter().map(|node| format!("{what} {}\n", printable(&node.path))).collect()
    })
}

/// A fresh id that makes a call repeatable.
pub(super) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Makes folders.
pub(super) async fn make_folders(cloud: &Cloud, output: Format, paths: Vec<String>, parents: bool) -> anyhow::Result<()> {
    let mut made = Vec::new();
    for at in &paths {
        made.extend(make_folder(cloud, at, parents).await.with_context(|| at.clone())?);
    }
    print(output, "made", made)
}

/// Makes one folder; with `parents` those above it, and one that is there is as good.
pub(super) async fn make_folder(cloud: &Cloud, at: &str, parents: bool) -> anyhow::Result<Option<pb::Node>> {
    let (folder, name) = path::split(at)?;
    let request = pb::CreateFolderRequest {
        parent: Some(path::at(folder)),
        name: name.to_owned(),
        create_parents: parents,
        request_id: request_id(),
    };
    match cloud.library().create_folder(request).await {
        Ok(answer) => Ok(answer.into_inner().node),
        Err(status) if parents && status.code() == tonic::Code::AlreadyExists => match path::find(cloud, at).await? {
            Some(node) if path::is_folder(&node) => Ok(Some(node)),
            _ => Err(status.into()),
        },
        Err(status) => Err(status.into()),
    }
}

/// Moves or renames.
pub(super) async fn rename(cloud: &Cloud, output: Format, from: String, to: String) -> anyhow::Result<()> {
    let node = path::get(cloud, &from).await.with_context(|| from.clone())?;
    let (parent, name) = renamed(cloud, &node, &to).await?;
    let request = pb::MoveNodeRequest { node: Some(path::by_id(&node)), parent: Some(parent), name, etag: String::new() };
    let answer = cloud.library().move_node(request).await.with_context(|| format!("{from} to {to}"))?.into_inner();
    print(output, "moved to", answer.node.into_iter().collect())
}

/// Where a node goes. A path that is the node's own, but for its spelling, is a new name and not a folder to move it into.
async fn renamed(cloud: &Cloud, node: &pb::Node, to: &str) -> anyhow::Result<(pb::NodeName, String)> {
    match path::find(cloud, to).await? {
        Some(there) if path::is_folder(&there) && there.node_id != node.node_id => Ok((path::by_id(&there), node.name.clone())),
        _ => {
            let (folder, name) = path::split(to)?;
            Ok((path::at(folder), name.to_owned()))
        }
    }
}

/// Copies.
pub(super) async fn copy(cloud: &Cloud, output: Format, from: String, to: String) -> anyhow::Result<()> {
    let node = path::get(cloud, &from).await.with_context(|| from.clone())?;
    let (parent, name) = path::landing(cloud, &to, &node.name).await?;
    let request = pb::CopyNodeRequest { node: Some(path::by_id(&node)), parent: Some(parent), name, request_id: request_id() };
    let answer = cloud.library().copy_node(request).await.with_context(|| format!("{from} to {to}"))?.into_inner();
    print(output, "copied to", answer.node.into_iter().collect())
}

/// Moves nodes to the trash.
pub(super) async fn remove(cloud: &Cloud, output: Format, paths: Vec<String>, recursive: bool) -> anyhow::Result<()> {
    let mut nodes = Vec::new();
    for at in &paths {
        let node = path::get(cloud, at).await.with_context(|| at.clone())?;
        if path::is_folder(&node) && !recursive {
            return Err(Failure::usage(format!("{at} is a folder; nothing was deleted"), "delete it with all that is in it with -r").into());
        }
        nodes.push(node);
    }
    let mut library = cloud.library();
    for node in &nodes {
        let request = pb::DeleteNodeRequest { node: Some(path::by_id(node)), etag: String::new() };
        library.delete_node(request).await.with_context(|| node.path.clone())?;
    }
    print(output, "moved to the trash:", nodes)
}

/// Makes an old version the newest, or brings back what was deleted last at a path.
pub(super) async fn restore(cloud: &Cloud, output: Format, at: String, version: Option<u32>) -> anyhow::Result<()> {
    let Some(version) = version else {
        return restore_deleted(cloud, output, &at).await;
    };
    let request = pb::RestoreVersionRequest { node: Some(path::at(&at)), version };
    let answer = cloud.library().restore_version(request).await.with_context(|| at.clone())?.into_inner();
    print(output, "restored", answer.node.into_iter().collect())
}

async fn restore_deleted(cloud: &Cloud, output: Format, at: &str) -> anyhow::Result<()> {
    let at = at.trim_matches('/');
    let (folder, _) = path::split(at)?;
    let site: Vec<&str> = folder.splitn(3, '/').take(2).collect();
    let site = site.join("/");
    let trashed = show::trashed(cloud, &site).await?;
    let found = trashed.into_iter().filter_map(|trashed| trashed.node).find(|node| node.path == at);
    let Some(node) = found else {
        let remedy = format!("see `skybridge cloud trash {site}`, or give --version N to restore a version");
        return Err(Failure::failed(format!("nothing in the trash was at {at}"), remedy).coded("NOT_FOUND").into());
    };
    let restored = restore_node(cloud, output, &site, node.node_id.clone(), None, String::new()).await;
    restored.map_err(|error| match Failure::from_error(&error) {
        Some(mut failure) if failure.reason == Reason::TargetFolderMissing.code() => {
            let id = &node.node_id;
            failure.message = format!("the folder of {at} is gone");
            failure.remedy = format!("restore that first, or name one: `skybridge cloud trash {site} --restore {id} --to PATH`");
            failure.into()
        }
        _ => error,
    })
}

/// Brings a node back from the trash.
pub(super) async fn restore_node(
    cloud: &Cloud,
    output: Format,
    site: &str,
    node_id: String,
    to: Option<String>,
    name: String,
) -> anyhow::Result<()> {
    let (network, _) = path::split_site(site)?;
    let parent = to.as_deref().map(path::at);
    let request = pb::RestoreNodeRequest { network: network.to_owned(), node_id, parent, name };
    let answer = cloud.library().restore_node(request).await?.into_inner();
    print(output, "restored", answer.node.into_iter().collect())
}

/// Removes a node from the trash for good; without an id everything that is there.
pub(super) async fn empty_trash(cloud: &Cloud, output: Format, site: &str, node_id: String) -> anyhow::Result<()> {
    let (network, site) = path::split_site(site)?;
    let request = pb::EmptyTrashRequest { network: network.to_owned(), site: site.to_owned(), node_id };
    let answer = cloud.library().empty_trash(request).await?.into_inner();
    output.print(&answer, |answer| format!("removed for good: {}\n", text::count(answer.node_count, "item")))
}
