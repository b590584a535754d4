//! Tokens: random secrets that stand for an account, with a scope and an end.

use serde::{Deserialize, Serialize};

use super::{Secret, account, secret};
use crate::coordinator::failure::Failure;
use crate::model::{AccountId, Fault, FaultKind, Timestamp, TokenId};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};
use crate::sys::World;

/// What tokens begin with, so that scanners find them where they should not be.
const PREFIX: &str = "skyb_";
/// The most tokens of one account that work at one time.
const TOKENS_MAX: usize = 1_000;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everything that the account may do.
    Full,
    /// Only reading.
    Read,
    /// Reading and changing documents and folders.
    Library,
}

/// A token as it is kept: without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its public handle.
    pub id: TokenId,
    /// Whose it is.
    pub account: AccountId,
    /// What lists call it.
    pub label: String,
    /// What it may be used for.
    pub scope: Scope,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl Record for Token {
    const TABLE: Table = Table::Token;
    const FORMAT: u8 = 1;
    /// The hash of the secret.
    type Key = ([u8; 32],);
    type Value = Self;
}

/// Lists the tokens of an account in the order in which they were made.
#[derive(Debug)]
struct TokenOfAccount;

impl Record for TokenOfAccount {
    const TABLE: Table = Table::TokenOfAccount;
    const FORMAT: u8 = 1;
    type Key = (AccountId, TokenId);
    /// The hash of the secret.
    type Value = [u8; 32];
}

/// Finds the account of a token by its handle.
#[derive(Debug)]
struct TokenOwner;

impl Record for TokenOwner {
    const TABLE: Table = Table::TokenOwner;
    const FORMAT: u8 = 1;
    type Key = (TokenId,);
    type Value = AccountId;
}

/// What makes a token.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its public handle.
    pub id: TokenId,
    /// Whose it is.
    pub account: AccountId,
    /// What lists call it.
    pub label: String,
    /// What it may be used for.
    pub scope: Scope,
    /// When it ends.
    pub expires: Timestamp,
}

/// Draws the secret of a new token.
#[must_use]
pub(crate) fn draw(world: &dyn World) -> Secret {
    Secret::draw(world, PREFIX)
}

/// Stores a token whose secret has this hash. Tokens of the account that have ended are forgotten.
///
/// # Errors
/// When the account has too many.
pub fn issue(tx: &mut Transaction<'_>, hash: [u8; 32], new: &NewToken, now: Timestamp) -> Result<Token, Failure> {
    let held = tx.scan::<TokenOfAccount>(&(new.account,), None, TOKENS_MAX)?;
    let mut working = 0;
    for ((account, id), hash) in held {
        match tx.get::<Token>(&(hash,))? {
            Some(token) if token.expires > now => working += 1,
            _ => forget(tx, account, id, hash)?,
        }
    }
    if working >= TOKENS_MAX {
        return Err(Fault::new(FaultKind::Exhausted, format!("the account has {TOKENS_MAX} tokens: revoke some")).into());
    }
    let NewToken { id, account, label, scope, expires } = new.clone();
    let token = Token { id, account, label, scope, created: now, expires };
    tx.put::<Token>(&(hash,), &token)?;
    tx.put::<TokenOfAccount>(&(account, id), &hash)?;
    tx.put::<TokenOwner>(&(id,), &account)?;
    Ok(token)
}

/// Returns the token of a secret, if it works now: it has not ended, and neither has its account.
///
/// # Errors
/// When the store fails.
pub fn verify_token(read: &(impl Read + ?Sized), text: &str, now: Timestamp) -> Result<Option<Token>, StoreError> {
    if !text.starts_with(PREFIX) {
        return Ok(None);
    }
    let Some(token) = read.get::<Token>(&(secret::hash(text),))?.filter(|token| token.expires > now) else { return Ok(None) };
    Ok(account::is_active(read, token.account)?.then_some(token))
}

/// Lists the tokens of an account that work.
///
/// # Errors
/// When the store fails.
pub fn list_tokens(read: &(impl Read + ?Sized), account: AccountId, now: Timestamp) -> Result<Vec<Token>, StoreError> {
    let mut tokens = Vec::new();
    for (_, hash) in read.scan::<TokenOfAccount>(&(account,), None, TOKENS_MAX)? {
        tokens.extend(read.get::<Token>(&(hash,))?.filter(|token| token.expires > now));
    }
    Ok(tokens)
}

/// Returns whose token it is; `None` when there is none.
///
/// # Errors
/// When the store fails.
pub(crate) fn owner(read: &(impl Read + ?Sized), id: TokenId) -> Result<Option<AccountId>, StoreError> {
    read.get::<TokenOwner>(&(id,))
}

/// Ends a token at once. Ended already is no error.
///
/// # Errors
/// When the store fails.
pub fn revoke_token(tx: &mut Transaction<'_>, account: AccountId, id: TokenId) -> Result<(), StoreError> {
    match tx.get::<TokenOfAccount>(&(account, id))? {
        Some(hash) => forget(tx, account, id, hash),
        None => Ok(()),
    }
}

/// Ends all tokens of an account but one.
///
/// # Errors
/// When the store fails.
pub fn revoke_all_tokens(tx: &mut Transaction<'_>, account: AccountId, but: Option<TokenId>) -> Result<(), StoreError> {
    for ((_, id), hash) in tx.scan::<TokenOfAccount>(&(account,), None, TOKENS_MAX)? {
        if Some(id) != but {
            forget(tx, account, id, hash)?;
        }
    }
    Ok(())
}

fn forget(tx: &mut Transaction<'_>, account: AccountId, id: TokenId, hash: [u8; 32]) -> Result<(), StoreError> {
    tx.delete::<Token>(&(hash,))?;
    tx.delete::<TokenOfAccount>(&(account, id))?;
    tx.delete::<TokenOwner>(&(id,))
}
