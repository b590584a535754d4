//! Moving content over connections that break, with a coordinator that does what a test tells it to.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::testing::{InMemory, cut, depot, noise};
use super::*;
use crate::content::{Blob, BlobKind};
use crate::model::{FaultKind, NodeId, SetId};
use crate::net::testing::duplex;
use crate::task::Tasks;
use crate::wire::pb;

/// Messages after which what is endless ends, so that a test does.
const ENDLESS: usize = 200;
/// Bytes in one message of the coordinator.
const STEP: usize = 50_000;

/// Has one content, and breaks off each call after so many messages; with none left to break, it goes on to the end, or without one.
struct Scripted {
    bytes: Vec<u8>,
    breaks: Mutex<VecDeque<usize>>,
    endless: bool,
    asked: mpsc::UnboundedSender<u64>,
}

type Stream<T> = BoxStream<'static, Result<T, Status>>;

fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not asked for here"))
}

#[tonic::async_trait]
impl pb::content_service_server::ContentService for Scripted {
    type ReadManifestStream = Stream<pb::ReadManifestResponse>;
    type ReadContentStream = Stream<pb::ReadContentResponse>;
    type ReadSmallContentsStream = Stream<pb::ReadSmallContentsResponse>;

    async fn find_missing(&self, _: Request<pb::FindMissingRequest>) -> Result<Response<pb::FindMissingResponse>, Status> {
        unused()
    }

    async fn upload(&self, _: Request<Streaming<pb::UploadRequest>>) -> Result<Response<pb::UploadResponse>, Status> {
        unused()
    }

    async fn seal_content(&self, _: Request<pb::SealContentRequest>) -> Result<Response<pb::SealContentResponse>, Status> {
        unused()
    }

    async fn read_manifest(&self, _: Request<pb::ReadManifestRequest>) -> Result<Response<Self::ReadManifestStream>, Status> {
        let page = Blob::new(BlobKind::Page, vec![7; 20_000].into());
        let page = pb::Blob { page: true, hash: Bytes::copy_from_slice(page.hash().as_bytes()), data: page.bytes().clone() };
        Ok(Response::new(
            futures::stream::repeat_with(move || Ok(pb::ReadManifestResponse { pages: vec![page.clone(); 8] })).take(ENDLESS).boxed(),
        ))
    }

    async fn read_content(&self, request: Request<pb::ReadContentRequest>) -> Result<Response<Self::ReadContentStream>, Status> {
        let ranges = request.into_inner().ranges.into_iter().map(|range| (range.offset as usize, range.length as usize));
        let asked: Vec<u8> = ranges.flat_map(|(offset, length)| self.bytes[offset..offset + length].to_vec()).collect();
        self.asked.send(asked.len() as u64).ok();
        let messages: Vec<_> = asked.chunks(STEP).map(|data| Ok(pb::ReadContentResponse { data: data.to_vec().into() })).collect();
        let breaks = self.breaks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        Ok(Response::new(match breaks {
            Some(after) => {
                let broken = futures::stream::iter([Err(Status::unavailable("the connection broke"))]);
                futures::stream::iter(messages).take(after).chain(broken).boxed()
            }
            None if self.endless => {
                let more = futures::stream::repeat_with(|| Ok(pb::ReadContentResponse { data: vec![7; STEP].into() })).take(ENDLESS);
                futures::stream::iter(messages).chain(more).boxed()
            }
            None => futures::stream::iter(messages).boxed(),
        }))
    }

    async fn read_small_contents(
        &self,
        request: Request<pb::ReadSmallContentsRequest>,
    ) -> Result<Response<Self::ReadSmallContentsStream>, Status> {
        use pb::small_content::Kind;
        let whole = Kind::Data(Bytes::copy_from_slice(&self.bytes));
        let kinds =
            [Kind::Failure("damaged".to_owned()), whole.clone(), Kind::Data(Bytes::from_static(b"other")), Kind::Absent(true), whole];
        assert_eq!(request.into_inner().items.len(), kinds.len());
        let contents = kinds.map(|kind| pb::SmallContent { kind: Some(kind) }).to_vec();
        Ok(Response::new(futures::stream::iter([Ok(pb::ReadSmallContentsResponse { contents })]).boxed()))
    }
}

