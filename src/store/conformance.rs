//! The contract of the store, as tests that every back end passes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt as _;
use futures::executor::block_on;
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::testing::{Faults, faulty};
use super::{Order, Read, ReadExt as _, Record, RedbOptions, Store, StoreError, TRANSACTION_BYTES_MAX, Table, TransactError};
use super::{Transaction, Write as _, WriteExt as _};

struct Counter;

impl Record for Counter {
    const TABLE: Table = Table::Test;
    const FORMAT: u8 = 1;
    type Key = u8;
    type Value = u64;
}

type Answer<T> = Result<T, TransactError<StoreError>>;

fn increment(transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
    let value = transaction.get::<Counter>(&0)?.unwrap_or(0) + 1;
    // Lets another thread in at the worst moment.
    std::thread::yield_now();
    transaction.put::<Counter>(&0, &value)?;
    Ok(value)
}

fn count(store: &Store) -> u64 {
    store.read(|rows| rows.get::<Counter>(&0)).unwrap().unwrap_or(0)
}

fn concurrent_increments_all_count(store: &Store) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| block_on(join_all((0..25).map(|_| async { store.transact(increment).await.unwrap() }))));
        }
    });
    assert_eq!(count(store), 200);
}

fn a_body_that_refuses_writes_nothing_and_stops_nobody(store: &Store) {
    let refuse = |transaction: &mut Transaction<'_>| {
        increment(transaction)?;
        Err::<(), _>(StoreError::Injected)
    };
    let all = block_on(join_all((0..20).map(|n| async move {
        match n % 2 {
            0 => store.transact(increment).await.map(|_| true),
            _ => store.transact(refuse).await.map(|()| false),
        }
    })));
    for (n, answer) in all.into_iter().enumerate() {
        assert!(if n % 2 == 0 { matches!(answer, Ok(true)) } else { matches!(answer, Err(TransactError::Aborted(StoreError::Injected))) });
    }
    assert_eq!(count(store), 10);
}

fn a_body_that_panics_writes_nothing_and_the_store_lives(store: &Store) {
    let answer: Answer<()> = block_on(store.transact(|transaction| {
        increment(transaction)?;
        panic!("as a test asks")
    }));
    assert!(matches!(answer, Err(TransactError::NotProcessed(StoreError::Panicked))));
    assert_eq!(block_on(store.transact(increment)).unwrap(), 1);
}

fn a_body_that_writes_too_much_is_refused(store: &Store) {
    let answer: Answer<()> = block_on(
        store.transact(|transaction| (0..3).try_for_each(|key| transaction.put_raw(vec![250, key], vec![0; TRANSACTION_BYTES_MAX / 3]))),
    );
    assert!(matches!(answer, Err(TransactError::Aborted(StoreError::TooLarge { .. }))));
    let rewriting: Answer<()> = block_on(
        store.transact(|transaction| (0..9).try_for_each(|_| transaction.put_raw(vec![250, 0], vec![0; TRANSACTION_BYTES_MAX / 3]))),
    );
    assert!(rewriting.is_ok(), "writing a row again counts once");
}

fn a_dropped_future_still_commits(store: &Store) {
    assert!(store.transact(increment).now_or_never().is_none_or(|answer| answer.is_ok()));
    assert_eq!(block_on(store.transact(increment)).unwrap(), 2, "the one that nobody waited for came first");
}

fn a_snapshot_does_not_move(store: &Store) {
    block_on(store.transact(increment)).unwrap();
    let seen = store.read(|rows| {
        let before = rows.get::<Counter>(&0)?;
        block_on(store.transact(increment)).unwrap();
        Ok::<_, StoreError>((before, rows.get::<Counter>(&0)?))
    });
    assert_eq!(seen.unwrap(), (Some(1), Some(1)));
    assert_eq!(count(store), 2);
}

/// Rows of few short keys, so that writes meet each other and some keys are prefixes of others.
fn random_key(random: &mut StdRng) -> Vec<u8> {
    let mut key = vec![250];
    key.extend((0..random.random_range(1..3)).map(|_| [0, 1, 7, 255][random.random_range(0..4)]));
    key
}

fn look(rows: &impl Read, random: &mut StdRng) -> (String, Vec<(Vec<u8>, Vec<u8>)>) {
    let (from, to) = (random_key(random), random.random_bool(0.8).then(|| random_key(random)));
    let (limit, order) = (random.random_range(0..8), if random.random() { Order::Ascending } else { Order::Descending });
    (format!("{from:?}..{to:?} {limit} {order:?}"), rows.scan_raw(&from, to.as_deref(), limit, order).unwrap())
}

