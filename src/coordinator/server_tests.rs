//! A whole coordinator on a port of its own.

use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::administration;
use super::server::{Coordinator, CoordinatorError, run};
use crate::config::CoordinatorConfig;
use crate::net::channel::{ChannelOptions, Trust, Use};
use crate::store::OpenError;
use crate::wire::pb;
use crate::wire::pb::account_service_client::AccountServiceClient;

fn config(data: &std::path::Path) -> CoordinatorConfig {
    CoordinatorConfig { listen: ([127, 0, 0, 1], 0).into(), data: data.to_owned(), ..CoordinatorConfig::default() }
}

async fn sign_in(coordinator: &Coordinator) -> Result<pb::SignInResponse, tonic::Status> {
    let options = ChannelOptions {
        address: format!("https://{}", coordinator.address()),
        trust: Trust::Fingerprint(coordinator.fingerprint()),
        identity: None,
        proxy: None,
    };
    let mut client = AccountServiceClient::new(options.channel(Use::Control).unwrap());
    let request = pb::SignInRequest { email: "ada@example.com".into(), password: "correct horse".into(), label: String::new() };
    Ok(client.sign_in(request).await?.into_inner())
}

#[tokio::test]
async fn a_coordinator_serves_stops_and_knows_everything_when_it_comes_back() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(config(data.path())).await.unwrap();
    let fingerprint = coordinator.fingerprint();
    assert_eq!(sign_in(&coordinator).await.unwrap_err().code(), Code::Unauthenticated);
    let made = administration::create_network(coordinator.context(), "acme".into(), "ada@example.com".into(), Some("correct horse".into()));
    made.await.unwrap();
    sign_in(&coordinator).await.unwrap();
    let address = coordinator.address();
    coordinator.stop().await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());

    let coordinator = Coordinator::start(config(data.path())).await.unwrap();
    assert_eq!(coordinator.fingerprint(), fingerprint);
    sign_in(&coordinator).await.unwrap();
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn a_data_directory_in_use_and_a_port_in_use_are_told() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(config(data.path())).await.unwrap();
    let in_use = run(config(data.path()), CancellationToken::new()).await.unwrap_err();
    assert!(matches!(in_use, CoordinatorError::Store(OpenError::InUse { .. })), "{in_use:?}");
    let other = tempfile::tempdir().unwrap();
    let taken = CoordinatorConfig { listen: coordinator.address(), ..config(other.path()) };
    let taken = run(taken, CancellationToken::new()).await.unwrap_err().to_string();
    assert!(taken.contains("cannot listen on"), "{taken}");
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn the_operators_token_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::tempdir().unwrap();
    Coordinator::start(config(data.path())).await.unwrap().stop().await.unwrap();
    let path = data.path().join("operator-token");
    let before = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    Coordinator::start(config(data.path())).await.unwrap().stop().await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
}
