//! What holds for every tree, whatever people do to it on both sides.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed};

use super::world::{Act, Deed, Seed, Side, World};
use crate::model::{Kind, SetOptions};

/// How often each property is tried, always on the same cases, unless `SKYBRIDGE_PLANNER_CASES` asks for so many others.
const CASES: u32 = 400;

/// A tree, what people do to it, and everything else that makes a difference.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) seeds: Vec<Seed>,
    pub(super) deeds: Vec<Deed>,
    pub(super) options: SetOptions,
    pub(super) ids: u64,
    pub(super) order: u64,
    pub(super) forgets: bool,
}

impl Case {
    pub(super) fn world(&self) -> World {
        let mut world = World::in_step(&self.seeds, self.options, self.ids, self.order);
        if self.forgets {
            world.forget_everything();
        }
        world
    }

    /// Runs it, and checks all that is checked of a world at rest.
    pub(super) fn check(&self) -> World {
        let mut world = self.world();
        world.run(&self.deeds);
        world.check();
        world.check_all_planned();
        world
    }
}

fn config() -> Config {
    let asked = std::env::var("SKYBRIDGE_PLANNER_CASES").ok().and_then(|cases| cases.parse().ok());
    let rng_seed = if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(1) };
    Config { cases: asked.unwrap_or(CASES), rng_seed, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() }
}

fn kind() -> impl Strategy<Value = Kind> {
    select(vec![Kind::Document, Kind::Folder])
}

fn seed() -> impl Strategy<Value = Seed> {
    (0..4_u8, 0..5_u8, kind()).prop_map(|(folder, name, kind)| Seed { folder, name, kind })
}

fn act() -> impl Strategy<Value = Act> {
    let (node, folder, name, content) = (0..9_u8, 0..5_u8, 0..5_u8, 0..6_u8);
    prop_oneof![
        3 => (folder.clone(), name.clone(), kind(), content.clone())
            .prop_map(|(folder, name, kind, content)| Act::Make { folder, name, kind, content }),
        2 => (node.clone(), content.clone()).prop_map(|(node, content)| Act::Edit(node, content)),
        1 => (node.clone(), content).prop_map(|(node, content)| Act::Save(node, content)),
        2 => (node.clone(), any::<bool>(), proptest::option::of(0..3_u8)).prop_map(|(node, which, value)| Act::Describe(node, which, value)),
        3 => (node.clone(), name.clone()).prop_map(|(node, name)| Act::Rename(node, name)),
        4 => (node.clone(), folder.clone()).prop_map(|(node, folder)| Act::Move(node, folder)),
        2 => (node.clone(), folder, name.clone()).prop_map(|(node, folder, name)| Act::MoveAs(node, folder, name)),
        4 => node.clone().prop_map(Act::Delete),
        3 => (node.clone(), node.clone()).prop_map(|(one, other)| Act::Swap(one, other)),
        1 => node.clone().prop_map(Act::Invert),
        1 => node.clone().prop_map(Act::Retype),
        1 => node.clone().prop_map(Act::MoveOut),
        2 => (node.clone(), name).prop_map(|(node, name)| Act::ComeBack(node, name)),
        1 => node.prop_map(Act::Trouble),
        1 => Just(Act::Request),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let round = prop_oneof![3 => Just(0_u8), 1 => 1..6_u8];
    let side = select(vec![Side::Source, Side::Target]);
    (round, side, act()).prop_map(|(round, side, act)| Deed { round, side, act })
}

fn case(deeds: impl Strategy<Value = Vec<Deed>>) -> impl Strategy<Value = Case> {
    let forgets = prop_oneof![9 => Just(false), 1 => Just(true)];
    (proptest::collection::vec(seed(), 0..8), deeds, select(super::options()), any::<u64>(), any::<u64>(), forgets)
        .prop_map(|(seeds, deeds, options, ids, order, forgets)| Case { seeds, deeds, options, ids, order, forgets })
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    proptest::collection::vec(deed(), 0..8)
}

fn at_first(mut deeds: Vec<Deed>) -> Vec<Deed> {
    deeds.iter_mut().for_each(|deed| deed.round = 0);
    deeds
}

fn on(side: Side) -> impl Strategy<Value = Vec<Deed>> {
    deeds().prop_map(move |mut deeds| {
        deeds.iter_mut().for_each(|deed| deed.side = side);
        deeds.retain(|deed| deed.act != Act::Request);
        at_first(deeds)
    })
}

proptest! {
    #![proptest_config(config())]

    /// Both sides agree in the end, or a member says why not; each content can still be got at; nothing more is sent; and when people take
    /// away the cause of a clash it goes on.
    #[test]
    fn s_b19_both_sides_agree_or_say_why(case in case(deeds())) {
        let mut world = case.check();
        for attempt in 0..8 {
            if !world.free_names(attempt) {
                break;
            }
            world.look();
            world.deliver();
            world.run(&[]);
            world.check();
            world.check_all_planned();
        }
        prop_assert!(!world.reasons().contains("NAME_CLASH"));
    }

    /// Whatever the order within a batch, the outcome is the same.
    #[test]
    fn s_b19_the_order_within_a_batch_makes_no_difference(case in case(deeds().prop_map(at_first)), other in any::<u64>()) {
        let one = case.check();
        let other = Case { order: other, ..case }.check();
        if one.reasons().is_empty() && other.reasons().is_empty() {
            prop_assert_eq!(one.paths(), other.paths());
        }
    }

    /// Where only the cloud changes, nothing is sent there.
    #[test]
    fn s_b03_what_changes_in_the_cloud_alone_changes_nothing_there(case in case(on(Side::Target))) {
        let case = Case { forgets: false, ..case };
        let mut before = case.world();
        case.deeds.iter().for_each(|deed| before.act(deed));
        let after = case.check();
        prop_assert_eq!(before.cloud.journal, after.cloud.journal);
    }

    /// Where only the source changes and it is not locked, nothing is changed there.
    #[test]
    fn s_b02_what_changes_at_the_source_alone_changes_nothing_there(case in case(on(Side::Source))) {
        let case = Case { forgets: false, options: SetOptions { lock_source: false, ..case.options }, ..case };
        let mut before = case.world();
        case.deeds.iter().for_each(|deed| before.act(deed));
        let after = case.check();
        let shape = |world: &World| world.disk.items.iter().map(|(key, item)| {
            (*key, item.parent, item.name.clone(), item.content, item.aside)
        }).collect::<Vec<_>>();
        prop_assert_eq!(shape(&before), shape(&after));
    }
}
