//! Stores and packs over the model: what was acknowledged survives every power loss.

use std::path::Path;

use futures::FutureExt as _;
use redb::{Database, ReadableDatabase as _, TableDefinition};
use skybridge::depot::packs::{Location, PackLog, PackStore as _};
use skybridge::sys::Errno;

use crate::disk::{CallKind, Caller, Disk, Hook, Process, Verdict, VolumeOptions};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

fn open(process: &Process) -> Result<Database, redb::DatabaseError> {
    let file = process.database(Path::new("/store")).map_err(|error| redb::DatabaseError::Storage(redb::StorageError::Io(error)))?;
    redb::Builder::new().create_with_backend(file)
}

fn add(database: &Database, row: u64) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    write.open_table(TABLE)?.insert(row, [row as u8; 5000].as_slice())?;
    write.commit()?;
    Ok(())
}

fn crash_at(process: &Process, effect: u64) {
    process.set_hook(Some(Box::new(move |call| match call.effect {
        Some(found) if found == effect => Verdict::CrashAfter,
        _ => Verdict::Proceed,
    })));
}

#[test]
fn edge_k05_a_store_keeps_what_it_acknowledged() {
    let mut crashes = 0;
    for seed in 0..60_u64 {
        let disk = Disk::new(VolumeOptions::default());
        // Cut off before it is made, its file is one that redb refuses.
        drop(open(&disk.process(Caller::root())).unwrap());
        let mut acknowledged = 0;
        for life in 0..4 {
            let process = disk.process(Caller::root());
            crash_at(&process, (seed * 7 + life * 13) % 90 + 1);
            let rows = open(&process).map_err(redb::Error::from).and_then(|database| {
                for row in 0..acknowledged {
                    let found = database.begin_read()?.open_table(TABLE)?.get(row)?.map(|value| value.value().to_vec());
                    assert!(!process.is_alive() || found == Some(vec![row as u8; 5000]), "row {row} of {acknowledged}, seed {seed}");
                }
                (0..5).try_for_each(|_| {
                    add(&database, acknowledged)?;
                    acknowledged += 1;
                    Ok(())
                })
            });
            crashes += u64::from(!process.is_alive());
            assert!(rows.is_ok() || !process.is_alive(), "seed {seed}: {rows:?}");
            disk.lose_power(seed * 10 + life);
        }
    }
    assert!(crashes > 50, "{crashes}");
}

/// Found by the simulation: after a flush that failed, the store went on from what only the memory held, and a power loss damaged all of it.
#[test]
fn edge_k05_a_store_keeps_what_it_acknowledged_after_a_flush_that_failed() {
    let mut failures = 0;
    for seed in 0..200_u64 {
        let disk = Disk::new(VolumeOptions::default());
        let process = disk.process(Caller::root());
        let mut database = open(&process).unwrap();
        let mut acknowledged = Vec::new();
        for row in 0..20 {
            let fails = (seed + row) % 7 == 0;
            process.set_hook(fails.then(|| -> Hook {
                Box::new(move |call| if call.kind == CallKind::Flush { Verdict::Fail(Errno::NOSPC) } else { Verdict::Proceed })
            }));
            let added = add(&database, row);
            process.set_hook(None);
            match added {
                Ok(()) => acknowledged.push(row),
                Err(_) => {
                    failures += 1;
                    drop(database);
                    database = open(&process).unwrap();
                }
            }
        }
        drop(database);
        disk.lose_power(seed);
        let database = open(&disk.process(Caller::root())).unwrap();
        let read = database.begin_read().unwrap().open_table(TABLE).unwrap();
        assert!(acknowledged.iter().all(|row| read.get(row).unwrap().is_some()), "seed {seed}");
    }
    assert!(failures > 300, "{failures}");
}

#[test]
fn edge_k05_packs_keep_what_they_acknowledged() {
    let mut crashes = 0;
    for seed in 0..40_u64 {
        let disk = Disk::new(VolumeOptions::default());
        let mut kept: Vec<(Location, Vec<u8>)> = Vec::new();
        for life in 0..4 {
            let process = disk.process(Caller::root());
            crash_at(&process, (seed + life * 3) % 14 + 1);
            let appended = process.packs(Path::new("/packs")).map_err(|_| ()).and_then(|directory| {
                let log = PackLog::open_inline(directory, 8000).map_err(|_| ())?;
                for (at, bytes) in &kept {
                    let found = log.read(*at).now_or_never().unwrap();
                    assert!(!process.is_alive() || found.as_ref().is_ok_and(|found| found == bytes), "{at:?} of seed {seed}: {found:?}");
                }
                for number in 0..5_u8 {
                    let bytes = vec![number; 3000];
                    let (pack, offset) = log.append(bytes.clone()).now_or_never().unwrap().map_err(|_| ())?;
                    kept.push((Location { pack, offset, length: 3000 }, bytes));
                }
                Ok(())
            });
            crashes += u64::from(!process.is_alive());
            assert!(appended.is_ok() || !process.is_alive(), "seed {seed}");
            disk.lose_power(seed * 10 + life);
        }
    }
    assert!(crashes > 50, "{crashes}");
}
