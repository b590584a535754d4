//! How soon a change is on the other side while nothing else goes on, by a clock that stands still while the machine works.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::agent::LIBRARY;
use super::cloud::Plan;
use super::run::Sim;
use super::source::AtSource;
use super::trace::TraceClock;
use super::{Seed, Trace};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(10);
/// After so long it is given up.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes something on one side of a system at rest, then on the other; returns how long each took to get across.
pub(crate) fn latencies(seed: Seed) -> [Duration; 2] {
    let thread = std::thread::spawn(move || {
        skybridge::task::run_blocking_inline();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let mut sim = Sim::new(seed, Trace::new(false, TraceClock::default())).await;
            sim.comes_to_rest(true, LIMIT).await.expect("it comes to rest");
            [sim.push().await, sim.pull().await]
        })
    });
    thread.join().expect("a run")
}

impl Sim {
    async fn push(&mut self) -> Duration {
        let (path, host, begun) = (at_source("pushed.txt"), &self.agents[0], Instant::now());
        AtSource::new(0, &host.machine, &self.trace, &mut self.ledger.borrow_mut()).write_so(&path, 1_000, 1);
        self.until(begun, |sim| sim.path_of("Plans/pushed.txt").is_some()).await
    }

    async fn pull(&mut self) -> Duration {
        let (parent, begun) = (self.path_of("Plans").expect("a synced folder"), Instant::now());
        self.in_cloud().act(Plan::MakeFolder { parent, name: "pulled".to_owned() }).await;
        self.until(begun, |sim| {
            let machine = &sim.agents[0].machine;
            machine.disk.person(machine.people.clone()).stat(&at_source("pulled")).is_ok()
        })
        .await
    }

    /// The path of something in the cloud that ends like this.
    fn path_of(&self, end: &str) -> Option<String> {
        self.library()?.live.into_iter().map(|live| live.path).find(|path| Path::new(path).ends_with(end))
    }

    /// Waits until something is so; returns how long that is after `begun`.
    async fn until(&mut self, begun: Instant, is_so: impl Fn(&Self) -> bool) -> Duration {
        while !is_so(self) && begun.elapsed() < LIMIT {
            self.wait(LOOK).await;
        }
        begun.elapsed()
    }
}

fn at_source(name: &str) -> PathBuf {
    Path::new(LIBRARY).join("Plans").join(name)
}
