//! `cloud ls`, `tree`, `versions` and `trash`: what is there.

use super::path;
use crate::{
    cli::{
        connect::Cloud,
        output::Format,
        text::{self, Table, printable},
    },
    wire::pb,
};

/// The deepest folder that is descended into; deeper than any path that a file system can hold.
const DEPTH_MAX: usize = 2_048;
/// Items asked for at a time.
const PAGE_SIZE: i32 = 1_000;

/// Lists networks, sites or a folder, by how long the path is.
pub(super) async fn list(cloud: &Cloud, output: Format, at: &str) -> anyhow::Result<()> {
    let at = at.trim_matches('/');
    if at.is_empty() {
        let answer = cloud.networks().list_networks(pb::ListNetworksRequest::default()).await?.into_inner();
        return output.print(&answer, |answer| lines(answer.networks.iter().map(|network| &network.name), "you belong to no network"));
    }
    if !at.contains('/') {
        let request = pb::ListSitesRequest { network: at.to_owned() };
        let answer = cloud.networks().list_sites(request).await?.into_inner();
        return output.print(&answer, |answer| lines(answer.sites.iter().map(|site| &site.name), "you belong to no site of this network"));
    }
    let node = path::get(cloud, at).await?;
    let nodes = if path::is_folder(&node) { path::list(cloud, path::by_id(&node)).await? } else { vec![node] };
    output.print(&pb::ListNodesResponse { nodes, next_page_token: String::new() }, |answer| node_table(&answer.nodes))
}

/// Lists a folder with all that is in it, parents before what is in them.
pub(super) async fn tree(cloud: &Cloud, output: Format, at: &str) -> anyhow::Result<()> {
    let top = path::get(cloud, at).await?;
    let nodes = walk(cloud, &top).await?;
    let all: Vec<pb::Node> = nodes.iter().map(|(_, node)| node.clone()).collect();
    output.print(&pb::ListNodesResponse { nodes: all, next_page_token: String::new() }, |_| {
        let mut out = format!("{}\n", printable(&top.path));
        let (mut folders, mut documents, mut bytes) = (0, 0, 0);
        for (depth, node) in &nodes {
            let indent = "  ".repeat(*depth);
            if path::is_folder(node) {
                folders += 1;
                out += &format!("{indent}{}/\n", printable(&node.name));
            } else {
                documents += 1;
                let size = node.content.as_ref().map_or(0, |content| content.size_bytes);
                bytes += size;
                out += &format!("{indent}{}  ({}, version {})\n", printable(&node.name), text::size(size), node.version);
            }
        }
        out + &format!("{}, {}, {}\n", text::count(folders, "folder"), text::count(documents, "document"), text::size(bytes))
    })
}

/// Lists what is in a node, parents first, each with its depth from 1.
pub(super) async fn walk(cloud: &Cloud, top: &pb::Node) -> anyhow::Result<Vec<(usize, pb::Node)>> {
    let mut all = Vec::new();
    let mut waiting = if path::is_folder(top) { vec![(0, top.clone())] } else { Vec::new() };
    while let Some((depth, node)) = waiting.pop() {
        if depth > 0 {
            all.push((depth, node.clone()));
        }
        if path::is_folder(&node) {
            anyhow::ensure!(depth < DEPTH_MAX, "{} is nested too deeply", node.path);
            // Taken from the end, so that the first child comes next.
            let children = path::list(cloud, path::by_id(&node)).await?;
            waiting.extend(children.into_iter().rev().map(|child| (depth + 1, child)));
        }
    }
    Ok(all)
}

/// Lists the versions of a document.
pub(super) async fn versions(cloud: &Cloud, output: Format, at: String) -> anyhow::Result<()> {
    let mut request = pb::ListVersionsRequest { node: Some(path::at(&at)), page_size: PAGE_SIZE, page_token: String::new() };
    let mut answer = pb::ListVersionsResponse::default();
    loop {
        let page = cloud.library().list_versions(request.clone()).await?.into_inner();
        answer.versions.extend(page.versions);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output.print(&answer, |answer| {
        let mut table = Table::new(&[">VERSION", "MADE", "BY", ">SIZE", "NAME"]);
        for version in &answer.versions {
            let by = if version.by_sync { format!("{} (sync)", version.creator_email) } else { version.creator_email.clone() };
            let size = version.content.as_ref().map_or(0, |content| content.size_bytes);
            table.row([version.version.to_string(), text::time(version.create_time.as_ref()), by, text::size(size), version.name.clone()]);
        }
        table.render_or("no versions")
    })
}

/// Lists the trash of a site.
pub(super) async fn trash(cloud: &Cloud, output: Format, site: &str) -> anyhow::Result<()> {
    let nodes = trashed(cloud, site).await?;
    output.print(&pb::ListTrashResponse { nodes, next_page_token: String::new() }, |answer| {
        let mut table = Table::new(&["ID", "WAS AT", "DELETED", "BY", "KEPT UNTIL"]);
        for trashed in &answer.nodes {
            let node = trashed.node.clone().unwrap_or_default();
            let by = if trashed.by_sync { format!("{} (sync)", trashed.deleter_email) } else { trashed.deleter_email.clone() };
            let until = text::time(trashed.expire_time.as_ref());
            table.row([node.node_id, node.path, text::time(trashed.delete_time.as_ref()), by, until]);
        }
        table.render_or("the trash is empty")
    })
}

/// Returns the trash of a site, newest first.
pub(super) async fn trashed(cloud: &Cloud, site: &str) -> anyhow::Result<Vec<pb::TrashedNode>> {
    let (network, site) = path::split_site(site)?;
    let (network, site) = (network.to_owned(), site.to_owned());
    let mut request = pb::ListTrashRequest { network, site, page_size: PAGE_SIZE, page_token: String::new() };
    let mut all = Vec::new();
    loop {
        let page = cloud.library().list_trash(request.clone()).await?.into_inner();
        all.extend(page.nodes);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

fn node_table(nodes: &[pb::Node]) -> String {
    let mut table = Table::new(&["NAME", ">SIZE", ">VERSION", "CHANGED", "BY", "SYNC"]);
    for node in nodes {
        let (name, size, version) = if path::is_folder(node) {
            (format!("{}/", node.name), "-".to_owned(), "-".to_owned())
        } else {
            let size = node.content.as_ref().map_or(0, |content| content.size_bytes);
            (node.name.clone(), text::size(size), node.version.to_string())
        };
        let synced = text::yes(!node.set_id.is_empty()).to_owned();
        table.row([name, size, version, text::time(node.update_time.as_ref()), node.modifier_email.clone(), synced]);
    }
    table.render_or("empty")
}

fn lines<'a>(names: impl Iterator<Item = &'a String>, nothing: &str) -> String {
    let out: String = names.map(|name| printable(name) + "\n").collect();
    if out.is_empty() { format!("{nothing}\n") } else { out }
}