fn pages_of(bytes: &[u8]) -> (ContentRef, Vec<Blob>) {
    let (content, mut blobs) = cut(bytes);
    blobs.retain(|blob| blob.kind() == BlobKind::Page);
    (content, blobs)
}

/// Fetches a content over calls that break off; returns what came, and how many bytes each call asked for.
async fn fetch(breaks: &[usize]) -> (Result<(), TransferError>, Vec<u8>, Vec<u8>, Vec<u64>) {
    fetch_from(|bytes, asked| Scripted { bytes, breaks: Mutex::new(breaks.iter().copied().collect()), endless: false, asked }, true).await
}

/// Fetches a content from a coordinator; its pages are fetched, too, if they are not here.
async fn fetch_from(
    scripted: impl FnOnce(Vec<u8>, mpsc::UnboundedSender<u64>) -> Scripted,
    pages_are_here: bool,
) -> (Result<(), TransferError>, Vec<u8>, Vec<u8>, Vec<u64>) {
    let (bytes, depot) = (noise(2_000_000), depot());
    let (content, pages) = pages_of(&bytes);
    if pages_are_here {
        depot.keep(AGENT_SCOPE, pages).await.unwrap();
    }
    let (asked, mut asks) = mpsc::unbounded_channel();
    let tasks = Tasks::new();
    let channel = duplex(Routes::new(pb::content_service_server::ContentServiceServer::new(scripted(bytes.clone(), asked))), None, &tasks);
    let wanted =
        Wanted { set: SetId::from_uuid(Uuid::from_u128(1)), node: NodeId::from_uuid(Uuid::from_u128(2)), content: &content, base: None };
    let (sender, mut receiver) = mpsc::channel(4);
    let held = HashSet::new();
    let fetch = async move { fetch_large(channel, &depot, wanted, &held, &sender).await };
    let receive = async {
        let mut come = Vec::new();
        while let Some(part) = receiver.recv().await {
            match part {
                Part::Fetched(blob) => come.extend_from_slice(blob.bytes()),
                Part::Held(entry) => panic!("{entry:?}"),
            }
        }
        come
    };
    let (fetched, come) = tokio::join!(fetch, receive);
    let asked = std::iter::from_fn(|| asks.try_recv().ok()).collect();
    (fetched, come, bytes, asked)
}

