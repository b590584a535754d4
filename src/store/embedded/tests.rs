//! What only the back end on redb can get wrong: files, locks, crashes, failing disks, migrations, groups.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::executor::block_on;
use tokio::sync::oneshot;

use super::disk::{Disk, Failing};
use super::engine::Engine;
use super::{Inline, open_file_with};
use crate::store::backend::{Call, Job};
use crate::store::migrate::{STEPS, Step};
use crate::store::{OpenError, ReadExt as _, Record, RedbOptions, Store, StoreError, Table, TransactError, Transaction, WriteExt as _};

struct Number;

impl Record for Number {
    const TABLE: Table = Table::Test;
    const FORMAT: u8 = 1;
    type Key = u8;
    type Value = u64;
}

fn put(store: &Store, key: u8, value: u64) -> Result<(), TransactError<StoreError>> {
    block_on(store.transact(move |transaction| transaction.put::<Number>(&key, &value)))
}

fn get(store: &Store, key: u8) -> Result<Option<u64>, StoreError> {
    store.read(|rows| rows.get::<Number>(&key))
}

/// Keeps nothing in memory, so that each read is a read of the disk.
fn on_disk(disk: &Disk) -> Store {
    let disk = disk.clone();
    Store::open_inline(move || Ok(disk.handle()), RedbOptions { cache_bytes: 0, ..RedbOptions::default() }).unwrap()
}

#[test]
fn what_was_answered_survives_closing_and_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for life in 0..3 {
        let store = Store::open(&path, RedbOptions::default()).unwrap();
        put(&store, life, 7).unwrap();
        assert_eq!((0..=life).map(|key| get(&store, key).unwrap()).collect::<Vec<_>>(), vec![Some(7); usize::from(life) + 1]);
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "others cannot read it");
}

#[test]
fn edge_k05_what_was_answered_survives_a_crash() {
    for quick_repair in [false, true] {
        let disk = Disk::default();
        for life in 0..10 {
            let handles = disk.clone();
            let store = Store::open_inline(move || Ok(handles.handle()), RedbOptions { quick_repair, ..RedbOptions::default() }).unwrap();
            put(&store, life, 7).unwrap();
            assert!((0..=life).all(|key| get(&store, key).unwrap() == Some(7)), "life {life}");
            disk.crash();
        }
    }
}

#[test]
fn a_second_opener_is_refused_until_the_first_closes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path, RedbOptions::default()).unwrap();
    let refused = Store::open(&path, RedbOptions::default()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }));
    assert_eq!(
        refused.to_string(),
        format!("{} is in use by another process: stop that one, or use another data directory", path.display())
    );
    drop(store);
    Store::open(&path, RedbOptions::default()).unwrap();
}

#[test]
fn the_last_clone_can_be_dropped_by_the_writer_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), RedbOptions::default()).unwrap();
    let (told, dropped) = oneshot::channel();
    let (submitted, go) = std::sync::mpsc::channel();
    let mut last = Some((store.clone(), told));
    let mut call = Box::pin(store.transact(move |_| {
        go.recv().unwrap();
        let (store, told) = last.take().unwrap();
        drop(store);
        told.send(()).unwrap();
        Ok::<_, StoreError>(())
    }));
    assert!((&mut call).now_or_never().is_none());
    drop(call);
    drop(store);
    submitted.send(()).unwrap();
    block_on(dropped).unwrap();
}

#[test]
fn edge_k01_a_store_whose_making_was_interrupted_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    // redb wrote some of its header, and was killed.
    std::fs::write(folder.path().join("store.new"), [0x72; 5_000]).unwrap();
    let store = Store::open(&path, RedbOptions::default()).unwrap();
    put(&store, 1, 7).unwrap();
    drop(store);
    assert_eq!(get(&Store::open(&path, RedbOptions::default()).unwrap(), 1).unwrap(), Some(7));
    assert!(!folder.path().join("store.new").exists());
}

#[test]
fn edge_k07_files_that_are_no_store_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::write(&path, "a letter to a friend".repeat(1000)).unwrap();
    assert!(matches!(Store::open(&path, RedbOptions::default()), Err(OpenError::Corrupt { .. })));
    assert!(matches!(Store::open(&folder.path().join("no/store"), RedbOptions::default()), Err(OpenError::Io { .. })));
    assert!(matches!(Store::open(folder.path(), RedbOptions::default()), Err(OpenError::Io { .. })));
}

#[test]
fn edge_f02_a_failed_flush_is_an_unknown_outcome_and_the_store_recovers() {
    let disk = Disk::default();
    let store = on_disk(&disk);
    put(&store, 1, 1).unwrap();
    disk.fail_once(Failing::Flush);
    assert!(matches!(put(&store, 1, 2), Err(TransactError::Unknown(_))));
    assert!(matches!(get(&store, 1), Ok(Some(1 | 2))));
    put(&store, 2, 2).unwrap();
    disk.crash();
    let store = on_disk(&disk);
    assert_eq!(get(&store, 2).unwrap(), Some(2));
    assert!(matches!(get(&store, 1), Ok(Some(1 | 2))));
}

