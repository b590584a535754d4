//! What people do in the cloud, by calls over the network. What they pick is known at once; what they do takes as long as the network does.

use std::cell::RefCell;
use std::rc::Rc;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use skybridge::coordinator::library::Marker;
use skybridge::model::Kind;
use skybridge::net::Channel;
use skybridge::wire::pb::{self, library_service_client::LibraryServiceClient, sync_set_service_client::SyncSetServiceClient};
use skybridge::wire::pb::{write_document_header::Target, write_document_request};
use tonic::{Request, Status};

use super::coordinator::NETWORK;
use super::ledger::{Ledger, Root, Side, key, root};
use super::library::{Library, Live};
use super::{Trace, names, properties};

/// Somebody who uses the cloud.
#[derive(Debug, Clone)]
pub(super) struct InCloud {
    channel: Channel,
    token: String,
    trace: Trace,
    ledger: Rc<RefCell<Ledger>>,
}

/// What somebody has in mind.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    Write {
        parent: String,
        name: String,
        bytes: Vec<u8>,
        over: Option<Root>,
    },
    MakeFolder {
        parent: String,
        name: String,
    },
    Move {
        from: String,
        to: String,
        name: String,
    },
    Copy {
        from: String,
        to: String,
        name: String,
        copied: Option<Root>,
    },
    /// A document of which the content is known, or a folder.
    Remove {
        path: String,
        etag: String,
        content: Option<Root>,
        /// What is in the folder, if it is one.
        contents: Vec<Root>,
    },
    Restore {
        node: String,
        contents: Vec<Root>,
    },
    RestoreVersion {
        path: String,
        version: u32,
        contents: Vec<Root>,
    },
    Describe {
        path: String,
        property: pb::PropertyEntry,
        node: String,
    },
    RequestSync {
        set: String,
    },
    Unsync {
        set: String,
        node: String,
    },
}

fn named(path: &str) -> Option<pb::NodeName> {
    Some(pb::NodeName { kind: Some(pb::node_name::Kind::Path(path.to_owned())) })
}

pub(super) fn content(live: &Live) -> Option<Root> {
    live.node.content.as_ref().map(|content| key(&content.root))
}

/// What is at a path, and in the folder there.
fn beneath<'a>(library: &'a Library, path: &str) -> impl Iterator<Item = &'a Live> + use<'a> {
    let (path, beneath) = (path.to_owned(), format!("{path}/"));
    library.live.iter().filter(move |live| live.path == path || live.path.starts_with(&beneath))
}

/// The direct members of all sets: set and node.
fn direct(library: &Library) -> Vec<(String, String)> {
    let set = |live: &Live| match live.node.marker {
        Some(Marker::DirectMember { set, .. }) => Some((set.to_string(), live.id.to_string())),
        _ => None,
    };
    library.live.iter().filter_map(set).collect()
}

impl InCloud {
    pub(super) fn new(channel: Channel, token: String, trace: Trace, ledger: Rc<RefCell<Ledger>>) -> Self {
        Self { channel, token, trace, ledger }
    }

