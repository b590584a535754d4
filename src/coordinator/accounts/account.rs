//! The record of an account, and how it is found.

use serde::{Deserialize, Serialize};

use super::{PasswordHash, token};
use crate::coordinator::{
    failure::Failure,
    networks::{self, NetworkMember},
};
use crate::model::{AccountId, Fault, FaultKind, NetworkId, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// The longest address and display name, in bytes.
const TEXT_BYTES_MAX: usize = 254;

/// An account of a person or a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The address with which it signs in, in lower case.
    pub email: String,
    /// What people see.
    pub display_name: String,
    /// `None` for a program's account, which has only tokens.
    pub password: Option<PasswordHash>,
    /// Whether it was ended.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
}

impl Account {
    /// Whether it is a program's account.
    #[must_use]
    pub const fn is_service(&self) -> bool {
        self.password.is_none()
    }
}

impl Record for Account {
    const TABLE: Table = Table::Account;
    const FORMAT: u8 = 1;
    type Key = (AccountId,);
    type Value = Self;
}

/// Finds an account by its address.
#[derive(Debug)]
struct AccountEmail;

impl Record for AccountEmail {
    const TABLE: Table = Table::AccountEmail;
    const FORMAT: u8 = 1;
    type Key = (String,);
    type Value = AccountId;
}

/// Lists the accounts of a network by their addresses.
#[derive(Debug)]
struct AccountOfNetwork;

impl Record for AccountOfNetwork {
    const TABLE: Table = Table::AccountOfNetwork;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, String);
    type Value = AccountId;
}

/// Which account a repeated call made.
#[derive(Debug)]
struct AccountRequest;

impl Record for AccountRequest {
    const TABLE: Table = Table::AccountRequest;
    const FORMAT: u8 = 1;
    type Key = (AccountId, [u8; 16]);
    type Value = AccountId;
}

/// What makes an account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its identity.
    pub id: AccountId,
    /// The network that it belongs to.
    pub network: NetworkId,
    /// Its address.
    pub email: String,
    /// What people see; the address if empty.
    pub display_name: String,
    /// `None` for a program's account.
    pub password: Option<PasswordHash>,
    /// Whether it administers the network.
    pub administrator: bool,
    /// Who asks, and the id of the request, when it can be repeated.
    pub request: Option<(AccountId, [u8; 16])>,
}

/// Makes an account in a network. The caller has checked who asks. Repeating the request gets the first answer.
///
/// # Errors
/// When the address is not one, or has an account.
pub fn create(tx: &mut Transaction<'_>, new: &NewAccount, now: Timestamp) -> Result<(AccountId, Account), Failure> {
    if let Some(request) = new.request
        && let Some(made) = tx.get::<AccountRequest>(&request)?
    {
        return Ok((made, get(tx, made)?));
    }
    let email = address(&new.email)?;
    if tx.exists::<AccountEmail>(&(email.clone(),))? {
        return Err(Fault::new(FaultKind::AlreadyExists, format!("{email:?} has an account already")).into());
    }
    if new.display_name.len() > TEXT_BYTES_MAX {
        return Err(Fault::invalid("display_name", format!("a display name has at most {TEXT_BYTES_MAX} bytes")).into());
    }
    let display_name = if new.display_name.is_empty() { email.clone() } else { new.display_name.clone() };
    let account = Account { email: email.clone(), display_name, password: new.password.clone(), disabled: false, created: now };
    tx.put::<Account>(&(new.id,), &account)?;
    tx.put::<AccountEmail>(&(email,), &new.id)?;
    join(tx, new.network, new.id, &account, new.administrator)?;
    if let Some(request) = new.request {
        tx.put::<AccountRequest>(&request, &new.id)?;
    }
    Ok((new.id, account))
}

/// Makes an account belong to a network.
///
/// # Errors
/// When the store fails.
pub(crate) fn join(
    tx: &mut Transaction<'_>,
    network: NetworkId,
    id: AccountId,
    account: &Account,
    administrator: bool,
) -> Result<(), StoreError> {
    tx.put::<AccountOfNetwork>(&(network, account.email.clone()), &id)?;
    networks::set_member(tx, network, id, Some(NetworkMember { administrator }))
}

