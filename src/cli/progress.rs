//! Progress of long work, on standard error: a bar on a terminal, a plain line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::text;

/// How often a plain line is written at most: a log of an hour's upload stays readable.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// A pace over less time than this says nothing.
const PACE_AFTER: Duration = Duration::from_secs(1);

/// How far long work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Items finished.
    pub(crate) items_done: u64,
    /// Items known.
    pub(crate) items_total: u64,
    /// Bytes moved.
    pub(crate) bytes_done: u64,
    /// Bytes known; 0 if not known.
    pub(crate) bytes_total: u64,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (done, total) = (text::size(self.bytes_done), text::size(self.bytes_total));
        write!(f, "{} of {}, {done}", self.items_done, text::count(self.items_total, "item"))?;
        if self.bytes_total > 0 { write!(f, " of {total}") } else { Ok(()) }
    }
}

impl Standing {
    /// How much is done and how much there is, by what says more: bytes, unless there are none.
    const fn share(&self) -> (u64, u64) {
        if self.bytes_total > 0 { (self.bytes_done, self.bytes_total) } else { (self.items_done, self.items_total) }
    }

    /// Tells how fast it went since an earlier standing, and how long the rest takes at that pace; nothing while that cannot be told.
    fn pace(&self, since: &Self, elapsed: Duration) -> String {
        let ((done, total), (before, _)) = (self.share(), since.share());
        let rate = done.saturating_sub(before) as f64 / elapsed.as_secs_f64();
        if !rate.is_normal() || elapsed < PACE_AFTER {
            return String::new();
        }
        let rate_text = if self.bytes_total > 0 { format!("{}/s", text::size(rate as u64)) } else { format!("{rate:.0} items/s") };
        let left = Duration::from_secs((total.saturating_sub(done) as f64 / rate).ceil() as u64);
        format!(", {rate_text}, {} left", HumanDuration(left))
    }
}

/// Shows progress until dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    label: &'static str,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Standing,
    /// The first standing, and when that was: what the pace is reckoned from.
    first: Option<(Standing, Instant)>,
    /// When the last plain line was written.
    line: Option<Instant>,
}

impl Progress {
    /// Begins to show progress; `label` says what is done, such as `uploading`.
    pub(crate) fn new(label: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix} [{wide_bar}] {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(label);
            bar
        });
        Self { label, bar, state: Mutex::default() }
    }

    /// Adds to what is known and what is done.
    pub(crate) fn add(&self, more: Standing) {
        self.change(|standing| {
            standing.items_done += more.items_done;
            standing.items_total += more.items_total;
            standing.bytes_done += more.bytes_done;
            standing.bytes_total += more.bytes_total;
        });
    }

    /// Shows this standing.
    pub(crate) fn set(&self, standing: Standing) {
        self.change(|shown| *shown = standing);
    }

    /// Returns what was done, and stops showing it.
    pub(crate) fn finish(&self) -> Standing {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.lock().now
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        let mut state = self.lock();
        let before = state.now;
        change(&mut state.now);
        let now = state.now;
        if now == before {
            return;
        }
        let (first, begun) = *state.first.get_or_insert_with(|| (now, Instant::now()));
        let message = format!("{now}{}", now.pace(&first, begun.elapsed()));
        if let Some(bar) = &self.bar {
            let (done, total) = now.share();
            bar.set_length(total);
            bar.set_position(done.min(total));
            bar.set_message(message);
        } else if state.line.is_none_or(|shown| shown.elapsed() >= LINE_INTERVAL) {
            state.line = Some(Instant::now());
            eprintln!("{}: {message}", self.label);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_c09_the_pace_tells_rate_and_time_left() {
        let first = Standing { items_done: 10, items_total: 100, bytes_done: 1_000_000, bytes_total: 100_000_000 };
        let now = Standing { items_done: 20, bytes_done: 11_000_000, ..first };
        let items = |standing: Standing| Standing { bytes_done: 0, bytes_total: 0, ..standing };
        let after = Duration::from_secs(10);
        assert_eq!(now.pace(&first, after), format!(", {}/s, 89 seconds left", text::size(1_000_000)));
        assert_eq!(items(now).pace(&items(first), after), ", 1 items/s, 80 seconds left");
        assert_eq!(now.pace(&first, Duration::ZERO), "");
        assert_eq!(first.pace(&first, after), "", "nothing moved");
    }
}
