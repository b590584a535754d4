//! Identities. Each is a UUID in a type of its own, so that one kind is never taken for another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that should have been an id and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct InvalidId {
    /// What was given.
    pub text: String,
    /// What it should have been.
    pub expected: &'static str,
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that was minted as an id of this kind.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the 16 bytes in which it is stored and sent; their order is the order of minting for version 7.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads it from its 16 bytes.
            ///
            /// # Errors
            /// When there are not 16 bytes, or they are all zero.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidId> {
                match Uuid::from_slice(bytes) {
                    Ok(uuid) if !uuid.is_nil() => Ok(Self(uuid)),
                    _ => Err(InvalidId { text: format!("{bytes:02x?}"), expected: $expected }),
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                match Uuid::try_parse(text) {
                    Ok(uuid) if !uuid.is_nil() => Ok(Self(uuid)),
                    _ => Err(InvalidId { text: text.chars().take(64).collect(), expected: $expected }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id_type!(
    /// A tenant: accounts, sites, quota and one journal.
    NetworkId, "a network id");
id_type!(
    /// A site, which has one document library.
    SiteId, "a site id");
id_type!(
    /// A document or folder, on both sides. Minted as UUIDv7 by whichever side sees the node first.
    NodeId, "a node id");
id_type!(
    /// A sync set.
    SetId, "a sync set id");
id_type!(
    /// A person's or a service's account at the coordinator.
    AccountId, "an account id");
id_type!(
    /// An enrolled agent.
    AgentId, "an agent id");
id_type!(
    /// One operation of an agent; repeating it has no second effect.
    OpId, "an operation id");
id_type!(
    /// The bond of one repository node with one target node within a set. Ending and beginning a sync again is another pairing.
    PairingId, "a pairing id");
id_type!(
    /// A token's public handle, by which it is listed and revoked.
    TokenId, "a token id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_junk() {
        let id = NodeId::from_uuid(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
        assert_eq!(NodeId::from_bytes(id.as_bytes()), Ok(id));
        assert!("".parse::<NodeId>().is_err());
        assert!("00000000-0000-0000-0000-000000000000".parse::<NodeId>().is_err());
        assert!(NodeId::from_bytes(&[0; 16]).is_err());
        assert!(NodeId::from_bytes(&[1; 15]).is_err());
    }
}
