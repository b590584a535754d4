//! The first command of the README, as a new user runs it: in an empty directory, twice, and with ordinary tools on both sides.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::{Process, eventually};

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Process::command(arguments);
    command.current_dir(directory).env("HOME", directory);
    command
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Process::run(&mut command(directory, arguments))
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn told(output: &Output) -> String {
    format!("{}\n{}{}", output.status, out(output), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_quickstart_compares_goes_on_where_it_was_and_syncs_both_ways() {
    let home = tempfile::tempdir().expect("a directory");
    for time in ["first", "second"] {
        let ended = run(home.path(), &["quickstart", "--exit-when-synced"]);
        assert_eq!(ended.status.code(), Some(0), "the {time} time: {}", told(&ended));
        assert!(out(&ended).contains("equal, byte for byte"), "the {time} time: {}", told(&ended));
    }

    let mut quickstart = Process::start(&mut command(home.path(), &["quickstart"]));
    quickstart.line_with("Try, in another terminal");
    let here = home.path().join("skybridge-quickstart/library/Documents/Handbook/Welcome.txt");
    let there = "quickstart/team/Documents/Handbook/Welcome.txt";
    // As printed, without an option or a variable: the sign-in and the socket are found in the current directory.
    let status = run(home.path(), &["status", "--wait", "--check"]);
    assert!(status.status.success(), "{}", told(&status));
    let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("users are known").expect("this one too");
    let shown = out(&run(home.path(), &["sync", "show", "Documents"]));
    assert!(shown.contains(&format!("by user {} ({})\n", me.uid, me.name)), "{shown}");
    let json = run(home.path(), &["cloud", "ls", "quickstart/team/Documents/Handbook", "--output", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap_or_else(|_| panic!("JSON: {}", told(&json)));
    assert_eq!(listed["nodes"].as_array().map(Vec::len), Some(2), "{listed}");

    let edited = fs::read_to_string(&here).expect("it is there") + "one more line\n";
    fs::write(&here, &edited).expect("it can be written");
    let cat = || out(&run(home.path(), &["cloud", "cat", there]));
    eventually("the edit is in the cloud", || (cat() == edited).then_some(()));

    fs::write(home.path().join("note.txt"), "from the cloud\n").expect("it can be written");
    let put = run(home.path(), &["cloud", "put", "note.txt", there]);
    assert!(put.status.success(), "{}", told(&put));
    eventually("the cloud's change is here", || (fs::read_to_string(&here).ok()? == "from the cloud\n").then_some(()));
    let kept = || out(&run(home.path(), &["versions", here.to_str().expect("UTF-8")]));
    eventually("what it replaced is kept", || kept().contains("a change from the cloud replaced it").then_some(()));

    fs::remove_file(&here).expect("it can be deleted");
    let trash = || out(&run(home.path(), &["cloud", "trash", "quickstart/team"]));
    eventually("the deleted document is in the trash", || trash().contains(there).then_some(()));
    let restored = run(home.path(), &["cloud", "restore", there]);
    assert!(restored.status.success(), "{}", told(&restored));
    eventually("it is back", || (fs::read_to_string(&here).ok()? == "from the cloud\n").then_some(()));

    let again = run(home.path(), &["quickstart", "--exit-when-synced"]);
    assert_eq!(again.status.code(), Some(1), "the data directory is in use: {}", told(&again));
    quickstart.interrupt();
    assert!(quickstart.end().success(), "{}", quickstart.printed());
}

#[test]
fn a_folder_of_ones_own_is_synced_and_left_as_it_is() {
    let home = tempfile::tempdir().expect("a directory");
    let documents = home.path().join("my documents");
    fs::create_dir_all(documents.join("deep/er")).expect("made");
    fs::write(documents.join("deep/er/a 'quoted' name.txt"), "content").expect("written");
    let ended = run(home.path(), &["quickstart", "my documents", "--data", "data", "--exit-when-synced", "--output", "json"]);
    let result: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("JSON: {}", told(&ended)));
    assert_eq!((&result["documents"], &result["equal"]), (&1.into(), &true.into()), "{result}");
    assert_eq!(fs::read_dir(&documents).expect("listed").count(), 1, "nothing was left in the folder");
}

#[test]
fn a_quickstart_that_cannot_be_says_what_to_do() {
    let home = tempfile::tempdir().expect("a directory");
    fs::write(home.path().join("file"), "").expect("written");
    for (arguments, expected) in [
        (&["quickstart", "nowhere"][..], "name a folder that is there"),
        (&["quickstart", "file"], "name a folder below another one"),
        (&["quickstart", ".", "--data", "data"], "--data"),
    ] {
        let ended = run(home.path(), arguments);
        assert_eq!(ended.status.code(), Some(64), "{arguments:?}: {}", told(&ended));
        assert!(told(&ended).contains(expected), "{arguments:?}: {}", told(&ended));
    }
}
