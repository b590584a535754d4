//! What goes wrong, and when: drawn from the schedule's seed before the run begins.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use skybridge::sys::Errno;

use super::run::Deed;
use crate::net::Host;

/// Something that happens to the system.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Somebody does something: the number of it.
    Act(u64),
    /// A process ends at an effect that is yet to come: before it or after it.
    CrashAtEffect {
        host: Host,
        effect: u64,
        after: bool,
        /// Only what is more than bytes counts.
        names: bool,
    },
    /// A process of an agent ends at one of its effects after its next renaming.
    CrashAfterRename {
        agent: usize,
        effect: u64,
    },
    /// Looks at the library of an agent fail for a while.
    FailLooks {
        agent: usize,
        share: u32,
        seconds: u64,
    },
    StopFailingLooks {
        agent: usize,
    },
    /// An agent's connections are cut, and what it sent arrives late.
    Strand {
        agent: usize,
    },
    LetThrough,
    /// The disks of the coordinator are copied.
    BackUp,
    /// They are made as they were then.
    Restore,
    /// More of what the scene of a run has: the number of it.
    Turn(u64),
    /// Somebody does something that was thought of before.
    Do(Deed),
    /// A process ends now.
    Kill {
        host: Host,
    },
    /// The power of a machine goes.
    LosePower {
        host: Host,
        seed: u64,
    },
    /// A host that is down is started.
    Start {
        host: Host,
    },
    /// Effects of a process fail for a while.
    Fail {
        host: Host,
        errno: Errno,
        share: u32,
        seconds: u64,
    },
    StopFailing {
        host: Host,
    },
    Partition {
        agent: usize,
        seconds: u64,
    },
    /// One side no longer reads.
    Stall {
        from: Host,
        to: Host,
        seconds: u64,
    },
    Unblock {
        from: Host,
        to: Host,
    },
    Reset {
        agent: usize,
    },
    HalfOpen {
        deaf: Host,
        other: Host,
    },
    Slow {
        agent: usize,
        delay: Duration,
        bytes_per_second: u64,
    },
    ClockJump {
        host: Host,
        millis: i64,
    },
    OverflowWatches {
        agent: usize,
    },
    HoldWatches {
        agent: usize,
        seconds: u64,
    },
    ReleaseWatches {
        agent: usize,
    },
    ShuffleWatches {
        agent: usize,
        seed: u64,
    },
    /// The kernel writes back what was not flushed.
    WriteBack {
        agent: usize,
    },
}

/// Which kinds of faults a run has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds {
    pub(super) crashes: bool,
    pub(super) power: bool,
    pub(super) disk: bool,
    pub(super) network: bool,
    pub(super) clocks: bool,
    pub(super) watches: bool,
}

impl Kinds {
    pub(super) fn draw(chance: &mut StdRng) -> Self {
        let mut on = |percent| chance.random_range(0..100) < percent;
        Self { crashes: true, power: on(30), disk: on(30), network: on(70), clocks: on(20), watches: on(40) }
    }
}

fn host(chance: &mut StdRng, agents: usize) -> Host {
    if chance.random_ratio(2, 5) { Host::Coordinator } else { Host::Agent(chance.random_range(0..agents)) }
}

/// Draws what goes wrong within a time.
pub(super) fn draw(chance: &mut StdRng, kinds: Kinds, agents: usize, within: Duration) -> Vec<(Duration, Event)> {
    let mut events = Vec::new();
    let time = |chance: &mut StdRng| within.mul_f64(chance.random::<f64>());
    if kinds.crashes {
        for _ in 0..chance.random_range(3..7) {
            let (at, host) = (time(chance), host(chance, agents));
            let event = if kinds.power && chance.random_ratio(1, 3) {
                Event::LosePower { host, seed: chance.random() }
            } else if chance.random_ratio(1, 6) {
                Event::Kill { host }
            } else {
                // Most in the first hundreds, some far away. There are many writes for each renaming.
                let names = host != Host::Coordinator && chance.random();
                let effect = 1 + (10_f64.powf(chance.random_range(0.0..if names { 1.5 } else { 3.0 })) as u64);
                Event::CrashAtEffect { host, effect, after: chance.random(), names }
            };
            events.push((at, event));
        }
    }
    let mut some = |chance: &mut StdRng, most: u32, draw: &mut dyn FnMut(&mut StdRng) -> Event| {
        for _ in 0..chance.random_range(0..=most) {
            events.push((time(chance), draw(chance)));
        }
    };
    if kinds.network {
        let agent = |chance: &mut StdRng| chance.random_range(0..agents);
        some(chance, 4, &mut |c| Event::Reset { agent: agent(c) });
        some(chance, 3, &mut |c| Event::Partition { agent: agent(c), seconds: c.random_range(1..60) });
        some(chance, 2, &mut |c| {
            let (a, b) = (Host::Agent(agent(c)), Host::Coordinator);
            let (deaf, other) = if c.random() { (a, b) } else { (b, a) };
            Event::HalfOpen { deaf, other }
        });
        some(chance, 2, &mut |c| {
            let (a, b) = (Host::Agent(agent(c)), Host::Coordinator);
            let (from, to) = if c.random() { (a, b) } else { (b, a) };
            Event::Stall { from, to, seconds: c.random_range(1..30) }
        });
        some(chance, 3, &mut |c| Event::Slow {
            agent: agent(c),
            delay: Duration::from_millis(c.random_range(0..400)),
            bytes_per_second: *[2_000, 50_000, 10_000_000].choose(c).expect("one of them"),
        });
    }
    if kinds.disk {
        some(chance, 3, &mut |c| {
            let errno = *[Errno::IO, Errno::NOSPC].choose(c).expect("one of them");
            Event::Fail {
                host: host(c, agents),
                errno,
                share: *[5, 50, 500].choose(c).expect("one of them"),
                seconds: c.random_range(1..15),
            }
        });
    }
    if kinds.clocks {
        some(chance, 3, &mut |c| Event::ClockJump { host: host(c, agents), millis: c.random_range(-3_600_000..3_600_000) });
    }
    if kinds.watches {
        let agent = |chance: &mut StdRng| chance.random_range(0..agents);
        some(chance, 2, &mut |c| Event::OverflowWatches { agent: agent(c) });
        some(chance, 2, &mut |c| Event::HoldWatches { agent: agent(c), seconds: c.random_range(1..20) });
        some(chance, 4, &mut |c| Event::ShuffleWatches { agent: agent(c), seed: c.random() });
    }
    events
}
