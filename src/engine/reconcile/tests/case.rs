//! A case: a tree, what people do to it on both sides, and everything else that makes a difference. Made from one number, and made smaller
//! when it fails.

use super::options;
use super::world::{Act, Chance, Deed, Seed, Side, World};
use crate::model::{Kind, SetOptions};

/// Nodes of a tree and deeds at most: few, so that they meet.
const SEEDS_MAX: usize = 8;
const DEEDS_MAX: usize = 7;
/// Smaller cases that are tried at most for one that failed.
const TRIES_MAX: usize = 4_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) seeds: Vec<Seed>,
    pub(super) deeds: Vec<Deed>,
    pub(super) options: SetOptions,
    /// The agent has lost its state, and sees both sides anew.
    pub(super) forgets: bool,
    /// Only a part of what is to be done happens in a round.
    pub(super) is_slow: bool,
    pub(super) ids: u64,
    pub(super) order: u64,
}

/// Which deeds there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    /// Any, while the agent is at work.
    Meanwhile,
    /// Any, before it begins.
    Before,
    /// Moves and renames, before it begins.
    Moves,
    /// On one side alone, before it begins.
    Only(Side),
}

impl Case {
    pub(super) fn from_number(number: u64) -> Self {
        let mut chance = Chance(number);
        let plots = [Plot::Meanwhile, Plot::Before, Plot::Before, Plot::Moves, Plot::Only(Side::Source), Plot::Only(Side::Target)];
        let plot = *pick(&mut chance, &plots);
        let seeds = (0..chance.below(SEEDS_MAX + 1)).map(|_| seed(&mut chance)).collect();
        let deeds = (0..chance.below(DEEDS_MAX + 1)).map(|_| deed(&mut chance, plot)).collect();
        Self {
            seeds,
            deeds,
            options: *pick(&mut chance, &options()),
            forgets: matches!(plot, Plot::Meanwhile | Plot::Before) && chance.below(10) == 0,
            is_slow: chance.below(2) == 0,
            ids: chance.draw(),
            order: chance.draw(),
        }
    }

    pub(super) fn world(&self) -> World {
        let mut world = World::in_step(&self.seeds, self.options, self.ids, self.order);
        world.is_slow = self.is_slow;
        if self.forgets {
            world.forget_everything();
        }
        world
    }

    pub(super) fn is_all_before(&self) -> bool {
        self.deeds.iter().all(|deed| deed.round == 0)
    }

    pub(super) fn is_only(&self, side: Side) -> bool {
        let is_there = |deed: &Deed| deed.side == side && !matches!(deed.act, Act::Request | Act::Arrive { .. });
        !self.forgets && self.is_all_before() && self.deeds.iter().all(is_there)
    }

    /// Whether nothing is made, edited or deleted: each node that there was is there in the end.
    pub(super) fn only_moves(&self) -> bool {
        !self.forgets && self.deeds.iter().all(|deed| is_move(deed.act))
    }

    /// Makes a case that fails as small as it gets and still fails.
    pub(super) fn shrink(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut tries = 0;
        loop {
            let smaller = self.smaller().into_iter().find(|case| {
                tries += 1;
                tries <= TRIES_MAX && *case != self && fails(case)
            });
            match smaller {
                Some(case) => self = case,
                None => return self,
            }
        }
    }

    fn smaller(&self) -> Vec<Self> {
        let mut all = vec![
            Self { is_slow: false, ..self.clone() },
            Self { forgets: false, ..self.clone() },
            Self { options: SetOptions::default(), ..self.clone() },
            Self { ids: 0, ..self.clone() },
            Self { order: 0, ..self.clone() },
        ];
        all.extend((0..self.deeds.len()).map(|at| Self { deeds: without(&self.deeds, at), ..self.clone() }));
        all.extend((0..self.seeds.len()).map(|at| Self { seeds: without(&self.seeds, at), ..self.clone() }));
        for (at, deed) in self.deeds.iter().enumerate() {
            let numbers = deed.act.smaller().into_iter().map(|act| Deed { act, ..*deed });
            let rounds = (0..deed.round).map(|round| Deed { round, ..*deed });
            all.extend(rounds.chain(numbers).map(|deed| self.changed(|case| case.deeds[at] = deed)));
        }
        for (at, seed) in self.seeds.iter().enumerate() {
            let folders = (0..seed.folder).map(|folder| Seed { folder, ..*seed });
            let names = (0..seed.name).map(|name| Seed { name, ..*seed });
            let kind = Seed { kind: Kind::Document, ..*seed };
            all.extend(folders.chain(names).chain([kind]).map(|seed| self.changed(|case| case.seeds[at] = seed)));
        }
        all
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut case = self.clone();
        change(&mut case);
        case
    }
}

