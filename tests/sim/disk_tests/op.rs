//! Operations, drawn by chance, that make sense on the model and on the kernel.

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use skybridge::sys::{Access, FileKind};

/// Who makes the calls of [`skybridge::sys::Files`], and who else works there.
pub(super) const USERS: [u32; 3] = [0, 4001, 4002];
/// How many handles an agent keeps.
pub(super) const SLOTS: usize = 6;
/// How many files people have open.
pub(super) const WRITERS: usize = 3;
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
const ACL: &[u8] = b"system.posix_acl_access";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Replace,
    NoReplace,
    Exchange,
}

/// A call of the agent, with the slots of the handles that it uses.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Root(usize),
    Open(usize, Vec<u8>, Access, usize),
    Close(usize),
    Remember(usize, Option<Vec<u8>>, usize),
    Again(usize, usize, usize),
    KnownPath(usize),
    Stat(usize),
    StatAt(usize, Vec<u8>),
    List(usize),
    Read(usize, u64),
    Create(usize, Vec<u8>, u32, usize),
    Unnamed(usize, u32, usize),
    Write(usize, u64, usize),
    Flush(usize),
    FlushAll(usize),
    MakeFolder(usize, Vec<u8>, u32),
    Rename(Way, usize, Vec<u8>, usize, Vec<u8>),
    Link(usize, Vec<u8>, usize, Vec<u8>),
    RemoveFile(usize, Vec<u8>),
    RemoveFolder(usize, Vec<u8>),
    Attributes(usize),
    Attribute(usize, Vec<u8>),
    SetAttribute(usize, Vec<u8>, Option<Vec<u8>>),
    SetOwner(usize, u32, u32),
    SetMode(usize, u32),
    IsWritten(usize),
    Canonical(Vec<u8>),
    Watch(usize),
    Unwatch(i32),
    Person(u32, Act),
}

/// What somebody else does, by paths.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Open(usize, Vec<u8>, bool, bool),
    Write(usize, u64, usize),
    Shorten(usize, u64),
    Close(usize),
    MakeFolder(Vec<u8>),
    MakeLink(Vec<u8>, Vec<u8>),
    MakeSpecial(Vec<u8>, FileKind),
    Rename(Vec<u8>, Vec<u8>),
    Exchange(Vec<u8>, Vec<u8>),
    Link(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    RemoveFolder(Vec<u8>),
    SetMode(Vec<u8>, u32),
    SetOwner(Vec<u8>, u32, u32),
    SetModified(Vec<u8>, i128),
    SetAttribute(Vec<u8>, Vec<u8>, Option<Vec<u8>>),
}

/// A name; never `..`, by which a change could leave the folder that the comparison is in.
fn name(chance: &mut StdRng) -> Vec<u8> {
    match chance.random_range(0..40) {
        0 => b"\xff\xfe \n".to_vec(),
        1 => vec![b'x'; 255],
        2 => vec![b'x'; 256],
        3 => b".".to_vec(),
        4 => b"".to_vec(),
        _ => vec![*b"abcd".choose(chance).unwrap()],
    }
}

/// A relative path of some components.
fn path(chance: &mut StdRng) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = (0..chance.random_range(1..4)).map(|_| name(chance)).collect();
    // An empty component at the front would make it absolute, and one at the end asks for a folder: neither is ever passed.
    let parts: Vec<Vec<u8>> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { b"a".to_vec() } else { parts.join(&b'/') }
}

/// A relative path that is only looked at, and may lead upwards.
fn looked_at(chance: &mut StdRng) -> Vec<u8> {
    let mut path = path(chance);
    if chance.random_ratio(1, 8) {
        let at = if chance.random() { 0 } else { path.len() };
        path.splice(at..at, if at == 0 { b"../".to_vec() } else { b"/..".to_vec() });
    }
    path
}

/// Mostly one component.
fn inner(chance: &mut StdRng) -> Vec<u8> {
    if chance.random_ratio(1, 6) { path(chance) } else { name(chance) }
}

fn mode(chance: &mut StdRng) -> u32 {
    *[0o777, 0o755, 0o644, 0o600, 0o444, 0o000, 0o2775, 0o1777, 0o4755, 0o2745, 0o707, 0o070].choose(chance).unwrap()
}

fn length(chance: &mut StdRng) -> usize {
    *[0, 1, 10, 4095, 4096, 5000, 9000].choose(chance).unwrap()
}

fn user(chance: &mut StdRng) -> u32 {
    *USERS.choose(chance).unwrap()
}

/// An access control list as the kernel takes it; some are not.
fn list(chance: &mut StdRng) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let mut add = |tag: u16, permissions: u16, id: u32| {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    };
    let (named, masked, broken) = (chance.random_ratio(2, 3), chance.random_ratio(1, 8), chance.random_ratio(1, 12));
    add(0x01, chance.random_range(0..8), u32::MAX);
    if named {
        add(0x02, chance.random_range(0..8), user(chance));
    }
    if !broken {
        add(0x04, chance.random_range(0..8), u32::MAX);
    }
    if named && chance.random() {
        add(0x08, chance.random_range(0..8), user(chance));
    }
    if named || masked {
        add(0x10, chance.random_range(0..8), u32::MAX);
    }
    add(0x20, chance.random_range(0..8), u32::MAX);
    bytes
}

