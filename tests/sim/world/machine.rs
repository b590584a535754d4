//! A machine with its disk and its clock, and what goes wrong in it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use skybridge::sys::{Errno, Rights, Want};
use tokio::sync::mpsc;

use super::{Clock, Trace};
use crate::disk::{Call, CallKind, Caller, Disk, Process, Verdict, VolumeOptions};
use crate::net::Host;

/// What is about to go wrong with the calls of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// The process is about to end.
    pub(crate) crash: Option<Crash>,
    /// Effects fail like this, so many in a thousand.
    pub(crate) errors: Option<(Errno, u32)>,
    /// Looks at names and folders of the library fail, so many in a thousand.
    pub(crate) looks: Option<u32>,
}

/// When a process ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crash {
    /// At this effect from now on.
    pub(crate) left: u64,
    /// When it is done, not before it.
    pub(crate) after: bool,
    /// Only effects on names and attributes count.
    pub(crate) names: bool,
    /// Only what comes after the next renaming counts.
    pub(crate) after_rename: bool,
}

/// Something that people do while a program is at work.
struct Meanwhile {
    /// Before which of its next calls.
    calls: u64,
    /// Of those after its next one of this kind.
    after: Option<CallKind>,
    act: Box<dyn FnOnce()>,
}

thread_local! {
    /// What people are about to do at each machine. Of the run, which has this thread for itself.
    static MEANWHILE: RefCell<BTreeMap<Host, Vec<Meanwhile>>> = const { RefCell::new(BTreeMap::new()) };
}

/// A machine; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) host: Host,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    /// Who works there.
    pub(crate) people: Caller,
    trace: Trace,
    faults: Arc<Mutex<(Faults, StdRng)>>,
    died: mpsc::UnboundedSender<Host>,
    calls: Arc<AtomicU64>,
}

