//! Agents: one-time secrets to enrol with, the records of enrolled agents, revoking.
//!
//! Owned by the coordinator. Certificates are signed by [`crate::net`]; here is kept which agent exists, which network it belongs to,
//! and which life of its state and which session is the newest. A revoked agent's certificate stays valid for TLS and is refused here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounts::after;
use super::failure::Failure;
use super::networks;
use crate::model::{AgentId, Fault, FaultKind, Incarnation, NetworkId, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// How long a one-time secret works.
const ENROLMENT_LIFETIME: Duration = Duration::from_secs(3600);
/// The most agents of a network that are listed.
const LISTED_MAX: usize = 10_000;

/// A one-time secret that waits for its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Enrolment {
    network: NetworkId,
    name: String,
    expires: Timestamp,
}

impl Record for Enrolment {
    const TABLE: Table = Table::Enrolment;
    const FORMAT: u8 = 1;
    /// The hash of the secret.
    type Key = ([u8; 32],);
    type Value = Self;
}

/// An enrolled agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The network that it belongs to.
    pub network: NetworkId,
    /// What lists call it.
    pub name: String,
    /// Its software, as it said last.
    pub software: String,
    /// Which life of its state had the last session.
    pub incarnation: Option<Incarnation>,
    /// The number of its last session; grows.
    pub generation: u64,
    /// When it was last heard of.
    pub seen: Option<Timestamp>,
    /// Whether it was ended.
    pub revoked: bool,
    /// When it enrolled.
    pub created: Timestamp,
}

impl Record for Agent {
    const TABLE: Table = Table::Agent;
    const FORMAT: u8 = 1;
    type Key = (AgentId,);
    type Value = Self;
}

/// Lists the agents of a network by their names. A revoked agent's name can be used again.
#[derive(Debug)]
struct AgentOfNetwork;

impl Record for AgentOfNetwork {
    const TABLE: Table = Table::AgentOfNetwork;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, String, AgentId);
    type Value = ();
}

/// Stores a one-time secret, of which this is the hash. The caller administers the network.
///
/// # Errors
/// When the name is not allowed, or an agent has it.
pub fn create_enrolment(
    tx: &mut Transaction<'_>,
    network: NetworkId,
    name: &str,
    secret_hash: [u8; 32],
    now: Timestamp,
) -> Result<(), Failure> {
    let name = networks::label(name)?;
    require_free(tx, network, &name)?;
    // Those that nobody used in time are of no use to anybody.
    for (secret, _) in tx.scan::<Enrolment>(&(), None, usize::MAX)?.into_iter().filter(|(_, enrolment)| enrolment.expires <= now) {
        tx.delete::<Enrolment>(&secret)?;
    }
    let expires = after(now, ENROLMENT_LIFETIME);
    Ok(tx.put::<Enrolment>(&(secret_hash,), &Enrolment { network, name, expires })?)
}

/// Makes an agent of a one-time secret, which is used up by it.
///
/// # Errors
/// [`FaultKind::Unauthenticated`] when the secret is wrong, used, or too old.
pub fn enrol(tx: &mut Transaction<'_>, secret_hash: [u8; 32], id: AgentId, now: Timestamp) -> Result<Agent, Failure> {
    let unknown =
        || Fault::new(FaultKind::Unauthenticated, "the enrolment is wrong, was used, or is older than an hour: ask for a new one");
    let enrolment = tx.get::<Enrolment>(&(secret_hash,))?.filter(|enrolment| enrolment.expires > now).ok_or_else(unknown)?;
    tx.delete::<Enrolment>(&(secret_hash,))?;
    require_free(tx, enrolment.network, &enrolment.name)?;
    let Enrolment { network, name, .. } = enrolment;
    let agent = Agent {
        network,
        name: name.clone(),
        software: String::new(),
        incarnation: None,
        generation: 0,
        seen: None,
        revoked: false,
        created: now,
    };
    tx.put::<Agent>(&(id,), &agent)?;
    tx.put::<AgentOfNetwork>(&(network, name, id), &())?;
    Ok(agent)
}

