//! Progress of long work, on standard error: a bar on a terminal, a plain line now and then elsewhere, nothing for programs.

use std::{
    io::IsTerminal as _,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::{output::Format, text};

/// How often a plain line is written at most, and when the first: a log of an hour's upload stays readable, and what takes a moment is done.
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

impl Standing {
    /// Returns what is done and what is known in what says most: bytes say more than items, unless there are none.
    const fn measure(self) -> (u64, u64) {
        if self.bytes_total > 0 { (self.bytes_done, self.bytes_total) } else { (self.items_done, self.items_total) }
    }
}

/// Shows progress until dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    label: &'static str,
    form: Form,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Form {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

#[derive(Debug)]
struct State {
    now: Standing,
    /// What was done already when this began to be shown, and when that was.
    first: Option<(Standing, Instant)>,
    shown: Instant,
}

impl Progress {
    /// Begins to show progress; `label` says what is done, such as `uploading`.
    pub(crate) fn new(label: &'static str, output: Format) -> Self {
        let form = match output {
            Format::Json => Form::Nothing,
            Format::Text if std::io::stderr().is_terminal() => {
                let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
                if let Ok(style) = ProgressStyle::with_template("{prefix} [{wide_bar}] {msg}") {
                    bar.set_style(style.progress_chars("=> "));
                }
                bar.set_prefix(label);
                Form::Bar(bar)
            }
            Format::Text => Form::Lines,
        };
        Self { label, form, state: Mutex::new(State { now: Standing::default(), first: None, shown: Instant::now() }) }
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

    /// Says what the work waits for.
    pub(crate) fn note(&self, text: &str) {
        match &self.form {
            Form::Bar(bar) => bar.suspend(|| eprintln!("{}: {text}", self.label)),
            Form::Lines => eprintln!("{}: {text}", self.label),
            Form::Nothing => {}
        }
    }

    /// Returns what was done, and stops showing it.
    pub(crate) fn finish(&self) -> Standing {
        if let Form::Bar(bar) = &self.form {
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
        match &self.form {
            Form::Bar(bar) => {
                let (done, total) = now.measure();
                bar.set_length(total);
                bar.set_position(done.min(total));
                bar.set_message(format!("{now}{}", pace(first, now, begun.elapsed())));
            }
            Form::Lines if state.shown.elapsed() >= LINE_INTERVAL => {
                state.shown = Instant::now();
                eprintln!("{}: {now}{}", self.label, pace(first, now, begun.elapsed()));
            }
            Form::Lines | Form::Nothing => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Says how fast it goes and how long it will still take, once that can be told.
fn pace(first: Standing, now: Standing, took: Duration) -> String {
    let ((before, _), (done, total)) = (first.measure(), now.measure());
    let moved = done.saturating_sub(before);
    if moved == 0 || took < Duration::from_secs(1) {
        return String::new();
    }
    let each_second = moved as f64 / took.as_secs_f64();
    let rate = if now.bytes_total > 0 { text::size(each_second as u64) } else { text::count(each_second.ceil() as u64, "item") };
    let left = Duration::from_secs((total.saturating_sub(done) as f64 / each_second).ceil() as u64);
    format!(", {rate}/s, {} left", indicatif::HumanDuration(left))
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_c09_rate_and_time_left_are_told_once_they_can_be() {
        let at = |items_done, bytes_done| Standing { items_done, items_total: 10, bytes_done, bytes_total: 10 << 20 };
        assert_eq!(pace(at(0, 0), at(0, 0), Duration::from_secs(9)), "");
        assert_eq!(pace(at(1, 1 << 20), at(3, 5 << 20), Duration::from_secs(4)), ", 1.00 MiB/s, 5 seconds left");
        let without_bytes = |items_done| Standing { items_done, items_total: 10, ..Standing::default() };
        assert_eq!(pace(without_bytes(0), without_bytes(4), Duration::from_secs(2)), ", 2 items/s, 3 seconds left");
    }
}