fn without<T: Copy>(all: &[T], at: usize) -> Vec<T> {
    [&all[..at], &all[at + 1..]].concat()
}

fn pick<'a, T>(chance: &mut Chance, among: &'a [T]) -> &'a T {
    &among[chance.below(among.len())]
}

fn kind(chance: &mut Chance) -> Kind {
    *pick(chance, &[Kind::Document, Kind::Folder])
}

fn seed(chance: &mut Chance) -> Seed {
    Seed { folder: number(chance, 4), name: name(chance), kind: kind(chance) }
}

/// Rarely one of those whose folding takes long.
fn name(chance: &mut Chance) -> u8 {
    if chance.below(8) == 0 { 5 + number(chance, 2) } else { number(chance, 5) }
}

fn number(chance: &mut Chance, end: usize) -> u8 {
    chance.below(end) as u8
}

fn deed(chance: &mut Chance, plot: Plot) -> Deed {
    let round = if plot == Plot::Meanwhile && chance.below(2) == 0 { number(chance, 6) } else { 0 };
    let side = match plot {
        Plot::Only(side) => side,
        _ => *pick(chance, &[Side::Source, Side::Target]),
    };
    let act = if plot == Plot::Moves { a_move(chance) } else { act(chance) };
    Deed { round, side, act }
}

fn act(chance: &mut Chance) -> Act {
    let node = number(chance, 9);
    match chance.below(34) {
        0..=3 => Act::Make { folder: number(chance, 5), name: name(chance), kind: kind(chance), content: number(chance, 6) },
        4..=5 => Act::Edit(node, number(chance, 6)),
        6 => Act::Save(node, number(chance, 6)),
        7..=8 => Act::Describe(node, chance.below(2) == 0, Some(number(chance, 3)).filter(|value| *value < 2)),
        9..=12 => Act::Delete(node),
        13 => Act::Retype(node),
        14 => Act::Again(node),
        15 => Act::MoveOver(node, number(chance, 9)),
        16 => Act::MoveOut(node),
        17..=18 => Act::ComeBack(node, name(chance)),
        19 => Act::Trouble(node, number(chance, 3)),
        20 => Act::Request,
        21 => Act::Arrive { folder: number(chance, 5), name: name(chance), kind: kind(chance) },
        22 => Act::Gap(chance.below(2) == 0),
        _ => a_move(chance),
    }
}

fn a_move(chance: &mut Chance) -> Act {
    let node = number(chance, 9);
    match chance.below(12) {
        0..=2 => Act::Rename(node, name(chance)),
        3..=5 => Act::Move(node, number(chance, 5)),
        6..=7 => Act::MoveAs(node, number(chance, 5), name(chance)),
        8..=9 => Act::Swap(node, number(chance, 9)),
        10 => Act::Rotate(node, number(chance, 9), number(chance, 9)),
        _ => Act::Invert(node),
    }
}

const fn is_move(act: Act) -> bool {
    matches!(act, Act::Rename(..) | Act::Move(..) | Act::MoveAs(..) | Act::Swap(..) | Act::Rotate(..) | Act::Invert(_))
}

impl std::fmt::Display for Case {
    /// As a row of [`found`](super::found).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seeds = self.seeds.iter().map(|seed| {
            let what = if seed.kind == Kind::Folder { "dir" } else { "file" };
            format!("{what}({}, {})", seed.folder, seed.name)
        });
        let deeds = self.deeds.iter().map(|deed| {
            let side = if deed.side == Side::Source { "here" } else { "there" };
            let later = if deed.round == 0 { String::new() } else { format!(".in_round({})", deed.round) };
            format!("{side}(Act::{:?}){later}", deed.act)
        });
        let list = |all: Vec<String>| all.join(", ");
        write!(f, "&[{}], &[{}]", list(seeds.collect()), list(deeds.collect()))?;
        let Self { options, forgets, is_slow, ids, order, .. } = self;
        write!(f, ", forgets: {forgets}, is_slow: {is_slow}, ids: {ids}, order: {order}, {options:?}")
    }
}
