//! The proof at the end: what is in the cloud is what is at the source, byte for byte.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    cli::{cloud, connect::Cloud},
    task,
    wire::pb,
};

/// Documents compared at the same time.
const PARALLEL: usize = 8;

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Documents that are equal.
    pub(super) documents: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// What differs, and how.
    pub(super) differences: Vec<String>,
}

/// Compares a folder with its copy in the cloud.
pub(super) async fn compare(cloud: &Cloud, folder: &Path, target: &str) -> anyhow::Result<Comparison> {
    let root = folder.to_owned();
    let here = task::blocking("list the source", move || list(&root)).await?.with_context(|| folder.display().to_string())?;
    let mut there: BTreeMap<String, pb::Node> = BTreeMap::new();
    for node in cloud::tree_of(cloud, target).await? {
        let relative = node.path.strip_prefix(target).unwrap_or(&node.path).trim_start_matches('/').to_owned();
        there.insert(relative, node);
    }
    let mut found = Comparison::default();
    let mut pairs = Vec::new();
    for (relative, path) in here {
        match (there.remove(&relative), path) {
            (None, _) => found.differences.push(format!("{relative} is not in the cloud")),
            (Some(node), Some(path)) if node.kind() == pb::NodeKind::Document => pairs.push((relative, path, node)),
            (Some(node), None) if node.kind() == pb::NodeKind::Folder => {}
            (Some(_), _) => found.differences.push(format!("{relative} is a folder on one side only")),
        }
    }
    found.differences.extend(there.into_keys().map(|relative| format!("{relative} is only in the cloud")));
    let mut outcomes = futures::stream::iter(pairs)
        .map(|(relative, path, node)| async move { anyhow::Ok((relative, same_bytes(cloud, path, &node).await?)) })
        .buffer_unordered(PARALLEL);
    while let Some((relative, size)) = outcomes.try_next().await? {
        match size {
            Some(size) => {
                found.documents += 1;
                found.bytes += size;
            }
            None => found.differences.push(format!("{relative} has other bytes in the cloud")),
        }
    }
    Ok(found)
}

/// Lists what is below a folder: documents with their paths, folders with none. Only what can be synced: no links, no special files.
fn list(root: &Path) -> io::Result<Vec<(String, Option<PathBuf>)>> {
    let mut all = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if kind.is_dir() {
                all.push((relative, None));
                waiting.push(path);
            } else if kind.is_file() {
                all.push((relative, Some(path)));
            }
        }
    }
    Ok(all)
}

/// Returns the length of a document whose bytes are equal on both sides.
async fn same_bytes(cloud: &Cloud, path: PathBuf, node: &pb::Node) -> anyhow::Result<Option<u64>> {
    let here = task::blocking("hash a document", move || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs::File::open(&path)?)?;
        io::Result::Ok((hasher.finalize(), hasher.count()))
    });
    let there = async {
        let mut hasher = blake3::Hasher::new();
        let mut parts = cloud::read(cloud, node).await?;
        while let Some(part) = parts.try_next().await? {
            hasher.update(&part.data);
        }
        anyhow::Ok((hasher.finalize(), hasher.count()))
    };
    let (here, there) = tokio::join!(here, there);
    let (here, there) = (here??, there?);
    Ok((here == there).then_some(here.1))
}
