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
    /// (account) → the account.
    Account = 130,
    /// (address) → account.
    AccountEmail = 131,
    /// (network, address) → account.
    AccountOfNetwork = 132,
    /// (account, request id) → the account that the request made.
    AccountRequest = 133,
    /// (hash of the secret) → the token.
    Token = 134,
    /// (account, token) → hash of the secret.
    TokenOfAccount = 135,
    /// (token) → account.
    TokenOwner = 136,
    /// (hash of the secret) → network and name of the agent to be.
    Enrolment = 137,
    /// (agent) → the agent.
    Agent = 138,
    /// (network, name, agent) → nothing.
    AgentOfNetwork = 139,
    /// `()` → who the agent is.
    Mine = 170,
    /// Set → a sync set at the source.
    LocalSets = 171,
    /// Set, node → a member.
    Members = 172,
    /// Repository key → which member it is.
    RepositoryKeys = 173,
    /// Set, folder, folded name, name, node → `()`: who holds a name at the source.
    SourceNames = 174,
    /// Set, folder, folded name, node → `()`: who holds a name at the target.
    TargetNames = 175,
    /// Set, node → `()`: what has to be planned.
    Dirty = 176,
    /// Set, what is waited for, node → `()`.
    Waiting = 177,
    /// Operation → a push whose outcome is not known.
    InFlight = 178,
    /// Set, node → `()`: whose status the coordinator has not heard.
    Unreported = 179,
    /// Time, set, node → `()`: what is tried again.
    Retries = 180,
    /// Operation → the member that it changes at the source.
    Applying = 181,
    /// Operation → the member whose document it displaced.
    Displacements = 182,
    /// Set, node, number → a kept version.
    SourceVersions = 183,
    /// Path, set, node → `()`: who had a path.
    SourceVersionPaths = 184,
    /// Set, folder, name → an item that cannot be a member.
    Oddities = 185,
    /// `()` → the repository's identity, and the sites that were healthy once.
    KnownSites = 186,
    /// `()` → the lives that the agent's state had before this one.
    EarlierLives = 187,
    /// `()` → the number of the newest kept version.
    SourceVersionNumber = 188,
    /// Repository key → the order that the item is put in place for.
    Placing = 189,
    /// Node, set → `()`: which sets have a member.
    Holders = 190,
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
