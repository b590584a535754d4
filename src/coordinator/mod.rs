//! The coordinator in the cloud: libraries, accounts, sync sets, the journal and the sessions of agents.
