//! `status`: is everything in step, and if not, what and why.

use crate::{
    cli::{Globals, failure::Failure, sync, text},
    wire::pb,
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

/// How many members that are not in step are listed; the rest is a matter for `sync errors`.
const ERRORS_SHOWN: usize = 10;

/// Prints how things are.
pub(crate) async fn run(globals: &Globals, arguments: &Arguments) -> anyhow::Result<()> {
    let mut agent = globals.agent().await?;
    let request = pb::GetStateRequest { wait_until_settled: arguments.wait, rescan: arguments.rescan };
    let state = agent.get_state(request).await?.into_inner();
    let mut more = String::new();
    if globals.output == super::Format::Text && !state.in_step {
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
        out += &format!("repository   cannot {}: {}\n", text::printable(&capability.name), text::printable(&capability.detail));
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
        repository   cannot exchange: a small window remains
        ");
    }
}
