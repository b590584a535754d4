//! `cloud put`: bytes to the cloud. Each document arrives whole or not at all.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use tokio::{io::AsyncReadExt as _, sync::oneshot};

use super::{
    change,
    get::{ItemFailure, PARALLEL, Summary},
    local_name, path,
};
use crate::{
    cli::{
        connect::Cloud,
        failure::Failure,
        output::Format,
        progress::{Progress, Standing},
    },
    wire::pb::{self, write_document_header::Target, write_document_request::Kind},
};

/// Bytes in one message; a message may hold 1 MiB.
const PART_BYTES: usize = 256 << 10;

/// Uploads.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Documents, or with -r folders; then where to: a folder to put them into, or the one document's path
    #[arg(required = true, num_args = 2.., value_names = ["FILE", "NETWORK/SITE/PATH"])]
    paths: Vec<PathBuf>,
    /// Folders with all that is in them
    #[arg(short, long)]
    recursive: bool,
}

/// A document to upload.
#[derive(Debug)]
struct Upload {
    local: PathBuf,
    folder: pb::NodeName,
    name: String,
}

/// Uploads documents and folders.
pub(super) async fn run(cloud: &Cloud, output: Format, mut arguments: Arguments) -> anyhow::Result<()> {
    let to = arguments.paths.pop().and_then(|to| to.into_os_string().into_string().ok());
    let to = to.ok_or_else(|| Failure::usage("the path in the cloud is not UTF-8", "give it as NETWORK/SITE/PATH"))?;
    let several = arguments.paths.len() > 1;
    let mut uploads = Vec::new();
    let mut folders = Vec::new();
    for local in arguments.paths {
        let metadata = std::fs::metadata(&local).map_err(|error| Failure::failed(format!("{}: {error}", local.display()), ""))?;
        if metadata.is_dir() && !arguments.recursive {
            let message = format!("{} is a folder; nothing was uploaded", local.display());
            return Err(Failure::usage(message, "upload it with all that is in it with -r").into());
        }
        let own_name = local_name(&local)?;
        let (folder, name) = path::landing(cloud, &to, &own_name).await.with_context(|| to.clone())?;
        if several && name != own_name {
            return Err(
                Failure::failed(format!("{to} is no folder to put several things into"), "make it with `skybridge cloud mkdir`").into()
            );
        }
        if metadata.is_dir() {
            folders.push(Upload { local, folder, name });
        } else {
            uploads.push(Ok(Upload { local, folder, name }));
        }
    }
    let progress = Arc::new(Progress::new("uploading", output));
    let walk = Walk { cloud, progress: &progress, folders, uploads };
    let failures: Vec<ItemFailure> = walk
        .into_stream()
        .map(|next| async {
            match next {
                Ok(upload) => {
                    put(cloud, &upload, &progress).await.err().map(|error| ItemFailure::new(upload.local.display().to_string(), &error))
                }
                Err(failure) => Some(failure),
            }
        })
        .buffer_unordered(PARALLEL)
        .filter_map(|failure| async { failure })
        .collect()
        .await;
    let done = progress.finish();
    Summary { documents: done.items_done, bytes: done.bytes_done, destination: to, failures }.print(output, "uploaded")
}

/// What is still to be uploaded. Folders are made in the cloud and listed here one at a time, so that memory holds one folder's documents.
struct Walk<'a> {
    cloud: &'a Cloud,
    progress: &'a Progress,
    folders: Vec<Upload>,
    uploads: Vec<Result<Upload, ItemFailure>>,
}