    /// Picks something to do.
    pub(super) fn plan(&self, library: &Library, sites: &[String], chance: &mut StdRng) -> Option<Plan> {
        let folders = library.of_kind(Kind::Folder);
        let documents = library.of_kind(Kind::Document);
        let folder = |chance: &mut StdRng| folders.choose(chance).map_or_else(|| sites[0].clone(), |live| live.path.clone());
        let document = |chance: &mut StdRng| documents.choose(chance).copied();
        let inner: Vec<&&Live> = folders.iter().filter(|live| live.path.matches('/').count() > 2).collect();
        let item = |chance: &mut StdRng| if chance.random_ratio(1, 3) { inner.choose(chance).map(|live| **live) } else { document(chance) };
        let plan = match chance.random_range(0..100) {
            0..18 => {
                let (parent, name) = (folder(chance), names::document(chance).to_owned());
                let over = documents.iter().find(|live| live.path == format!("{parent}/{name}")).and_then(|live| content(live));
                Plan::Write { parent, name, bytes: self.compose(chance), over }
            }
            18..38 => {
                let live = document(chance)?;
                let (parent, name) = live.path.rsplit_once('/')?;
                Plan::Write { parent: parent.to_owned(), name: name.to_owned(), bytes: self.compose(chance), over: content(live) }
            }
            38..47 => Plan::MakeFolder { parent: folder(chance), name: names::folder(chance).to_owned() },
            47..67 => {
                let live = item(chance)?;
                let (parent, name) = live.path.rsplit_once('/')?;
                let to = if chance.random() { folder(chance) } else { parent.to_owned() };
                let name = match (chance.random_ratio(1, 3), live.node.kind) {
                    (true, _) => name,
                    (false, Kind::Folder) => names::folder(chance),
                    (false, Kind::Document) => names::document(chance),
                };
                self.touch(library, &live.path);
                Plan::Move { from: live.path.clone(), to, name: name.to_owned() }
            }
            67..71 => {
                let live = document(chance)?;
                let (to, name) = (folder(chance), names::document(chance).to_owned());
                Plan::Copy { from: live.path.clone(), to, name, copied: content(live) }
            }
            71..81 => {
                let live = item(chance)?;
                self.touch(library, &live.path);
                let contents = beneath(library, &live.path).filter_map(content).collect();
                Plan::Remove { path: live.path.clone(), etag: live.node.revisions.newest().to_string(), content: content(live), contents }
            }
            81..87 => {
                let node = *library.trashed.choose(chance)?;
                let is_live = |id| library.live.iter().any(|live| live.id == id);
                let gone = library.versions.iter().filter(|(id, _)| !is_live(*id));
                Plan::Restore { node: node.to_string(), contents: gone.map(|(_, content)| key(&content.root)).collect() }
            }
            87..91 => {
                let live = document(chance)?;
                let version = chance.random_range(1..=live.node.version.max(1));
                let versions = library.versions.iter().filter(|(id, _)| *id == live.id);
                let contents = versions.map(|(_, content)| key(&content.root)).collect();
                Plan::RestoreVersion { path: live.path.clone(), version, contents }
            }
            95..98 => {
                let (set, _) = direct(library).choose(chance)?.clone();
                // What was deleted in the cloud is pushed again.
                self.ledger.borrow_mut().asked_again();
                Plan::RequestSync { set }
            }
            98.. => {
                let (set, node) = direct(library).choose(chance)?.clone();
                self.ledger.borrow_mut().unsynced();
                Plan::Unsync { set, node }
            }
            _ => {
                let live = item(chance)?;
                self.touch(library, &live.path);
                self.describe(live, properties::some_property(chance))
            }
        };
        Some(plan)
    }

    /// Thinks of a property of something.
    pub(super) fn describe(&self, live: &Live, property: pb::PropertyEntry) -> Plan {
        let node = live.id.to_string();
        if property.value.is_none() {
            // Also when the answer is lost.
            self.ledger.borrow_mut().describes(&node, &property.property, false);
        }
        Plan::Describe { path: live.path.clone(), property, node }
    }

    fn compose(&self, chance: &mut StdRng) -> Vec<u8> {
        self.ledger.borrow_mut().compose(Side::Cloud, names::length(chance))
    }

    /// Somebody does something to what is at a path, or to a folder of it.
    pub(super) fn touch(&self, library: &Library, path: &str) {
        for live in beneath(library, path) {
            if let Some(root) = content(live) {
                self.ledger.borrow_mut().change(&root, |content| {
                    content.touched.insert(Side::Cloud);
                });
            }
        }
    }

