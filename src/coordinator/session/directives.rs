//! What people in the cloud ask of the agent, on its way there. Kept in the store until the agent has surely seen it.
//!
//! The protocol has no answer to a directive. One counts as seen when the session lived on for a while after it was sent; until then a
//! later session sends it again, which does no harm.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::coordinator::auth::CallingAgent;
use crate::coordinator::context::Context;
use crate::coordinator::sets::{self, Pending};
use crate::model::{Fault, SetId};
use crate::wire::Directive;

/// The directives of one session.
#[derive(Debug)]
pub(super) struct Directives {
    caller: CallingAgent,
    /// What was sent in this session, and when.
    sent: BTreeMap<SetId, Vec<(Pending, Instant)>>,
}

impl Directives {
    pub(super) const fn new(caller: CallingAgent) -> Self {
        Self { caller, sent: BTreeMap::new() }
    }

    /// Returns what was not sent in this session yet, and counts it as sent.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn take(&mut self, context: &Context) -> Result<Vec<Directive>, Fault> {
        let pending = context.read(|read| Ok(sets::pending_directives(read, self.caller.agent)?))?;
        let mut directives = Vec::new();
        for (set, pending) in pending {
            let sent = self.sent.entry(set).or_default();
            if sent.iter().all(|(sent, _)| *sent != pending) {
                sent.push((pending, Instant::now()));
                directives.push(match pending.directive {
                    sets::Directive::RequestSync { node } => Directive::RequestSync { set, node },
                    sets::Directive::Ended => Directive::SetEnded { set },
                });
            }
        }
        Ok(directives)
    }

    /// Forgets what was sent longer ago than `age`.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn settle(&mut self, context: &Context, age: Duration) -> Result<(), Fault> {
        let mut seen = Vec::new();
        for (set, sent) in &mut self.sent {
            sent.retain(|(pending, at)| {
                let is_young = at.elapsed() < age;
                if !is_young {
                    seen.push((*set, *pending));
                }
                is_young
            });
        }
        self.sent.retain(|_, sent| !sent.is_empty());
        if seen.is_empty() {
            return Ok(());
        }
        let agent = self.caller.agent;
        context
            .transact(move |tx| {
                seen.iter().try_for_each(|(set, pending)| sets::clear_directive(tx, agent, *set, *pending))?;
                Ok(())
            })
            .await
    }
}
