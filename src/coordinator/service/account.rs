//! `AccountService`.

use std::time::Duration;

use tonic::{Request, Response, Status};

use super::{LABEL_BYTES_MAX, NAME_BYTES_MAX, Service, decode_page, encode_page, request_id, time};
use crate::coordinator::accounts::{self, Account, NewAccount, NewToken, Scope, SignIn, Token};
use crate::coordinator::auth::{calling_account, peer_address};
use crate::coordinator::context::Context;
use crate::coordinator::failure::Failure;
use crate::coordinator::{networks, sets};
use crate::model::{AccountId, Fault, TokenId};
use crate::store::Read;
use crate::wire::{ProtocolError, field, pb};

/// How long a new token may work, and does unless asked otherwise.
const LIFETIME_MIN: Duration = Duration::from_secs(60);
const LIFETIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
const LIFETIME_DEFAULT: Duration = Duration::from_secs(90 * 24 * 3600);

#[tonic::async_trait]
impl pb::account_service_server::AccountService for Service {
    async fn sign_in(&self, request: Request<pb::SignInRequest>) -> Result<Response<pb::SignInResponse>, Status> {
        let from = peer_address(&request);
        let request = request.into_inner();
        let attempt = SignIn {
            email: field::text("email", request.email, NAME_BYTES_MAX)?,
            password: request.password,
            label: field::bounded("label", request.label, LABEL_BYTES_MAX)?,
            from,
            token: self.context.mint(),
        };
        let Context { store, passwords, attempts, world, .. } = &self.context;
        let signed_in = accounts::sign_in(store, passwords, attempts, &**world, attempt, self.context.now()).await?;
        Ok(Response::new(pb::SignInResponse {
            token: signed_in.secret.expose().to_owned(),
            expire_time: time(signed_in.token.expires),
            token_id: signed_in.token.id.to_string(),
            account: Some(encode(signed_in.token.account, &signed_in.account)),
        }))
    }

    async fn get_self(&self, request: Request<pb::GetSelfRequest>) -> Result<Response<pb::GetSelfResponse>, Status> {
        let caller = calling_account(&request)?;
        let response = self.context.read(|read| {
            let account = accounts::get(read, caller.account)?;
            let networks = networks::networks_of(read, caller.account)?;
            Ok(pb::GetSelfResponse {
                account: Some(encode(caller.account, &account)),
                networks: networks.into_iter().map(|(_, network, _)| network.name).collect(),
            })
        })?;
        Ok(Response::new(response))
    }

    async fn change_password(&self, request: Request<pb::ChangePasswordRequest>) -> Result<Response<pb::ChangePasswordResponse>, Status> {
        let (caller, from) = (calling_account(&request)?, peer_address(&request));
        let request = request.into_inner();
        let account = self.context.read(|read| accounts::get(read, caller.account))?;
        self.context.attempts.count(from, &account.email)?;
        if !self.context.passwords.matches(account.password, request.old_password).await? {
            return Err(Fault::denied("the old password is wrong").into());
        }
        let password = self.context.passwords.hash("new_password", request.new_password).await?;
        let revoke_all = request.revoke_all;
        let ended = self.context.transact(move |tx| {
            accounts::set_password(tx, caller.account, password.clone())?;
            if !revoke_all {
                return Ok(Vec::new());
            }
            accounts::revoke_all_tokens(tx, caller.account, Some(caller.token))?;
            Ok(sets::revoke_grants_of(tx, caller.account)?)
        });
        for definition in ended.await? {
            self.context.notices.changed(definition.set.network);
        }
        tracing::info!(account = %caller.account, revoke_all, "password changed");
        Ok(Response::new(pb::ChangePasswordResponse {}))
    }

