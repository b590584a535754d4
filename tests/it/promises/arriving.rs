//! What comes from the cloud is under people's hands at once: whatever they do with it is seen, without anybody asking for a look.

use crate::support::{World, options};

/// More than enough for some to be touched while the agent still writes down that it made them.
const DOCUMENTS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn s_b02_what_is_put_into_a_folder_that_came_from_the_cloud_is_pushed() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", options()).await;
    world.ada.mkdir("acme/team/Plans/New").await.unwrap();
    world.until("the folder is here", async || world.source.exists("Plans/New").then_some(())).await;
    world.source.write("Plans/New/deep/b.txt", "b");
    let pushed = async || (world.ada.read("acme/team/Plans/New/deep/b.txt").await.ok()? == "b").then_some(());
    world.until("what was put into it is there", pushed).await;
    world.source.write("Plans/New/deep/b.txt", "changed");
    let changed = async || (world.ada.read("acme/team/Plans/New/deep/b.txt").await.ok()? == "changed").then_some(());
    world.until("a change of it is there", changed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_d06_what_is_deleted_or_renamed_as_soon_as_it_arrives_is_so_in_the_cloud() {
    let world = World::start().await;
    world.source.write("Plans/a.txt", "a");
    world.sync(&["Plans"], "acme/team", options()).await;
    for number in 0..DOCUMENTS {
        let name = format!("Plans/{number}.txt");
        world.ada.write(&format!("acme/team/{name}"), "from the cloud").await.unwrap();
        while !world.source.exists(&name) {
            tokio::task::yield_now().await;
        }
        match number % 2 {
            0 => world.source.remove(&name),
            _ => world.source.rename(&name, &format!("Plans/renamed {number}.txt")),
        }
    }
    let same = async || (world.ada.tree("acme/team/Plans").await == world.source.tree("Plans")).then_some(());
    world.until("both sides are the same", same).await;
    assert_eq!(world.source.tree("Plans").len(), 1 + DOCUMENTS / 2, "nothing came back");
}
