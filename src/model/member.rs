//! States of members, the reasons behind them, and what to tell a person.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What a member is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MemberState {
    /// Not looked at yet, or waiting for its turn.
    Pending,
    /// Something of it is on its way.
    Syncing,
    /// Both sides were equal when last looked at.
    Synced,
    /// Failed for a passing cause; tried again by itself.
    Retrying,
    /// A person must do something; tried again as soon as its cause is seen to change.
    Failed,
    /// A lock on one side holds up the other side's changes.
    WaitingForLock,
    /// Kept here, gone there.
    Released,
    /// Cannot be synced.
    Excluded,
    /// Its set or agent was paused.
    Paused,
}

/// Why a member is not simply synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The name is taken on the other side.
    NameClash,
    /// The folder it syncs to is gone.
    TargetFolderMissing,
    /// Deleted in the cloud, and changed here since.
    TargetNoLongerExists,
    /// Deleted in the cloud, kept here.
    DeletedOnCloud,
    /// Belongs to another set.
    AlreadySynced,
    /// The owning account is gone.
    OwnerNotFound,
    /// The agent may not read or write it.
    SourceAccessDenied,
    /// The owner may not change it in the cloud.
    TargetAccessDenied,
    /// Larger than the limit.
    ContentLimitExceeded,
    /// No room in the cloud.
    QuotaExceeded,
    /// The stored sign-in or grant no longer works.
    AuthenticationFailed,
    /// A rule refused it.
    RuleFailed,
    /// Locked by somebody.
    Locked,
    /// No document and no folder.
    UnsupportedType,
    /// The name cannot be used on the other side.
    NameNotAllowed,
    /// The plan deletes too much and waits for a person.
    BrakeEngaged,
    /// The source cannot be seen completely.
    SourceUnknown,
    /// The coordinator cannot be reached.
    Unavailable,
    /// A fault of Skybridge itself.
    Internal,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::NameClash,
        Self::TargetFolderMissing,
        Self::TargetNoLongerExists,
        Self::DeletedOnCloud,
        Self::AlreadySynced,
        Self::OwnerNotFound,
        Self::SourceAccessDenied,
        Self::TargetAccessDenied,
        Self::ContentLimitExceeded,
        Self::QuotaExceeded,
        Self::AuthenticationFailed,
        Self::RuleFailed,
        Self::Locked,
        Self::UnsupportedType,
        Self::NameNotAllowed,
        Self::BrakeEngaged,
        Self::SourceUnknown,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Returns the code that programs see, such as `NAME_CLASH`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.describe().0
    }

    /// Returns the state of a member that has this reason.
    #[must_use]
    pub const fn state(self) -> MemberState {
        self.describe().1
    }

    /// Returns what happened, for a person.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.describe().2
    }

    /// Returns what the person can do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        self.describe().3
    }

    /// Finds a reason by its code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    const fn describe(self) -> (&'static str, MemberState, &'static str, &'static str) {
        use MemberState::{Excluded, Failed, Released, Retrying, WaitingForLock};
        match self {
            Self::NameClash => ("NAME_CLASH", Failed, "Something with this name is already there.", "rename one of the two"),
            Self::TargetFolderMissing => (
                "TARGET_FOLDER_MISSING",
                Failed,
                "The folder that this syncs to no longer exists.",
                "restore it, pick another target, or unsync",
            ),
            Self::TargetNoLongerExists => (
                "TARGET_NO_LONGER_EXISTS",
                Failed,
                "The cloud copy was deleted, and the source has changed since.",
                "request sync to create it again, or unsync (a direct member)",
            ),
            Self::DeletedOnCloud => (
                "DELETED_ON_CLOUD",
                Released,
                "The cloud copy was deleted; this copy was kept.",
                "request sync to push it again, or unsync (a direct member)",
            ),
            Self::AlreadySynced => {
                ("ALREADY_SYNCED", Excluded, "This content is already synced by another sync set.", "use that set, or unsync it there")
            }
            Self::OwnerNotFound => (
                "OWNER_NOT_FOUND",
                Failed,
                "The account that owns this sync no longer exists.",
                "an administrator becomes owner, or unsync",
            ),
            Self::SourceAccessDenied => {
                ("SOURCE_ACCESS_DENIED", Failed, "The agent may not read or write this content at the source.", "give the agent access")
            }
            Self::TargetAccessDenied => (
                "TARGET_ACCESS_DENIED",
                Failed,
                "The owner of this sync may not change the target.",
                "give the account a role, or change owner",
            ),
            Self::ContentLimitExceeded => {
                ("CONTENT_LIMIT_EXCEEDED", Failed, "The document is larger than the limit.", "shrink it, or raise the limit")
            }
            Self::QuotaExceeded => {
                ("QUOTA_EXCEEDED", Failed, "There is not enough room in the cloud for this document.", "free room, or raise the quota")
            }
            Self::AuthenticationFailed => {
                ("AUTHENTICATION_FAILED", Failed, "The stored sign-in of the cloud account no longer works.", "sign in again")
            }
            Self::RuleFailed => ("RULE_FAILED", Failed, "A rule on the folder refused the change.", "see the rule's message"),
            Self::Locked => ("LOCKED", WaitingForLock, "The document is locked.", "wait, or break the lock"),
            Self::UnsupportedType => ("UNSUPPORTED_TYPE", Excluded, "This kind of item cannot be synced.", "none needed"),
            Self::NameNotAllowed => ("NAME_NOT_ALLOWED", Failed, "This name cannot be used on the other side.", "rename it"),
            Self::BrakeEngaged => {
                ("BRAKE_ENGAGED", Failed, "This would delete many items at once, and waits for a person.", "review and approve, or restore")
            }
            Self::SourceUnknown => (
                "SOURCE_UNKNOWN",
                Retrying,
                "The source cannot be seen completely right now; nothing was deleted.",
                "mount or repair the source",
            ),
            Self::Unavailable => ("UNAVAILABLE", Retrying, "The coordinator cannot be reached.", "none needed"),
            Self::Internal => ("INTERNAL", Retrying, "Something went wrong in Skybridge.", "report it with the request id"),
        }
    }
}

/// What both sides know of a member's sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// What it is doing.
    pub state: MemberState,
    /// Why, unless all is well.
    pub reason: Option<Reason>,
    /// More about this case, for a person: the clashing name, the counts of the brake. Never an internal detail.
    pub detail: String,
}

/// When a member's sync did what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberTimes {
    /// When both sides were last found equal.
    pub success: Option<Timestamp>,
    /// When something was last tried.
    pub attempt: Option<Timestamp>,
    /// When it is tried again by itself, at the latest.
    pub retry: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_e01_every_reason_has_code_text_and_remedy() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            assert!(!reason.text().is_empty() && !reason.remedy().is_empty());
        }
    }
}