#[test]
fn a_failed_read_is_told_and_the_store_recovers() {
    let disk = Disk::default();
    let store = on_disk(&disk);
    put(&store, 1, 1).unwrap();
    disk.fail_once(Failing::Read);
    assert!(matches!(get(&store, 1), Err(StoreError::Storage(_))));
    assert_eq!(get(&store, 1).unwrap(), Some(1));

    let failing = disk.clone();
    let swallowed = block_on(store.transact(move |transaction| {
        failing.fail_once(Failing::Read);
        let seen = transaction.get::<Number>(&1).unwrap_or(None);
        transaction.put::<Number>(&2, &seen.unwrap_or(0))
    }));
    assert!(matches!(swallowed, Err::<(), TransactError<StoreError>>(TransactError::NotProcessed(_))));
    assert_eq!(get(&store, 2).unwrap(), None);
    put(&store, 2, 2).unwrap();
}

type Answer = oneshot::Receiver<Result<u64, TransactError<StoreError>>>;

/// Adds `amount` to the number under 0, unless the sum is above `limit`.
fn add(amount: u64, limit: u64) -> (Box<dyn Job>, Answer) {
    Call::queued(move |transaction: &mut Transaction<'_>| {
        let sum = transaction.get::<Number>(&0)?.unwrap_or(0) + amount;
        transaction.put::<Number>(&0, &sum)?;
        if sum > limit { Err(StoreError::Injected) } else { Ok(sum) }
    })
}

fn process(engine: &Engine, calls: Vec<(Box<dyn Job>, Answer)>) -> Vec<Result<u64, TransactError<StoreError>>> {
    let (jobs, answers): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
    let mut jobs = jobs.into_iter();
    engine.process(jobs.next().unwrap(), &mut || jobs.next());
    answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
}

fn engine(disk: &Disk) -> Arc<Engine> {
    let disk = disk.clone();
    let open = Box::new(move || redb::Builder::new().create_with_backend(disk.handle()));
    Arc::new(Engine::open(open, false).unwrap())
}

#[test]
fn a_group_shares_a_flush_and_each_sees_those_before_it() {
    let disk = Disk::default();
    let engine = engine(&disk);
    process(&engine, vec![add(0, 9)]);
    let before = disk.flushes();
    process(&engine, vec![add(1, 9)]);
    let for_one = disk.flushes() - before;

    let answers = process(&engine, vec![add(1, 9), add(100, 9), add(1, 9), add(1, 9)]);
    assert_eq!(disk.flushes() - before, 2 * for_one, "four cost what one costs");
    assert!(matches!(answers[..], [Ok(2), Err(TransactError::Aborted(_)), Ok(3), Ok(4)]), "{answers:?}");
    assert_eq!(get(&Store::on(Inline(engine)), 0).unwrap(), Some(4));
}

#[test]
fn when_a_group_is_lost_nobody_is_told_otherwise() {
    let disk = Disk::default();
    let engine = engine(&disk);
    process(&engine, vec![add(1, 9)]);
    disk.fail_once(Failing::Flush);
    // The second refuses because of what the first wrote, which may be lost: its refusal must not be told.
    let answers = process(&engine, vec![add(5, 9), add(5, 9)]);
    assert!(matches!(answers[..], [Err(TransactError::Unknown(_)), Err(TransactError::NotProcessed(_))]), "{answers:?}");
}

/// Doubles the numbers, one in each transaction.
fn double(transaction: &mut Transaction<'_>, cursor: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
    let after = cursor.map(|bytes| bytes[0]);
    let Some((key, value)) = transaction.scan::<Number>(&(), after.as_ref(), 1)?.pop() else { return Ok(None) };
    transaction.put::<Number>(&key, &(value * 2))?;
    Ok(Some(vec![key]))
}

fn double_but_stop_after_one(transaction: &mut Transaction<'_>, cursor: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
    if cursor.is_some() { Err(StoreError::Injected) } else { double(transaction, cursor) }
}

#[test]
fn edge_k11_a_store_is_migrated_once_even_when_interrupted_and_older_programs_refuse_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let open = |steps: &'static [Step]| open_file_with(&path, RedbOptions::default(), steps);
    let store = open(&[]).unwrap();
    for key in 1..4 {
        put(&store, key, u64::from(key)).unwrap();
    }
    drop(store);

    assert!(matches!(open(&[double_but_stop_after_one]), Err(OpenError::Migration { source: StoreError::Injected, .. })));
    for _ in 0..2 {
        let store = open(&[double]).unwrap();
        assert_eq!((1..4).map(|key| get(&store, key).unwrap()).collect::<Vec<_>>(), [Some(2), Some(4), Some(6)]);
    }
    let refused = open(&[]).unwrap_err();
    assert!(matches!(refused, OpenError::NewerFormat { found: 2, supported: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("newer version"), "{refused}");
    open(&[double, double]).unwrap();
    assert!(matches!(open(STEPS), Err(OpenError::NewerFormat { found: 3, .. })));
}