impl Machine {
    pub(crate) fn new((host, people): (Host, Caller), seed: u64, clock: Clock, trace: Trace, died: mpsc::UnboundedSender<Host>) -> Self {
        let disk = Disk::new(VolumeOptions::default());
        disk.set_now(clock.stamp());
        Self {
            host,
            disk,
            clock,
            people,
            trace,
            faults: Arc::new(Mutex::new((Faults::default(), StdRng::seed_from_u64(seed)))),
            died,
            calls: Arc::default(),
        }
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, (Faults, StdRng)> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process.
    pub(crate) fn boot(&self) -> Process {
        let process = self.disk.process(Caller::root());
        let machine = self.clone();
        process.set_hook(Some(Box::new(move |call| machine.decide(call))));
        process
    }

    /// Lets somebody do something before one of the next calls of a program: between its look at something and what it does then.
    pub(crate) fn meanwhile(&self, calls: u64, act: impl FnOnce() + 'static) {
        self.push_meanwhile(Meanwhile { calls, after: None, act: Box::new(act) });
    }

    /// Lets somebody do something soon after a program has made a call: before it knows what came of that.
    pub(crate) fn meanwhile_after(&self, kind: CallKind, calls: u64, act: impl FnOnce() + 'static) {
        self.push_meanwhile(Meanwhile { calls, after: Some(kind), act: Box::new(act) });
    }

    fn push_meanwhile(&self, meanwhile: Meanwhile) {
        MEANWHILE.with_borrow_mut(|acts| acts.entry(self.host).or_default().push(meanwhile));
    }

    /// Does what was to be done before a call that never came.
    pub(crate) fn catch_up(&self) {
        let acts = MEANWHILE.with_borrow_mut(|acts| acts.remove(&self.host)).unwrap_or_default();
        acts.into_iter().for_each(|meanwhile| (meanwhile.act)());
    }

    fn do_meanwhile(&self, kind: CallKind) {
        let due = MEANWHILE.with_borrow_mut(|acts| {
            let acts = acts.get_mut(&self.host)?;
            for meanwhile in acts.iter_mut() {
                match meanwhile.after {
                    Some(awaited) => meanwhile.after = (awaited != kind).then_some(awaited),
                    None => meanwhile.calls = meanwhile.calls.saturating_sub(1),
                }
            }
            let due = acts.iter().position(|meanwhile| meanwhile.calls == 0 && meanwhile.after.is_none())?;
            Some(acts.swap_remove(due).act)
        });
        if let Some(act) = due {
            self.trace.count("source: in the middle of what the agent does");
            act();
        }
    }

    fn decide(&self, call: &Call<'_>) -> Verdict {
        self.disk.set_now(self.clock.stamp());
        self.do_meanwhile(call.kind);
        self.calls.fetch_add(1, Ordering::Relaxed);
        let Some(effect) = call.effect else { return self.decide_look(call) };
        self.trace.note(&[format!("{:?} {:?} {effect}", self.host, call.kind).as_bytes(), call.name]);
        let mut faults = self.faults();
        let (faults, chance) = &mut *faults;
        let is_bytes = matches!(call.kind, CallKind::Write | CallKind::Flush | CallKind::FlushFileSystem);
        if let Some(crash) = faults.crash.as_mut().filter(|crash| crash.after_rename) {
            crash.after_rename = call.kind != CallKind::Rename;
        } else if let Some(crash) = faults.crash.as_mut().filter(|crash| !(crash.names && is_bytes)) {
            crash.left = crash.left.saturating_sub(1);
            if crash.left == 0 {
                let after = crash.after;
                faults.crash = None;
                self.trace.count(format!("crash at an effect: {:?} of {}", call.kind, self.kind()));
                // Somebody listens as long as the run goes on.
                self.died.send(self.host).ok();
                return if after { Verdict::CrashAfter } else { Verdict::CrashBefore };
            }
        }
        match faults.errors {
            Some((errno, share)) if chance.random_ratio(share, 1_000) => {
                self.trace.count(format!("{errno:?} for {:?} of {}", call.kind, self.kind()));
                match call.kind {
                    CallKind::Write if chance.random() => Verdict::WriteStops(chance.random_range(0..4_096), errno),
                    _ => Verdict::Fail(errno),
                }
            }
            _ => Verdict::Proceed,
        }
    }

    /// A call that changes nothing.
    fn decide_look(&self, call: &Call<'_>) -> Verdict {
        let mut faults = self.faults();
        let (faults, chance) = &mut *faults;
        match faults.looks {
            Some(share) if is_in_library(call) && chance.random_ratio(share, 1_000) => {
                self.trace.count(format!("no look: {:?} of {}", call.kind, self.kind()));
                Verdict::Fail(Errno::IO)
            }
            _ => Verdict::Proceed,
        }
    }

    /// How many calls of the file system were made so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.host {
            Host::Coordinator => "the coordinator",
            Host::Agent(_) => "an agent",
            Host::People => "people",
        }
    }
}

/// Whether it looks at names or a folder of the library, by what is known of it: what the agent keeps for itself is left alone, for without
/// that it ends.
fn is_in_library(call: &Call<'_>) -> bool {
    let is_own = call.name.starts_with(b"/data") || call.name.ends_with(b".pack");
    match call.kind {
        CallKind::List => true,
        CallKind::Open => !is_own,
        CallKind::Stat | CallKind::Attribute => !is_own && !call.name.is_empty(),
        _ => false,
    }
}

/// Whoever asks the agent may: whose rights count there has tests of its own.
#[derive(Debug)]
pub(crate) struct AllMay(pub(crate) Disk);

impl Rights for AllMay {
    fn may(&self, _: u32, _: u32, path: &std::path::Path, _: Want) -> bool {
        self.exists(path)
    }

    fn is_in_group(&self, _: u32, _: u32, _: &str) -> bool {
        false
    }

    fn exists(&self, path: &std::path::Path) -> bool {
        self.0.person(Caller::root()).stat(&PathBuf::from(path)).is_ok()
    }
}