/// Returns an account.
///
/// # Errors
/// When there is no such account.
pub fn get(read: &(impl Read + ?Sized), id: AccountId) -> Result<Account, Failure> {
    read.get::<Account>(&(id,))?.ok_or_else(|| Fault::not_found("there is no such account").into())
}

/// Whether an account exists and was not ended.
///
/// # Errors
/// When the store fails.
pub fn is_active(read: &(impl Read + ?Sized), id: AccountId) -> Result<bool, StoreError> {
    Ok(read.get::<Account>(&(id,))?.is_some_and(|account| !account.disabled))
}

/// Finds an account by its address, whoever asks.
///
/// # Errors
/// When the store fails.
pub fn find(read: &(impl Read + ?Sized), email: &str) -> Result<Option<(AccountId, Account)>, StoreError> {
    let Some(id) = read.get::<AccountEmail>(&(email.to_lowercase(),))? else { return Ok(None) };
    Ok(read.get::<Account>(&(id,))?.map(|account| (id, account)))
}

/// Finds an account of a network by its address.
///
/// # Errors
/// When it has none.
pub(crate) fn find_in(read: &(impl Read + ?Sized), network: NetworkId, email: &str) -> Result<(AccountId, Account), Failure> {
    let unknown = || Fault::not_found(format!("the network has no account {email:?}"));
    let id = read.get::<AccountOfNetwork>(&(network, email.to_lowercase()))?.ok_or_else(unknown)?;
    Ok((id, get(read, id)?))
}

/// Lists at most `limit` accounts of a network in the order of their addresses.
///
/// # Errors
/// When the store fails.
pub fn list(
    read: &(impl Read + ?Sized),
    network: NetworkId,
    after_exclusive: Option<String>,
    limit: usize,
) -> Result<Vec<(AccountId, Account)>, Failure> {
    let after = after_exclusive.map(|email| (network, email));
    let rows = read.scan::<AccountOfNetwork>(&(network,), after.as_ref(), limit)?;
    rows.into_iter().map(|(_, id)| Ok((id, get(read, id)?))).collect()
}

/// Ends an account, with all its tokens, or gives it back. The caller administers `network`.
///
/// # Errors
/// When the account does not belong to the network, belongs to others that the caller does not administer, or is the caller's own.
pub fn set_disabled(
    tx: &mut Transaction<'_>,
    caller: AccountId,
    network: NetworkId,
    email: &str,
    disabled: bool,
) -> Result<(AccountId, Account), Failure> {
    let (id, mut account) = find_in(tx, network, email)?;
    if id == caller {
        return Err(Fault::new(FaultKind::Precondition, "an account cannot end itself: ask another administrator").into());
    }
    for (other, _, _) in networks::networks_of(tx, id)? {
        if !networks::member(tx, other, caller)?.is_some_and(|member| member.administrator) {
            return Err(Fault::denied(format!("{email:?} also belongs to a network that you do not administer")).into());
        }
    }
    account.disabled = disabled;
    tx.put::<Account>(&(id,), &account)?;
    if disabled {
        token::revoke_all_tokens(tx, id, None)?;
    }
    Ok((id, account))
}

/// Replaces the password of an account.
///
/// # Errors
/// When there is no such account.
pub fn set_password(tx: &mut Transaction<'_>, id: AccountId, password: PasswordHash) -> Result<(), Failure> {
    let mut account = get(tx, id)?;
    account.password = Some(password);
    Ok(tx.put::<Account>(&(id,), &account)?)
}

/// Checks an address, and brings it to lower case.
fn address(text: &str) -> Result<String, Fault> {
    let text = text.to_lowercase();
    let parts = text.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if parts.is_none() || text.len() > TEXT_BYTES_MAX || text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') {
        let shown: String = text.chars().take(80).collect();
        return Err(Fault::invalid("email", format!("{shown:?} is not an address such as ada@example.com")));
    }
    Ok(text)
}
