//! `admin agent …`.

use crate::{
    cli::{
        Globals,
        text::{self, Table, printable},
    },
    wire::pb,
};

/// Agents.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Agent {
    /// Print a one-time secret with which one agent can enrol within an hour: `skybridge agent enroll SECRET`
    Enroll {
        /// The network
        network: String,
        /// What lists call the agent: 1 to 63 of a-z, 0-9, ".", "-"
        name: String,
        /// The address at which the agent reaches the coordinator [default: as the coordinator is configured]
        #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
        address: String,
    },
    /// List the agents of a network
    List {
        /// The network
        network: String,
    },
    /// End an agent; both copies of what it synced stay
    Revoke {
        /// The network
        network: String,
        /// Its name or id
        agent: String,
    },
    /// Let in an agent that was cloned or restored from a backup: the copy that connects next goes on, so stop the other one first
    Readmit {
        /// The network
        network: String,
        /// Its name or id
        agent: String,
    },
}

/// Runs `admin agent …`.
pub(super) async fn run(globals: &Globals, command: Agent) -> anyhow::Result<()> {
    let cloud = globals.cloud().await?;
    match command {
        Agent::Enroll { network, name, address } => {
            let answer = cloud.agents().create_enrolment(pb::CreateEnrolmentRequest { network, name, address }).await?.into_inner();
            globals.output.print(&answer, |answer| format!("{}\n", printable(&answer.enrolment)))
        }
        Agent::List { network } => {
            let answer = cloud.agents().list_agents(pb::ListAgentsRequest { network }).await?.into_inner();
            globals.output.print(&answer, |answer| {
                let mut table = Table::new(&["AGENT", "ID", "CONNECTED", "LAST SEEN", ">BEHIND", ">SYNCS", "SOFTWARE"]);
                for agent in &answer.agents {
                    let connected = if agent.revoked { "revoked" } else { text::yes(agent.connected) };
                    table.row([
                        agent.name.clone(),
                        agent.agent_id.clone(),
                        connected.to_owned(),
                        text::time(agent.seen_time.as_ref()),
                        agent.lag_entries.to_string(),
                        agent.set_count.to_string(),
                        agent.software.clone(),
                    ]);
                }
                table.render_or("no agents; enrol one with `skybridge admin agent enroll NETWORK NAME`")
            })
        }
        Agent::Revoke { network, agent } => {
            let request = pb::RevokeAgentRequest { network, agent: agent.clone() };
            let answer = cloud.agents().revoke_agent(request).await?.into_inner();
            globals.output.print(&answer, |_| format!("{} is revoked\n", printable(&agent)))
        }
        Agent::Readmit { network, agent } => {
            let request = pb::ReadmitAgentRequest { network, agent: agent.clone() };
            let answer = cloud.agents().readmit_agent(request).await?.into_inner();
            globals.output.print(&answer, |_| format!("{} is let in when it connects next\n", printable(&agent)))
        }
    }
}
