//! What a power loss leaves: what was flushed, and of the rest anything that a disk can leave.

use std::collections::BTreeSet;
use std::path::Path;

use skybridge::sys::{Access, Errno, Files, Handle};

use crate::disk::{Caller, Disk, FileFlush, Process, Verdict, VolumeId, VolumeOptions};

fn machine() -> (Disk, Process, Handle) {
    let disk = Disk::new(VolumeOptions::default());
    let process = disk.process(Caller::root());
    let top = process.open_root(Path::new("/")).unwrap();
    (disk, process, top)
}

/// The outcomes of many power losses after the same operations.
fn outcomes<T: Ord>(prepare: impl Fn(&Disk, &Process, &Handle), look: impl Fn(&Disk) -> T) -> BTreeSet<T> {
    let outcome = |seed| {
        let (disk, process, top) = machine();
        prepare(&disk, &process, &top);
        disk.lose_power(seed);
        look(&disk)
    };
    (0..200).map(outcome).collect()
}

fn read(disk: &Disk, path: &str) -> Option<Vec<u8>> {
    disk.person(Caller::root()).read(Path::new(path)).ok()
}

#[test]
fn a_backup_brings_back_what_was_there_and_ends_whoever_ran() {
    let (disk, process, top) = machine();
    let file = process.create(&top, b"a", 0o600).unwrap();
    process.write_at(&file, b"before", 0).unwrap();
    let backup = disk.back_up();
    process.write_at(&file, b"after!", 0).unwrap();
    drop(process.create(&top, b"b", 0o600).unwrap());
    process.kill();
    disk.restore(&backup);
    assert_eq!((read(&disk, "/a").as_deref(), read(&disk, "/b")), (Some(&b"before"[..]), None));
    assert!(!process.is_alive());
    disk.lose_power(1);
    assert_eq!(read(&disk, "/a").as_deref(), Some(&b"before"[..]), "durably");
}

#[test]
fn a_power_loss_tells_what_programs_saw_of_what_it_tore() {
    let torn = |seed| {
        let (disk, process, top) = machine();
        let file = process.create(&top, b"a", 0o600).unwrap();
        process.flush(&top).unwrap();
        process.write_at(&file, b"seen", 0).unwrap();
        disk.lose_power(seed).torn
    };
    let torn: Vec<_> = (0..50).flat_map(torn).collect();
    assert!(!torn.is_empty() && torn.iter().all(|torn| torn.path == Path::new("/a") && torn.seen == b"seen"), "{torn:?}");
}

#[test]
fn what_is_flushed_stays_and_the_rest_may_go() {
    let flushed = outcomes(
        |_, process, top| {
            let file = process.create(top, b"a", 0o600).unwrap();
            process.write_at(&file, b"bytes", 0).unwrap();
            process.flush(&file).unwrap();
            process.flush(top).unwrap();
        },
        |disk| read(disk, "/a"),
    );
    assert_eq!(flushed, BTreeSet::from([Some(b"bytes".to_vec())]));
    let unnamed = outcomes(
        |_, process, top| {
            let file = process.create(top, b"a", 0o600).unwrap();
            process.write_at(&file, b"bytes", 0).unwrap();
            process.flush(&file).unwrap();
        },
        |disk| read(disk, "/a"),
    );
    assert_eq!(unnamed, BTreeSet::from([None, Some(b"bytes".to_vec())]), "a file's flush does not keep its name");
    let unflushed = outcomes(
        |_, process, top| {
            let file = process.create(top, b"a", 0o600).unwrap();
            process.write_at(&file, b"bytes", 0).unwrap();
            process.flush(top).unwrap();
        },
        |disk| read(disk, "/a"),
    );
    assert_eq!(unflushed, BTreeSet::from([Some(Vec::new()), Some(vec![0; 5]), Some(b"bytes".to_vec())]));
}

#[test]
fn a_file_system_can_promise_more() {
    let journalled = outcomes(
        |disk, process, top| {
            disk.change_volume(VolumeId::FIRST, |options| options.file_flush = FileFlush::Journal);
            let file = process.create(top, b"a", 0o600).unwrap();
            process.flush(&file).unwrap();
        },
        |disk| read(disk, "/a"),
    );
    assert_eq!(journalled, BTreeSet::from([Some(Vec::new())]));
}

