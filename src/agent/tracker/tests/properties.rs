//! What a look says about properties.

use super::Bench;
use crate::model::{Properties, Property, Value};

fn model(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

fn seen(bench: &Bench, path: &str) -> Properties {
    bench.member(1, path).unwrap().member.source_node().unwrap().state.properties.clone()
}

#[tokio::test(start_paused = true)]
async fn s_b04_new_content_drops_values_that_were_stated_over_the_old_image() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "image");
    bench.at().thing("top/a").properties.stated.set(Property::Model, model("stated")).unwrap();
    bench.rescan().await;
    assert_eq!(seen(&bench, "top/a").get(Property::Model), model("stated").as_ref());
    bench.at().write("top/a", "another image");
    bench.at().thing("top/a").properties.embedded.set(Property::Model, model("embedded")).unwrap();
    bench.touch(&["top/a"]).await;
    assert_eq!(seen(&bench, "top/a").get(Property::Model), model("embedded").as_ref());
    // It still stands beside the image at the next look, and still means nothing.
    bench.at().thing("top/a");
    bench.touch(&["top/a"]).await;
    assert_eq!(seen(&bench, "top/a").get(Property::Model), model("embedded").as_ref());
    bench.at().thing("top/a").properties.stated.set(Property::Model, model("stated again")).unwrap();
    bench.touch(&["top/a"]).await;
    assert_eq!(seen(&bench, "top/a").get(Property::Model), model("stated again").as_ref());
}

#[tokio::test(start_paused = true)]
async fn s_b04_what_an_image_says_that_came_from_the_cloud_is_not_pushed() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "image");
    bench.rescan().await;
    bench.at().thing("top/a").properties.embedded.set(Property::Model, model("embedded")).unwrap();
    bench.touch(&["top/a"]).await;
    assert!(seen(&bench, "top/a").is_empty());
}

#[tokio::test(start_paused = true)]
async fn s_b04_a_value_taken_away_on_the_same_item_is_removed_and_one_not_understood_is_not() {
    let mut bench = Bench::with_folder().await;
    bench.at().write("top/a", "a");
    bench.at().thing("top/a").properties.stated.set(Property::Author, model("Ada")).unwrap();
    bench.at().thing("top/a").properties.stated.set(Property::Locale, model("en_GB")).unwrap();
    bench.rescan().await;
    let mut shown = bench.at().thing("top/a").properties.clone();
    shown.stated = Properties::default();
    shown.unreadable.insert(Property::Locale);
    bench.at().thing("top/a").properties = shown;
    bench.touch(&["top/a"]).await;
    let seen = seen(&bench, "top/a");
    assert_eq!((seen.get(Property::Author), seen.get(Property::Locale)), (None, model("en_GB").as_ref()));
}

#[tokio::test(start_paused = true)]
async fn s_b04_where_there_is_no_room_for_properties_images_speak_for_themselves() {
    let mut bench = Bench::with_folder().await;
    bench.at().without_properties = true;
    bench.at().write("top/a", "image");
    bench.at().thing("top/a").properties.embedded.set(Property::Model, model("one")).unwrap();
    bench.rescan().await;
    assert_eq!(seen(&bench, "top/a").get(Property::Model), model("one").as_ref());
    bench.at().write("top/a", "another image");
    bench.at().thing("top/a").properties.embedded.set(Property::Model, model("two")).unwrap();
    bench.touch(&["top/a"]).await;
    assert_eq!(seen(&bench, "top/a").get(Property::Model), model("two").as_ref());
    // Nothing is said anew about an image that stayed what it was: what the trees hold may have come from the cloud.
    bench.at().thing("top/a").properties.embedded.set(Property::Model, None).unwrap();
    bench.touch(&["top/a"]).await;
    assert_eq!(seen(&bench, "top/a").get(Property::Model), model("two").as_ref());
}
