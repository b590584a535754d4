//! `sync …`: the sync sets of the agent on this machine, through its socket.

use std::path::{Path, PathBuf};

use tonic::transport::Channel;

use crate::{
    cli::{
        Globals,
        failure::{Failure, NO_REMEDY},
        profile::{self, Profile},
        text::{self, Table},
    },
    wire::pb::{self, local_service_client::LocalServiceClient},
};

/// What can be done with syncs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Sync one folder, or documents, to a folder in the cloud
    Create(Create),
    /// List the syncs
    List,
    /// Show one sync
    Show {
        /// Its id or name
        #[arg(value_name = "SYNC")]
        set: String,
    },
    /// List what is synced, and how each item is doing
    Members {
        /// A sync's id or name, or a path
        #[arg(value_name = "SYNC|PATH")]
        which: String,
        /// Only those in this state, such as failed or pending
        #[arg(long, value_parser = parse_state)]
        state: Option<pb::MemberState>,
    },
    /// List what is not in step, why, and what to do
    Errors {
        /// A sync's id or name, or a path [default: all]
        #[arg(value_name = "SYNC|PATH")]
        which: Option<String>,
    },
    /// Look again now, and try again what failed or was released
    Request {
        /// A sync's id or name, or a path
        #[arg(value_name = "SYNC|PATH")]
        which: String,
    },
    /// Let a sync go on that stopped because it would delete many items
    Approve {
        /// Its id or name
        #[arg(value_name = "SYNC")]
        set: String,
    },
    /// End a sync, or take one directly synced item out of it; both copies stay
    Unsync {
        /// A sync's id or name, or a path
        #[arg(value_name = "SYNC|PATH")]
        which: String,
        /// Move the copies in the cloud to the trash
        #[arg(long)]
        remove_from_cloud: bool,
        /// Also what is not synced and lies in the folder that is removed
        #[arg(long, requires = "remove_from_cloud")]
        with_non_members: bool,
    },
}

/// Makes a sync.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// One folder, or documents
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where to in the cloud
    #[arg(long, value_name = "NETWORK/SITE[/FOLDER]")]
    to: String,
    /// Make the folder in the cloud if it is missing
    #[arg(long)]
    create_folder: bool,
    /// Leave subfolders out
    #[arg(long)]
    no_subfolders: bool,
    /// Make the copies here read-only for people until unsync
    #[arg(long)]
    lock_source: bool,
    /// Keep people in the cloud from deleting what is synced
    #[arg(long, conflicts_with = "delete_source")]
    no_delete_on_cloud: bool,
    /// Delete the copy here when the cloud's is deleted
    #[arg(long)]
    delete_source: bool,
}

/// States of members that are not in step, the gravest first.
const TROUBLED: [pb::MemberState; 5] = [
    pb::MemberState::Failed,
    pb::MemberState::Retrying,
    pb::MemberState::WaitingForLock,
    pb::MemberState::Released,
    pb::MemberState::Excluded,
];

/// Members asked for at a time.
const PAGE_SIZE: i32 = 1_000;

type Agent = LocalServiceClient<Channel>;

/// Runs a command.
pub(crate) async fn run(globals: &Globals, command: Command) -> anyhow::Result<()> {
    let output = globals.output;
    let mut agent = globals.agent().await?;
    match command {
        Command::Create(arguments) => create(globals, &mut agent, arguments).await,
        Command::List => {
            let answer = agent.list_syncs(pb::ListSyncsRequest {}).await?.into_inner();
            output.print(&answer, |answer| {
                let mut table = Table::new(&["SYNC", "NAME", "SOURCE", "TO", "MEMBERS"]);
                for sync in &answer.syncs {
                    let source = sync.source_paths.join(", ");
                    table.row([sync.set_id.clone(), sync.name.clone(), source, sync.target_path.clone(), counts(&sync.counts)]);
                }
                table.render_or("no syncs; make one with `skybridge sync create PATH --to NETWORK/SITE`")
            })
        }
        Command::Show { set } => {
            let sync = find(&mut agent, &set).await?;
            output.print(&sync, describe)
        }
        Command::Members { which, state } => {
            let scope = Scope::of(&mut agent, &which).await?;
            let members = members(&mut agent, &scope, state, usize::MAX).await?;
            let answer = pb::ListSyncMembersResponse { members, next_page_token: String::new() };
            output.print(&answer, |answer| member_table(&answer.members).render_or("nothing is synced there"))
        }
        Command::Errors { which } => {
            let scope = match which {
                Some(which) => Some(Scope::of(&mut agent, &which).await?),
                None => None,
            };
            let problems = agent.get_state(pb::GetStateRequest::default()).await?.into_inner().problems;
            let members = troubled(&mut agent, scope, usize::MAX).await?;
            let answer = pb::ListSyncMembersResponse { members, next_page_token: String::new() };
            output.print(&answer, |answer| {
                let problems: String = problems.iter().map(|problem| format!("{}\n", text::printable(problem))).collect();
                match answer.members.as_slice() {
                    [] if !problems.is_empty() => problems,
                    members => problems + &member_table(members).render_or("no errors"),
                }
            })
        }
        Command::Request { which } => {
            let Scope { set_id, path } = Scope::of(&mut agent, &which).await?;
            let answer = agent.request_local_sync(pb::RequestLocalSyncRequest { set_id, path }).await?.into_inner();
            output.print(&answer, |answer| format!("looking again; {} tried again\n", text::count(answer.member_count, "item")))
        }
        Command::Approve { set } => {
            let set_id = find(&mut agent, &set).await?.set_id;
            let answer = agent.approve_brake(pb::ApproveBrakeRequest { set_id }).await?.into_inner();
            output.print(&answer, |answer| format!("approved: {} may be deleted\n", text::count(answer.delete_count, "item")))
        }
        Command::Unsync { which, remove_from_cloud, with_non_members } => {
            let Scope { set_id, path } = Scope::of(&mut agent, &which).await?;
            let answer = agent.end_sync(pb::EndSyncRequest { set_id, path, remove_from_cloud, with_non_members }).await?.into_inner();
            output.print(&answer, |answer| {
                let what = if answer.set_ended { "the sync has ended" } else { "it is no longer synced" };
                let copies = if remove_from_cloud { "the copies in the cloud are in the trash" } else { "both copies stay" };
                format!("{what}; {copies}\n")
            })
        }
    }
}