#[tokio::test(start_paused = true)]
async fn edge_w09_a_content_whose_calls_break_off_goes_on_with_the_chunks_that_are_missing() {
    let (fetched, come, bytes, asked) = fetch(&[7, 9, 0, 5, 0, 0, 8]).await;
    fetched.unwrap();
    assert!(come == bytes, "all of it, in order, once");
    assert_eq!(asked.len(), 8);
    assert!(asked.is_sorted_by(|before, after| before >= after) && asked[7] < asked[0] / 2, "less each time: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn edge_w09_a_content_of_which_nothing_comes_is_given_up_for_now() {
    let (fetched, come, bytes, asked) = fetch(&[10, 0, 0, 0, 0, 0]).await;
    assert!(matches!(fetched, Err(TransferError::Fault(Fault { kind: FaultKind::Unavailable, .. }))), "{fetched:?}");
    assert!(bytes.starts_with(&come) && come.len() < bytes.len());
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn edge_w15_a_content_or_a_manifest_that_goes_on_and_on_is_given_up() {
    for (pages_are_here, complaint) in [(true, "more bytes than asked for"), (false, "more pages than a content of 2000000 bytes can have")]
    {
        let endless = |bytes, asked| Scripted { bytes, breaks: Mutex::default(), endless: true, asked };
        let (fetched, come, bytes, _) = fetch_from(endless, pages_are_here).await;
        assert!(matches!(&fetched, Err(TransferError::Wrong(said)) if said == complaint), "{fetched:?}");
        assert!(bytes.starts_with(&come), "nothing else is passed on");
    }
}

#[tokio::test]
async fn s_c07_small_contents_that_cannot_be_had_hold_up_no_others() {
    let bytes = b"whole".to_vec();
    let (content, _) = cut(&bytes);
    let (asked, _) = mpsc::unbounded_channel();
    let scripted = Scripted { bytes: bytes.clone(), breaks: Mutex::default(), endless: false, asked };
    let tasks = Tasks::new();
    let channel = duplex(Routes::new(pb::content_service_server::ContentServiceServer::new(scripted)), None, &tasks);
    let items: Vec<_> = (1..=5).map(|number| (NodeId::from_uuid(Uuid::from_u128(number)), content)).collect();
    let fetched = fetch_small(channel, SetId::from_uuid(Uuid::from_u128(1)), &items).await.unwrap();
    let [Fetched::Failed(damaged), first, Fetched::Failed(other), Fetched::Absent, last] = &fetched[..] else { panic!("{fetched:?}") };
    assert!(damaged == "damaged" && other.contains("have another hash"), "{fetched:?}");
    for whole in [first, last] {
        assert!(matches!(whole, Fetched::Chunk(blob) if blob.bytes() == &bytes), "{fetched:?}");
    }
}

/// Says nothing any more, or nothing but messages without anything in them, and never reads on.
struct Mute {
    babbles: bool,
}

impl Mute {
    fn answer<T: Default + Send + 'static>(&self) -> Result<Response<Stream<T>>, Status> {
        let nothing = futures::stream::repeat_with(|| Ok(T::default()));
        Ok(Response::new(if self.babbles { nothing.take(ENDLESS).boxed() } else { futures::stream::pending().boxed() }))
    }
}

#[tonic::async_trait]
impl pb::content_service_server::ContentService for Mute {
    type ReadManifestStream = Stream<pb::ReadManifestResponse>;
    type ReadContentStream = Stream<pb::ReadContentResponse>;
    type ReadSmallContentsStream = Stream<pb::ReadSmallContentsResponse>;

    async fn find_missing(&self, request: Request<pb::FindMissingRequest>) -> Result<Response<pb::FindMissingResponse>, Status> {
        Ok(Response::new(pb::FindMissingResponse { missing_indices: (0..).take(request.into_inner().hashes.len()).collect() }))
    }

    async fn upload(&self, _: Request<Streaming<pb::UploadRequest>>) -> Result<Response<pb::UploadResponse>, Status> {
        std::future::pending().await
    }

    async fn seal_content(&self, _: Request<pb::SealContentRequest>) -> Result<Response<pb::SealContentResponse>, Status> {
        std::future::pending().await
    }

    async fn read_manifest(&self, _: Request<pb::ReadManifestRequest>) -> Result<Response<Self::ReadManifestStream>, Status> {
        self.answer()
    }

    async fn read_content(&self, _: Request<pb::ReadContentRequest>) -> Result<Response<Self::ReadContentStream>, Status> {
        self.answer()
    }

    async fn read_small_contents(
        &self,
        _: Request<pb::ReadSmallContentsRequest>,
    ) -> Result<Response<Self::ReadSmallContentsStream>, Status> {
        self.answer()
    }
}

#[tokio::test(start_paused = true)]
async fn edge_w15_a_coordinator_that_says_nothing_more_of_a_content_is_given_up() {
    let bytes = noise(10_000_000);
    let (content, pages) = pages_of(&bytes);
    let (set, node) = (SetId::from_uuid(Uuid::from_u128(1)), NodeId::from_uuid(Uuid::from_u128(2)));
    for babbles in [false, true] {
        let (depot, tasks) = (depot(), Tasks::new());
        let routes = Routes::new(pb::content_service_server::ContentServiceServer::new(Mute { babbles }));
        let channel = duplex(routes, None, &tasks);
        let is_given_up = |error: &TransferError| match error {
            TransferError::Wrong(said) => babbles && said.contains("without anything"),
            error => !babbles && error.is_passing(),
        };
        let small = fetch_small(channel.clone(), set, &[(node, content)]).await.unwrap_err();
        assert!(is_given_up(&small), "{small}");
        let (sender, _receiver) = mpsc::channel(4);
        let wanted = Wanted { set, node, content: &content, base: None };
        for _ in 0..2 {
            let large = fetch_large(channel.clone(), &depot, wanted, &HashSet::new(), &sender).await.unwrap_err();
            assert!(is_given_up(&large), "{large}");
            // The second time its pages are here, and its chunks are asked for.
            depot.keep(AGENT_SCOPE, pages.clone()).await.unwrap();
        }
        let sent = upload(channel, &depot, set, &content, None, Arc::new(InMemory(bytes.clone()))).await;
        assert!(matches!(&sent, Err(UploadError::Away(fault)) if fault.kind == FaultKind::Unavailable), "{sent:?}");
    }
}