impl<'a> Walk<'a> {
    fn into_stream(self) -> impl futures::Stream<Item = Result<Upload, ItemFailure>> + 'a {
        stream::unfold(self, |mut walk| async move {
            loop {
                if let Some(upload) = walk.uploads.pop() {
                    let bytes_total =
                        upload.as_ref().map_or(0, |upload| std::fs::metadata(&upload.local).map_or(0, |metadata| metadata.len()));
                    walk.progress.add(Standing { items_total: 1, bytes_total, ..Standing::default() });
                    return Some((upload, walk));
                }
                let folder = walk.folders.pop()?;
                if let Err(error) = walk.enter(&folder).await {
                    return Some((Err(ItemFailure::new(folder.local.display().to_string(), &error)), walk));
                }
            }
        })
    }

    /// Makes a folder in the cloud, if it is not there, and lists what is to go into it.
    async fn enter(&mut self, folder: &Upload) -> anyhow::Result<()> {
        let entries = list(&folder.local)?;
        let request = pb::CreateFolderRequest {
            parent: Some(folder.folder.clone()),
            name: folder.name.clone(),
            create_parents: false,
            request_id: change::request_id(),
        };
        let node = match self.cloud.library().create_folder(request).await {
            Ok(answer) => answer.into_inner().node,
            Err(status) if status.code() == tonic::Code::AlreadyExists => self.existing(folder).await?,
            Err(status) => return Err(status.into()),
        };
        let node = node.filter(path::is_folder).ok_or_else(|| Failure::failed(format!("{} is there and is no folder", folder.name), ""))?;
        for (local, metadata) in entries {
            let upload = match local_name(&local) {
                Ok(name) => Ok(Upload { name, local, folder: path::by_id(&node) }),
                Err(error) => Err(ItemFailure::new(local.display().to_string(), &error)),
            };
            match upload {
                Ok(upload) if metadata.is_dir() => self.folders.push(upload),
                upload => self.uploads.push(upload),
            }
        }
        Ok(())
    }

    /// Gets what has the name already, without listing its siblings.
    async fn existing(&self, folder: &Upload) -> anyhow::Result<Option<pb::Node>> {
        let request = pb::GetNodeRequest { node: Some(folder.folder.clone()) };
        let Some(parent) = self.cloud.library().get_node(request).await?.into_inner().node else { return Ok(None) };
        path::find(self.cloud, &format!("{}/{}", parent.path, folder.name)).await
    }
}

/// Lists documents and folders in a local folder. Links and special files are left out: a link can lead out of what was asked for.
fn list(folder: &Path) -> std::io::Result<Vec<(PathBuf, Metadata)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() || metadata.is_file() {
            entries.push((entry.path(), metadata));
        }
    }
    Ok(entries)
}

/// Uploads one document.
async fn put(cloud: &Cloud, upload: &Upload, progress: &Arc<Progress>) -> anyhow::Result<()> {
    let file = tokio::fs::File::open(&upload.local).await?;
    let header = pb::WriteDocumentHeader {
        target: Some(Target::Parent(upload.folder.clone())),
        name: upload.name.clone(),
        create_only: false,
        etag: String::new(),
        request_id: change::request_id(),
    };
    let (failed, mut failure) = oneshot::channel();
    let parts = parts(header, file, failed, Arc::clone(progress));
    let mut library = cloud.library();
    let outcome = tokio::select! {
        biased;
        Ok(error) = &mut failure => Err(error).context("cannot read it"),
        answer = library.write_document(parts) => answer.map_err(anyhow::Error::from),
    };
    outcome?;
    progress.add(Standing { items_done: 1, ..Standing::default() });
    Ok(())
}

/// The messages of one document. When reading fails the stream stays open and never ends well, so that no cut-off document is stored.
fn parts(
    header: pb::WriteDocumentHeader,
    file: tokio::fs::File,
    failed: oneshot::Sender<std::io::Error>,
    progress: Arc<Progress>,
) -> impl futures::Stream<Item = pb::WriteDocumentRequest> + Send + 'static {
    let first = stream::once(async { pb::WriteDocumentRequest { kind: Some(Kind::Header(header)) } });
    let rest = stream::unfold((file, failed, progress), |(mut file, failed, progress)| async move {
        let mut data = bytes::BytesMut::with_capacity(PART_BYTES);
        match file.read_buf(&mut data).await {
            Ok(0) => None,
            Ok(read) => {
                progress.add(Standing { bytes_done: read as u64, ..Standing::default() });
                Some((pb::WriteDocumentRequest { kind: Some(Kind::Data(data.freeze())) }, (file, failed, progress)))
            }
            Err(error) => {
                // The call may have ended for another reason; then nobody asks why.
                failed.send(error).ok();
                futures::future::pending().await
            }
        }
    });
    first.chain(rest)
}