fn attribute(chance: &mut StdRng) -> Vec<u8> {
    let names: [&[u8]; 8] = [b"user.a", b"user.b", b"user.a", ACL, DEFAULT_ACL, b"trusted.a", b"strange.a", b"user.c"];
    if chance.random_ratio(1, 30) { [b"user.".to_vec(), vec![b'n'; 251]].concat() } else { names.choose(chance).unwrap().to_vec() }
}

fn value(chance: &mut StdRng, name: &[u8]) -> Option<Vec<u8>> {
    match chance.random_range(0..8) {
        0 | 1 => None,
        _ if name.starts_with(b"system.") => Some(list(chance)),
        2 => Some(Vec::new()),
        3 => Some(vec![7; 6000]),
        4 => Some(vec![7; 66_000]),
        _ => Some(vec![chance.random_range(0..3); chance.random_range(1..200)]),
    }
}

fn act(chance: &mut StdRng) -> Act {
    let writer = chance.random_range(0..WRITERS);
    match chance.random_range(0..27) {
        0..=3 => Act::Open(writer, path(chance), chance.random_ratio(4, 5), chance.random()),
        4 | 5 => Act::Write(writer, length(chance) as u64, length(chance)),
        6 => Act::Shorten(writer, length(chance) as u64),
        7 | 8 => Act::Close(writer),
        9..=12 => Act::MakeFolder(path(chance)),
        13 => Act::MakeLink(path(chance), path(chance)),
        14 => Act::MakeSpecial(path(chance), *[FileKind::Pipe, FileKind::Socket, FileKind::Device].choose(chance).unwrap()),
        15..=17 => Act::Rename(path(chance), path(chance)),
        18 => Act::Exchange(path(chance), path(chance)),
        19 => Act::Link(path(chance), path(chance)),
        20 => Act::Remove(path(chance)),
        21 => Act::RemoveFolder(path(chance)),
        22 => Act::SetMode(path(chance), mode(chance)),
        23 => Act::SetOwner(path(chance), user(chance), user(chance)),
        24 => Act::SetModified(path(chance), i128::from(chance.random_range(0..1_000_u32)) * 1_000_000_007),
        _ => {
            let name = attribute(chance);
            Act::SetAttribute(path(chance), name.clone(), value(chance, &name))
        }
    }
}

/// Draws an operation.
pub(super) fn draw(chance: &mut StdRng) -> Op {
    let mut slot = || chance.random_range(0..SLOTS);
    let (a, b, c) = (slot(), slot(), slot());
    match chance.random_range(0..80) {
        0..=2 => Op::Root(a),
        3..=11 => Op::Open(a, looked_at(chance), *[Access::Name, Access::Folder, Access::Folder, Access::Read].choose(chance).unwrap(), b),
        12 => Op::Close(a),
        13 | 14 => Op::Remember(a, chance.random::<bool>().then(|| inner(chance)), b),
        15..=17 => Op::Again(a, b, c),
        18 => Op::KnownPath(a),
        19 => Op::Stat(a),
        20 | 21 => Op::StatAt(a, looked_at(chance)),
        22 => Op::List(a),
        23 => Op::Read(a, length(chance) as u64),
        24..=27 => Op::Create(a, inner(chance), mode(chance), b),
        28 => Op::Unnamed(a, mode(chance), b),
        29 | 30 => Op::Write(a, length(chance) as u64, length(chance)),
        31 => Op::Flush(a),
        32 => {
            if chance.random_ratio(1, 8) {
                Op::FlushAll(a)
            } else {
                Op::Flush(a)
            }
        }
        33..=35 => Op::MakeFolder(a, inner(chance), mode(chance)),
        36..=41 => {
            let way = *[Way::Replace, Way::NoReplace, Way::Exchange].choose(chance).unwrap();
            Op::Rename(way, a, inner(chance), b, inner(chance))
        }
        42 | 43 => Op::Link(a, inner(chance), b, inner(chance)),
        44 | 45 => Op::RemoveFile(a, inner(chance)),
        46 | 47 => Op::RemoveFolder(a, inner(chance)),
        48 => Op::Attributes(a),
        49 | 50 => Op::Attribute(a, attribute(chance)),
        51..=53 => {
            let name = attribute(chance);
            Op::SetAttribute(a, name.clone(), value(chance, &name))
        }
        54 => Op::SetOwner(a, user(chance), user(chance)),
        55 | 56 => Op::SetMode(a, mode(chance)),
        57 | 58 => Op::IsWritten(a),
        59 => Op::Canonical(path(chance)),
        60..=62 => Op::Watch(a),
        63 => Op::Unwatch(chance.random_range(1..8)),
        _ => Op::Person(user(chance), act(chance)),
    }
}