async fn create(globals: &Globals, agent: &mut Agent, arguments: Create) -> anyhow::Result<()> {
    let paths = arguments.paths.iter().map(|path| absolute(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let token = Profile::read(&profile::find(globals.profile.as_deref())?)?.token;
    let options = pb::SyncOptions {
        lock_source: arguments.lock_source,
        no_delete_on_cloud: arguments.no_delete_on_cloud,
        delete_source: arguments.delete_source,
        no_subfolders: arguments.no_subfolders,
    };
    let request =
        pb::CreateSyncRequest { paths, target_path: arguments.to, create_folder: arguments.create_folder, options: Some(options), token };
    let answer = agent.create_sync(request).await?.into_inner();
    globals.output.print(&answer, |answer| answer.sync.as_ref().map(describe).unwrap_or_default())
}

/// What a command is about: a whole sync, or a path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    set_id: String,
    path: String,
}

impl Scope {
    /// Takes an absolute path, or one that begins with a dot, for a path; anything else for a sync, and only then for a path.
    async fn of(agent: &mut Agent, which: &str) -> anyhow::Result<Self> {
        let path = |which: &str| absolute(Path::new(which)).map(|path| Self { path, set_id: String::new() });
        if which.starts_with(['/', '.']) {
            return path(which);
        }
        match find(agent, which).await {
            Ok(sync) => Ok(Self { set_id: sync.set_id, path: String::new() }),
            Err(_) if Path::new(which).exists() => path(which),
            Err(error) => Err(error),
        }
    }
}

/// Finds a sync by its id or its name.
async fn find(agent: &mut Agent, which: &str) -> anyhow::Result<pb::LocalSync> {
    let syncs = agent.list_syncs(pb::ListSyncsRequest {}).await?.into_inner().syncs;
    let mut found = syncs.into_iter().filter(|sync| sync.set_id == which || sync.name == which);
    match (found.next(), found.next()) {
        (Some(sync), None) => Ok(sync),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("more than one sync is called {which}"), "give its id, from `skybridge sync list`").into())
        }
        (None, _) => Err(Failure::failed(format!("no sync is called {which}"), "see `skybridge sync list`").coded("NOT_FOUND").into()),
    }
}

/// Returns an absolute path, without asking the file system: what it names may be gone.
pub(crate) fn absolute(path: &Path) -> anyhow::Result<String> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display()), ""))?;
    match absolute.into_os_string().into_string() {
        Ok(path) => Ok(path),
        Err(path) => Err(Failure::usage(format!("{} is not UTF-8 and cannot be synced", path.display()), "rename it").into()),
    }
}