fn require_free(read: &(impl Read + ?Sized), network: NetworkId, name: &str) -> Result<(), Failure> {
    if with_name(read, network, name)?.is_some_and(|(_, agent)| !agent.revoked) {
        return Err(
            Fault::new(FaultKind::AlreadyExists, format!("there is an agent {name:?} already: revoke it, or take another name")).into()
        );
    }
    Ok(())
}

/// Finds the agent of a name; of several, the one that is not revoked.
fn with_name(read: &(impl Read + ?Sized), network: NetworkId, name: &str) -> Result<Option<(AgentId, Agent)>, StoreError> {
    let mut found = None;
    for ((_, _, id), ()) in read.scan::<AgentOfNetwork>(&(network, name.to_owned()), None, LISTED_MAX)? {
        if let Some(agent) = read.get::<Agent>(&(id,))? {
            let is_active = !agent.revoked;
            found = Some((id, agent));
            if is_active {
                break;
            }
        }
    }
    Ok(found)
}

/// Returns an agent that is not revoked.
///
/// # Errors
/// When the store fails.
pub fn active(read: &(impl Read + ?Sized), id: AgentId) -> Result<Option<Agent>, StoreError> {
    Ok(read.get::<Agent>(&(id,))?.filter(|agent| !agent.revoked))
}

/// Returns an agent of a network, revoked or not.
///
/// # Errors
/// When the network has none of this id.
pub fn get(read: &(impl Read + ?Sized), network: NetworkId, id: AgentId) -> Result<Agent, Failure> {
    let agent = read.get::<Agent>(&(id,))?.filter(|agent| agent.network == network);
    agent.ok_or_else(|| Fault::not_found("the network has no such agent").into())
}

/// Lists the agents of a network in the order of their names.
///
/// # Errors
/// When the store fails.
pub fn list(read: &(impl Read + ?Sized), network: NetworkId) -> Result<Vec<(AgentId, Agent)>, StoreError> {
    let mut agents = Vec::new();
    for ((_, _, id), ()) in read.scan::<AgentOfNetwork>(&(network,), None, LISTED_MAX)? {
        agents.extend(read.get::<Agent>(&(id,))?.map(|agent| (id, agent)));
    }
    Ok(agents)
}

/// Ends an agent, that is named by its name or id. Ended already is no error.
///
/// # Errors
/// When the network has no such agent.
pub fn revoke(tx: &mut Transaction<'_>, network: NetworkId, named: &str) -> Result<AgentId, Failure> {
    let (id, mut agent) = named_agent(tx, network, named)?;
    agent.revoked = true;
    tx.put::<Agent>(&(id,), &agent)?;
    Ok(id)
}

/// Finds an agent by its name or id.
fn named_agent(read: &(impl Read + ?Sized), network: NetworkId, named: &str) -> Result<(AgentId, Agent), Failure> {
    match named.parse::<AgentId>() {
        Ok(id) => Ok((id, get(read, network, id)?)),
        Err(_) => Ok(with_name(read, network, named)?.ok_or_else(|| Fault::not_found(format!("the network has no agent {named:?}")))?),
    }
}

/// Begins a session: returns its generation, which fences all sessions before it.
///
/// A state that is copied, with its host or from a backup, draws another life than the original when it starts, and neither knows of the
/// other's. Whichever comes first goes on; the other one is refused here.
///
/// # Errors
/// [`FaultKind::Unauthenticated`] when the agent was revoked, [`FaultKind::Fenced`] when another copy of its state had the last session.
pub fn begin_session(
    tx: &mut Transaction<'_>,
    id: AgentId,
    (incarnation, earlier): (Incarnation, &[Incarnation]),
    software: &str,
    now: Timestamp,
) -> Result<u64, Failure> {
    let mut agent = active(tx, id)?.ok_or_else(revoked)?;
    if agent.incarnation.is_some_and(|last| last != incarnation && !earlier.contains(&last)) {
        return Err(cloned(&agent.name).into());
    }
    agent.generation += 1;
    agent.incarnation = Some(incarnation);
    software.clone_into(&mut agent.software);
    agent.seen = Some(now);
    tx.put::<Agent>(&(id,), &agent)?;
    Ok(agent.generation)
}

