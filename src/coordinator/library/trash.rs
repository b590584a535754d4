//! The index of what is in the trash of a site, by the time of its deletion. What it holds stays in the node's own record.

use crate::model::{NetworkId, NodeId, SiteId, Timestamp};
use crate::store::{Record, Table};

/// The top of something in the trash.
#[derive(Debug)]
pub struct Trash;

impl Record for Trash {
    const TABLE: Table = Table::Trash;
    const FORMAT: u8 = 1;
    /// The number is the time in microseconds since 1970.
    type Key = (NetworkId, SiteId, u64, NodeId);
    type Value = ();
}

/// Returns the time as keys have it.
pub(crate) fn time_key(time: Timestamp) -> u64 {
    u64::try_from(time.seconds).unwrap_or(0).saturating_mul(1_000_000) + u64::from(time.nanoseconds / 1_000)
}
