//! Accounts of people and programs: passwords, tokens, signing in.
//!
//! Owned by the coordinator. Records and rules are synchronous and run inside one transaction of the store; only hashing a password
//! takes a thread of its own. Secrets are kept as hashes, and never reach a log, an error or `Debug`. Roles are not known here: who
//! belongs to which network and site is told by [`super::networks`].

mod account;
mod attempts;
mod password;
mod secret;
mod sign_in;
mod token;

#[cfg(test)]
mod tests;

pub use account::{Account, NewAccount, create, find, get, is_active, list, set_disabled, set_password};
pub(super) use account::{find_in, join};
pub use attempts::Attempts;
pub use password::{PasswordHash, Passwords};
pub use secret::{Secret, hash};
pub(super) use sign_in::after;
pub use sign_in::{SignIn, SignedIn, sign_in};
pub use token::{NewToken, Scope, Token, issue, list_tokens, revoke_all_tokens, revoke_token, verify_token};
pub(super) use token::{draw, owner};