#[test]
fn operations_are_there_in_their_order() {
    let found = outcomes(
        |_, process, top| {
            for name in [b"1", b"2", b"3"] {
                process.make_folder(top, name, 0o700).unwrap();
            }
            process.rename(top, b"1", top, b"4").unwrap();
        },
        |disk| disk.person(Caller::root()).list(Path::new("/")).unwrap().concat(),
    );
    let expected = [&b""[..], b"1", b"12", b"123", b"234"].map(<[u8]>::to_vec);
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn an_overwritten_file_is_torn_between_blocks() {
    let found = outcomes(
        |disk, process, top| {
            let file = process.create(top, b"a", 0o600).unwrap();
            process.write_at(&file, &[b'o'; 12_288], 0).unwrap();
            disk.write_back();
            process.write_at(&file, &[b'n'; 12_288], 0).unwrap();
        },
        |disk| read(disk, "/a").unwrap().chunks(4096).map(|block| block[0]).collect::<Vec<_>>(),
    );
    assert_eq!(found.len(), 8, "every block is the old or the new one: {found:?}");
}

#[test]
fn what_is_removed_may_come_back_with_its_number() {
    let mut came_back = 0;
    for seed in 0..100 {
        let (disk, process, top) = machine();
        drop(process.create(&top, b"old", 0o600).unwrap());
        disk.write_back();
        let old = process.stat_at(&top, b"old").unwrap().inode;
        let handle = process.file_handle(&top, Some(b"old")).unwrap();
        process.remove_file(&top, b"old").unwrap();
        drop(process.create(&top, b"new", 0o600).unwrap());
        assert_eq!(process.stat_at(&top, b"new").unwrap().inode, old, "numbers are used again");
        assert_eq!(process.open_by_handle(&top, &handle).unwrap_err(), Errno::STALE);
        disk.lose_power(seed);
        let process = disk.process(Caller::root());
        let top = process.open_root(Path::new("/")).unwrap();
        let both = (process.stat_at(&top, b"old").is_ok(), process.stat_at(&top, b"new").is_ok());
        assert_ne!(both, (true, true));
        if both.0 {
            came_back += 1;
            assert!(process.open_by_handle(&top, &handle).is_ok());
        }
    }
    assert!(came_back > 10);
}

#[test]
fn after_a_failed_flush_the_bytes_never_arrive() {
    let (disk, process, top) = machine();
    let file = process.create(&top, b"a", 0o600).unwrap();
    process.flush(&top).unwrap();
    process.write_at(&file, b"bytes", 0).unwrap();
    let mut failed = false;
    process.set_hook(Some(Box::new(move |call| {
        let first = call.kind == crate::disk::CallKind::Flush && !std::mem::replace(&mut failed, true);
        if first { Verdict::Fail(Errno::IO) } else { Verdict::Proceed }
    })));
    assert_eq!(process.flush(&file), Err(Errno::IO));
    assert_eq!(process.flush(&file), Ok(()));
    assert_eq!(read(&disk, "/a").unwrap(), b"bytes", "programs still see them");
    disk.lose_power(1);
    assert_ne!(read(&disk, "/a").unwrap(), b"bytes");
}

#[test]
fn handles_of_an_ended_process_do_nothing() {
    let (disk, process, top) = machine();
    let file = process.create(&top, b"a", 0o600).unwrap();
    process.kill();
    assert_eq!(process.write_at(&file, b"late", 0), Err(Errno::IO));
    assert_eq!(process.open(&top, b"a", Access::Name, false).unwrap_err(), Errno::IO);
    let next = disk.process(Caller::root());
    assert_eq!(next.write_at(&file, b"late", 0), Err(Errno::BADF));
    assert_eq!(read(&disk, "/a").unwrap(), b"");
    let top = next.open_root(Path::new("/")).unwrap();
    assert_eq!(next.is_being_written(&next.open(&top, b"a", Access::Read, false).unwrap()), Ok(false), "what it had open is closed");
}
