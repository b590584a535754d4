//! Progress of long work, on standard error: a bar on a terminal, a plain line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::text;

/// How often a plain line is written at most: a log of an hour's upload stays readable.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

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

/// Shows progress until dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    label: &'static str,
    bar: Option<ProgressBar>,
    state: Mutex<(Standing, Option<Instant>)>,
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
        self.lock().0
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        let mut state = self.lock();
        let before = state.0;
        change(&mut state.0);
        let now = state.0;
        if now == before {
            return;
        }
        if let Some(bar) = &self.bar {
            // Bytes say more than items, unless there are none.
            let (done, total) = if now.bytes_total > 0 { (now.bytes_done, now.bytes_total) } else { (now.items_done, now.items_total) };
            bar.set_length(total);
            bar.set_position(done.min(total));
            bar.set_message(now.to_string());
        } else if state.1.is_none_or(|shown| shown.elapsed() >= LINE_INTERVAL) {
            state.1 = Some(Instant::now());
            eprintln!("{}: {now}", self.label);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Standing, Option<Instant>)> {
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