/// Random transactions against a map: what a body reads, by key and by range, is what was committed and its own writes on top.
fn reads_and_scans_see_own_writes_over_committed_rows(store: &Store) {
    let mut model = BTreeMap::<Vec<u8>, Vec<u8>>::new();
    for seed in 0..60 {
        let before = model.clone();
        model = block_on(store.transact(move |transaction| {
            let mut model = before.clone();
            let random = &mut StdRng::seed_from_u64(seed);
            for step in 0..20_u8 {
                let key = random_key(random);
                if random.random_bool(0.5) {
                    transaction.put_raw(key.clone(), vec![step])?;
                    model.insert(key, vec![step]);
                } else {
                    transaction.delete_raw(key.clone())?;
                    model.remove(&key);
                }
                let key = random_key(random);
                assert_eq!(transaction.get_raw(&key)?, model.get(&key).cloned(), "seed {seed}");
                let (what, expected) = look(&model, &mut random.clone());
                assert_eq!(look(&*transaction, random).1, expected, "seed {seed}: {what}");
            }
            Ok::<_, StoreError>(model)
        }))
        .unwrap();
        let random = &mut StdRng::seed_from_u64(1000 + seed);
        let (what, expected) = look(&model, &mut random.clone());
        assert_eq!(store.read(|rows| Ok::<_, StoreError>(look(rows, random).1)).unwrap(), expected, "seed {seed}: {what}");
    }
}

macro_rules! conformance {
    ($($back_end:ident: $make:expr;)*) => { $(
        mod $back_end {
            use super::*;

            conformance!(@tests $make;
                concurrent_increments_all_count
                a_body_that_refuses_writes_nothing_and_stops_nobody
                a_body_that_panics_writes_nothing_and_the_store_lives
                a_body_that_writes_too_much_is_refused
                a_dropped_future_still_commits
                a_snapshot_does_not_move
                reads_and_scans_see_own_writes_over_committed_rows
            );
        }
    )* };
    (@tests $make:expr; $($name:ident)*) => { $(
        #[test]
        fn $name() {
            let folder = tempfile::tempdir().unwrap();
            let make: fn(&std::path::Path) -> Store = $make;
            super::$name(&make(&folder.path().join("store")));
        }
    )* };
}

conformance! {
    memory: |_| Store::memory();
    redb: |path| Store::open(path, RedbOptions::default()).unwrap();
    redb_quick_repair: |path| Store::open(path, RedbOptions { quick_repair: true, ..RedbOptions::default() }).unwrap();
    redb_inline: |_| Store::open_inline(|| Ok(::redb::backends::InMemoryBackend::new()), RedbOptions::default()).unwrap();
    repeated: |_| faulty(&Store::memory(), Faults { repeated: 50, ..Faults::default() }, 1);
}

#[test]
fn a_repeated_body_has_one_effect() {
    let store = faulty(&Store::memory(), Faults { repeated: 100, delayed: 50, ..Faults::default() }, 7);
    let runs = Arc::new(AtomicU32::new(0));
    for expected in 1..10 {
        let runs = Arc::clone(&runs);
        let counted = move |transaction: &mut Transaction<'_>| {
            runs.fetch_add(1, Ordering::Relaxed);
            increment(transaction)
        };
        assert_eq!(block_on(store.transact(counted)).unwrap(), expected);
    }
    assert_eq!((runs.load(Ordering::Relaxed), count(&store)), (18, 9));
}

#[test]
fn an_unknown_outcome_is_told_and_may_be_either() {
    let store = faulty(&Store::memory(), Faults { unknown: 40, not_processed: 20, ..Faults::default() }, 3);
    let (mut done, mut unknown_done, mut unknown_lost, mut not_processed) = (0, 0, 0, 0);
    for _ in 0..200 {
        let before = count(&store);
        let happened = |store: &Store| count(store) == before + 1;
        match block_on(store.transact(increment)) {
            Ok(_) if happened(&store) => done += 1,
            Err(TransactError::Unknown(_)) if happened(&store) => unknown_done += 1,
            Err(TransactError::Unknown(_)) => unknown_lost += 1,
            Err(TransactError::NotProcessed(_)) if !happened(&store) => not_processed += 1,
            answer => panic!("{answer:?}, and {before} became {}", count(&store)),
        }
    }
    assert!(done > 0 && unknown_done > 0 && unknown_lost > 0 && not_processed > 0);
}
