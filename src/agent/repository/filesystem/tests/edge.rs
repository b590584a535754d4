//! Cases that sync systems are known to fail at, by the ids of `tests/EDGE_CASES.md`.

use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;
use crate::model::NAME_BYTES_MAX;

fn site(name: &str) -> SiteName {
    SiteName(name.to_owned())
}

#[test]
fn edge_n14_n15_documents_of_the_longest_name_are_placed_replaced_moved_and_removed() {
    let f = fixture();
    let (long, other) = ("ä".repeat(127) + "a", "b".repeat(NAME_BYTES_MAX));
    assert_eq!(long.len(), NAME_BYTES_MAX);
    let staged = f.staged(&f.top(), 1, b"one");
    f.repository.place_new(&staged, &f.top(), &name(&long)).unwrap();
    drop(staged);
    let (_, displaced) = f.replace_by(&long, 2, b"two").unwrap();
    assert_eq!((f.bytes(&long), f.displaced_bytes(&displaced)), (b"two".to_vec(), b"one".to_vec()));
    f.repository.rename(&f.at(&long), &f.top(), &name(&other), &Stamp::UNSEEN).unwrap();
    let removed = f.repository.remove_document(&f.at(&other), &f.entry_at(&other).stamp, op(3)).unwrap();
    assert_eq!(f.displaced_bytes(&removed), b"two");
    assert!(f.names(&f.top()).is_empty());
}

#[test]
fn edge_n16_what_people_name_like_what_is_ours_is_theirs() {
    let f = fixture();
    let staged = f.staged(&f.top(), 1, b"ours");
    let like_ours = [op(1).to_string(), format!("{}.moving", op(1)), ".Skybridge".to_owned(), "folder/.skybridge".to_owned()];
    for inner in &like_ours {
        f.write(&format!("{inner}/doc"), "theirs");
    }
    assert_eq!(f.names(&f.top()).len(), like_ours.len());
    assert_eq!(f.names(&f.at("folder").key), [b".skybridge"]);
    for inner in &like_ours {
        assert!(f.observe_at(&f.at(&format!("{inner}/doc"))).unwrap().content.is_some(), "{inner}");
    }
    // The one name that is ours is taken, which whoever wants to place something there is told.
    assert_eq!(f.repository.place_new(&staged, &f.top(), &name(".skybridge")), Err(RepositoryError::Exists));
    assert_eq!(f.repository.rename(&f.at("folder"), &f.top(), &name(".skybridge"), &Stamp::UNSEEN), Err(RepositoryError::Exists));
    f.repository.discard(&Leftover::Staged(site("swsdp"), op(1))).unwrap();
    assert_eq!(f.bytes(&format!("{}/doc", op(1))), b"theirs");
}

#[test]
fn edge_x16_documents_of_one_name_are_removed_one_after_the_other_and_all_kept() {
    let f = fixture();
    let removed: Vec<_> = (1..=3_u128)
        .map(|number| {
            f.write("doc", number.to_string());
            f.repository.remove_document(&f.at("doc"), &f.entry_at("doc").stamp, op(number)).unwrap()
        })
        .collect();
    assert_eq!(removed.iter().map(|out| f.displaced_bytes(out)).collect::<Vec<_>>(), [b"1", b"2", b"3"]);
    assert_eq!(f.repository.leftovers().unwrap().len(), 3);
}

#[test]
fn edge_f12_what_is_staged_lies_on_the_file_system_of_its_place_and_nothing_is_moved_to_another_one() {
    let other = TempDir::new_in("/dev/shm").unwrap();
    let f = fixture_in(&std::env::temp_dir(), |config| {
        config.mapped.insert(site("other"), other.path().to_path_buf());
    });
    let device = |path: &Path| std::fs::metadata(path).unwrap().dev();
    for root in [&f.library, other.path()] {
        for inner in [".skybridge/staging", ".skybridge/displaced"] {
            assert_eq!(device(&root.join(inner)), device(root));
        }
    }
    if device(&f.library) == device(other.path()) {
        return;
    }
    f.write("doc", "1");
    let there = f.repository.sites().into_iter().find(|found| found.name == site("other")).unwrap().library.unwrap();
    let moved = f.repository.rename(&f.at("doc"), &there, &name("doc"), &Stamp::UNSEEN);
    assert!(moved.is_err(), "{moved:?}");
    let staged = f.staged(&f.at("doc").folder, 1, b"new");
    assert!(f.repository.place_new(&staged, &there, &name("new")).is_err());
    assert_eq!(f.bytes("doc"), b"1");
    assert!(f.names(&there).is_empty(), "nothing half-made is left there");
}

#[test]
fn edge_m23_a_move_that_is_not_permitted_leaves_both_places_as_they_were() {
    let f = fixture();
    f.write("from/doc", "1");
    f.mkdir("to");
    std::fs::set_permissions(f.path("from"), PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(f.path(".skybridge"), PermissionsExt::from_mode(0o755)).unwrap();
    let (doc, to) = (f.at("from/doc"), f.at("to").key);
    let Some(moved) = as_nobody(|| f.repository.rename(&doc, &to, &name("doc"), &Stamp::UNSEEN)) else { return };
    assert!(matches!(moved, Err(RepositoryError::Denied(_))), "{moved:?}");
    assert_eq!((f.at("from/doc"), f.names(&to).len()), (doc.clone(), 0));
    std::fs::set_permissions(f.path("to"), PermissionsExt::from_mode(0o777)).unwrap();
    as_nobody(|| f.repository.rename(&doc, &to, &name("doc"), &Stamp::UNSEEN)).unwrap().unwrap();
    assert_eq!(f.at("to/doc").key, doc.key);
}

#[test]
fn edge_z05_a_sparse_document_of_more_than_4_gib_is_read_at_any_place() {
    const END: u64 = 5 << 30;
    let f = fixture();
    let file = std::fs::File::create(f.path("doc")).unwrap();
    file.set_len(END).unwrap();
    file.write_all_at(b"the end", END - 7).unwrap();
    drop(file);
    let entry = f.entry_at("doc");
    assert_eq!(entry.stamp.size_bytes, END);
    let document = f.repository.open_document(&f.at("doc"), &entry.stamp).unwrap();
    let mut bytes = [1; 10];
    assert_eq!(document.read_at(END - 10, &mut bytes).unwrap(), 10);
    assert_eq!(&bytes, b"\0\0\0the end");
    assert_eq!(document.read_at(END, &mut bytes).unwrap(), 0);
}

#[test]
fn edge_q06_a_second_agent_finds_that_the_root_is_anothers() {
    let f = fixture();
    f.write("doc", "1");
    let second = Config { repository: Uuid::from_u128(2), ..config(f.dir.path()) };
    let second = open(second);
    assert_eq!(second.health(&site("swsdp")), Err(Unhealthy::ClaimedRoot));
    assert!(second.resolve(&f.path("doc")).is_err(), "so nothing of it can be synced by that one");
    assert_eq!(f.repository.health(&site("swsdp")), Ok(()));
}