    fn with<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.token).parse().expect("a token"));
        request
    }

    /// Does what is planned.
    pub(super) async fn act(self, plan: Plan) {
        let what = format!("{plan:?}");
        // Without what takes up room.
        let long = [", bytes: [", ", contents: [", ", copied: ", ", content: "];
        let end = long.iter().filter_map(|long| what.find(long)).min().unwrap_or(what.len());
        let short = what[..end].to_owned();
        let kind = short.split([' ', '{']).next().unwrap_or_default().to_owned();
        let done = self.carry_out(plan).await;
        let outcome = match &done {
            Ok(()) => "done".to_owned(),
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        self.trace.count(format!("cloud: {kind}"));
        if let Err(status) = &done {
            self.trace.count(format!("cloud: {kind} refused: {:?}", status.code()));
        }
        self.trace.note(&[short.as_bytes(), outcome.as_bytes()]);
        self.trace.tell(|| format!("cloud: somebody: {short}: {outcome}"));
    }

    async fn carry_out(&self, plan: Plan) -> Result<(), Status> {
        let mut library = LibraryServiceClient::new(self.channel.clone());
        match plan {
            Plan::Write { parent, name, bytes, over } => {
                let header = pb::WriteDocumentHeader { name, target: named(&parent).map(Target::Parent), ..Default::default() };
                let mut messages = vec![write_document_request::Kind::Header(header)];
                messages.extend(bytes.chunks(16 * 1024).map(|part| write_document_request::Kind::Data(part.to_vec().into())));
                let messages = messages.into_iter().map(|kind| pb::WriteDocumentRequest { kind: Some(kind) });
                library.write_document(self.with(futures::stream::iter(messages.collect::<Vec<_>>()))).await?;
                let mut ledger = self.ledger.borrow_mut();
                ledger.change(&root(&bytes), |content| content.required = true);
                if let Some(over) = over {
                    ledger.change(&over, |content| {
                        content.touched.insert(Side::Cloud);
                    });
                }
            }
            Plan::MakeFolder { parent, name } => {
                let request = pb::CreateFolderRequest { parent: named(&parent), name, ..Default::default() };
                library.create_folder(self.with(request)).await?;
            }
            Plan::Move { from, to, name } => {
                let request = pb::MoveNodeRequest { node: named(&from), parent: named(&to), name, etag: String::new() };
                library.move_node(self.with(request)).await?;
            }
            Plan::Copy { from, to, name, copied } => {
                // Also when the answer is lost.
                if let Some(copied) = copied {
                    self.ledger.borrow_mut().change(&copied, |content| (content.copies, content.restored) = (content.copies + 1, true));
                }
                let request = pb::CopyNodeRequest { node: named(&from), parent: named(&to), name, ..Default::default() };
                let made = library.copy_node(self.with(request)).await?.into_inner().node;
                // Somebody may have written since this was planned.
                let made = made.and_then(|node| Root::try_from(node.content?.root.to_vec()).ok()).filter(|made| Some(*made) != copied);
                self.bring_back(made.as_slice());
            }
            Plan::Remove { path, etag, content, contents } => {
                // Also when the answer is lost.
                contents.iter().for_each(|root| self.ledger.borrow_mut().change(root, |content| content.ended = true));
                library.delete_node(self.with(pb::DeleteNodeRequest { node: named(&path), etag })).await?;
                if let Some(root) = content {
                    self.ledger.borrow_mut().change(&root, |content| {
                        content.deleted.insert(Side::Cloud);
                    });
                }
            }
            Plan::Restore { node, contents } => {
                self.bring_back(&contents);
                let request = pb::RestoreNodeRequest { network: NETWORK.to_owned(), node_id: node, ..Default::default() };
                library.restore_node(self.with(request)).await?;
            }
            Plan::RestoreVersion { path, version, contents } => {
                self.bring_back(&contents);
                library.restore_version(self.with(pb::RestoreVersionRequest { node: named(&path), version })).await?;
            }
            Plan::Describe { path, property, node } => {
                let (name, given) = (property.property.clone(), property.value.is_some());
                let request = pb::UpdatePropertiesRequest { node: named(&path), properties: vec![property], ..Default::default() };
                let described = library.update_properties(self.with(request)).await?.into_inner().node;
                // Another one may be at that path by now.
                if given && described.is_some_and(|described| described.node_id == node) {
                    self.ledger.borrow_mut().describes(&node, &name, true);
                }
            }
            Plan::RequestSync { set } => {
                let request = pb::RequestSyncRequest { set_id: set, node_id: String::new() };
                SyncSetServiceClient::new(self.channel.clone()).request_sync(self.with(request)).await?;
            }
            Plan::Unsync { set, node } => {
                let request = pb::UnsyncRequest { set_id: set, node_id: node, remove_from_cloud: false, with_non_members: false };
                SyncSetServiceClient::new(self.channel.clone()).unsync(self.with(request)).await?;
            }
        }
        Ok(())
    }

    fn bring_back(&self, contents: &[Root]) {
        for root in contents {
            self.ledger.borrow_mut().change(root, |content| (content.copies, content.restored) = (content.copies + 1, true));
        }
    }
}
