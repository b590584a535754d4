//! Keeping in step: what one side changes, the other has.

use std::{fs::OpenOptions, io::Write as _, time::Duration};

use skybridge::wire::pb::{MemberState, Reason, SourceVersionCause, property_value::Kind};

use crate::support::{ADA, World, options, tree};

const SYNCED: (MemberState, Reason) = (MemberState::Synced, Reason::Unspecified);

#[tokio::test(flavor = "multi_thread")]
async fn s_b01_everything_in_the_folder_is_pushed_and_its_target_is_no_member() {
    let world = World::start().await;
    let large = "0123456789abcdef".repeat(40_000);
    for (path, text) in [("empty.txt", ""), ("a.txt", "a"), ("sub/b.txt", "b"), ("sub/deep/größer.txt", "ü"), ("large.bin", &large)] {
        world.source.write(&format!("Plans/{path}"), text);
    }
    world.source.mkdir("Plans/sub/nothing in it");
    world.source.set_attribute("Plans/a.txt", "user.dublincore.creator", "Ann");
    world.sync(&["Plans"], "acme/team/Shared", options()).await;
    let there = world.same("Plans", "acme/team/Shared/Plans").await;
    assert_eq!(there.len(), 8, "{:?}", there.keys());
    let author = |properties: &[skybridge::wire::pb::PropertyEntry]| {
        let found = properties.iter().find(|entry| entry.property == "cm:author")?;
        found.value.as_ref()?.kind.clone()
    };
    assert_eq!(author(&world.ada.node("acme/team/Shared/Plans/a.txt").await.unwrap().properties), Some(Kind::Text("Ann".to_owned())));
    assert!(world.agent.members().await.iter().all(|(_, member)| member.is() == SYNCED), "{}", world.dump().await);

    world.ada.write("acme/team/Shared/beside.txt", "not synced").await.unwrap();
    world.settle().await;
    assert_eq!(world.source.tree("").keys().filter(|path| path.contains("beside")).count(), 0, "{}", world.dump().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b02_changes_at_the_source_are_pushed_without_asking() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "one");
    world.source.write("Plans/b.txt", "one");
    world.sync(&["Plans"], "acme/team", options()).await;
    let node = world.ada.id("acme/team/Plans/a.txt").await;
    let there = async |path: &str, text: &str| {
        let path = format!("acme/team/Plans/{path}");
        world.until(&path, async || (world.ada.read(&path).await.ok()? == text).then_some(())).await;
    };

    world.source.write("Plans/a.txt", "written over");
    there("a.txt", "written over").await;
    OpenOptions::new().append(true).open(world.source.path("Plans/a.txt")).unwrap().write_all(b", and on").unwrap();
    there("a.txt", "written over, and on").await;
    world.source.save("Plans/a.txt", "saved as editors do");
    there("a.txt", "saved as editors do").await;
    world.source.write("Plans/new/deep/c.txt", "new");
    there("new/deep/c.txt", "new").await;
    world.source.set_attribute("Plans/b.txt", "user.dublincore.creator", "Ann");
    world
        .until("the author is there", async || {
            let node = world.ada.node("acme/team/Plans/b.txt").await.ok()?;
            node.properties.iter().any(|entry| entry.property == "cm:author").then_some(())
        })
        .await;
    world.settle().await;
    world.same("Plans", "acme/team/Plans").await;
    assert_eq!(world.ada.id("acme/team/Plans/a.txt").await, node, "an editor's save is a change of the same document");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b03_changes_at_the_target_are_pulled_without_asking() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "one");
    world.source.write("Plans/gone.txt", "x");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.ada.write("acme/team/Plans/new.txt", "new").await.unwrap();
    world.ada.mkdir("acme/team/Plans/sub/deep").await.unwrap();
    world.ada.write("acme/team/Plans/sub/deep/b.txt", &"b".repeat(300_000)).await.unwrap();
    world.ada.mv("acme/team/Plans/gone.txt", "acme/team/Plans/sub/renamed.txt").await.unwrap();
    world.ada.set_text("acme/team/Plans/a.txt", "cm:author", Some("Ann")).await.unwrap();
    world.settle().await;
    let expected = [
        ("a.txt", "one"),
        ("new.txt", "new"),
        ("sub/", ""),
        ("sub/deep/", ""),
        ("sub/deep/b.txt", &"b".repeat(300_000)),
        ("sub/renamed.txt", "x"),
    ];
    assert_eq!(world.same("Plans", "acme/team/Plans").await, tree(&expected));
    assert_eq!(world.source.attribute("Plans/a.txt", "user.dublincore.creator").as_deref(), Some("Ann"));

    world.ada.write("acme/team/Plans/a.txt", "two").await.unwrap();
    world.until("the change is here", async || (world.source.read("Plans/a.txt") == "two").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b04_metadata_goes_both_ways_and_is_taken_away_both_ways() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", options()).await;
    let there = "acme/team/Plans/a.txt";
    let latitude = |number: f64| Some(Kind::Double(number));
    for (name, value) in [
        ("user.dublincore.title", "A title"),
        ("user.dublincore.title.de_DE", "Ein Titel"),
        ("user.geo.latitude", "48.25"),
        ("user.xdg.language", "en_GB"),
        ("user.private", "stays here"),
    ] {
        world.source.set_attribute("Plans/a.txt", name, value);
    }
    world.settle().await;
    let properties = world.ada.node(there).await.unwrap().properties;
    let value = |name: &str| {
        let found = properties.iter().find(|entry| entry.property == name);
        found.and_then(|entry| entry.value.clone()).and_then(|value| value.kind)
    };
    let Some(Kind::Localized(title)) = value("cm:title") else { panic!("{properties:?}") };
    assert_eq!((title.texts["en_US"].as_str(), title.texts["de_DE"].as_str()), ("A title", "Ein Titel"));
    assert_eq!((value("cm:latitude"), value("sys:locale")), (latitude(48.25), Some(Kind::Text("en_GB".to_owned()))));
    assert!(!format!("{properties:?}").contains("stays here"));

    world.ada.set_property(there, "cm:latitude", latitude(-1.5)).await.unwrap();
    world.ada.set_text(there, "cm:author", Some("Ann")).await.unwrap();
    world.ada.set_property(there, "cm:title", None).await.unwrap();
    world.settle().await;
    let here = |name: &str| world.source.attribute("Plans/a.txt", name);
    assert_eq!((here("user.geo.latitude").as_deref(), here("user.dublincore.creator").as_deref()), (Some("-1.5"), Some("Ann")));
    assert_eq!((here("user.dublincore.title"), here("user.dublincore.title.de_DE")), (None, None));
    assert_eq!(here("user.private").as_deref(), Some("stays here"));

    rustix::fs::removexattr(world.source.path("Plans/a.txt"), "user.dublincore.creator").unwrap();
    world.settle().await;
    let node = world.ada.node(there).await.unwrap();
    assert!(!node.properties.iter().any(|entry| entry.property == "cm:author" && entry.value.is_some()), "{:?}", node.properties);
    assert_eq!(node.version, 1, "none of this is a new version");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b05_the_receiving_side_says_who_synced_and_when() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
    OpenOptions::new().write(true).open(world.source.path("Plans/a.txt")).unwrap().set_modified(long_ago).unwrap();
    world.sync(&["Plans"], "acme/team", options()).await;
    let node = world.ada.node("acme/team/Plans/a.txt").await.unwrap();
    assert_eq!((node.creator_email.as_str(), node.modifier_email.as_str()), (ADA, ADA));
    assert!(node.create_time.unwrap().seconds > 1_000_000_000 && node.update_time.unwrap().seconds > 1_000_000_000, "{node:?}");

    let bob = world.person("bob@example.com", skybridge::wire::pb::Role::Collaborator).await;
    bob.write("acme/team/Plans/b.txt", "b").await.unwrap();
    world.settle().await;
    let metadata = std::fs::metadata(world.source.path("Plans/b.txt")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&metadata), rustix::process::geteuid().as_raw(), "the agent's own account");
    world.source.write("Plans/b.txt", "changed here");
    world.settle().await;
    let node = world.ada.node("acme/team/Plans/b.txt").await.unwrap();
    assert_eq!((node.creator_email.as_str(), node.modifier_email.as_str()), ("bob@example.com", ADA));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b10_each_side_has_its_own_versions_and_an_old_one_can_be_made_the_newest() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "one");
    world.sync(&["Plans"], "acme/team", options()).await;
    let there = "acme/team/Plans/a.txt";
    world.source.write("Plans/a.txt", "two");
    world.settle().await;
    world.ada.write(there, "three").await.unwrap();
    world.settle().await;
    let versions = world.ada.versions(there).await.unwrap();
    assert_eq!(versions.iter().map(|version| (version.version, version.by_sync)).collect::<Vec<_>>(), [(3, false), (2, true), (1, true)]);
    assert_eq!(world.agent.versions("Plans/a.txt").await.unwrap(), [(1, SourceVersionCause::Replaced)]);

    world.ada.restore_version(there, 1).await.unwrap();
    world.settle().await;
    assert_eq!(world.source.read("Plans/a.txt"), "one", "{}", world.dump().await);
    world.agent.restore("Plans/a.txt", 1).await.unwrap();
    world.settle().await;
    assert_eq!((world.source.read("Plans/a.txt"), world.ada.read(there).await.unwrap()), ("two".to_owned(), "two".to_owned()));
    assert_eq!(world.ada.versions(there).await.unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b23_what_somebody_is_writing_is_not_pushed_before_it_is_closed() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "one");
    world.sync(&["Plans"], "acme/team", options()).await;
    let mut open = OpenOptions::new().write(true).truncate(true).open(world.source.path("Plans/a.txt")).unwrap();
    open.write_all(b"half").unwrap();
    // It comes into the folder open: between its name and its writer, what is made by an open can be seen as an empty document.
    let mut new = std::fs::File::create(world.source.path("new.txt")).unwrap();
    new.write_all(b"half").unwrap();
    std::fs::rename(world.source.path("new.txt"), world.source.path("Plans/new.txt")).unwrap();
    world.settle().await;
    let there = world.ada.tree("acme/team/Plans").await;
    assert_eq!((there.get("a.txt").map(String::as_str), there.get("new.txt")), (Some("one"), None));
    open.write_all(b" and half").unwrap();
    new.write_all(b" and half").unwrap();
    drop((open, new));
    for name in ["a.txt", "new.txt"] {
        let path = format!("acme/team/Plans/{name}");
        world.until(name, async || (world.ada.read(&path).await.ok()? == "half and half").then_some(())).await;
    }
    assert_eq!(world.ada.versions("acme/team/Plans/a.txt").await.unwrap().len(), 2, "no half of it became a version");
}

