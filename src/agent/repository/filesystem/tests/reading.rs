//! Observing and reading.

use std::io::Write;

use super::*;
use crate::agent::repository::UnsupportedKind;

/// Bytes that repeat only after a long time.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn edge_z03_z04_a_document_is_read_once_with_its_pages() {
    let f = fixture();
    for bytes in [vec![], vec![0; 1], noise(16 * 1024), noise(3_000_000), vec![0; 3_000_000]] {
        f.write("doc", &bytes);
        let at = f.at("doc");
        let mut blobs = Vec::new();
        let observation = f
            .repository
            .observe(&at, None, &mut |blob| {
                blobs.push(blob);
                true
            })
            .unwrap();
        assert_eq!(observation.item, Item::Document);
        let (content, _) = content_of(&bytes);
        assert_eq!(observation.content, Some(content));
        assert_eq!(blobs.iter().any(|blob| blob.kind() == crate::content::BlobKind::Page), content.height > 0);
        let document = f.repository.open_document(&at, &observation.stamp).unwrap();
        let mut read = vec![1; bytes.len() + 1];
        assert_eq!(document.read_at(0, &mut read).unwrap(), bytes.len());
        assert_eq!(read[..bytes.len()], bytes);
        document.verify().unwrap();
        if !bytes.is_empty() {
            assert_eq!(f.repository.observe(&at, None, &mut |_| false), Err(RepositoryError::Sink));
        }
    }
}

#[test]
fn s_b23_a_document_that_somebody_writes_to_is_busy() {
    let f = fixture();
    let path = f.write("doc", "1");
    let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
    let writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    assert_eq!(f.observe_at(&at), Err(RepositoryError::Busy));
    assert_eq!(f.repository.open_document(&at, &stamp).unwrap_err(), RepositoryError::Busy);
    assert_eq!(f.repository.remove_document(&at, &stamp, op(1)), Err(RepositoryError::Busy));
    assert_eq!(f.replace_by("doc", 2, b"new"), Err(RepositoryError::Busy));
    drop(writer);
    assert!(f.observe_at(&at).is_ok());
}

#[test]
fn s_b23_where_writers_cannot_be_seen_a_quiet_time_is_waited_for() {
    // Somebody else's document shows its writers to the privileged only.
    for (quiet, expected) in [(Duration::from_secs(3600), Err(RepositoryError::Busy)), (Duration::ZERO, Ok(true))] {
        let f = fixture_in(&std::env::temp_dir(), |config| config.quiet = quiet);
        f.write("doc", "1");
        let at = f.at("doc");
        std::fs::set_permissions(f.path(".skybridge"), PermissionsExt::from_mode(0o755)).unwrap();
        let observed = as_nobody(|| f.observe_at(&at).map(|observation| observation.content.is_some()));
        if let Some(observed) = observed {
            assert_eq!(observed, expected);
        }
    }
}

#[test]
fn s_b23_the_clock_of_the_file_system_counts_where_there_are_no_leases() {
    let f = fixture();
    f.sites[0].pretend(|can| can.leases = false);
    let root = f.enter(0).unwrap();
    let file = f.files.open(&root.dir, b".skybridge/repository", crate::sys::Access::Read, false).unwrap();
    let stat = f.files.stat(&file).unwrap();
    assert_eq!(f.is_in_use(&root, &file, &stat), Ok(false), "leases were seen to work");
    let mut ahead = stat;
    ahead.changed += 3_600_000_000_000;
    assert!(f.repository.clock_of(&root).unwrap() < ahead.changed);
}

#[test]
fn edge_c06_a_document_that_changes_while_it_is_read_is_not_taken() {
    let f = fixture();
    let path = f.write("doc", noise(600_000));
    let at = f.at("doc");
    let mut writes = 0;
    let observed = f.repository.observe(&at, None, &mut |_| {
        if writes == 0 {
            let mut writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            writer.write_all(b"more").unwrap();
        }
        writes += 1;
        true
    });
    assert_eq!(observed, Err(RepositoryError::Changed));
    // The same length, and the time of the bytes set back.
    let at = f.at("doc");
    let observed = f.repository.observe(&at, None, &mut |_| {
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let times = file.metadata().unwrap().modified().unwrap();
        (&file).write_all(b"other").unwrap();
        file.set_modified(times).unwrap();
        true
    });
    assert_eq!(observed, Err(RepositoryError::Changed));
    // A writer who is not done is as bad, even before the first byte.
    let mut writer = None;
    let observed = f.repository.observe(&at, None, &mut |_| {
        writer = Some(std::fs::OpenOptions::new().append(true).open(&path).unwrap());
        true
    });
    assert_eq!(observed, Err(RepositoryError::Changed));
}

#[test]
fn edge_z01_z02_z07_what_is_known_is_not_read_again() {
    let f = fixture();
    f.write("doc", "1");
    let at = f.at("doc");
    let observation = f.observe_at(&at).unwrap();
    let mut known = KnownContent { stamp: observation.stamp, content: content_of(b"known").0 };
    let observe = |known: &KnownContent| f.repository.observe(&at, Some(known), &mut |_| true).unwrap().content.unwrap();
    known.stamp.settled = false;
    assert_eq!(observe(&known), content_of(b"1").0, "a change may have been too fast for the clock");
    known.stamp.settled = true;
    assert_eq!(observe(&known), known.content);
    // The same length, and the time set back to what it was.
    let times = std::fs::metadata(f.path("doc")).unwrap().modified().unwrap();
    let file = std::fs::File::create(f.path("doc")).unwrap();
    (&file).write_all(b"2").unwrap();
    file.set_modified(times).unwrap();
    drop(file);
    assert_eq!(observe(&known), content_of(b"2").0);
}

#[test]
fn edge_x05_another_item_at_the_place_is_noticed() {
    let f = fixture();
    f.write("doc", "1");
    let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
    f.write("other", "2");
    std::fs::rename(f.path("other"), f.path("doc")).unwrap();
    assert_eq!(f.observe_at(&at), Err(RepositoryError::Changed));
    assert_eq!(f.repository.open_document(&at, &stamp).unwrap_err(), RepositoryError::Changed);
    std::fs::remove_file(f.path("doc")).unwrap();
    assert_eq!(f.observe_at(&at), Err(RepositoryError::Changed));
    assert_eq!(f.repository.look(&at.folder, &at.name), Ok(None));
}

#[test]
fn s_i05_records_and_smart_folders_are_known_by_their_aspects() {
    let f = fixture();
    for (inner, aspect, kind) in
        [("doc", "cm:titled,rma:record", UnsupportedKind::Record), ("folder", "smf:smartFolder", UnsupportedKind::SmartFolder)]
    {
        if inner == "doc" {
            f.write(inner, "1");
        } else {
            f.mkdir(inner);
        }
        set(&f, inner, "user.skybridge.aspects", aspect.as_bytes());
        let observation = f.observe_at(&f.at(inner)).unwrap();
        assert_eq!((observation.item, observation.content), (Item::Unsupported(kind), None));
    }
}
