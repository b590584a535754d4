//! Somebody at the source who uses the agent, through its socket.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use skybridge::wire::pb::{self, local_service_client::LocalServiceClient};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use super::{Refused, Source, people::Answer};

/// The default choices, to change some of.
pub(crate) fn options() -> pb::SyncOptions {
    pb::SyncOptions::default()
}

/// How a member is doing, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) state: pb::MemberState,
    pub(crate) reason: pb::Reason,
    pub(crate) node_id: String,
    pub(crate) set_id: String,
    pub(crate) direct: bool,
    /// What a person reads: what happened, what to do, and more.
    pub(crate) told: [String; 3],
}

impl Member {
    /// Returns state and reason.
    pub(crate) fn is(&self) -> (pb::MemberState, pb::Reason) {
        (self.state, self.reason)
    }
}

/// The agent's service. Paths are relative to the library.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    client: LocalServiceClient<Channel>,
    /// For calls by their names.
    pub(crate) channel: Channel,
    source: Source,
}

impl Local {
    /// Connects as somebody else; `None` where this process cannot.
    pub(crate) async fn connect_as(socket: &Path, source: &Source, user: u32, group: u32) -> Option<Self> {
        use rustix::{fs::Gid, fs::Uid, thread};
        let (user, group, path) = (Uid::from_raw(user), Gid::from_raw(group), socket.to_owned());
        // Credentials are a thread's own, and the system remembers those of whoever connects.
        let connect = move || {
            thread::set_thread_groups(&[group]).ok()?;
            thread::set_thread_res_gid(group, group, group).ok()?;
            thread::set_thread_res_uid(user, user, user).ok()?;
            Some(std::os::unix::net::UnixStream::connect(path).expect("everybody may connect"))
        };
        let stream = std::thread::spawn(connect).join().expect("it ends")?;
        stream.set_nonblocking(true).expect("it can be waited for");
        let mut stream = Some(UnixStream::from_std(stream).expect("a socket"));
        let connector = tower::service_fn(move |_| {
            let stream = stream.take().ok_or_else(|| std::io::Error::other("it connects once"));
            async move { stream.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://agent.invalid").connect_with_connector(connector).await.expect("it is reached");
        Some(Self::over(channel, source))
    }

    /// Connects; fails while the agent does not listen yet.
    pub(crate) async fn connect(socket: &Path, source: &Source) -> Result<Self, tonic::transport::Error> {
        let socket: PathBuf = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://agent.invalid").connect_with_connector(connector).await?;
        Ok(Self::over(channel, source))
    }

    fn over(channel: Channel, source: &Source) -> Self {
        Self { client: LocalServiceClient::new(channel.clone()), channel, source: source.clone() }
    }

    fn absolute(&self, relative: &str) -> String {
        self.source.path(relative).to_str().expect("UTF-8").to_owned()
    }

    fn relative(&self, absolute: &str) -> String {
        let root = self.absolute("");
        absolute.strip_prefix(root.trim_end_matches('/')).unwrap_or(absolute).trim_start_matches('/').to_owned()
    }

    /// Makes a sync set; its target folder is made if it is missing.
    pub(crate) async fn create(&self, paths: &[&str], target: &str, options: pb::SyncOptions, token: &str) -> Answer<pb::LocalSync> {
        let paths = paths.iter().map(|path| self.absolute(path)).collect();
        self.create_from(paths, target, options, token).await
    }

    /// Makes a sync set of absolute paths.
    pub(crate) async fn create_from(
        &self,
        paths: Vec<String>,
        target: &str,
        options: pb::SyncOptions,
        token: &str,
    ) -> Answer<pb::LocalSync> {
        let request = pb::CreateSyncRequest {
            paths,
            target_path: target.to_owned(),
            create_folder: true,
            options: Some(options),
            token: token.to_owned(),
        };
        Ok(self.client.clone().create_sync(request).await?.into_inner().sync.expect("a sync set"))
    }

    pub(crate) async fn syncs(&self) -> Vec<pb::LocalSync> {
        self.client.clone().list_syncs(pb::ListSyncsRequest {}).await.expect("sets are listed").into_inner().syncs
    }

    pub(crate) async fn state(&self, wait_until_settled: bool, rescan: bool) -> Answer<pb::GetStateResponse> {
        let request = pb::GetStateRequest { wait_until_settled, rescan };
        Ok(self.client.clone().get_state(request).await?.into_inner())
    }

    /// Returns all members of all sets, with their paths.
    pub(crate) async fn members(&self) -> Vec<(String, Member)> {
        let mut found = Vec::new();
        for sync in self.syncs().await {
            found.extend(self.members_in(&sync.set_id, pb::MemberState::Unspecified).await);
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found
    }

    /// Returns the members of a set in a state; unspecified is all.
    pub(crate) async fn members_in(&self, set: &str, state: pb::MemberState) -> Vec<(String, Member)> {
        let mut found = Vec::new();
        let mut request = pb::ListSyncMembersRequest {
            set_id: set.to_owned(),
            path: String::new(),
            state: state.into(),
            page_size: 1_000,
            page_token: String::new(),
        };
        loop {
            let page = self.client.clone().list_sync_members(request.clone()).await.expect("members are listed").into_inner();
            for member in page.members {
                let (state, reason) = (member.state(), member.reason());
                let pb::LocalMember { node_id, set_id, path, direct, text, remedy, detail, .. } = member;
                found.push((self.relative(&path), Member { state, reason, node_id, set_id, direct, told: [text, remedy, detail] }));
            }
            if page.next_page_token.is_empty() {
                return found;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Returns what lies in the synced folders of a set and cannot be synced, with its path.
    pub(crate) async fn excluded(&self, set: &str) -> Vec<(String, (pb::MemberState, pb::Reason))> {
        let request = pb::ListExcludedItemsRequest { set_id: set.to_owned(), page_size: 1_000, ..pb::ListExcludedItemsRequest::default() };
        let items = self.client.clone().list_excluded_items(request).await.expect("items are listed").into_inner().items;
        items.into_iter().map(|item| (self.relative(&item.path), (item.state(), item.reason()))).collect()
    }

    /// Returns the member at a path.
    pub(crate) async fn member(&self, relative: &str) -> Option<Member> {
        self.members().await.into_iter().find(|(path, _)| path == relative).map(|(_, member)| member)
    }

    /// Returns all that is told of the member of a set at a path.
    pub(crate) async fn told(&self, set: &str, relative: &str) -> Option<pb::LocalMember> {
        let request = pb::ListSyncMembersRequest { set_id: set.to_owned(), page_size: 1_000, ..pb::ListSyncMembersRequest::default() };
        let members = self.client.clone().list_sync_members(request).await.ok()?.into_inner().members;
        members.into_iter().find(|member| self.relative(&member.path) == relative)
    }

    /// Returns state and reason of the member at a path.
    pub(crate) async fn is(&self, relative: &str) -> Option<(pb::MemberState, pb::Reason)> {
        self.member(relative).await.map(|member| member.is())
    }

    pub(crate) async fn request_sync(&self, relative: &str) -> Answer<u64> {
        let request = pb::RequestLocalSyncRequest { set_id: String::new(), path: self.absolute(relative) };
        Ok(self.client.clone().request_local_sync(request).await?.into_inner().member_count)
    }

    pub(crate) async fn approve_brake(&self, set: &str) -> Answer<u64> {
        let request = pb::ApproveBrakeRequest { set_id: set.to_owned() };
        Ok(self.client.clone().approve_brake(request).await?.into_inner().delete_count)
    }

    /// Ends the sync of a direct member; returns whether the whole set ended.
    pub(crate) async fn unsync(&self, relative: &str, remove_from_cloud: bool) -> Answer<bool> {
        let request =
            pb::EndSyncRequest { set_id: String::new(), path: self.absolute(relative), remove_from_cloud, with_non_members: false };
        Ok(self.client.clone().end_sync(request).await?.into_inner().set_ended)
    }

    /// Ends a set.
    pub(crate) async fn end(&self, set: &str, remove_from_cloud: bool) -> Answer<()> {
        let request = pb::EndSyncRequest { set_id: set.to_owned(), remove_from_cloud, ..pb::EndSyncRequest::default() };
        self.client.clone().end_sync(request).await.map(drop).map_err(Refused::from)
    }

    /// Ends a set, and removes its folder from the cloud with all that is in it.
    pub(crate) async fn end_with_all_in_it(&self, set: &str) -> Answer<()> {
        let request =
            pb::EndSyncRequest { set_id: set.to_owned(), remove_from_cloud: true, with_non_members: true, ..pb::EndSyncRequest::default() };
        self.client.clone().end_sync(request).await.map(drop).map_err(Refused::from)
    }

    /// Returns the kept versions of a path, newest first, with why they were kept.
    pub(crate) async fn versions(&self, relative: &str) -> Answer<Vec<(u32, pb::SourceVersionCause)>> {
        let request = pb::ListSourceVersionsRequest { path: self.absolute(relative) };
        let versions = self.client.clone().list_source_versions(request).await?.into_inner().versions;
        Ok(versions.into_iter().map(|version| (version.version, version.cause())).collect())
    }

    pub(crate) async fn restore(&self, relative: &str, version: u32) -> Answer<String> {
        let request = pb::RestoreSourceVersionRequest { path: self.absolute(relative), version };
        Ok(self.relative(&self.client.clone().restore_source_version(request).await?.into_inner().path))
    }
}
