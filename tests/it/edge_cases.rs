//! Cases that sync systems are known to fail at. `tests/EDGE_CASES.md` lists all of them with the tests that show what happens; that list is
//! checked here, and what only real processes can show is shown here.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use skybridge::wire::pb::{MemberState, Reason};

use crate::support::{World, options};
use crate::tidy::{rust_files, text};

const LIST: &str = "tests/EDGE_CASES.md";
const SYNCED: Option<(MemberState, Reason)> = Some((MemberState::Synced, Reason::Unspecified));

/// The ids that the name of a test carries, such as `M4` of `s_b19_edge_m04_n11_…`.
fn ids(test: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in test.split("edge_").skip(1) {
        let words = part.split('_').map_while(|word| {
            let (group, number) = word.split_at_checked(1)?;
            let number: u32 = (number.len() == 2).then(|| number.parse().ok())??;
            Some((group.to_uppercase(), number))
        });
        // Rows of other lists stand among them in lower groups.
        found.extend(words.filter(|(group, _)| "NMXTCKFZWQ".contains(group.as_str())).map(|(group, number)| format!("{group}{number}")));
    }
    found
}

/// The names of all tests of edge cases in the sources.
fn tests() -> BTreeSet<String> {
    let named = |line: &str| {
        let (_, rest) = line.trim_start().split_once("fn ")?;
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (rest[name.len()..].starts_with('(') && (name.starts_with("edge_") || !ids(&name).is_empty())).then_some(name)
    };
    ["src", "tests"].into_iter().flat_map(rust_files).flat_map(|file| text(&file).lines().filter_map(named).collect::<Vec<_>>()).collect()
}

#[test]
fn the_list_of_edge_cases_names_the_tests_that_there_are() {
    assert_eq!(ids("s_b19_edge_m04_n11_of_two"), ["M4", "N11"].map(str::to_owned).into());
    assert_eq!(ids("s_b20_edge_m12_edge_m13_x"), ["M12", "M13"].map(str::to_owned).into());
    let tests = tests();
    let mut listed = BTreeSet::new();
    let mut broken = Vec::new();
    for line in text(LIST).lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(id) = cells.first().filter(|id| id.len() > 1 && id[1..].parse::<u32>().is_ok()) else { continue };
        let named: Vec<_> = cells.last().unwrap_or(&"").split('`').skip(1).step_by(2).collect();
        for test in &named {
            if !tests.contains(*test) {
                broken.push(format!("{id} names {test}, which there is not"));
            } else if !ids(test).contains(*id) {
                broken.push(format!("{id} names {test}, which does not carry it"));
            }
            listed.insert(((*id).to_owned(), (*test).to_owned()));
        }
        let is_explained = cells.iter().any(|cell| cell.starts_with("waits for ") || cell.starts_with("cannot apply: "));
        if named.is_empty() != is_explained {
            broken.push(format!("{id} has either tests or a reason why it has none"));
        }
    }
    for test in &tests {
        let missing = ids(test).into_iter().filter(|id| !listed.contains(&(id.clone(), test.clone())));
        broken.extend(missing.map(|id| format!("{id} does not name {test}")));
        if ids(test).is_empty() {
            broken.push(format!("{test} carries no id"));
        }
    }
    assert!(broken.is_empty(), "{LIST}:\n{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn edge_n14_n18_a_path_that_is_longer_than_the_system_takes_syncs_both_ways() {
    let world = World::start().await;
    world.source.write("Plans/near.txt", "near");
    let name = "deep".repeat(55);
    // Step by step: no call takes the whole path.
    let open_folder = |depth: usize| {
        let mut folder = File::open(world.source.path("Plans")).unwrap();
        for _ in 0..depth {
            mkdirat(&folder, &name, Mode::from_raw_mode(0o755)).ok();
            folder = openat(&folder, &name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap().into();
        }
        folder
    };
    let open_file = |flags| File::from(openat(open_folder(25), "far.txt", flags | OFlags::CREATE, Mode::from_raw_mode(0o644)).unwrap());
    open_file(OFlags::WRONLY).write_all(b"far").unwrap();
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    let there = format!("acme/team/Plans/{}far.txt", format!("{name}/").repeat(25));
    assert!(there.len() > 4_096);
    assert_eq!(world.ada.read(&there).await.unwrap(), "far", "{}", world.dump().await);
    assert!(world.agent.members().await.iter().all(|(_, member)| Some(member.is()) == SYNCED), "{}", world.dump().await);
    world.ada.write(&there, "changed there").await.unwrap();
    world.settle().await;
    let mut read = String::new();
    open_file(OFlags::RDONLY).read_to_string(&mut read).unwrap();
    assert_eq!(read, "changed there");
    // The cloud hears how all of them are doing, and others are not held up.
    let told = async || (world.ada.reported(&set, MemberState::Synced).await.ok()?.len() == 28).then_some(());
    world.until("the cloud is told", told).await;
    world.source.write("Plans/near.txt", "changed");
    world.settle().await;
    assert_eq!(world.ada.read("acme/team/Plans/near.txt").await.unwrap(), "changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn edge_t07_a_type_that_the_cloud_has_not_is_pushed_as_the_nearest_and_said_so() {
    let world = World::start().await;
    world.source.write("Plans/contract.txt", "one");
    world.source.write("Plans/case/a.txt", "a");
    world.source.set_attribute("Plans/case", "user.skybridge.type", "acme:case");
    let set = world.sync(&["Plans"], "acme/team", options()).await;
    let said = async |path: &str| world.agent.told(&set, path).await.map(|member| member.detail).unwrap_or_default();
    assert!(said("Plans/case").await.contains("cm:folder; its type acme:case"), "{}", world.dump().await);
    assert_eq!(said("Plans/contract.txt").await, "");
    // It becomes one later.
    world.source.set_attribute("Plans/contract.txt", "user.skybridge.type", "acme:contract");
    world.source.write("Plans/contract.txt", "two");
    world.settle().await;
    assert!(said("Plans/contract.txt").await.contains("cm:content; its type acme:contract"), "{}", world.dump().await);
    assert_eq!(world.ada.read("acme/team/Plans/contract.txt").await.unwrap(), "two");
    assert_eq!(world.agent.is("Plans/contract.txt").await, SYNCED);
    // What comes back from the cloud leaves the type alone.
    world.ada.write("acme/team/Plans/contract.txt", "three").await.unwrap();
    world.settle().await;
    assert_eq!(world.source.read("Plans/contract.txt"), "three");
    assert_eq!(world.source.attribute("Plans/contract.txt", "user.skybridge.type").as_deref(), Some("acme:contract"));
}
