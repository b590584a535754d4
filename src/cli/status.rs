//! `status`: is everything in step, and if not, what and why.

use std::time::Duration;

use tonic::transport::Channel;

use crate::{
    cli::{
        Format, Globals,
        failure::Failure,
        progress::{Progress, Standing},
        sync, text,
    },
    wire::pb::{self, local_service_client::LocalServiceClient},
};

/// Asks how things are.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Wait until everything known now is in step or has a reason not to be
    #[arg(long)]
    wait: bool,
    /// With --wait: look through the whole source first
    #[arg(long, requires = "wait")]
    rescan: bool,
    /// Exit with 1 unless everything is in step
    #[arg(long)]
    check: bool,
}

/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(200);
/// How many members that are not in step are listed; the rest is a matter for `sync errors`.
const ERRORS_SHOWN: usize = 10;

/// Prints how things are.
pub(crate) async fn run(globals: &Globals, arguments: &Arguments) -> anyhow::Result<()> {
    let mut agent = globals.agent().await?;
    let state = if arguments.wait {
        settle(&mut agent, globals.output, "syncing", arguments.rescan).await?.0
    } else {
        agent.get_state(pb::GetStateRequest::default()).await?.into_inner()
    };
    let mut more = String::new();
    if globals.output == Format::Text && !state.in_step {
        let troubled = sync::troubled(&mut agent, None, ERRORS_SHOWN).await?;
        if !troubled.is_empty() {
            more = format!("\n{}", sync::member_table(&troubled).render_or(""));
        }
        if troubled.len() == ERRORS_SHOWN {
            more += "all of them: skybridge sync errors\n";
        }
    }
    globals.output.print(&state, |state| describe(state) + &more)?;
    if arguments.check && !state.in_step {
        return Err(Failure::failed("not everything is in step", "see `skybridge sync errors`").into());
    }
    Ok(())
}

/// Waits until everything is in step or has a reason not to be, and shows how far it has come.
pub(crate) async fn settle(
    agent: &mut LocalServiceClient<Channel>,
    output: Format,
    label: &'static str,
    rescan: bool,
) -> anyhow::Result<(pb::GetStateResponse, Standing)> {
    let progress = Progress::new(label, output);
    let mut asking = agent.clone();
    let settled = asking.get_state(pb::GetStateRequest { wait_until_settled: true, rescan });
    tokio::pin!(settled);
    let mut told = Vec::new();
    loop {
        tokio::select! {
            state = &mut settled => {
                let state = state?.into_inner();
                show(&progress, &state);
                return Ok((state, progress.finish()));
            }
            () = tokio::time::sleep(POLL) => {
                let state = agent.get_state(pb::GetStateRequest::default()).await?.into_inner();
                show(&progress, &state);
                for problem in obstacles(&state) {
                    if !told.contains(&problem) {
                        progress.note(&problem);
                        told.push(problem);
                    }
                }
            }
        }
    }
}

/// What holds everything up until somebody helps.
fn obstacles(state: &pb::GetStateResponse) -> Vec<String> {
    let away =
        Some(&state.connection_problem).filter(|_| !state.connected).map(|problem| format!("waiting for the coordinator: {problem}"));
    away.into_iter().chain(state.problems.iter().cloned()).map(|problem| text::printable(&problem)).collect()
}

fn show(progress: &Progress, state: &pb::GetStateResponse) {
    if let Some(now) = &state.progress {
        progress.set(Standing {
            items_done: now.done_items,
            items_total: now.total_items,
            bytes_done: now.done_bytes,
            bytes_total: now.total_bytes,
        });
    }
}

/// Describes a state in a few lines.
fn describe(state: &pb::GetStateResponse) -> String {
    let address = text::printable(&state.coordinator_address);
    let mut out = format!("{}\n", if state.in_step { "in step" } else { "not in step" });
    out += &match (state.connected, state.connection_problem.as_str()) {
        (true, _) => format!("coordinator  {address}, connected\n"),
        (false, "") => format!("coordinator  {address}, not connected\n"),
        (false, problem) => format!("coordinator  {address}, not connected: {}\n", text::printable(problem)),
    };
    out += &format!("members      {}\n", sync::counts(&state.counts));
    if let Some(progress) = state.progress.as_ref().filter(|progress| progress.done_items < progress.total_items) {
        let (done, total) = (text::size(progress.done_bytes), text::size(progress.total_bytes));
        out += &format!("progress     {} of {}, {done} of {total}\n", progress.done_items, text::count(progress.total_items, "item"));
    }
    if state.excluded_count > 0 {
        out += &format!("excluded     {} that cannot be synced: skybridge sync errors\n", text::count(state.excluded_count, "item"));
    }
    for problem in &state.problems {
        out += &format!("problem      {}\n", text::printable(problem));
    }
    for capability in state.capabilities.iter().filter(|capability| !capability.available) {
        out += &format!("repository   {}: no; {}\n", text::printable(&capability.name), text::printable(&capability.detail));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_in_a_few_lines() {
        let state = pb::GetStateResponse {
            connected: false,
            connection_problem: "connection refused".into(),
            counts: vec![
                pb::LocalStateCount { state: pb::MemberState::Synced.into(), count: 7 },
                pb::LocalStateCount { state: pb::MemberState::Failed.into(), count: 1 },
            ],
            problems: vec!["site team: not mounted".into()],
            capabilities: vec![pb::Capability { name: "exchange".into(), available: false, detail: "a small window remains".into() }],
            coordinator_address: "https://sync.example.com".into(),
            excluded_count: 2,
            ..Default::default()
        };
        insta::assert_snapshot!(describe(&state), @r"
        not in step
        coordinator  https://sync.example.com, not connected: connection refused
        members      7 synced, 1 failed
        excluded     2 items that cannot be synced: skybridge sync errors
        problem      site team: not mounted
        repository   exchange: no; a small window remains
        ");
    }
}
