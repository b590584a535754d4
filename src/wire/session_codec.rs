//! The messages of `SyncService.Synchronize`, and the pages of `ListMembers`, read and written.

use std::time::Duration;

use crate::model::{Epoch, Incarnation, JournalEntry, MemberStatus, MemberTimes, TargetNode};

use super::session::{
    Ack, AgentMessage, ChangeBatch, CoordinatorMessage, Directive, EARLIER_MAX, HELLO_SUBSCRIPTIONS_MAX, Hello, MemberPage, MemberReport,
    MemberUpdate, REPORT_TEXT_BYTES_MAX, Subscription, Welcome,
};
use super::{At, ProtocolError, common, field, pb};

/// The limits that the protocol documents.
const SOFTWARE_BYTES_MAX: usize = 100;
const REPORT_MEMBERS_MAX: usize = 500;
const BATCH_CHANGES_MAX: usize = 500;
const WINDOW_BATCHES_DEFAULT: u32 = 16;
const WINDOW_BATCHES_MAX: u32 = 64;
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
const HEARTBEAT_MAX: Duration = Duration::from_secs(3_600);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(300);

impl TryFrom<pb::SynchronizeRequest> for AgentMessage {
    type Error = ProtocolError;

    fn try_from(pb: pb::SynchronizeRequest) -> Result<Self, ProtocolError> {
        use pb::synchronize_request::Kind;
        Ok(match field::required("kind", pb.kind)? {
            Kind::Hello(hello) => Self::Hello(hello.try_into().at("hello")?),
            Kind::Subscribe(subscribe) => Self::Subscribe(subscribe.try_into().at("subscribe")?),
            Kind::Push(push) => Self::Push(push.try_into().at("push")?),
            Kind::Ack(ack) => Self::Ack(ack.try_into().at("ack")?),
            Kind::Report(report) => Self::Report(report.try_into().at("report")?),
            Kind::Heartbeat(pb::Heartbeat {}) => Self::Heartbeat,
        })
    }
}

