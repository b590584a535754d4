//! Tells the sessions of a network that its journal has grown, so that nobody polls it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::NetworkId;

/// A counter a network, that sessions watch. Cheap to clone; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Notices {
    /// As many as there are networks with changes since the start.
    networks: Arc<Mutex<HashMap<NetworkId, watch::Sender<u64>>>>,
}

impl Notices {
    /// Returns what changes whenever the network's journal has grown.
    #[must_use]
    pub fn watch(&self, network: NetworkId) -> watch::Receiver<u64> {
        self.with(network, watch::Sender::subscribe)
    }

    /// Says that a network's journal has grown. Called after the commit.
    pub fn changed(&self, network: NetworkId) {
        self.with(network, |sender| sender.send_modify(|count| *count = count.wrapping_add(1)));
    }

    fn with<T>(&self, network: NetworkId, body: impl FnOnce(&watch::Sender<u64>) -> T) -> T {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        body(networks.entry(network).or_insert_with(|| watch::Sender::new(0)))
    }
}
