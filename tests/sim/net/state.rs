//! What is on its way, and how the ways are.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::task::Waker;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use skybridge::net::server::Conn;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Host;
use super::stream::End;
use crate::world::Trace;

/// How a way in one direction is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) delay: Duration,
    pub(super) bytes_per_second: u64,
    pub(super) blocked: bool,
    /// When the last byte that was sent has left.
    busy_until: Option<Instant>,
}

impl Default for Link {
    fn default() -> Self {
        Self { delay: Duration::from_millis(2), bytes_per_second: 10_000_000, blocked: false, busy_until: None }
    }
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) from: Host,
    pub(super) to: Host,
    /// What is on its way, with the time of its arrival; an empty one is the end.
    pub(super) segments: VecDeque<(Instant, Vec<u8>)>,
    pub(super) in_flight: usize,
    pub(super) reader_reset: bool,
    pub(super) writer_reset: bool,
    /// What is written from now on never arrives, and nobody is told.
    pub(super) lost: bool,
    /// What is on its way waits, until it is let through.
    pub(super) held: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// How many ends there still are.
    pub(super) ends: u8,
}

impl Pipe {
    pub(super) fn wake(&mut self) {
        [self.reader.take(), self.writer.take()].into_iter().flatten().for_each(Waker::wake);
    }

    pub(super) fn reset(&mut self) {
        (self.reader_reset, self.writer_reset) = (true, true);
    }

    /// Ends it for one host only.
    pub(super) fn lose(&mut self, knows: Host) {
        self.lost = true;
        self.writer_reset |= self.from == knows;
        self.reader_reset |= self.to == knows;
    }
}

#[derive(Debug)]
pub(super) struct State {
    chance: StdRng,
    trace: Trace,
    pub(super) links: BTreeMap<(Host, Host), Link>,
    pub(super) listeners: BTreeMap<Host, mpsc::UnboundedSender<io::Result<Conn<End>>>>,
    pub(super) pipes: BTreeMap<u64, Pipe>,
    pub(super) sent: BTreeMap<(Host, Host), u64>,
    opened: u64,
}

impl State {
    pub(super) fn new(seed: u64, trace: Trace) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            trace,
            links: BTreeMap::new(),
            listeners: BTreeMap::new(),
            pipes: BTreeMap::new(),
            sent: BTreeMap::new(),
            opened: 0,
        }
    }

    pub(super) fn is_blocked(&self, from: Host, to: Host) -> bool {
        self.links.get(&(from, to)).is_some_and(|link| link.blocked)
    }

    pub(super) fn round_trip(&self, a: Host, b: Host) -> Duration {
        [(a, b), (b, a)].iter().map(|way| self.links.get(way).copied().unwrap_or_default().delay).sum()
    }

    pub(super) fn open(&mut self, from: Host, to: Host) -> u64 {
        self.opened += 1;
        let pipe = Pipe {
            from,
            to,
            segments: VecDeque::new(),
            in_flight: 0,
            reader_reset: false,
            writer_reset: false,
            lost: false,
            held: false,
            reader: None,
            writer: None,
            ends: 2,
        };
        self.pipes.insert(self.opened, pipe);
        self.opened
    }

    /// Sends bytes, or the end if there are none.
    pub(super) fn send(&mut self, id: u64, bytes: &[u8]) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        if pipe.lost {
            return;
        }
        let (now, link) = (Instant::now(), self.links.entry((pipe.from, pipe.to)).or_default());
        let left = link.busy_until.map_or(now, |busy| busy.max(now))
            + Duration::from_nanos(bytes.len() as u64 * 1_000_000_000 / link.bytes_per_second.max(1));
        link.busy_until = Some(left);
        let spread = link.delay.as_micros() as u64 / 2;
        let arrives = left + link.delay + Duration::from_micros(self.chance.random_range(0..=spread));
        // In order, whatever the spread.
        let arrives = pipe.segments.back().map_or(arrives, |(last, _)| arrives.max(*last));
        pipe.segments.push_back((arrives, bytes.to_vec()));
        pipe.in_flight += bytes.len();
        *self.sent.entry((pipe.from, pipe.to)).or_default() += bytes.len() as u64;
        if let Some(reader) = pipe.reader.take() {
            reader.wake();
        }
        self.trace.note(&[b"sent", &id.to_be_bytes(), bytes]);
    }

    pub(super) fn each(&mut self, which: impl Fn(&Pipe) -> bool, mut change: impl FnMut(&mut Pipe)) {
        for pipe in self.pipes.values_mut().filter(|pipe| which(pipe)) {
            change(pipe);
            pipe.wake();
        }
    }

    pub(super) fn each_between(&mut self, a: Host, b: Host, change: impl FnMut(&mut Pipe)) {
        self.each(|pipe| [(a, b), (b, a)].contains(&(pipe.from, pipe.to)), change);
    }

    pub(super) fn wake(&mut self, which: impl Fn(&Pipe) -> bool) {
        self.each(which, |_| ());
    }

    /// Takes an end away; with the last one the pipe goes.
    pub(super) fn leave(&mut self, id: u64) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        pipe.ends -= 1;
        pipe.wake();
        if pipe.ends == 0 {
            self.pipes.remove(&id);
        }
    }
}
