//! A simulated network: streams in memory between named hosts, with delay, limited bandwidth, and everything that happens to connections.
//!
//! Bytes of a connection arrive in order or not at all, as TCP has it; what is lost is the connection. All chance is drawn from one seed,
//! and time is the runtime's. There is no TLS: who connects is told to the server as if a certificate had said so.

mod state;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skybridge::net::server::{Conn, Peer, PeerAgent};
use tokio::sync::mpsc;

use crate::world::Trace;
use state::{Link, State};
pub(crate) use stream::End;

/// Somebody on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Coordinator,
    Agent(usize),
    /// People who use the cloud.
    People,
}

/// How long somebody waits before looking again whether a way is open.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The network; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Net(Arc<Mutex<State>>);

impl Net {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed, trace))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes connections at a host from now on; what listened there before hears of no more.
    pub(crate) fn listen(&self, host: Host) -> mpsc::UnboundedReceiver<io::Result<Conn<End>>> {
        let (accepted, connections) = mpsc::unbounded_channel();
        self.state().listeners.insert(host, accepted);
        connections
    }

    /// Connects two hosts; who connects is known to the other as `agent`.
    pub(crate) async fn connect(&self, from: Host, to: Host, agent: Option<PeerAgent>) -> io::Result<End> {
        while self.state().is_blocked(from, to) || self.state().is_blocked(to, from) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let trip = self.state().round_trip(from, to);
        tokio::time::sleep(trip).await;
        let mut state = self.state();
        let Some(listener) = state.listeners.get(&to).cloned() else { return Err(io::ErrorKind::ConnectionRefused.into()) };
        let (there, back) = (state.open(from, to), state.open(to, from));
        drop(state);
        let (ours, theirs) = (End::new(self.clone(), back, there), End::new(self.clone(), there, back));
        listener
            .send(Ok(Conn::new(theirs, Peer { address: None, agent })))
            .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(ours)
    }

    /// Sets how a way in one direction is.
    pub(crate) fn set_link(&self, from: Host, to: Host, delay: Duration, bytes_per_second: u64) {
        let mut state = self.state();
        let link = state.links.entry((from, to)).or_default();
        (link.delay, link.bytes_per_second) = (delay, bytes_per_second);
    }

    /// Holds back everything in one direction, until it is let through again: both directions of a way are a partition, one of them is a
    /// reader that reads nothing.
    pub(crate) fn block(&self, from: Host, to: Host, blocked: bool) {
        let mut state = self.state();
        state.links.entry((from, to)).or_default().blocked = blocked;
        if !blocked {
            state.wake(|pipe| (pipe.from, pipe.to) == (from, to));
        }
    }

    /// Resets all connections between two hosts.
    pub(crate) fn reset(&self, a: Host, b: Host) {
        self.state().each_between(a, b, |pipe| pipe.reset());
    }

    /// Cuts all connections between two hosts so that `deaf` never hears of it.
    pub(crate) fn half_open(&self, deaf: Host, other: Host) {
        self.state().each_between(deaf, other, |pipe| pipe.lose(other));
    }

    /// Cuts all connections from one host to another, of which the other does not hear; what was sent arrives all the same once it is let
    /// through, when the first may have connected anew.
    pub(crate) fn strand(&self, from: Host, to: Host) {
        let mut state = self.state();
        state.each(|pipe| (pipe.from, pipe.to) == (from, to), |pipe| (pipe.writer_reset, pipe.held) = (true, true));
        state.each(|pipe| (pipe.from, pipe.to) == (to, from), |pipe| pipe.lose(from));
    }

    /// Lets through what was left behind by connections that were cut.
    pub(crate) fn let_through(&self) {
        self.state().each(|pipe| pipe.held, |pipe| pipe.held = false);
    }

    /// Ends a host: nobody listens there, and its connections end; the others hear of it, or not.
    pub(crate) fn crash(&self, host: Host, silently: bool) {
        let mut state = self.state();
        state.listeners.remove(&host);
        let of_host = |pipe: &state::Pipe| pipe.from == host || pipe.to == host;
        state.each(of_host, |pipe| if silently { pipe.lose(host) } else { pipe.reset() });
    }

    /// Makes everything as it was, but for connections that are lost.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.links.values_mut().for_each(|link| *link = Link::default());
        state.each(|pipe| pipe.held, |pipe| pipe.held = false);
        state.wake(|_| true);
    }

    /// How many bytes were sent so far.
    pub(crate) fn bytes_sent(&self) -> BTreeMap<(Host, Host), u64> {
        self.state().sent.clone()
    }
}
