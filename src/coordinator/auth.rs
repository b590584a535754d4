//! Who calls, and whether they may call at all: the one place where every RPC is authorised. Deny by default.
//!
//! A table says for each RPC which kind of caller it takes; an RPC without a row is refused. What the caller may do to a particular
//! network, site or node is decided by the domain code, with the [`Principal`] that the layer leaves in the request's extensions.

use std::net::IpAddr;
use std::task::{Context as TaskContext, Poll};

use futures::future::{Either, Ready, ready};
use tonic::{Request, Status};
use tower::{Layer, Service};

use super::accounts::{self, Scope};
use super::agents;
use super::context::Context;
use crate::model::{AccountId, AgentId, Fault, FaultKind, NetworkId, TokenId};
use crate::net::server::{Peer, PeerAgent, peer};

/// An account that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The token that it showed.
    pub token: TokenId,
}

/// An agent that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallingAgent {
    /// The agent.
    pub agent: AgentId,
    /// Its network.
    pub network: NetworkId,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// Somebody who need not say.
    Anonymous,
    /// An account, by its token.
    Account(Caller),
    /// An agent, by its certificate.
    Agent(CallingAgent),
    /// Who runs the coordinator, by the token in its data directory.
    Operator,
}

/// What a token's scope must include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Reading documents, folders and sync sets.
    Read,
    /// Changing documents and folders.
    Write,
    /// Reading about accounts, tokens and agents.
    Inspect,
    /// Changing anything else.
    Manage,
}

impl Scope {
    const fn includes(self, need: Need) -> bool {
        match self {
            Self::Full => true,
            Self::Read => matches!(need, Need::Read | Need::Inspect),
            Self::Library => matches!(need, Need::Read | Need::Write),
        }
    }
}

/// Whom an RPC takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Anybody,
    Operator,
    Account(Need),
    Agent,
    /// An account if there is a token, else an agent.
    AccountOrAgent(Need),
}

/// Whole services that anybody may call: what is there and whether it works.
const OPEN_SERVICES: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

const TABLE: [(&str, Takes); 52] = {
    use Need::{Inspect, Manage, Read, Write};
    use Takes::{Account, AccountOrAgent, Agent, Anybody, Operator};
    [
        ("/skybridge.v1.AccountService/SignIn", Anybody),
        ("/skybridge.v1.AccountService/GetSelf", Account(Read)),
        ("/skybridge.v1.AccountService/ChangePassword", Account(Manage)),
        ("/skybridge.v1.AccountService/CreateAccount", Account(Manage)),
        ("/skybridge.v1.AccountService/ListAccounts", Account(Inspect)),
        ("/skybridge.v1.AccountService/SetAccountDisabled", Account(Manage)),
        ("/skybridge.v1.AccountService/CreateToken", Account(Manage)),
        ("/skybridge.v1.AccountService/ListTokens", Account(Inspect)),
        ("/skybridge.v1.AccountService/RevokeToken", Account(Manage)),
        ("/skybridge.v1.AgentService/CreateEnrolment", Account(Manage)),
        ("/skybridge.v1.AgentService/Enrol", Anybody),
        ("/skybridge.v1.AgentService/RenewCertificate", Agent),
        ("/skybridge.v1.AgentService/ListAgents", Account(Inspect)),
        ("/skybridge.v1.AgentService/RevokeAgent", Account(Manage)),
        ("/skybridge.v1.AgentService/ReadmitAgent", Account(Manage)),
        ("/skybridge.v1.ContentService/FindMissing", Agent),
        ("/skybridge.v1.ContentService/Upload", Agent),
        ("/skybridge.v1.ContentService/SealContent", Agent),
        ("/skybridge.v1.ContentService/ReadManifest", Agent),
        ("/skybridge.v1.ContentService/ReadContent", Agent),
        ("/skybridge.v1.ContentService/ReadSmallContents", Agent),
        ("/skybridge.v1.LibraryService/GetNode", Account(Read)),
        ("/skybridge.v1.LibraryService/ListNodes", Account(Read)),
        ("/skybridge.v1.LibraryService/CreateFolder", Account(Write)),
        ("/skybridge.v1.LibraryService/WriteDocument", Account(Write)),
        ("/skybridge.v1.LibraryService/ReadDocument", Account(Read)),
        ("/skybridge.v1.LibraryService/UpdateProperties", Account(Write)),
        ("/skybridge.v1.LibraryService/MoveNode", Account(Write)),
        ("/skybridge.v1.LibraryService/CopyNode", Account(Write)),
        ("/skybridge.v1.LibraryService/DeleteNode", Account(Write)),
        ("/skybridge.v1.LibraryService/ListVersions", Account(Read)),
        ("/skybridge.v1.LibraryService/RestoreVersion", Account(Write)),
        ("/skybridge.v1.LibraryService/ListTrash", Account(Read)),
        ("/skybridge.v1.LibraryService/RestoreNode", Account(Write)),
        // What a program may change, it may not destroy.
        ("/skybridge.v1.LibraryService/EmptyTrash", Account(Manage)),
        ("/skybridge.v1.NetworkService/CreateNetwork", Operator),
        ("/skybridge.v1.NetworkService/ListNetworks", Account(Read)),
        ("/skybridge.v1.NetworkService/UpdateNetwork", Account(Manage)),
        ("/skybridge.v1.NetworkService/CreateSite", Account(Manage)),
        ("/skybridge.v1.NetworkService/ListSites", Account(Read)),
        ("/skybridge.v1.NetworkService/SetMember", Account(Manage)),
        ("/skybridge.v1.NetworkService/ListSiteMembers", Account(Inspect)),
        ("/skybridge.v1.SyncService/Synchronize", Agent),
        ("/skybridge.v1.SyncService/ListMembers", Agent),
        ("/skybridge.v1.SyncSetService/CreateSyncSet", Account(Manage)),
        ("/skybridge.v1.SyncSetService/GetSyncSet", AccountOrAgent(Read)),
        ("/skybridge.v1.SyncSetService/ListSyncSets", Account(Read)),
        ("/skybridge.v1.SyncSetService/ListMemberStatuses", Account(Read)),
        ("/skybridge.v1.SyncSetService/RequestSync", Account(Write)),
        ("/skybridge.v1.SyncSetService/Unsync", AccountOrAgent(Manage)),
        ("/skybridge.v1.SyncSetService/RevokeGrant", Account(Manage)),
        ("/skybridge.v1.SyncSetService/RestoreGrant", Account(Manage)),
    ]
};