    async fn create_account(&self, request: Request<pb::CreateAccountRequest>) -> Result<Response<pb::CreateAccountResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let request_id = request_id(&request.request_id)?;
        let (network, _) = self.context.read(|read| networks::administered(read, caller.account, &request.network))?;
        let password = match (request.service, request.password.is_empty()) {
            (true, true) => None,
            (true, false) => {
                return Err(ProtocolError::new("password", "must be empty for a service account, which has only tokens").into());
            }
            (false, _) => Some(self.context.passwords.hash("password", request.password).await?),
        };
        let new = NewAccount {
            id: self.context.mint(),
            network,
            email: request.email,
            display_name: request.display_name,
            password,
            administrator: request.administrator,
            request: request_id.map(|id| (caller.account, id)),
        };
        let now = self.context.now();
        let made = self.context.transact(move |tx| {
            networks::administered(tx, caller.account, &request.network)?;
            accounts::create(tx, &new, now)
        });
        let (id, account) = made.await?;
        tracing::info!(account = %id, by = %caller.account, %network, "account created");
        Ok(Response::new(pb::CreateAccountResponse { account: Some(encode(id, &account)) }))
    }

    async fn list_accounts(&self, request: Request<pb::ListAccountsRequest>) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let limit = field::page_size("page_size", request.page_size, field::PAGE_SIZE_DEFAULT)?;
        let after = decode_page::<String>(&request.page_token)?;
        let accounts = self.context.read(|read| {
            let (network, _) = networks::administered(read, caller.account, &request.network)?;
            accounts::list(read, network, after, limit)
        })?;
        let next = accounts.last().map(|(_, account)| account.email.clone()).filter(|_| accounts.len() == limit);
        Ok(Response::new(pb::ListAccountsResponse {
            accounts: accounts.iter().map(|(id, account)| encode(*id, account)).collect(),
            next_page_token: encode_page(next.as_ref())?,
        }))
    }

    async fn set_account_disabled(
        &self,
        request: Request<pb::SetAccountDisabledRequest>,
    ) -> Result<Response<pb::SetAccountDisabledResponse>, Status> {
        let caller = calling_account(&request)?;
        let pb::SetAccountDisabledRequest { network, email, disabled } = request.into_inner();
        let changed = self.context.transact(move |tx| {
            let (network, _) = networks::administered(tx, caller.account, &network)?;
            let (id, account) = accounts::set_disabled(tx, caller.account, network, &email, disabled)?;
            Ok((id, account, networks::networks_of(tx, id)?))
        });
        let (id, account, belongs) = changed.await?;
        for (network, _, _) in belongs {
            self.context.notices.changed(network);
        }
        tracing::info!(account = %id, by = %caller.account, disabled, "account ended or given back");
        Ok(Response::new(pb::SetAccountDisabledResponse { account: Some(encode(id, &account)) }))
    }

    async fn create_token(&self, request: Request<pb::CreateTokenRequest>) -> Result<Response<pb::CreateTokenResponse>, Status> {
        let caller = calling_account(&request)?;
        let request = request.into_inner();
        let scope = scope(request.scope)?;
        let lifetime = request.lifetime.map(|lifetime| field::duration("lifetime", lifetime)).transpose()?.unwrap_or(LIFETIME_DEFAULT);
        if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
            return Err(ProtocolError::new("lifetime", "must be from 1 minute to 366 days").into());
        }
        let label = field::bounded("label", request.label, LABEL_BYTES_MAX)?;
        let secret = accounts::draw(&*self.context.world);
        let (hash, id, now) = (secret.hash(), self.context.mint::<TokenId>(), self.context.now());
        let made = self.context.transact(move |tx| {
            let (account, record) = whose(tx, caller.account, &request.network, &request.email)?;
            let new = NewToken { id, account, label: label.clone(), scope, expires: accounts::after(now, lifetime) };
            Ok((accounts::issue(tx, hash, &new, now)?, record))
        });
        let (token, account) = made.await?;
        tracing::info!(account = %token.account, token = %token.id, by = %caller.account, "token created");
        let description = Some(encode_token(&token, &account));
        Ok(Response::new(pb::CreateTokenResponse { token: secret.expose().to_owned(), description }))
    }

    async fn list_tokens(&self, request: Request<pb::ListTokensRequest>) -> Result<Response<pb::ListTokensResponse>, Status> {
        let caller = calling_account(&request)?;
        let pb::ListTokensRequest { email, network } = request.into_inner();
        let now = self.context.now();
        let tokens = self.context.read(|read| {
            let (account, record) = whose(read, caller.account, &network, &email)?;
            let tokens = accounts::list_tokens(read, account, now)?;
            Ok(tokens.iter().map(|token| encode_token(token, &record)).collect())
        })?;
        Ok(Response::new(pb::ListTokensResponse { tokens }))
    }

    async fn revoke_token(&self, request: Request<pb::RevokeTokenRequest>) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        let caller = calling_account(&request)?;
        let token: TokenId = field::id("token_id", &request.into_inner().token_id)?;
        let revoked = self.context.transact(move |tx| {
            let Some(owner) = accounts::owner(tx, token)? else { return Ok(()) };
            if owner != caller.account {
                require_service_of(tx, caller.account, owner)?;
            }
            Ok(accounts::revoke_token(tx, owner, token)?)
        });
        revoked.await?;
        tracing::info!(%token, by = %caller.account, "token revoked");
        Ok(Response::new(pb::RevokeTokenResponse {}))
    }
}

/// Returns the account that a call about tokens means: the caller's own, or a service account of a network that the caller administers.
fn whose(read: &(impl Read + ?Sized), caller: AccountId, network: &str, email: &str) -> Result<(AccountId, Account), Failure> {
    if email.is_empty() {
        return Ok((caller, accounts::get(read, caller)?));
    }
    let (network, _) = networks::administered(read, caller, network)?;
    let (id, account) = accounts::find_in(read, network, email)?;
    if id != caller && !account.is_service() {
        return Err(Fault::denied("only service accounts' tokens are an administrator's; people make their own").into());
    }
    Ok((id, account))
}

/// Refuses unless the account is a program's, and the caller administers a network that it belongs to.
fn require_service_of(read: &(impl Read + ?Sized), caller: AccountId, account: AccountId) -> Result<(), Failure> {
    if accounts::get(read, account)?.is_service() {
        for (network, _, _) in networks::networks_of(read, account)? {
            if networks::member(read, network, caller)?.is_some_and(|member| member.administrator) {
                return Ok(());
            }
        }
    }
    Err(Fault::not_found("there is no such token, or it is not yours to end").into())
}

fn scope(number: i32) -> Result<Scope, ProtocolError> {
    match pb::TokenScope::try_from(number) {
        Ok(pb::TokenScope::Unspecified | pb::TokenScope::Full) => Ok(Scope::Full),
        Ok(pb::TokenScope::Read) => Ok(Scope::Read),
        Ok(pb::TokenScope::Library) => Ok(Scope::Library),
        Err(_) => Err(ProtocolError::new("scope", format_args!("{number} is no scope"))),
    }
}

fn encode(id: AccountId, account: &Account) -> pb::Account {
    pb::Account {
        account_id: id.to_string(),
        email: account.email.clone(),
        display_name: account.display_name.clone(),
        service: account.is_service(),
        disabled: account.disabled,
    }
}

fn encode_token(token: &Token, account: &Account) -> pb::Token {
    let scope = match token.scope {
        Scope::Full => pb::TokenScope::Full,
        Scope::Read => pb::TokenScope::Read,
        Scope::Library => pb::TokenScope::Library,
    };
    pb::Token {
        token_id: token.id.to_string(),
        email: account.email.clone(),
        label: token.label.clone(),
        scope: scope.into(),
        create_time: time(token.created),
        expire_time: time(token.expires),
    }
}
