//! The shape of the tree: who may import whom, how long a file gets, what is not done anywhere. A rule of the house that a machine can
//! check is checked here and nowhere else.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The layers, lowest first. A module imports from lower layers and from itself, never sideways.
const LAYERS: &[&[&str]] =
    &[&["model"], &["engine", "content"], &["wire", "store"], &["net", "depot"], &["transfer"], &["agent", "coordinator"], &["cli"]];
/// What every layer from the third up may use: they know nothing of what the product does.
const SERVANTS: &[&str] = &["sys", "task", "telemetry", "config"];
/// What the two lowest layers must not touch: their answers depend on their arguments alone.
const WORLD: &[&str] =
    &["SystemTime", "Instant::now", "rand::", "new_v4", "now_v7", "tokio::", "std::fs", "std::net", "std::env", "std::thread"];
/// A file that is longer has more than one job.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Lists the files below a folder of the repository, as paths relative to the repository; none if there is no such folder.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(folder)];
    while let Some(path) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&path) else { continue };
        for entry in entries {
            let entry = entry.expect("an entry of the repository");
            let relative = entry.path().strip_prefix(root()).expect("it is below").to_str().expect("it is UTF-8").to_owned();
            let own = !matches!(relative.as_str(), "target" | ".git" | "Cargo.lock");
            if entry.file_type().expect("it has a type").is_dir() {
                if own && !relative.ends_with("__pycache__") {
                    waiting.push(entry.path());
                }
            } else if own {
                found.push(relative);
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn rust_files(folder: &str) -> Vec<String> {
    files(folder).into_iter().filter(|file| Path::new(file).extension().is_some_and(|extension| extension == "rs")).collect()
}

pub(crate) fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_default()
}

/// The lines of a file that are code: no comments.
fn code(file: &str) -> impl Iterator<Item = (usize, String)> {
    let lines: Vec<String> = text(file).lines().map(str::to_owned).collect();
    lines.into_iter().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// The top module that a file of `src` belongs to.
fn module_of(file: &str) -> &str {
    let path = file.strip_prefix("src/").expect("a file of src");
    path.split('/').next().map_or(path, |first| first.trim_end_matches(".rs"))
}

/// The top modules that a text names after `crate::`, in paths and in groups.
fn named_modules(text: &str) -> BTreeSet<String> {
    let identifier = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut named = BTreeSet::new();
    for (at, found) in text.match_indices("crate::") {
        let rest = &text[at + found.len()..];
        if !rest.starts_with('{') {
            named.insert(identifier(rest));
            continue;
        }
        let mut depth = 0;
        let mut item = true;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => item = true,
                c if depth == 1 && item && c.is_alphabetic() => {
                    named.insert(identifier(&rest[at..]));
                    item = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    named
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn may_import(from: &str, to: &str) -> bool {
    match (layer(from), layer(to)) {
        _ if from == to => true,
        (Some(from), Some(to)) => to < from,
        (Some(from), None) => from >= 2 && SERVANTS.contains(&to),
        // What serves every layer knows the nouns, the settings of decisions, and the other servants.
        (None, to_layer) => SERVANTS.contains(&to) || to_layer.is_some_and(|to| to <= 1),
    }
}

#[test]
fn imports_point_one_way() {
    assert_eq!(named_modules("use crate::{a::{b, c}, d,\n e::f}; crate::g::h()"), ["a", "d", "e", "g"].map(str::to_owned).into());
    assert!(may_import("cli", "agent") && !may_import("agent", "coordinator") && !may_import("content", "engine"));
    assert!(!may_import("store", "wire") && !may_import("model", "task") && may_import("net", "task"));

    let mut broken = Vec::new();
    for file in rust_files("src") {
        let module = module_of(&file);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let code: String = code(&file).map(|(_, line)| line + "\n").collect();
        for named in named_modules(&code) {
            let known = layer(&named).is_some() || SERVANTS.contains(&named.as_str());
            if known && !may_import(module, &named) {
                broken.push(format!("{file}: {module} imports {named}"));
            }
        }
    }
    assert_none(&broken, "imports point one way, see the crate's documentation");
}

#[test]
fn the_lowest_layers_depend_on_their_arguments_alone() {
    let mut broken = Vec::new();
    for file in ["src/model", "src/engine", "src/content"].into_iter().flat_map(rust_files) {
        for (number, line) in code(&file) {
            if let Some(word) = WORLD.iter().find(|word| line.contains(*word)) {
                broken.push(format!("{file}:{number}: {word}"));
            }
        }
    }
    assert_none(&broken, "no clock, no randomness and no I/O in model, engine and content");
}

#[test]
fn a_simulated_disk_depends_on_its_seeds_alone() {
    let forbidden = ["SystemTime", "Instant", "thread", "HashMap", "HashSet", "rand::rng()", "rand::random", "from_os_rng", "std::fs"];
    let mut broken = Vec::new();
    for file in rust_files("tests/sim/disk") {
        for (number, line) in code(&file) {
            if let Some(word) = forbidden.iter().find(|word| line.contains(*word)) {
                broken.push(format!("{file}:{number}: {word}"));
            }
        }
    }
    assert_none(&broken, "the same calls of a simulated disk have the same results");
}

#[test]
fn every_integration_test_is_run() {
    for binary in ["tests/it", "tests/sim"] {
        let main = text(&format!("{binary}/main.rs"));
        let missing: Vec<String> = fs::read_dir(root().join(binary))
            .expect("the folder is there")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "rs") || path.join("mod.rs").exists())
            .map(|path| path.file_name().expect("a name").to_str().expect("UTF-8").to_owned())
            .map(|name| name.trim_end_matches(".rs").to_owned())
            .filter(|name| name != "main" && !main.contains(&format!("mod {name};")))
            .collect();
        assert_none(&missing, &format!("{binary}/main.rs lists every file beside it"));
    }
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut broken = Vec::new();
    for file in ["src", "tests/sim"].into_iter().flat_map(rust_files) {
        let text = text(&file);
        let lines = text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{file}: {lines} lines"));
        }
        if !text.starts_with("//!") && !text.starts_with("#!") {
            broken.push(format!("{file}: does not begin with //!"));
        }
    }
    assert_none(&broken, "a file has at most 600 lines and begins by saying what it is for");
}

#[test]
fn only_task_spawns_and_nothing_is_left_for_later() {
    let mut broken = Vec::new();
    for file in ["src", "tests/it", "tests/sim", "benches"].into_iter().flat_map(rust_files).filter(|file| file != "tests/it/tidy.rs") {
        for (number, line) in code(&file) {
            let spawns = line.contains("tokio::spawn") || line.contains("task::spawn(");
            if spawns && file.starts_with("src/") && file != "src/task.rs" {
                broken.push(format!("{file}:{number}: spawns"));
            }
            if ["todo!(", "unimplemented!(", "#[ignore", "#[should_panic"].iter().any(|word| line.contains(word)) {
                broken.push(format!("{file}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none(&broken, "tasks are spawned through `task`; nothing is ignored or left undone");
}

#[test]
fn what_is_mentioned_exists() {
    let places = ["src/", "tests/", "proto/", "deploy/", "benches/", ".ci/"];
    let mut broken = Vec::new();
    for file in files(".").into_iter().filter(|file| file != "tests/it/tidy.rs") {
        for (number, line) in text(&file).lines().enumerate() {
            let breaks = |c: char| c.is_whitespace() || "`\"'()[]{},;|<>=!".contains(c);
            for word in line.split(breaks).map(|word| word.trim_end_matches(['.', ':', '*', '/', '…'])) {
                let of_ours = places.iter().any(|place| word.starts_with(place));
                let document = word.ends_with(".md") && word.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_".contains(c));
                if (of_ours || document) && !word.contains(['*', '$', '%', '…']) && !root().join(word).exists() {
                    let beside = Path::new(&file).parent().unwrap_or(Path::new("")).join(word);
                    if !root().join(beside).exists() {
                        broken.push(format!("{file}:{}: {word}", number + 1));
                    }
                }
            }
        }
    }
    assert_none(&broken, "a file that is mentioned is in the repository");
}