async fn members(agent: &mut Agent, scope: &Scope, state: Option<pb::MemberState>, most: usize) -> anyhow::Result<Vec<pb::LocalMember>> {
    let mut request = pb::ListSyncMembersRequest {
        set_id: scope.set_id.clone(),
        path: scope.path.clone(),
        state: state.unwrap_or_default().into(),
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    let mut all = Vec::new();
    while all.len() < most {
        let page = agent.list_sync_members(request.clone()).await?.into_inner();
        all.extend(page.members);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    all.truncate(most);
    Ok(all)
}

/// Lists members that are not in step: of one scope, or of all syncs.
pub(crate) async fn troubled(agent: &mut Agent, scope: Option<Scope>, most: usize) -> anyhow::Result<Vec<pb::LocalMember>> {
    let scopes = match scope {
        Some(scope) => vec![scope],
        None => {
            let syncs = agent.list_syncs(pb::ListSyncsRequest {}).await?.into_inner().syncs;
            syncs.into_iter().map(|sync| Scope { set_id: sync.set_id, path: String::new() }).collect()
        }
    };
    let mut all = Vec::new();
    for scope in &scopes {
        for state in TROUBLED {
            all.extend(members(agent, scope, Some(state), most - all.len()).await?);
            all.extend(excluded(agent, scope, state, most - all.len()).await?);
            if all.len() == most {
                return Ok(all);
            }
        }
    }
    Ok(all)
}

/// Lists what cannot be a member and is in a state, up to `most` of it.
async fn excluded(agent: &mut Agent, scope: &Scope, state: pb::MemberState, most: usize) -> anyhow::Result<Vec<pb::LocalMember>> {
    let Scope { set_id, path } = scope.clone();
    let state = state.into();
    let mut request = pb::ListExcludedItemsRequest { set_id, path, page_size: PAGE_SIZE, page_token: String::new(), state };
    let mut all = Vec::new();
    while all.len() < most {
        let answer = agent.list_excluded_items(request.clone()).await?.into_inner();
        all.extend(answer.items);
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
    }
    all.truncate(most);
    Ok(all)
}

/// Lays members out for people.
pub(crate) fn member_table(members: &[pb::LocalMember]) -> Table {
    let mut table = Table::new(&["STATE", "REASON", "PATH", "WHAT HAPPENED, WHAT TO DO"]);
    for member in members {
        let reason = if member.reason() == pb::Reason::Unspecified { "" } else { short_name(member.reason().as_str_name(), "REASON_") };
        let parts = [&member.text, &member.detail, &member.remedy].map(String::as_str);
        let explained: Vec<String> = parts.into_iter().filter(|part| !matches!(*part, "" | NO_REMEDY)).map(text::sentence).collect();
        table.row([state_name(member.state()), reason.to_owned(), member.path.clone(), explained.join(" ")]);
    }
    table
}

/// Returns counts by state for people: `7 synced, 1 failed`.
pub(crate) fn counts(counts: &[pb::LocalStateCount]) -> String {
    let parts: Vec<String> =
        counts.iter().filter(|count| count.count > 0).map(|count| format!("{} {}", count.count, state_name(count.state()))).collect();
    if parts.is_empty() { "none yet".to_owned() } else { parts.join(", ") }
}

fn describe(sync: &pb::LocalSync) -> String {
    let options = sync.options.unwrap_or_default();
    let chosen = [
        (options.no_subfolders, "without subfolders"),
        (options.lock_source, "source locked"),
        (options.no_delete_on_cloud, "no deleting in the cloud"),
        (options.delete_source, "deletes the source when the cloud's copy is deleted"),
    ];
    let chosen: Vec<&str> = chosen.into_iter().filter_map(|(on, text)| on.then_some(text)).collect();
    let mut out = format!("sync     {}\nname     {}\n", sync.set_id, text::printable(&sync.name));
    for path in &sync.source_paths {
        out += &format!("source   {}\n", text::printable(path));
    }
    out += &format!("to       {}\n", text::printable(&sync.target_path));
    out += &format!("options  {}\n", if chosen.is_empty() { "none".to_owned() } else { chosen.join(", ") });
    let name = if sync.creator_user_name.is_empty() { String::new() } else { format!(" ({})", text::printable(&sync.creator_user_name)) };
    out += &format!("made     {} by user {}{name}\n", text::time(sync.create_time.as_ref()), text::printable(&sync.creator_user));
    out += &format!("members  {}\n", counts(&sync.counts));
    if sync.brake_deletes > 0 {
        let deletes = text::count(sync.brake_deletes, "item");
        out += &format!("stopped  it would delete {deletes}: `skybridge sync approve {}`, or restore them\n", sync.set_id);
    } else if sync.reason() != pb::Reason::Unspecified {
        out += &format!("stopped  {}\n", short_name(sync.reason().as_str_name(), "REASON_"));
    }
    out
}

fn state_name(state: pb::MemberState) -> String {
    short_name(state.as_str_name(), "MEMBER_STATE_").to_lowercase().replace('_', " ")
}

fn short_name<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn parse_state(text: &str) -> Result<pb::MemberState, String> {
    let name = format!("MEMBER_STATE_{}", text.to_uppercase().replace(['-', ' '], "_"));
    match pb::MemberState::from_str_name(&name) {
        Some(state) if state != pb::MemberState::Unspecified => Ok(state),
        _ => {
            Err("not a state; the states are pending, syncing, synced, retrying, failed, waiting-for-lock, released, excluded, paused"
                .into())
        }
    }
}
