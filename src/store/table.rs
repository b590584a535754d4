//! The kinds of record in the key space. A key's first byte says its kind, so all of them stand here, where no two can collide.

/// A kind of record. The number is stored: never change or reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Table {
    /// The store's own format number. `()` → format, position of a running migration.
    Format = 0,
    /// Where content is. Scope, hash → pack, offset, whether it can be relied on.
    Blob = 1,
    /// Who may refer to what they sent. Scope, holder, hash → until when.
    BlobLease = 2,
    /// Contents that were checked in whole for a holder. Scope, holder, root → the reference, until when.
    ContentSeal = 3,
    // Add a line for each kind of record: its key, an arrow, what it holds. Ranges: 1 to 99 what both roles share, 100 to 169 the
    // coordinator, 170 to 239 the agent.
    /// (network) → the network, the head of its journal, the bytes that it uses.
    Network = 100,
    /// (name) → network.
    NetworkName = 101,
    /// (network, site) → the site.
    Site = 102,
    /// (network, name) → site.
    SiteName = 103,
    /// (account, network) → how the account belongs to it.
    NetworkMember = 104,
    /// (network, site, account) → role.
    SiteMember = 105,
    /// (network, node) → the document or folder, live or in the trash.
    Node = 106,
    /// (network, folder, folded name) → node. What holds names unique.
    Child = 107,
    /// (network, node, number) → one content of a document.
    Version = 108,
    /// (network, site, time, node) → nothing. The tops of what is in the trash.
    Trash = 109,
    /// (network, folder, child) → nothing. The child is, or holds somewhere beneath, a direct member.
    Trail = 110,
    /// (account, request id) → what the request made.
    Request = 111,
    /// (network, sequence) → one change.
    Journal = 112,
    /// (set, sequence) → nothing. The changes that concern the set.
    JournalOfSet = 113,
    /// (set, operation) → the answer that it got.
    Outcome = 114,
    /// (set) → the definition and the grant.
    SyncSet = 115,
    /// (network, set) → nothing.
    SetOfNetwork = 116,
    /// (agent, set) → nothing.
    SetOfAgent = 117,
    /// (set, node) → nothing. The direct members of the set, in the trash or not.
    DirectMember = 118,
    /// (set, node) → how the agent said that the member is doing.
    MemberReport = 119,
    /// (set, state, node) → nothing. The reports of any state but SYNCED.
    MemberTrouble = 120,
    /// (set) → how many members were reported in each state.
    MemberCounts = 121,
    /// (agent, set, subject) → what a person in the cloud asked of the agent.
    Directive = 122,
    /// (set) → up to where the agent holds the journal.
    Acknowledged = 123,
    /// Records of this module's own tests.
    #[cfg(test)]
    Test = 250,
    /// More records of this module's own tests.
    #[cfg(test)]
    TestIndex = 251,
}

impl Table {
    /// Returns the first byte of each of its keys.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }
}