impl From<AgentMessage> for pb::SynchronizeRequest {
    fn from(message: AgentMessage) -> Self {
        use pb::synchronize_request::Kind;
        let kind = match message {
            AgentMessage::Hello(hello) => Kind::Hello(hello.into()),
            AgentMessage::Subscribe(subscription) => Kind::Subscribe(subscription.into()),
            AgentMessage::Push(batch) => Kind::Push(batch.into()),
            AgentMessage::Ack(ack) => Kind::Ack(ack.into()),
            AgentMessage::Report(report) => Kind::Report(report.into()),
            AgentMessage::Heartbeat => Kind::Heartbeat(pb::Heartbeat {}),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::SynchronizeResponse> for CoordinatorMessage {
    type Error = ProtocolError;

    fn try_from(pb: pb::SynchronizeResponse) -> Result<Self, ProtocolError> {
        use pb::synchronize_response::Kind;
        Ok(match field::required("kind", pb.kind)? {
            Kind::Welcome(welcome) => Self::Welcome(welcome.try_into().at("welcome")?),
            Kind::Outcomes(outcomes) => Self::Outcomes(outcomes.try_into().at("outcomes")?),
            Kind::Changes(changes) => Self::Changes(changes.try_into().at("changes")?),
            Kind::ResyncRequired(resync) => Self::ResyncRequired {
                set: field::id("set_id", &resync.set_id).at("resync_required")?,
                detail: field::clipped(resync.detail),
            },
            Kind::Directive(directive) => Self::Directive(directive.try_into().at("directive")?),
            Kind::Heartbeat(pb::Heartbeat {}) => Self::Heartbeat,
            Kind::Drain(drain) => {
                let after = field::duration("reconnect_after", drain.reconnect_after.unwrap_or_default()).at("drain")?;
                Self::Drain { reconnect_after: after.min(RECONNECT_AFTER_MAX) }
            }
        })
    }
}

impl From<CoordinatorMessage> for pb::SynchronizeResponse {
    fn from(message: CoordinatorMessage) -> Self {
        use pb::synchronize_response::Kind;
        let kind = match message {
            CoordinatorMessage::Welcome(welcome) => Kind::Welcome(welcome.into()),
            CoordinatorMessage::Outcomes(outcomes) => Kind::Outcomes(outcomes.into()),
            CoordinatorMessage::Changes(changes) => Kind::Changes(changes.into()),
            CoordinatorMessage::ResyncRequired { set, detail } => {
                Kind::ResyncRequired(pb::ResyncRequired { set_id: set.to_string(), detail })
            }
            CoordinatorMessage::Directive(directive) => Kind::Directive(directive.into()),
            CoordinatorMessage::Heartbeat => Kind::Heartbeat(pb::Heartbeat {}),
            CoordinatorMessage::Drain { reconnect_after } => Kind::Drain(pb::Drain { reconnect_after: Some(span(reconnect_after)) }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Hello> for Hello {
    type Error = ProtocolError;

    fn try_from(pb: pb::Hello) -> Result<Self, ProtocolError> {
        if pb.version_min == 0 || pb.version_min > pb.version_max {
            return Err(ProtocolError::new("version_min", "must be at least 1 and at most version_max"));
        }
        if pb.incarnation == 0 {
            return Err(ProtocolError::missing("incarnation"));
        }
        if pb.window_batches > WINDOW_BATCHES_MAX {
            return Err(ProtocolError::new("window_batches", format_args!("must be from 0 to {WINDOW_BATCHES_MAX}")));
        }
        if pb.subscriptions.len() > HELLO_SUBSCRIPTIONS_MAX {
            return Err(ProtocolError::new("subscriptions", format_args!("must be at most {HELLO_SUBSCRIPTIONS_MAX}; send more later")));
        }
        if pb.earlier_incarnations.len() > EARLIER_MAX {
            return Err(ProtocolError::new("earlier_incarnations", format_args!("must be at most {EARLIER_MAX}")));
        }
        let subscriptions = pb
            .subscriptions
            .into_iter()
            .enumerate()
            .map(|(index, subscribe)| Subscription::try_from(subscribe).at_index("subscriptions", index))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            version_min: pb.version_min,
            version_max: pb.version_max,
            incarnation: Incarnation::new(pb.incarnation),
            earlier: pb.earlier_incarnations.into_iter().map(Incarnation::new).collect(),
            software: field::bounded("software", pb.software, SOFTWARE_BYTES_MAX)?,
            window_batches: if pb.window_batches == 0 { WINDOW_BATCHES_DEFAULT } else { pb.window_batches },
            subscriptions,
        })
    }
}

impl From<Hello> for pb::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            version_min: hello.version_min,
            version_max: hello.version_max,
            incarnation: hello.incarnation.get(),
            earlier_incarnations: hello.earlier.into_iter().map(Incarnation::get).collect(),
            software: hello.software,
            window_batches: hello.window_batches,
            subscriptions: hello.subscriptions.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::Subscribe> for Subscription {
    type Error = ProtocolError;

    fn try_from(pb: pb::Subscribe) -> Result<Self, ProtocolError> {
        Ok(Self { set: field::id("set_id", &pb.set_id)?, cursor: field::optional_message("cursor", pb.cursor)? })
    }
}

impl From<Subscription> for pb::Subscribe {
    fn from(subscription: Subscription) -> Self {
        Self { set_id: subscription.set.to_string(), cursor: subscription.cursor.map(Into::into) }
    }
}

impl TryFrom<pb::Ack> for Ack {
    type Error = ProtocolError;

    fn try_from(pb: pb::Ack) -> Result<Self, ProtocolError> {
        Ok(Self { set: field::id("set_id", &pb.set_id)?, cursor: field::message("cursor", pb.cursor)? })
    }
}

impl From<Ack> for pb::Ack {
    fn from(ack: Ack) -> Self {
        Self { set_id: ack.set.to_string(), cursor: Some(ack.cursor.into()) }
    }
}

impl TryFrom<pb::Welcome> for Welcome {
    type Error = ProtocolError;

    fn try_from(pb: pb::Welcome) -> Result<Self, ProtocolError> {
        for (name, value) in [
            ("version", pb.version),
            ("window_batches", pb.window_batches),
            ("batch_operations_max", pb.batch_operations_max),
            ("batch_bytes_max", pb.batch_bytes_max),
        ] {
            if value == 0 {
                return Err(ProtocolError::missing(name));
            }
        }
        let heartbeat = field::duration("heartbeat", pb.heartbeat.unwrap_or_default())?;
        if !(HEARTBEAT_MIN..=HEARTBEAT_MAX).contains(&heartbeat) {
            return Err(ProtocolError::new("heartbeat", format_args!("must be from {HEARTBEAT_MIN:?} to {HEARTBEAT_MAX:?}")));
        }
        Ok(Self {
            version: pb.version,
            session_generation: pb.session_generation,
            heartbeat,
            window_batches: pb.window_batches,
            batch_operations_max: pb.batch_operations_max,
            batch_bytes_max: pb.batch_bytes_max,
            inline_bytes_max: pb.inline_bytes_max,
            epoch: Some(pb.epoch).filter(|epoch| *epoch != 0).map(Epoch::new),
        })
    }
}

impl From<Welcome> for pb::Welcome {
    fn from(welcome: Welcome) -> Self {
        Self {
            version: welcome.version,
            session_generation: welcome.session_generation,
            heartbeat: Some(span(welcome.heartbeat)),
            window_batches: welcome.window_batches,
            batch_operations_max: welcome.batch_operations_max,
            batch_bytes_max: welcome.batch_bytes_max,
            inline_bytes_max: welcome.inline_bytes_max,
            epoch: welcome.epoch.map_or(0, Epoch::get),
        }
    }
}

impl TryFrom<pb::ChangeBatch> for ChangeBatch {
    type Error = ProtocolError;

    fn try_from(pb: pb::ChangeBatch) -> Result<Self, ProtocolError> {
        if pb.changes.len() > BATCH_CHANGES_MAX {
            return Err(ProtocolError::new("changes", format_args!("must be at most {BATCH_CHANGES_MAX}")));
        }
        let changes = pb
            .changes
            .into_iter()
            .enumerate()
            .map(|(index, change)| JournalEntry::try_from(change).at_index("changes", index))
            .collect::<Result<_, _>>()?;
        let batch = Self {
            set: field::id("set_id", &pb.set_id)?,
            from_exclusive: field::message("from_cursor_exclusive", pb.from_cursor_exclusive)?,
            to_inclusive: field::message("to_cursor_inclusive", pb.to_cursor_inclusive)?,
            changes,
            more_follows: pb.more_follows,
            traceparent: pb.traceparent,
        };
        check_order(&batch)?;
        Ok(batch)
    }
}

/// Whoever holds a batch counts all that is up to its end as held: nothing in it may be elsewhere.
fn check_order(batch: &ChangeBatch) -> Result<(), ProtocolError> {
    let (from, to) = (batch.from_exclusive, batch.to_inclusive);
    if from.epoch != to.epoch || from.sequence > to.sequence {
        return Err(ProtocolError::new("to_cursor_inclusive", "must not be before from_cursor_exclusive, nor of another epoch"));
    }
    let mut last = from.sequence;
    for (index, change) in batch.changes.iter().enumerate() {
        if change.sequence <= last || change.sequence > to.sequence {
            let error = ProtocolError::new("sequence", "must be after the one before, and between the cursors of the batch");
            return Err(error).at_index("changes", index);
        }
        last = change.sequence;
    }
    Ok(())
}

impl From<ChangeBatch> for pb::ChangeBatch {
    fn from(batch: ChangeBatch) -> Self {
        Self {
            set_id: batch.set.to_string(),
            from_cursor_exclusive: Some(batch.from_exclusive.into()),
            to_cursor_inclusive: Some(batch.to_inclusive.into()),
            changes: batch.changes.into_iter().map(Into::into).collect(),
            more_follows: batch.more_follows,
            traceparent: batch.traceparent,
        }
    }
}

impl TryFrom<pb::MemberReport> for MemberReport {
    type Error = ProtocolError;

    fn try_from(pb: pb::MemberReport) -> Result<Self, ProtocolError> {
        if pb.members.len() > REPORT_MEMBERS_MAX {
            return Err(ProtocolError::new("members", format_args!("must be at most {REPORT_MEMBERS_MAX}")));
        }
        let members = pb
            .members
            .into_iter()
            .enumerate()
            .map(|(index, status)| MemberUpdate::try_from(status).at_index("members", index))
            .collect::<Result<_, _>>()?;
        Ok(Self { set: field::id("set_id", &pb.set_id)?, members })
    }
}

impl From<MemberReport> for pb::MemberReport {
    fn from(report: MemberReport) -> Self {
        Self { set_id: report.set.to_string(), members: report.members.into_iter().map(Into::into).collect() }
    }
}

impl TryFrom<pb::MemberStatus> for MemberUpdate {
    type Error = ProtocolError;

    fn try_from(pb: pb::MemberStatus) -> Result<Self, ProtocolError> {
        let status = if pb.removed {
            None
        } else {
            Some(MemberStatus {
                state: common::member_state("state", pb.state)?,
                reason: common::reason(pb.reason),
                detail: field::bounded("detail", pb.detail, REPORT_TEXT_BYTES_MAX)?,
            })
        };
        let source_path = field::bounded("source_path", pb.source_path, REPORT_TEXT_BYTES_MAX)?;
        let optional = |name, time: Option<_>| time.map(|time| field::message(name, Some(time))).transpose();
        Ok(Self {
            node: field::id("node_id", &pb.node_id)?,
            status,
            source_path: Some(source_path).filter(|path| !path.is_empty()),
            time: field::message("report_time", pb.report_time)?,
            times: MemberTimes {
                success: optional("success_time", pb.success_time)?,
                attempt: optional("attempt_time", pb.attempt_time)?,
                retry: optional("retry_time", pb.retry_time)?,
            },
        })
    }
}

impl From<MemberUpdate> for pb::MemberStatus {
    fn from(update: MemberUpdate) -> Self {
        let base = Self {
            node_id: update.node.to_string(),
            source_path: update.source_path.unwrap_or_default(),
            report_time: Some(update.time.into()),
            success_time: update.times.success.map(Into::into),
            attempt_time: update.times.attempt.map(Into::into),
            retry_time: update.times.retry.map(Into::into),
            ..Self::default()
        };
        match update.status {
            None => Self { removed: true, ..base },
            Some(status) => Self {
                state: pb::MemberState::from(status.state).into(),
                reason: common::reason_number(status.reason),
                detail: status.detail,
                ..base
            },
        }
    }
}

impl TryFrom<pb::Directive> for Directive {
    type Error = ProtocolError;

    fn try_from(pb: pb::Directive) -> Result<Self, ProtocolError> {
        use pb::directive::Kind;
        let set = field::id("set_id", &pb.set_id)?;
        Ok(match field::required("kind", pb.kind)? {
            Kind::RequestSync(request) => {
                Self::RequestSync { set, node: field::optional_id("node_id", &request.node_id).at("request_sync")? }
            }
            Kind::Ended(pb::SetEnded {}) => Self::SetEnded { set },
        })
    }
}

impl From<Directive> for pb::Directive {
    fn from(directive: Directive) -> Self {
        use pb::directive::Kind;
        let (set, kind) = match directive {
            Directive::RequestSync { set, node } => (set, Kind::RequestSync(pb::RequestSync { node_id: field::optional_text(node) })),
            Directive::SetEnded { set } => (set, Kind::Ended(pb::SetEnded {})),
        };
        Self { set_id: set.to_string(), kind: Some(kind) }
    }
}

impl TryFrom<pb::ListMembersResponse> for MemberPage {
    type Error = ProtocolError;

    fn try_from(pb: pb::ListMembersResponse) -> Result<Self, ProtocolError> {
        let members = pb
            .members
            .into_iter()
            .enumerate()
            .map(|(index, member)| TargetNode::try_from(member).at_index("members", index))
            .collect::<Result<_, _>>()?;
        Ok(Self { members, next_page_token: pb.next_page_token, as_of: field::message("as_of_sequence", pb.as_of_sequence)? })
    }
}

impl From<MemberPage> for pb::ListMembersResponse {
    fn from(page: MemberPage) -> Self {
        Self {
            members: page.members.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
            as_of_sequence: Some(page.as_of.into()),
        }
    }
}

/// A span longer than 292 billion years cannot be sent and is not worth an error.
fn span(span: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(span).unwrap_or_default()
}
