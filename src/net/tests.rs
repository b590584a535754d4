//! Real TLS over loopback: who is believed, who is refused, and that every server ends.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::authority::{Authority, Fingerprint, Identity, is_renewal_due, new_agent_key};
use super::channel::{ChannelOptions, Trust, Use};
use super::credentials::Credentials;
use super::server::{Listener, peer};
use super::{Channel, NetError};
use crate::model::AgentId;
use crate::sys::RealWorld;
use crate::task::{Handle, Tasks};

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const CONNECTIONS_MAX: usize = 16;

/// Answers with the agent that it sees in a header, and never ends a stream.
#[derive(Debug)]
struct Mirror;

#[tonic::async_trait]
impl Health for Mirror {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let agent = peer(&request).and_then(|peer| peer.agent);
        let mut response = Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() });
        if let Some(agent) = agent {
            response.metadata_mut().insert("agent", agent.0.to_string().parse().unwrap());
        }
        Ok(response)
    }

    type WatchStream = tokio_stream::Pending<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(tokio_stream::pending()))
    }
}

struct Server {
    authority: Authority,
    address: SocketAddr,
    cancel: CancellationToken,
    served: Handle<Result<(), tonic::transport::Error>>,
    _directory: tempfile::TempDir,
}

fn names() -> Vec<String> {
    ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into()
}

async fn server(limit: Duration) -> Server {
    super::install_provider();
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(directory.path()).unwrap();
    let listener = Listener::bind(ANYWHERE, &authority, &names(), CONNECTIONS_MAX).await.unwrap();
    let (address, cancel) = (listener.address(), CancellationToken::new());
    let served =
        Tasks::new().spawn("server", listener.serve(Routes::new(HealthServer::new(Mirror)), Arc::new(RealWorld), cancel.clone(), limit));
    Server { authority, address, cancel, served, _directory: directory }
}

impl Server {
    fn options(&self) -> ChannelOptions {
        ChannelOptions {
            address: format!("https://localhost:{}", self.address.port()),
            trust: Trust::Fingerprint(self.authority.fingerprint()),
            identity: None,
            proxy: None,
        }
    }
}

/// Returns the agent that the server saw.
async fn check(options: &ChannelOptions) -> Result<Option<AgentId>, Status> {
    seen(options.channel(Use::Control).unwrap()).await
}

async fn seen(channel: Channel) -> Result<Option<AgentId>, Status> {
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    Ok(answer.metadata().get("agent").map(|agent| agent.to_str().unwrap().parse().unwrap()))
}

fn identity(authority: &Authority, agent: AgentId) -> Credentials {
    let (key_pem, request) = new_agent_key().unwrap();
    Credentials::new(&Identity { certificate_pem: authority.issue_agent(agent, &request).unwrap(), key_pem }).unwrap()
}

fn agent() -> AgentId {
    AgentId::from_uuid(uuid::Uuid::from_u128(7))
}

#[tokio::test]
async fn the_pinned_authority_is_believed_and_can_be_fetched() {
    let server = server(Duration::from_secs(5)).await;
    let mut options = server.options();
    assert_eq!(check(&options).await.unwrap(), None);
    let authority = options.fetch_authority().await.unwrap();
    let der = |pem: &str| pem::parse(pem).unwrap().into_contents();
    assert_eq!(der(&authority), der(server.authority.certificate_pem()));
    options.trust = Trust::Authority(authority);
    assert_eq!(check(&options).await.unwrap(), None);
    options.address = format!("https://127.0.0.1:{}", server.address.port());
    assert_eq!(check(&options).await.unwrap(), None);
}

#[tokio::test]
async fn another_authority_than_the_pinned_one_is_refused_and_said_so() {
    let server = server(Duration::from_secs(5)).await;
    let other = tempfile::tempdir().unwrap();
    let other = Authority::open(other.path()).unwrap();
    for trust in [Trust::Fingerprint(other.fingerprint()), Trust::Authority(other.certificate_pem().to_owned())] {
        let options = ChannelOptions { trust, ..server.options() };
        let refused = options.connect(Use::Control).await.unwrap_err();
        assert!(matches!(&refused, NetError::Another { reason, .. } if reason.starts_with("it shows another")), "{refused}");
    }
    let options = ChannelOptions { trust: Trust::Fingerprint(other.fingerprint()), ..server.options() };
    let refused = options.fetch_authority().await.unwrap_err();
    assert!(matches!(&refused, NetError::Another { address, .. } if *address == options.address), "{refused}");
}

