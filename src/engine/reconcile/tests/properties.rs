//! What holds for every tree, whatever people do to it on both sides.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::case::Case;
use super::fate;
use super::world::{Act, Chance, Deed, Side, World};

/// Tried with each run of the tests; many more are tried by a package of its own.
const CASES: u64 = 300;
/// Clashes are taken away so often at most: the end of one can be the beginning of another.
const CLASHES_MAX: usize = 8;

impl Case {
    /// Runs it as often as it takes, and checks all properties; returns what members say when it first comes to rest.
    pub(super) fn check(&self) -> BTreeSet<&'static str> {
        let start = self.world();
        let mut end = start.clone();
        end.run(&self.deeds);
        end.check();
        if self.is_all_before() {
            let mut before = start.clone();
            self.deeds.iter().for_each(|deed| before.act(deed));
            before.look();
            before.deliver();
            let is_racy = self.is_racy() || before.has_replaced_any_of(&start);
            fate::check(self, is_racy, &before, &end);
            self.check_sides(&before, &end);
            if !before.has_a_ring() {
                self.check_order(is_racy, start, &end);
            }
        }
        let reasons = end.reasons();
        go_on(end);
        reasons
    }

    /// Whatever the order within a batch, and if everything is planned instead of what is dirty, the outcome is the same. But where moves of both
    /// sides together make a ring, the order decides which of the source's is taken back.
    fn check_order(&self, is_racy: bool, mut other: World, one: &World) {
        if is_racy && self.is_slow {
            return;
        }
        other.order = Chance(!self.order);
        (other.is_slow, other.plans_all) = (!self.is_slow && !is_racy, true);
        other.run(&self.deeds);
        other.check();
        // A release does not ask what is there now: an edit in the cloud that nobody saw before it is released as well.
        let releases = |world: &World| world.cloud.docs.values().any(|doc| doc.released);
        if one.reasons().is_empty() && other.reasons().is_empty() && !releases(one) && !releases(&other) {
            assert_eq!(one.paths(), other.paths(), "the order makes a difference");
        }
    }

    /// Whether it makes a difference which change is seen first. It does to an agent that lost its state: what it sees first of both sides is
    /// paired by name. It does to what is added to a locked set: once it is there, it is locked. And it does to what is made anew, as
    /// also by deeds that have nothing to do with each other: it is known by the place of what it replaces.
    fn is_racy(&self) -> bool {
        let arrives = |deed: &Deed| self.options.lock_source && matches!(deed.act, Act::Arrive { .. });
        self.forgets || self.deeds.iter().any(|deed| arrives(deed) || matches!(deed.act, Act::Again(_)))
    }

    /// Where only one side changes, nothing is changed there; what only moves is neither made nor deleted.
    fn check_sides(&self, before: &World, after: &World) {
        if self.is_only(Side::Target) {
            assert_eq!(before.cloud.journal, after.cloud.journal, "something was sent to where the change came from");
        }
        if self.is_only(Side::Source) && !self.options.lock_source {
            assert_eq!(before.shape(), after.shape(), "something was changed where the change came from");
        }
        if self.only_moves() {
            let nodes = |world: &World| (world.disk.items.keys().copied().collect(), world.cloud.docs.keys().copied().collect());
            let (one, other): ((Vec<_>, Vec<_>), _) = (nodes(before), nodes(after));
            assert_eq!(one, other, "a move made or deleted something");
        }
    }
}

/// When people take away the cause of a clash it goes on.
fn go_on(mut world: World) {
    for attempt in 0..CLASHES_MAX {
        if !world.free_names(attempt) {
            return;
        }
        world.look();
        world.deliver();
        world.run(&[]);
        world.check();
    }
    assert!(!world.reasons().contains("NAME_CLASH"), "a clash does not end");
}

thread_local! {
    /// Whether what goes wrong on this thread is not to be printed: it is expected, and reported in the end.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Checks a case; returns what went wrong.
fn failure(case: &Case) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                usual(info)
            }
        }));
    });
    IS_QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| case.check()));
    IS_QUIET.set(false);
    let payload = outcome.err()?;
    let text = payload.downcast_ref::<String>().cloned();
    Some(text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// Checks the case that a number stands for; returns what went wrong, and the smallest case in which it does.
pub(crate) fn report(number: u64) -> Option<String> {
    let case = Case::from_number(number);
    failure(&case)?;
    let smallest = case.shrink(|case| failure(case).is_some());
    let why = failure(&smallest).unwrap_or_default();
    Some(format!("case {number} fails: {why}\nmade as small as it gets:\n{smallest}"))
}

#[test]
fn s_b19_both_sides_agree_or_say_why() {
    if let Some(report) = (0..CASES).find_map(report) {
        panic!("{report}");
    }
}