/// Decides who calls.
fn authorise(context: &Context, path: &str, headers: &http::HeaderMap, peer: Option<AgentId>) -> Result<Principal, Fault> {
    if OPEN_SERVICES.iter().any(|service| path.starts_with(service)) {
        return Ok(Principal::Anonymous);
    }
    let Some((_, takes)) = TABLE.iter().find(|(row, _)| *row == path) else {
        return Err(Fault::new(FaultKind::VersionUnsupported, "this coordinator has no such call"));
    };
    match *takes {
        Takes::Anybody => Ok(Principal::Anonymous),
        Takes::Operator => operator(context, headers),
        Takes::Account(need) => account(context, headers, need),
        Takes::Agent => agent(context, peer),
        Takes::AccountOrAgent(need) if bearer(headers).is_some() => account(context, headers, need),
        Takes::AccountOrAgent(_) => agent(context, peer),
    }
}

fn bearer(headers: &http::HeaderMap) -> Option<&str> {
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthenticated(message: &str) -> Fault {
    Fault::new(FaultKind::Unauthenticated, message)
}

fn operator(context: &Context, headers: &http::HeaderMap) -> Result<Principal, Fault> {
    let token = bearer(headers).ok_or_else(|| {
        unauthenticated("send the operator's token, that is in the coordinator's data directory, as authorization: Bearer")
    })?;
    // Hashes are compared, so the time that it takes tells nothing of the token.
    if accounts::hash(token) == context.operator {
        return Ok(Principal::Operator);
    }
    Err(Fault::denied("only the operator's token, that is in the coordinator's data directory, permits this"))
}

fn account(context: &Context, headers: &http::HeaderMap, need: Need) -> Result<Principal, Fault> {
    let text = bearer(headers).ok_or_else(|| unauthenticated("sign in first: send a token as authorization: Bearer"))?;
    let now = context.now();
    let token = context.read(|read| Ok(accounts::verify_token(read, text, now)?))?;
    let token = token.ok_or_else(|| unauthenticated("the token is not known, has ended or was revoked: sign in again"))?;
    if !token.scope.includes(need) {
        return Err(Fault::denied("the scope of the token does not include this"));
    }
    Ok(Principal::Account(Caller { account: token.account, token: token.id }))
}

fn agent(context: &Context, peer: Option<AgentId>) -> Result<Principal, Fault> {
    let agent = peer.ok_or_else(|| unauthenticated("only an enrolled agent may do this, by its certificate"))?;
    let record = context.read(|read| Ok(agents::active(read, agent)?))?;
    let record = record.ok_or_else(|| unauthenticated("the agent is not enrolled here, or was revoked"))?;
    Ok(Principal::Agent(CallingAgent { agent, network: record.network }))
}

fn principal<T>(request: &Request<T>) -> Result<Principal, Status> {
    let principal = request.extensions().get::<Principal>().copied();
    principal.ok_or_else(|| Fault::internal("a call was not authorised by the layer").into())
}

/// Returns the account that calls.
///
/// # Errors
/// When the table lets others call too, and this is one of them.
pub(super) fn calling_account<T>(request: &Request<T>) -> Result<Caller, Status> {
    match principal(request)? {
        Principal::Account(caller) => Ok(caller),
        _ => Err(unauthenticated("sign in first: send a token as authorization: Bearer").into()),
    }
}

/// Returns the agent that calls.
///
/// # Errors
/// As [`calling_account`].
pub(super) fn calling_agent<T>(request: &Request<T>) -> Result<CallingAgent, Status> {
    match principal(request)? {
        Principal::Agent(agent) => Ok(agent),
        _ => Err(unauthenticated("only an enrolled agent may do this, by its certificate").into()),
    }
}

/// Returns the account or the agent that calls.
///
/// # Errors
/// When it is neither.
pub(super) fn calling_account_or_agent<T>(request: &Request<T>) -> Result<Either<Caller, CallingAgent>, Status> {
    match principal(request)? {
        Principal::Account(caller) => Ok(Either::Left(caller)),
        Principal::Agent(agent) => Ok(Either::Right(agent)),
        Principal::Anonymous | Principal::Operator => Err(unauthenticated("sign in first").into()),
    }
}

/// Returns the address that a call comes from, if it has one.
pub(super) fn peer_address<T>(request: &Request<T>) -> Option<IpAddr> {
    Some(peer(request)?.address?.ip())
}

/// Authorises every call.
#[derive(Debug, Clone)]
pub struct AuthLayer {
    context: Context,
}

impl AuthLayer {
    /// Makes the layer.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Auth { inner, context: self.context.clone() }
    }
}