#[tokio::test]
async fn a_chain_that_merely_carries_the_pinned_authority_is_refused() {
    let honest = server(Duration::from_secs(5)).await;
    // Somebody in between has a certificate of their own, and shows the honest authority behind it.
    let directory = tempfile::tempdir().unwrap();
    let liar = Authority::open(directory.path()).unwrap();
    let own = liar.server_identity(&names()).unwrap();
    let leaf = own.certificate_pem.strip_suffix(liar.certificate_pem()).unwrap().to_owned();
    let shown = Identity { certificate_pem: leaf + honest.authority.certificate_pem(), key_pem: own.key_pem };
    let (chain, key) = super::channel::parse(&shown).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let socket = TcpListener::bind(ANYWHERE).await.unwrap();
    let address = format!("https://localhost:{}", socket.local_addr().unwrap().port());
    let tasks = Tasks::new();
    drop(tasks.spawn("liar", async move {
        let (stream, _) = socket.accept().await.unwrap();
        let _refused = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config)).accept(stream).await;
    }));
    let refused = ChannelOptions { address, ..honest.options() }.fetch_authority().await.unwrap_err();
    assert!(matches!(refused, NetError::Another { .. }), "{refused}");
}

#[tokio::test]
async fn an_agent_is_known_by_its_certificate() {
    let server = server(Duration::from_secs(5)).await;
    let options = ChannelOptions { identity: Some(identity(&server.authority, agent())), ..server.options() };
    assert_eq!(check(&options).await.unwrap(), Some(agent()));
}

#[tokio::test]
async fn s_e02_the_next_connection_shows_what_was_renewed() {
    let server = server(Duration::from_secs(5)).await;
    let other = AgentId::from_uuid(uuid::Uuid::from_u128(8));
    let credentials = identity(&server.authority, agent());
    let options = ChannelOptions { identity: Some(credentials.clone()), ..server.options() };
    let (open, later) = (options.channel(Use::Control).unwrap(), options.channel(Use::Control).unwrap());
    assert_eq!(seen(open.clone()).await.unwrap(), Some(agent()));
    credentials.replace(identity(&server.authority, other));
    assert_eq!(seen(open).await.unwrap(), Some(agent()), "a connection that is open goes on");
    assert_eq!(seen(later).await.unwrap(), Some(other));
}

#[test]
fn s_e02_a_key_and_a_certificate_that_do_not_belong_together_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(directory.path()).unwrap();
    let ((_, request), (other_key, _)) = (new_agent_key().unwrap(), new_agent_key().unwrap());
    let certificate_pem = authority.issue_agent(agent(), &request).unwrap();
    assert!(!is_renewal_due(&certificate_pem).unwrap());
    assert!(is_renewal_due("junk").is_err());
    assert!(Credentials::new(&Identity { certificate_pem, key_pem: other_key }).is_err());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let server = server(Duration::from_secs(5)).await;
    let other = tempfile::tempdir().unwrap();
    let other = Authority::open(other.path()).unwrap();
    let options = ChannelOptions { identity: Some(identity(&other, agent())), ..server.options() };
    assert!(check(&options).await.is_err());
}

#[tokio::test]
async fn a_request_cannot_choose_what_its_certificate_says() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(directory.path()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    wanted.is_ca = rcgen::IsCa::NoCa;
    wanted.subject_alt_names.push(rcgen::SanType::URI(format!("urn:skybridge:agent:{}", uuid::Uuid::from_u128(8)).try_into().unwrap()));
    let request = wanted.serialize_request(&key).unwrap().pem().unwrap();
    let issued = authority.issue_agent(agent(), &request).unwrap();
    let issued = pem::parse(issued).unwrap().into_contents();
    let (_, parsed) = x509_parser::parse_x509_certificate(&issued).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 1);
    assert_eq!(super::authority::agent_in(&issued.clone().into()), Some(agent()));
    assert!(authority.issue_agent(agent(), "nonsense").is_err());
}

