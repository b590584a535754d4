//! Paths in the cloud, as people type them: NETWORK/SITE/FOLDER/…/NAME.

use crate::{
    cli::{connect::Cloud, failure::Failure},
    wire::pb::{self, node_name},
};

/// Nodes asked for at a time.
const PAGE_SIZE: i32 = 1_000;

/// Names a node by its path.
pub(super) fn at(path: &str) -> pb::NodeName {
    pb::NodeName { kind: Some(node_name::Kind::Path(path.trim_matches('/').to_owned())) }
}

/// Splits a path below a document library into its folder and its name.
pub(super) fn split(path: &str) -> anyhow::Result<(&str, &str)> {
    match path.trim_matches('/').rsplit_once('/') {
        Some((folder, name)) if folder.contains('/') => Ok((folder, name)),
        _ => Err(Failure::usage(format!("{path} names no document or folder"), "give it as NETWORK/SITE/NAME").into()),
    }
}

/// Splits NETWORK/SITE.
pub(crate) fn split_site(site: &str) -> anyhow::Result<(&str, &str)> {
    match site.trim_matches('/').split_once('/') {
        Some((network, site)) if !site.contains('/') && !site.is_empty() => Ok((network, site)),
        _ => Err(Failure::usage(format!("{site} names no site"), "give it as NETWORK/SITE").into()),
    }
}

/// Gets a node.
pub(super) async fn get(cloud: &Cloud, path: &str) -> anyhow::Result<pb::Node> {
    let request = pb::GetNodeRequest { node: Some(at(path)) };
    let answer = cloud.library().get_node(request).await?.into_inner();
    answer.node.ok_or_else(|| anyhow::anyhow!("the coordinator sent no node"))
}

/// Gets a node, or `None` if there is none.
pub(super) async fn find(cloud: &Cloud, path: &str) -> anyhow::Result<Option<pb::Node>> {
    match cloud.library().get_node(pb::GetNodeRequest { node: Some(at(path)) }).await {
        Ok(answer) => Ok(answer.into_inner().node),
        Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

/// Lists what is in a folder: all of it.
pub(super) async fn list(cloud: &Cloud, folder: pb::NodeName) -> anyhow::Result<Vec<pb::Node>> {
    let mut request = pb::ListNodesRequest { parent: Some(folder), page_size: PAGE_SIZE, page_token: String::new() };
    let mut library = cloud.library();
    let mut all = Vec::new();
    loop {
        let page = library.list_nodes(request.clone()).await?.into_inner();
        all.extend(page.nodes);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

/// Names a node by its id, which a rename meanwhile does not change. The network is the first part of its path.
pub(super) fn by_id(node: &pb::Node) -> pb::NodeName {
    let network = node.path.split('/').next().unwrap_or_default().to_owned();
    pb::NodeName { kind: Some(node_name::Kind::Id(pb::NodeId { network, node_id: node.node_id.clone() })) }
}

/// Whether it is a folder.
pub(super) fn is_folder(node: &pb::Node) -> bool {
    node.kind() == pb::NodeKind::Folder
}

/// Where something goes that a person wants at a path: into the folder there, under its own name, or to that path itself.
pub(super) async fn landing(cloud: &Cloud, to: &str, own_name: &str) -> anyhow::Result<(pb::NodeName, String)> {
    match find(cloud, to).await? {
        Some(node) if is_folder(&node) => Ok((by_id(&node), own_name.to_owned())),
        _ => {
            let (folder, name) = split(to)?;
            Ok((at(folder), name.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_where_libraries_begin() {
        assert_eq!(split("acme/docs/a/b.txt").expect("a path"), ("acme/docs/a", "b.txt"));
        assert_eq!(split("/acme/docs/a/").expect("a path"), ("acme/docs", "a"));
        assert!(split("acme/docs").is_err(), "a document library has no folder above it");
        assert_eq!(split_site("acme/docs/").expect("a site"), ("acme", "docs"));
        assert!(split_site("acme").is_err() && split_site("acme/docs/a").is_err());
    }
}