/// A service whose calls are authorised.
#[derive(Debug, Clone)]
pub struct Auth<S> {
    inner: S,
    context: Context,
}

impl<S, B, R: Default> Service<http::Request<B>> for Auth<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.agent).map(|PeerAgent(agent)| agent);
        match authorise(&self.context, request.uri().path(), request.headers(), peer) {
            Ok(principal) => {
                request.extensions_mut().insert(principal);
                Either::Left(self.inner.call(request))
            }
            Err(fault) => Either::Right(ready(Ok(Status::from(fault).into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// What the coordinator does not serve: commands at the source are the agent's.
    const NOT_SERVED: &str = "skybridge.v1.LocalService";

    #[test]
    fn every_call_of_the_protocol_has_a_row_and_every_row_a_call() {
        let set = prost_types::FileDescriptorSet::decode(crate::wire::FILE_DESCRIPTOR_SET).unwrap();
        let mut calls = Vec::new();
        for file in set.file.iter().filter(|file| file.package() == "skybridge.v1") {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                calls.extend(service.method.iter().filter(|_| name != NOT_SERVED).map(|call| format!("/{name}/{}", call.name())));
            }
        }
        let mut rows: Vec<_> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
        calls.sort();
        rows.sort();
        assert_eq!(calls, rows);
    }

    #[test]
    fn a_scope_includes_what_its_name_says() {
        use Need::{Inspect, Manage, Read, Write};
        let table = [(Scope::Full, [true; 4]), (Scope::Read, [true, false, true, false]), (Scope::Library, [true, true, false, false])];
        for (scope, expected) in table {
            assert_eq!([Read, Write, Inspect, Manage].map(|need| scope.includes(need)), expected, "{scope:?}");
        }
    }

    #[test]
    fn the_bearer_is_read_whatever_the_case_of_its_scheme() {
        let headers = |value: &str| http::HeaderMap::from_iter([(http::header::AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(bearer(&headers("Bearer skyb_1")), Some("skyb_1"));
        assert_eq!(bearer(&headers("bearer  skyb_1 ")), Some("skyb_1"));
        assert_eq!(bearer(&headers("Basic abc")), None);
        assert_eq!(bearer(&http::HeaderMap::new()), None);
    }
}
