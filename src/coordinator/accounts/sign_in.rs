//! Signing in: an address and a password for a token.

use std::{net::IpAddr, time::Duration};

use super::{Account, Attempts, NewToken, Passwords, Scope, Secret, Token, account, token};
use crate::coordinator::failure::Failure;
use crate::model::{Fault, FaultKind, Timestamp, TokenId};
use crate::store::Store;
use crate::sys::World;

/// How long the token of a sign-in works.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is needed to sign in.
pub struct SignIn {
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
    /// What lists of tokens call the new one.
    pub label: String,
    /// Where the call comes from, when that is known.
    pub from: Option<IpAddr>,
    /// The handle of the new token.
    pub token: TokenId,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("from", &self.from).finish_non_exhaustive()
    }
}

/// What a sign-in gives.
#[derive(Debug)]
pub struct SignedIn {
    /// The new token's secret.
    pub secret: Secret,
    /// The new token.
    pub token: Token,
    /// Whose it is.
    pub account: Account,
}

/// Signs in. That an account does not exist takes as long, and is answered, as a wrong password.
///
/// # Errors
/// [`FaultKind::Unauthenticated`] for a wrong address or password, [`FaultKind::Exhausted`] after too many attempts.
pub async fn sign_in(
    store: &Store,
    passwords: &Passwords,
    attempts: &Attempts,
    world: &dyn World,
    attempt: SignIn,
    now: Timestamp,
) -> Result<SignedIn, Fault> {
    attempts.count(attempt.from, &attempt.email)?;
    let found = store.read(|read| Ok::<_, Failure>(account::find(read, &attempt.email)?))?;
    let hash = found.as_ref().and_then(|(_, account)| account.password.clone());
    let matches = passwords.matches(hash, attempt.password).await?;
    let Some((id, account)) = found.filter(|(_, account)| matches && !account.disabled) else {
        tracing::info!(from = ?attempt.from, "a sign-in was refused");
        return Err(Fault::new(FaultKind::Unauthenticated, "wrong address or password"));
    };
    let secret = token::draw(world);
    let hash = secret.hash();
    let expires = after(now, LIFETIME);
    let view = NewToken { id: attempt.token, account: id, label: attempt.label, scope: Scope::Full, expires };
    let token = store.transact(move |tx| token::issue(tx, hash, &view, now)).await?;
    tracing::info!(account = %id, token = %token.id, "signed in");
    Ok(SignedIn { secret, token, account })
}

/// Returns the time a span later.
#[must_use]
pub(crate) fn after(time: Timestamp, span: Duration) -> Timestamp {
    let seconds = time.seconds.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
    Timestamp { seconds, ..time }
}
