//! Calls by their names, of any service and with any message: what generated clients are too kind for.

use bytes::{Buf as _, BufMut as _, Bytes};
use futures::TryStreamExt as _;
use prost::Message as _;
use skybridge::wire::FILE_DESCRIPTOR_SET;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

/// Returns the calls of the protocol's services, as `Service/Call`.
pub(crate) fn calls_of(is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let services = set.file.into_iter().filter(|file| file.package() == "skybridge.v1").flat_map(|file| file.service);
    let calls = services.filter(|service| is_wanted(service.name())).flat_map(|service| {
        let name = service.name().to_owned();
        service.method.into_iter().map(move |call| format!("{name}/{}", call.name()))
    });
    calls.collect()
}

/// Makes a call with one message, and returns what answers.
pub(crate) async fn call<S>(service: S, call: &str, token: Option<&str>, message: &[u8]) -> Result<Vec<Bytes>, Status>
where
    S: GrpcService<Body>,
    S::ResponseBody: hyper::body::Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as hyper::body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let mut client = Grpc::new(service);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(futures::stream::iter([message.to_vec()]));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("a token"));
    }
    let path = format!("/skybridge.v1.{call}").parse().expect("a path");
    client.streaming(request, path, Plain).await?.into_inner().try_collect().await
}

/// Messages as the bytes that they are.
#[derive(Debug, Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