/// Ends a session: remembers when the agent was last heard of.
///
/// # Errors
/// When the store fails.
pub fn end_session(tx: &mut Transaction<'_>, id: AgentId, now: Timestamp) -> Result<(), StoreError> {
    match tx.get::<Agent>(&(id,))? {
        Some(agent) => tx.put::<Agent>(&(id,), &Agent { seen: Some(now), ..agent }),
        None => Ok(()),
    }
}

/// Refuses writes of a session that a later one has displaced, or whose agent was revoked.
///
/// # Errors
/// [`FaultKind::Fenced`] or [`FaultKind::Unauthenticated`].
pub fn require_session(read: &(impl Read + ?Sized), id: AgentId, generation: u64) -> Result<(), Failure> {
    let agent = active(read, id)?.ok_or_else(revoked)?;
    if agent.generation == generation { Ok(()) } else { Err(fenced().into()) }
}

/// Lets whichever copy of an agent's state comes next go on: a person has said which one that is to be, and stopped the other. The agent is
/// named by its name or id.
///
/// # Errors
/// When the network has no such agent.
pub fn readmit(tx: &mut Transaction<'_>, network: NetworkId, named: &str) -> Result<AgentId, Failure> {
    let (id, agent) = named_agent(tx, network, named)?;
    tx.put::<Agent>(&(id,), &Agent { incarnation: None, ..agent })?;
    Ok(id)
}

/// The fault of an agent whose last session another copy of its state had.
fn cloned(name: &str) -> Fault {
    let message = format!(
        "another copy of the state of agent {name:?}, or a later one, has been connected since: it was cloned, or restored from a backup. \
         Stop the one that is not to go on, then let the other in: skybridge admin agent readmit NETWORK {name}"
    );
    Fault::new(FaultKind::Fenced, message)
}

/// The fault of a session that a later one has displaced.
#[must_use]
pub(super) fn fenced() -> Fault {
    Fault::new(FaultKind::Fenced, "a later session of the same agent has begun")
}

/// The fault of an agent that was revoked.
#[must_use]
pub(super) fn revoked() -> Fault {
    Fault::new(FaultKind::Unauthenticated, "the agent is not enrolled here, or was revoked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::testing::{World, time};

    #[test]
    fn s_c11_an_enrolment_is_good_for_an_hour_and_what_is_late_changes_nothing() {
        let world = World::new();
        let (network, id) = (world.network, AgentId::from_uuid(uuid::Uuid::from_u128(99)));
        for (secret, name) in [([1; 32], "early"), ([2; 32], "late")] {
            world.change(move |tx| create_enrolment(tx, network, name, secret, time(1_000))).unwrap();
        }
        let before = world.rows();
        let refused = world.change(move |tx| enrol(tx, [2; 32], id, time(1_000 + 3_600))).unwrap_err();
        assert!(refused.kind == FaultKind::Unauthenticated && refused.message.contains("ask for a new one"), "{refused:?}");
        assert_eq!(world.rows(), before);
        world.change(move |tx| enrol(tx, [1; 32], id, time(1_000 + 3_599))).unwrap();
        world.change(move |tx| create_enrolment(tx, network, "another", [3; 32], time(1_000 + 3_600))).unwrap();
        let kept = |secret: [u8; 32]| world.read(|read| Ok(read.exists::<Enrolment>(&(secret,))?));
        assert_eq!([kept([2; 32]), kept([3; 32])], [false, true], "what is too old is not kept");
    }
}
