//! What a command prints: text for people, or the protocol's own messages as JSON for programs.
//!
//! JSON has the field names of the `.proto` files, enums by name, 64-bit numbers as numbers and times as RFC 3339, so that what a
//! program reads here is what it reads from the services.

use std::io::Write as _;

use anyhow::Context as _;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use crate::{cli::failure::OutputClosed, wire};

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object on standard output; errors as an object on standard error.
    Json,
}

impl Format {
    /// Prints an answer: the message as JSON, or the text that `text` makes of it.
    pub(crate) fn print<M: Message + Name>(self, message: &M, text: impl FnOnce(&M) -> String) -> anyhow::Result<()> {
        match self {
            Self::Text => write_out(text(message).as_bytes()),
            Self::Json => write_out(format!("{}\n", json(message)?).as_bytes()),
        }
    }

    /// Prints an answer that is no message of the protocol.
    pub(crate) fn print_value(self, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self {
            Self::Text => write_out(text().as_bytes()),
            Self::Json => write_out(format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes()),
        }
    }
}

/// Writes to standard output and flushes it.
pub(crate) fn write_out(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| OutputClosed(error).into())
}

fn json<M: Message + Name>(message: &M) -> anyhow::Result<String> {
    let pool = DescriptorPool::decode(wire::FILE_DESCRIPTOR_SET).context("the descriptors that the build made")?;
    let name = M::full_name();
    let descriptor = pool.get_message_by_name(&name).with_context(|| format!("no descriptor of {name}"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    let mut serializer = serde_json::Serializer::pretty(Vec::new());
    let options = SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true).skip_default_fields(false);
    dynamic.serialize_with_options(&mut serializer, &options)?;
    Ok(String::from_utf8(serializer.into_inner())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pb;

    #[test]
    fn json_has_the_names_of_the_proto() {
        let node = pb::Node {
            name: "a.txt".into(),
            kind: pb::NodeKind::Document.into(),
            version: 2,
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            content: Some(pb::ContentRef { root: vec![1; 32].into(), size_bytes: 1 << 40, height: 1 }),
            ..Default::default()
        };
        let value: serde_json::Value = serde_json::from_str(&json(&node).expect("it is JSON")).expect("it parses");
        assert_eq!(value["kind"], "NODE_KIND_DOCUMENT");
        assert_eq!(value["create_time"], "1970-01-01T00:00:00Z");
        assert_eq!(value["content"]["size_bytes"], 1_u64 << 40);
        assert_eq!(value["set_id"], "");
    }
}
