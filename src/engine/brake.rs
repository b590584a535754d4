//! The brake: stops deletes that look like an accident, before they start.
//!
//! `rm -rf` arrives as many small plans, so deletes are counted over a sliding window that the caller stores with the set.

use serde::{Deserialize, Serialize};

/// How many deletes are too many.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The share of a set's members above which it stops, 0 to 1, provided that there are at least `least`.
    pub share: f64,
    /// Fewer deletes than this never stop it by their share.
    pub least: u64,
    /// More deletes than this always stop it.
    pub most: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { share: 0.5, least: 25, most: 1_000 }
    }
}

/// How long a delete counts, and an approval lasts.
const WINDOW_MILLIS: u64 = 600_000;
/// Deletes are remembered in steps of this length; keeps the window to 60 numbers.
const STEP_MILLIS: u64 = 10_000;

/// The recent deletes of one set on one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Start of the step in milliseconds since 1970, and how many deletes fell into it; oldest first.
    steps: Vec<(u64, u64)>,
    /// How many deletes may still pass, because they were judged or a person approved them.
    allowed: u64,
    /// Until when, in milliseconds since 1970: what an allowance was not used for by then is judged anew.
    allowed_until: u64,
}

/// What the brake says of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Release,
    /// Stop.
    Engage {
        /// Members deleted within the window, before the plan.
        recent: u64,
        /// Members of the set before all of these deletes.
        members: u64,
    },
}

impl Window {
    /// Judges a whole plan, which deletes `count` of the `members` that are there now. If it may go on, that many deletes may pass.
    pub fn judge(&mut self, limits: &Limits, count: u64, members: u64, now_millis: u64) -> Verdict {
        self.forget_before(now_millis.saturating_sub(WINDOW_MILLIS));
        if self.allows(count, now_millis) {
            return Verdict::Release;
        }
        let recent: u64 = self.steps.iter().map(|(_, deletes)| deletes).sum();
        let (deletes, members) = (recent + count, members + recent);
        if deletes > limits.most || (deletes >= limits.least && deletes as f64 > limits.share * members as f64) {
            return Verdict::Engage { recent, members };
        }
        self.count(count, now_millis);
        self.approve(count, now_millis);
        Verdict::Release
    }

    /// Lets `count` deletes pass, because a person looked at them: these, and within the window, not whatever comes some day.
    pub fn approve(&mut self, count: u64, now_millis: u64) {
        self.allowed = count;
        self.allowed_until = now_millis.saturating_add(WINDOW_MILLIS);
    }

    /// Lets `count` deletes pass if that many may.
    pub fn pass(&mut self, count: u64, now_millis: u64) -> bool {
        let passes = self.allows(count, now_millis);
        if passes {
            self.allowed -= count;
        }
        passes
    }

    const fn allows(&self, count: u64, now_millis: u64) -> bool {
        count <= self.allowed && now_millis < self.allowed_until
    }

    fn count(&mut self, count: u64, now_millis: u64) {
        let step = now_millis - now_millis % STEP_MILLIS;
        match self.steps.last_mut() {
            // A clock that jumped back counts into the newest step.
            Some((start, deletes)) if *start >= step => *deletes += count,
            _ => self.steps.push((step, count)),
        }
    }

    fn forget_before(&mut self, millis: u64) {
        self.steps.retain(|(start, _)| *start >= millis);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_d10_edge_x15_stops_a_plan_of_more_than_half_and_at_least_25() {
        let limits = Limits::default();
        assert_eq!(Window::default().judge(&limits, 24, 24, 0), Verdict::Release);
        assert_eq!(Window::default().judge(&limits, 25, 40, 0), Verdict::Engage { recent: 0, members: 40 });
        assert_eq!(Window::default().judge(&limits, 25, 50, 0), Verdict::Release);
        assert_eq!(Window::default().judge(&limits, 1_000, 1_000_000, 0), Verdict::Release);
        assert_eq!(Window::default().judge(&limits, 1_001, 1_000_000, 0), Verdict::Engage { recent: 0, members: 1_000_000 });
    }

    #[test]
    fn s_d10_keeps_one_number_for_ten_seconds_and_forgets_it_after_ten_minutes() {
        let mut window = Window::default();
        let mut after = |now_millis| {
            assert_eq!(window.judge(&Limits::default(), 1, 100, now_millis), Verdict::Release);
            assert!(window.pass(1, now_millis));
            window.steps.clone()
        };
        let clock_jumps_back = 5_000;
        after(12_345);
        assert_eq!(after(19_999), [(10_000, 2)]);
        after(20_000);
        assert_eq!(after(clock_jumps_back), [(10_000, 2), (20_000, 2)]);
        assert_eq!(after(610_000), [(10_000, 2), (20_000, 2), (610_000, 1)]);
        assert_eq!(after(620_001), [(610_000, 1), (620_000, 1)]);
    }

    #[test]
    fn s_d10_counts_many_small_plans_over_the_window() {
        let limits = Limits::default();
        let mut window = Window::default();
        let mut released =
            |deleted: u64| window.judge(&limits, 1, 40 - deleted, deleted * 100) == Verdict::Release && window.pass(1, deleted * 100);
        assert_eq!((0..40).find(|deleted| !released(*deleted)), Some(24));
        assert_eq!(window.judge(&limits, 1, 16, 3_600_000), Verdict::Release, "an hour later they no longer count");
    }

    #[test]
    fn s_d10_goes_on_as_far_as_a_person_approved() {
        let limits = Limits::default();
        let mut window = Window::default();
        assert_ne!(window.judge(&limits, 100, 100, 0), Verdict::Release);
        assert!(!window.pass(100, 0));
        window.approve(100, 0);
        assert!(window.pass(60, 1) && window.pass(40, 2));
        assert!(!window.pass(1, 3));
        assert_ne!(window.judge(&limits, 100, 100, 4), Verdict::Release);
    }

    #[test]
    fn s_d10_an_approval_that_is_not_used_ends() {
        let mut window = Window::default();
        window.approve(100, 0);
        assert!(window.pass(1, 599_999) && !window.pass(1, 600_000));
    }
}
