//! Roots: which is the right one, and what may be chosen beneath it.

use super::*;

fn swsdp() -> SiteName {
    SiteName("swsdp".to_owned())
}

#[test]
fn s_a02_only_what_is_inside_a_library_can_be_synced() {
    let f = fixture();
    for path in ["User Homes/ann/doc", "Shared/doc", "Sites/swsdp/wiki/page", "other/doc"] {
        let path = f.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "1").unwrap();
    }
    f.write("folder/doc", "1");
    let refusal = |path: &str| f.repository.resolve(&f.dir.path().join(path)).unwrap_err();
    assert_eq!(refusal("Sites/swsdp/documentLibrary"), NotSyncable::Library);
    assert_eq!(refusal("Sites/swsdp/documentLibrary/folder/.."), NotSyncable::Library);
    assert_eq!(refusal("Sites/swsdp"), NotSyncable::Site);
    assert_eq!(refusal("Sites/swsdp/wiki/page"), NotSyncable::Site);
    assert_eq!(refusal("User Homes/ann/doc"), NotSyncable::Home);
    assert_eq!(refusal("Shared/doc"), NotSyncable::SharedFiles);
    assert_eq!(refusal("other/doc"), NotSyncable::Outside);
    assert_eq!(refusal("Sites"), NotSyncable::Outside);
    assert_eq!(refusal("Sites/swsdp/documentLibrary/.skybridge/repository"), NotSyncable::Internal);
    assert_eq!(refusal("Sites/swsdp/documentLibrary/none"), NotSyncable::Repository(RepositoryError::Gone));
    let resolved = f.repository.resolve(&f.path("folder/doc")).unwrap();
    assert_eq!((resolved.site, resolved.folders), (swsdp(), vec![f.top(), f.at("folder").key]));
}

#[test]
fn s_d09_edge_f07_t06_a_root_that_is_not_the_right_one_is_unknown() {
    let f = fixture();
    f.write("doc", "1");
    let (doc, top) = (f.at("doc"), f.top());
    let aside = f.library.with_file_name("aside");
    let unknown = |why: Unhealthy| {
        assert_eq!(f.repository.health(&swsdp()), Err(why));
        // An agent that was restarted thinks the same.
        let mut config = config(f.dir.path());
        config.known.insert(swsdp());
        assert_eq!(open(config).health(&swsdp()), Err(why));
        assert_eq!(f.repository.list(&top), Err(RepositoryError::Unknown(why)));
        assert_eq!(f.repository.look(&top, &doc.name), Err(RepositoryError::Unknown(why)));
        assert_eq!(f.repository.locate(std::slice::from_ref(&doc.key)), Err(RepositoryError::Unknown(why)));
        assert_eq!(f.observe_at(&doc), Err(RepositoryError::Unknown(why)));
    };
    std::fs::rename(&f.library, &aside).unwrap();
    unknown(Unhealthy::RootMissing);
    std::fs::write(&f.library, "a file").unwrap();
    unknown(Unhealthy::RootMissing);
    std::fs::remove_file(&f.library).unwrap();
    std::fs::create_dir(&f.library).unwrap();
    unknown(Unhealthy::ForeignRoot);
    let marker = std::fs::read(aside.join(".skybridge/repository")).unwrap();
    std::fs::create_dir(f.path(".skybridge")).unwrap();
    std::fs::write(f.path(".skybridge/repository"), marker).unwrap();
    unknown(Unhealthy::CopiedRoot);
    std::fs::remove_dir_all(&f.library).unwrap();
    std::fs::rename(&aside, &f.library).unwrap();
    assert_eq!(f.repository.health(&swsdp()), Ok(()));
    assert_eq!(f.at("doc"), doc);
}

#[test]
fn s_d09_a_copy_is_used_once_a_person_accepts_it() {
    let f = fixture();
    f.write("doc", "1");
    let (top, marker) = (f.top(), std::fs::read(f.path(".skybridge/repository")).unwrap());
    std::fs::rename(&f.library, f.dir.path().join("aside")).unwrap();
    f.write(".skybridge/repository", marker);
    f.write("doc", "restored");
    assert_eq!(f.repository.health(&swsdp()), Err(Unhealthy::CopiedRoot));
    f.repository.accept(&swsdp()).unwrap();
    assert_ne!(f.top(), top);
    assert_eq!(f.names(&f.top()), [b"doc"]);
    assert_eq!(open(config(f.dir.path())).health(&swsdp()), Ok(()));
}

#[test]
fn sites_come_from_the_layout_and_from_mappings_and_share_keys_on_one_file_system() {
    let other = TempDir::new().unwrap();
    let mapped = SiteName("mapped".to_owned());
    let f = fixture_in(&std::env::temp_dir(), |config| {
        config.mapped.insert(mapped.clone(), other.path().to_path_buf());
        "de_DE".clone_into(&mut config.default_locale);
    });
    let sites = f.repository.sites();
    assert_eq!(sites.iter().map(|site| site.name.0.as_str()).collect::<Vec<_>>(), ["mapped", "swsdp"]);
    assert!(sites.iter().all(|site| site.default_locale == "de_DE"), "however a site was found");
    std::fs::write(other.path().join("doc"), "1").unwrap();
    let before = f.repository.resolve(&other.path().join("doc")).unwrap();
    assert_eq!(before.site, mapped);
    std::fs::rename(other.path().join("doc"), f.path("doc")).unwrap();
    assert_eq!(f.at("doc").key, before.entry.key);
    assert!(f.repository.locate(&[before.entry.key]).unwrap()[0].is_some());
}

#[test]
fn capabilities_are_found_out_and_remembered_across_a_restart() {
    let f = fixture();
    let can = f.repository.capabilities(&swsdp()).unwrap();
    assert!(can.handles && can.properties && can.events && can.case_sensitive && can.exchange && can.no_replace && can.leases, "{can:?}");
    let again = open(config(f.dir.path()));
    assert_eq!(again.sites(), f.repository.sites());
    assert_eq!(again.leftovers().unwrap(), []);
}