/// A TIFF that says that its maker is `maker`, and which side is up.
fn image(maker: [u8; 3], orientation: u8) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x02\0".to_vec();
    bytes.extend([0x0f, 0x01, 2, 0, 4, 0, 0, 0, maker[0], maker[1], maker[2], 0]);
    bytes.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    bytes.extend([0; 4]);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn s_b04_what_images_say_and_what_people_state_over_it() {
    let world = World::with(|config| config.default_locale = "de_DE".to_owned()).await;
    let there = "acme/team/Plans/image.tif";
    let value = async |name: &str| {
        let properties = world.ada.node(there).await.unwrap().properties;
        let found = properties.into_iter().find(|entry| entry.property == name);
        found.and_then(|entry| entry.value).and_then(|value| value.kind)
    };
    let text = |text: &str| Some(Kind::Text(text.to_owned()));
    world.source.mkdir("Plans");
    std::fs::write(world.source.path("Plans/image.tif"), image(*b"ACM", 6)).unwrap();
    world.source.set_attribute("Plans/image.tif", "user.dublincore.title", "Ein Bild");
    world.sync(&["Plans"], "acme/team", options()).await;
    assert_eq!((value("exif:manufacturer").await, value("exif:orientation").await), (text("ACM"), Some(Kind::Integer(6))));
    assert_eq!(value("sys:locale").await, text("de_DE"));
    let Some(Kind::Localized(title)) = value("cm:title").await else { panic!("{}", world.dump().await) };
    assert_eq!(title.texts["de_DE"], "Ein Bild", "the plain title is that of the site's own locale");

    // People state something else, there and here.
    world.ada.set_text(there, "exif:manufacturer", Some("Another")).await.unwrap();
    world.source.set_attribute("Plans/image.tif", "user.exif.model", "Stated");
    world.settle().await;
    assert_eq!(world.source.attribute("Plans/image.tif", "user.exif.manufacturer").as_deref(), Some("Another"));
    assert_eq!(value("exif:model").await, text("Stated"));
    // New content from people at the source drops what was stated over the old one.
    std::fs::write(world.source.path("Plans/image.tif"), image(*b"NEW", 1)).unwrap();
    world.settle().await;
    assert_eq!((value("exif:manufacturer").await, value("exif:orientation").await), (text("NEW"), Some(Kind::Integer(1))));
    assert_eq!(value("exif:model").await, None, "{}", world.dump().await);

    // What is pulled says nothing of its own: the cloud's values stay what they are.
    let pulled = "acme/team/Plans/pulled.tif";
    world.ada.write_bytes(pulled, image(*b"PUL", 3)).await.unwrap();
    world.settle().await;
    let node = world.ada.node(pulled).await.unwrap();
    assert!(!node.properties.iter().any(|entry| entry.property.starts_with("exif:")), "{:?}", node.properties);
    assert!(world.agent.members().await.iter().all(|(_, member)| member.is() == SYNCED), "{}", world.dump().await);
}