#[tokio::test]
async fn a_server_certificate_is_kept_until_its_names_or_its_files_change() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(directory.path()).unwrap();
    let first = authority.server_identity(&names()).unwrap().certificate_pem;
    let again = Authority::open(directory.path()).unwrap();
    assert_eq!(again.fingerprint(), authority.fingerprint());
    assert_eq!(again.server_identity(&names()).unwrap().certificate_pem, first);
    assert_ne!(again.server_identity(&["sync.example.com".to_owned()]).unwrap().certificate_pem, first);
    for key in ["ca.key", "server.key"] {
        assert_eq!(directory.path().join(key).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{key}");
    }
    // A crash between the two files leaves a key that does not belong to the certificate.
    let kept = again.server_identity(&names()).unwrap();
    std::fs::write(directory.path().join("server.key"), rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let mended = again.server_identity(&names()).unwrap();
    assert_ne!(mended.key_pem, kept.key_pem);
    assert_ne!(mended.certificate_pem, kept.certificate_pem);
}

/// A proxy that knows CONNECT; tells what it was asked.
async fn proxy(tasks: &Tasks) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let socket = TcpListener::bind(ANYWHERE).await.unwrap();
    let address = socket.local_addr().unwrap();
    let (asked, heard) = mpsc::unbounded_channel();
    let all = tasks.clone();
    drop(tasks.spawn("proxy", async move {
        while let Ok((mut client, _)) = socket.accept().await {
            let asked = asked.clone();
            drop(all.spawn("tunnel", async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap().to_owned();
                asked.send(head).unwrap();
                let mut server = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ended = copy_bidirectional(&mut client, &mut server).await;
            }));
        }
    }));
    (address, heard)
}

#[tokio::test]
async fn a_proxy_is_asked_to_connect_with_user_and_password() {
    let server = server(Duration::from_secs(5)).await;
    let tasks = Tasks::new();
    let (proxy, mut heard) = proxy(&tasks).await;
    let options = ChannelOptions { proxy: Some(format!("http://user:pass%40word@{proxy}").into()), ..server.options() };
    assert_eq!(check(&options).await.unwrap(), None);
    let head = heard.recv().await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with(&format!("connect localhost:{} ", server.address.port())), "{head}");
    // user:pass@word
    assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnzqhdvcmq=\r\n"), "{head}");
}

#[tokio::test]
async fn only_https_is_spoken() {
    let server = server(Duration::from_secs(5)).await;
    for address in [format!("http://localhost:{}", server.address.port()), "localhost:7443".to_owned(), String::new()] {
        let refused = ChannelOptions { address, ..server.options() }.channel(Use::Control).unwrap_err();
        assert!(refused.to_string().contains("https://HOST:PORT"), "{refused}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let server = server(Duration::from_secs(5)).await;
    let taken = Listener::bind(server.address, &server.authority, &names(), CONNECTIONS_MAX).await.unwrap_err();
    assert!(matches!(taken, NetError::Listen { .. }));
    let text = taken.to_string();
    assert!(text.contains(&server.address.to_string()) && text.contains("--listen"), "{text}");
}

#[tokio::test]
async fn a_shutdown_ends_within_its_limit_and_cuts_what_hangs() {
    let server = server(Duration::from_millis(50)).await;
    let mut client = HealthClient::new(server.options().channel(Use::Control).unwrap());
    let mut stuck = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    server.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(10), server.served.join()).await.unwrap().unwrap().unwrap();
    let end = tokio::time::timeout(Duration::from_secs(10), stuck.message()).await.expect("the stream is cut");
    assert!(end.is_err());
}

#[tokio::test]
async fn a_server_without_calls_ends_at_once() {
    let server = server(Duration::from_secs(3_600)).await;
    check(&server.options()).await.unwrap();
    // A visitor that says nothing does not hold it up.
    let _silent = TcpStream::connect(server.address).await.unwrap();
    server.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(10), server.served.join()).await.unwrap().unwrap().unwrap();
}

#[test]
fn fingerprints_are_64_hexadecimal_digits() {
    let text = "0A".repeat(32);
    assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text.to_ascii_lowercase());
    for wrong in ["", "0a", &"0g".repeat(32), &"0a".repeat(33)] {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
    }
}
