//! What the agent says of itself, on its way to the store: acknowledgements and reports. Together, one transaction at a time.

use std::collections::{BTreeMap, VecDeque};

use futures::{FutureExt as _, future::BoxFuture};

use crate::coordinator::agents;
use crate::coordinator::auth::CallingAgent;
use crate::coordinator::context::Context;
use crate::coordinator::sets::{self, Definition, Report};
use crate::model::{Cursor, Fault, SetId};
use crate::wire::MemberReport;

/// Reports that wait; while there are so many, nothing more is read from the agent.
const REPORTS_MAX: usize = 16;

/// What waits to be stored.
pub(super) struct Notes {
    context: Context,
    caller: CallingAgent,
    generation: u64,
    acks: BTreeMap<SetId, Cursor>,
    reports: VecDeque<MemberReport>,
    storing: Option<BoxFuture<'static, Result<(), Fault>>>,
}

impl Notes {
    pub(super) fn new(context: Context, caller: CallingAgent, generation: u64) -> Self {
        Self { context, caller, generation, acks: BTreeMap::new(), reports: VecDeque::new(), storing: None }
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        self.reports.len() < REPORTS_MAX
    }

    pub(super) fn is_idle(&self) -> bool {
        self.acks.is_empty() && self.reports.is_empty() && self.storing.is_none()
    }

    pub(super) fn acknowledge(&mut self, set: SetId, cursor: Cursor) {
        self.acks.insert(set, cursor);
    }

    pub(super) fn report(&mut self, report: MemberReport) {
        self.reports.push_back(report);
    }

    /// Stores what waits, until all is stored; then waits for ever. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the store failed or the session was fenced; that ends the session.
    pub(super) async fn store(&mut self) -> Result<(), Fault> {
        loop {
            if self.storing.is_none() && !(self.acks.is_empty() && self.reports.is_empty()) {
                self.storing = Some(self.take());
            }
            match &mut self.storing {
                Some(storing) => {
                    let stored = storing.await;
                    self.storing = None;
                    stored?;
                    if self.is_idle() {
                        return Ok(());
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    fn take(&mut self) -> BoxFuture<'static, Result<(), Fault>> {
        let acks = std::mem::take(&mut self.acks);
        let reports: Vec<_> = self.reports.drain(..).map(|report| (report.set, of_wire(report))).collect();
        let (context, caller, generation, now) = (self.context.clone(), self.caller, self.generation, self.context.now());
        async move {
            context
                .transact(move |tx| {
                    agents::require_session(tx, caller.agent, generation)?;
                    let is_callers = |definition: &Definition| definition.set.agent == caller.agent;
                    for (set, cursor) in &acks {
                        if Definition::in_force(tx, *set)?.as_ref().is_some_and(is_callers) {
                            sets::acknowledge(tx, *set, *cursor, now)?;
                        }
                    }
                    for (set, reports) in &reports {
                        // What is said of a set that has ended meanwhile is of no interest any more.
                        if Definition::in_force(tx, *set)?.as_ref().is_some_and(is_callers) {
                            sets::record_reports(tx, *set, reports)?;
                        }
                    }
                    Ok(())
                })
                .await
        }
        .boxed()
    }
}

fn of_wire(report: MemberReport) -> Vec<Report> {
    let members = report.members.into_iter();
    members
        .map(|member| Report {
            node: member.node,
            status: member.status,
            source_path: member.source_path.unwrap_or_default(),
            at: member.time,
            times: member.times,
        })
        .collect()
}
