//! What happens to machines: mounts that come and go, full disks, errors, watches that lose or delay events.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use skybridge::sys::{Access, Errno, Files, Handle, WatchEvent, Watches};

use crate::disk::{CallKind, Caller, Disk, Person, Process, Verdict, VolumeId, VolumeOptions};

struct Machine {
    disk: Disk,
    person: Person,
    process: Process,
    top: Handle,
}

fn machine() -> Machine {
    let disk = Disk::new(VolumeOptions::default());
    let process = disk.process(Caller::root());
    let top = process.open_root(Path::new("/")).unwrap();
    Machine { person: disk.person(Caller::root()), disk, process, top }
}

impl Machine {
    fn fail(&self, decide: impl FnMut(&crate::disk::Call<'_>) -> Verdict + Send + 'static) {
        self.process.set_hook(Some(Box::new(decide)));
    }
}

#[test]
fn a_mount_hides_what_it_covers_and_is_another_file_system() {
    let m = machine();
    let (person, disk) = (&m.person, &m.disk);
    person.make_folders(Path::new("/at")).unwrap();
    person.write(Path::new("/at/covered"), b"1").unwrap();
    person.write(Path::new("/outside"), b"1").unwrap();
    let before = person.stat(Path::new("/at")).unwrap();
    let volume = disk.add_volume(VolumeOptions::default());
    disk.mount(volume, Path::new("/at")).unwrap();
    let mounted = person.stat(Path::new("/at")).unwrap();
    assert!(mounted.device != before.device && mounted.mount != before.mount);
    assert_eq!(person.read(Path::new("/at/covered")), Err(Errno::NOENT));
    person.write(Path::new("/at/inner"), b"2").unwrap();
    assert_eq!(person.rename(Path::new("/outside"), Path::new("/at/moved")), Err(Errno::XDEV));
    assert_eq!(person.link(Path::new("/outside"), Path::new("/at/linked")), Err(Errno::XDEV));
    assert_eq!(person.rename(Path::new("/at"), Path::new("/away")), Err(Errno::BUSY));
    assert_eq!(person.remove_folder(Path::new("/at")), Err(Errno::BUSY));
    assert_eq!(m.process.open(&m.top, b"at/inner", Access::Read, false).unwrap_err(), Errno::XDEV);
    let inner = m.process.open(&m.top, b"at/inner", Access::Read, true).unwrap();
    assert_eq!(m.process.known_path(&inner).unwrap(), Path::new("/at/inner"));
    assert_eq!(disk.unmount(Path::new("/at")), Err(Errno::BUSY), "something on it is open");
    drop(inner);
    disk.unmount(Path::new("/at")).unwrap();
    assert_eq!(person.read(Path::new("/at/covered")).unwrap(), b"1");
    disk.mount(volume, Path::new("/at")).unwrap();
    assert_eq!(person.read(Path::new("/at/inner")).unwrap(), b"2");
    disk.detach(Path::new("/at")).unwrap();
    assert_eq!(disk.unmount(Path::new("/at")), Err(Errno::INVAL));
}

#[test]
fn a_full_disk_takes_what_fits() {
    let m = machine();
    let file = m.process.create(&m.top, b"a", 0o600).unwrap();
    // The top, and two blocks of the file.
    m.disk.change_volume(VolumeId::FIRST, |options| options.capacity_bytes = Some(3 * 4096));
    assert_eq!(m.process.write_at(&file, &[1; 10_000], 0), Err(Errno::NOSPC));
    assert_eq!(m.process.stat(&file).unwrap().size_bytes, 8192);
    assert_eq!(m.process.create(&m.top, b"b", 0o600).unwrap_err(), Errno::NOSPC);
    m.process.write_at(&file, &[2; 8192], 0).unwrap();
    drop(file);
    m.process.remove_file(&m.top, b"a").unwrap();
    m.process.create(&m.top, b"b", 0o600).unwrap();
}

#[test]
fn calls_fail_when_they_are_told_to() {
    let m = machine();
    (0..5).for_each(|number| m.person.write(Path::new(&format!("/{number}")), b"1").unwrap());
    m.disk.set_listing_batch(2);
    let mut listed = 0;
    m.fail(move |call| {
        listed += u64::from(call.kind == CallKind::List);
        if listed == 2 { Verdict::Fail(Errno::IO) } else { Verdict::Proceed }
    });
    let listing = m.process.open(&m.top, b".", Access::Folder, false).unwrap();
    assert_eq!(m.process.read_folder(&listing).unwrap().len(), 2);
    assert_eq!(m.process.read_folder(&listing), Err(Errno::IO));
    let effects = m.process.effects();
    m.fail(|call| if call.kind == CallKind::Write { Verdict::WriteStops(3, Errno::IO) } else { Verdict::Proceed });
    let file = m.process.create(&m.top, b"new", 0o600).unwrap();
    assert_eq!(m.process.write_at(&file, b"bytes", 0), Err(Errno::IO));
    assert_eq!(m.person.read(Path::new("/new")).unwrap(), b"byt");
    assert_eq!(m.process.effects(), effects + 2);
}

#[test]
fn watches_end_with_their_folders_and_their_mounts() {
    let m = machine();
    for folder in ["/removed", "/at"] {
        m.person.make_folder(Path::new(folder)).unwrap();
    }
    m.disk.mount(m.disk.add_volume(VolumeOptions::default()), Path::new("/at")).unwrap();
    let watches = m.process.watches();
    let watch = |path: &[u8]| watches.add(&m.process.open(&m.top, path, Access::Folder, true).unwrap()).unwrap();
    let (removed, unmounted) = (watch(b"removed"), watch(b"at"));
    assert_eq!(watch(b"removed"), removed);
    assert_eq!(watches.wait(Duration::MAX), Ok(false));
    m.person.remove_folder(Path::new("/removed")).unwrap();
    m.disk.unmount(Path::new("/at")).unwrap();
    assert_eq!(watches.wait(Duration::MAX), Ok(true));
    let events: BTreeSet<i32> = watches.read().unwrap().iter().filter_map(ended).collect();
    assert_eq!(events, BTreeSet::from([removed, unmounted]));
}

fn ended(event: &WatchEvent) -> Option<i32> {
    match event {
        WatchEvent::Ended(watch) => Some(*watch),
        _ => None,
    }
}

#[test]
fn events_are_lost_delayed_and_shuffled() {
    let m = machine();
    m.person.make_folder(Path::new("/other")).unwrap();
    m.disk.set_watch_limits(2, 3);
    let watches = m.process.watches();
    let other = m.process.open(&m.top, b"other", Access::Folder, false).unwrap();
    let (a, b) = (watches.add(&m.top).unwrap(), watches.add(&other).unwrap());
    m.person.make_folder(Path::new("/third")).unwrap();
    let third = m.process.open(&m.top, b"third", Access::Folder, false).unwrap();
    assert_eq!(watches.add(&third), Err(Errno::NOSPC));
    m.disk.hold_events(true);
    assert_eq!((watches.wait(Duration::ZERO), watches.read()), (Ok(false), Ok(Vec::new())));
    m.disk.hold_events(false);
    assert_eq!(watches.read().unwrap(), [WatchEvent::Changed(a, Some(b"third".to_vec()))]);
    for name in 0..6 {
        m.person.make_folder(Path::new(&format!("/{name}"))).unwrap();
    }
    let events = watches.read().unwrap();
    assert_eq!((events.len(), events.last()), (4, Some(&WatchEvent::Overflow)));
    m.disk.set_watch_limits(2, 1000);
    let changed = |watch, name: &str| WatchEvent::Changed(watch, Some(name.as_bytes().to_vec()));
    let mut orders = BTreeSet::new();
    for seed in 0..20 {
        for path in ["/x", "/other/x", "/y", "/other/y"] {
            m.person.make_folder(Path::new(path)).unwrap();
        }
        m.disk.shuffle_events(seed);
        let events = watches.read().unwrap();
        let of =
            |watch| events.iter().filter(|event| matches!(event, WatchEvent::Changed(of, _) if *of == watch)).cloned().collect::<Vec<_>>();
        assert_eq!((of(a), of(b)), (vec![changed(a, "x"), changed(a, "y")], vec![changed(b, "x"), changed(b, "y")]));
        orders.insert(events.iter().map(|event| matches!(event, WatchEvent::Changed(of, _) if *of == a)).collect::<Vec<_>>());
        for path in ["/x", "/other/x", "/y", "/other/y"] {
            m.person.remove_folder(Path::new(path)).unwrap();
        }
        watches.read().unwrap();
    }
    assert!(orders.len() > 3);
}

#[test]
fn people_have_only_their_own_rights() {
    let m = machine();
    let ann = m.disk.person(Caller::user(4001));
    assert_eq!(ann.make_folder(Path::new("/hers")), Err(Errno::ACCESS));
    m.person.make_folder(Path::new("/hers")).unwrap();
    m.person.set_owner(Path::new("/hers"), 4001, 4001).unwrap();
    ann.save(Path::new("/hers/doc"), b"1").unwrap();
    ann.save(Path::new("/hers/doc"), b"2").unwrap();
    ann.copy(Path::new("/hers"), Path::new("/hers2")).unwrap_err();
    m.person.copy(Path::new("/hers"), Path::new("/copy")).unwrap();
    assert_eq!(ann.read(Path::new("/copy/doc")).unwrap(), b"2");
    assert_eq!(ann.write(Path::new("/copy/doc"), b"3"), Err(Errno::ACCESS));
    m.person.remove_all(Path::new("/copy")).unwrap();
    assert_eq!(m.disk.tree(Path::new("/")).unwrap().keys().cloned().collect::<Vec<_>>(), [&b""[..], b"hers", b"hers/doc"]);
}
