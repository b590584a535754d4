//! What bad input gets from the real program: one clear line that says what to do, a failing exit code, and nothing half-made.

use std::{fs, path::Path};

use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::support::{Cloud, PASSWORD, Process, eventually};

#[test]
fn s_a07_a_wrong_password_an_unreachable_and_another_coordinator_are_told_apart() {
    let cloud = Cloud::start();
    let wrong = cloud.login(&cloud.address, &cloud.fingerprint, "wrong password", 1);
    assert!(wrong.contains("wrong address or password"), "{wrong}");
    let unreachable = cloud.login("https://127.0.0.1:1", &cloud.fingerprint, PASSWORD, 1);
    assert!(unreachable.contains("cannot reach https://127.0.0.1:1") && unreachable.contains("running"), "{unreachable}");
    let another = cloud.login(&cloud.address, &"0".repeat(64), PASSWORD, 1);
    assert!(another.contains("is not the coordinator that was meant") && another.contains("compare the fingerprint"), "{another}");
    let junk = cloud.login(&cloud.address, "junk", PASSWORD, 64);
    assert!(junk.contains("64 hexadecimal digits"), "{junk}");
    assert!(!cloud.path(".config").exists(), "no half of a sign-in is kept");
}

#[test]
fn s_c11_an_enrolment_works_once_and_junk_makes_no_agent() {
    let cloud = Cloud::start().signed_in();
    let enrolment = cloud.done(&["admin", "agent", "enroll", "acme", "fileserver"], "");
    let (secretless, _) = enrolment.rsplit_once('.').expect("a secret");
    for (string, code, expected) in [
        ("junk", 64, "copy all of it"),
        (secretless, 64, "copy all of it"),
        (&format!("{secretless}.{}", "0".repeat(64)), 1, "ask for a new one"),
    ] {
        let refused = cloud.refused(code, &["agent", "enroll", string, "--data", "agent"], "");
        assert!(refused.contains(expected), "{string}: {refused}");
        let not_enrolled = cloud.refused(64, &["agent", "--data", "agent", "--site", "team=/tmp"], "");
        assert!(not_enrolled.contains("skybridge agent enroll"), "{not_enrolled}");
    }
    cloud.done(&["agent", "enroll", &enrolment, "--data", "agent"], "");
    let again = cloud.refused(1, &["agent", "enroll", &enrolment, "--data", "agent"], "");
    assert!(again.contains("enrolled already") && again.contains("another data directory"), "{again}");
    let used = cloud.refused(1, &["agent", "enroll", &enrolment, "--data", "other"], "");
    assert!(used.contains("was used") && used.contains("ask for a new one"), "{used}");
}

#[test]
fn what_is_in_use_is_named_and_left_alone() {
    let mut cloud = Cloud::start();
    let port = cloud.address.rsplit_once(':').map(|(_, port)| format!("127.0.0.1:{port}")).expect("a port");
    let taken = cloud.refused(1, &["coordinator", "--data", "other", "--listen", &port], "");
    assert!(taken.contains(&port) && taken.contains("--listen") && taken.matches("in use").count() == 1, "{taken}");
    let locked = cloud.refused(1, &["coordinator", "--data", "cloud", "--listen", "127.0.0.1:0"], "");
    assert!(locked.contains("cloud/state.redb is in use by another process") && locked.contains("another data directory"), "{locked}");
    cloud.coordinator.interrupt();
    assert!(cloud.coordinator.end().success(), "{}", cloud.coordinator.printed());
}

/// The rows of a store, as they lie in its file.
const ROWS: redb::TableDefinition<'static, &[u8], &[u8]> = redb::TableDefinition::new("kv-1");

/// Opens a store whose program has ended, and returns all that is in it.
fn rows(store: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let store = redb::Database::open(store).expect("a store");
    let read = store.begin_read().expect("it is read");
    let table = read.open_table(ROWS).expect("it has rows");
    let rows = table.iter().expect("they are read").map(|row| row.expect("a row"));
    rows.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).collect()
}

/// Makes a store one that a newer program wrote: its first row holds the number of its format.
fn make_newer(store: &Path) {
    let store = redb::Database::open(store).expect("a store");
    let write = store.begin_write().expect("it is written");
    write.open_table(ROWS).expect("it has rows").insert(&[0_u8][..], &[1_u8, 99, 0][..]).expect("written");
    write.commit().expect("written");
}

#[test]
fn what_a_newer_version_wrote_is_refused_and_left_as_it_is() {
    let mut cloud = Cloud::start().signed_in().enrolled("agent");
    let mut agent = cloud.agent("agent");
    eventually("the agent has a store", || cloud.path("agent/agent.sock").exists().then_some(()));
    for process in [&mut agent, &mut cloud.coordinator] {
        process.interrupt();
        assert!(process.end().success(), "{}", process.printed());
    }
    for (store, command) in [
        ("cloud/state.redb", &["coordinator", "--data", "cloud", "--listen", "127.0.0.1:0"][..]),
        ("agent/state.redb", &["agent", "--data", "agent", "--site", "team=/tmp"]),
    ] {
        make_newer(&cloud.path(store));
        let before = rows(&cloud.path(store));
        let refused = cloud.refused(1, command, "");
        assert!(refused.contains(store) && refused.contains("format 99") && refused.contains("use that version"), "{refused}");
        assert_eq!(rows(&cloud.path(store)), before, "{store}");
    }
}

#[test]
fn edge_k12_what_killed_programs_left_behind_holds_nobody_up() {
    let mut cloud = Cloud::start().signed_in();
    let enrolment = cloud.done(&["admin", "agent", "enroll", "acme", "fileserver"], "");
    cloud.done(&["agent", "enroll", &enrolment, "--data", "agent"], "");
    fs::create_dir(cloud.path("library")).expect("made");
    let site = format!("team={}", cloud.path("library").display());
    let listen = cloud.address.rsplit_once(':').map(|(_, port)| format!("127.0.0.1:{port}")).expect("a port");
    for _ in 0..3 {
        let mut command = Process::command(["agent", "run", "--data", "agent", "--site", &site]);
        let agent = Process::start(command.current_dir(cloud.home.path()));
        let status = || cloud.run(&["status", "--agent-socket", "agent/agent.sock"], "").status.success().then_some(());
        eventually(&format!("the agent answers; it printed:\n{}", agent.printed()), status);
        // Both are killed without a word.
        drop(agent);
        cloud.coordinator.kill();
        assert!(cloud.path("agent/agent.sock").exists(), "it leaves its socket behind");
        let mut command = Process::command(["coordinator", "--data", "cloud", "--listen", &listen]);
        cloud.coordinator = Process::start(command.current_dir(cloud.home.path()));
        cloud.coordinator.line_with("listening");
    }
}

#[test]
fn a_wrong_configuration_is_told_in_one_line_before_anything_is_made() {
    let cloud = Cloud::start();
    for (text, expected) in [
        ("listne = 'x'", "line 1: unknown field `listne`"),
        ("data = 'never'\nlisten = 7", "line 2: "),
        ("data = 'never'\n[telemetry]\nlog = 'lots=of=it'", "does not say what to log"),
        ("data = 'never'\n[telemetry]\nprometheus_listen = '0.0.0.0:0'", "loopback"),
        ("data = 'never'\n[telemetry]\notlp_endpoint = 'collector'", "http://HOST:PORT"),
    ] {
        fs::write(cloud.path("wrong.toml"), text).expect("written");
        let refused = cloud.refused(64, &["coordinator", "--config", "wrong.toml"], "");
        assert!(refused.contains(expected), "{text}: {refused}");
    }
    let missing = cloud.refused(64, &["agent", "--config", "none.toml"], "");
    assert!(missing.contains("none.toml"), "{missing}");
    assert!(!cloud.path("never").exists());
}

#[test]
fn what_people_may_name_and_is_not_there_is_said() {
    let cloud = Cloud::start().signed_in();
    cloud.done(&["admin", "site", "create", "acme/team"], "");
    fs::write(cloud.path("a.txt"), "a").expect("written");
    for (arguments, expected) in [
        (&["cloud", "ls", "other/team"][..], "there is no network \"other\""),
        (&["cloud", "ls", "acme/other"], "there is no site \"other\""),
        (&["cloud", "mkdir", "acme/team/no/such"], "there is no \"acme/team/no\""),
        (&["cloud", "mkdir", "acme/team/a:b"], "a name cannot hold ':'"),
        (&["cloud", "rm", "-r", "acme/team"], "the document library of a site stays"),
        (&["cloud", "put", "none.txt", "acme/team"], "none.txt"),
        (&["cloud", "restore", "acme/team/none"], "skybridge cloud trash acme/team"),
        (&["admin", "member", "set", "acme/team", "bob@example.com", "manager"], "bob@example.com"),
    ] {
        let refused = cloud.refused(1, arguments, "");
        assert!(refused.contains(expected), "{arguments:?}: {refused}");
    }
    assert_eq!(cloud.done(&["cloud", "ls", "acme/team"], ""), "empty");
}

#[test]
fn a_full_quota_refuses_what_is_too_large_and_nothing_else() {
    let cloud = Cloud::start().signed_in();
    cloud.done(&["admin", "site", "create", "acme/team"], "");
    cloud.done(&["admin", "quota", "set", "acme", "--total", "100K", "--document", "50K"], "");
    for (name, bytes) in [("small", 1_000), ("large", 40_000), ("huge", 60_000)] {
        fs::write(cloud.path(name), vec![b'x'; bytes]).expect("written");
    }
    cloud.done(&["cloud", "put", "large", "acme/team/1"], "");
    cloud.done(&["cloud", "put", "large", "acme/team/2"], "");
    for (name, expected) in [("large", "quota"), ("huge", "limit")] {
        let output = cloud.run(&["--output", "json", "cloud", "put", name, "acme/team/3"], "");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && error.contains(expected), "{name}: {error}");
    }
    cloud.done(&["cloud", "put", "small", "acme/team/3"], "");
}

#[test]
fn programs_get_an_object_even_when_they_ask_for_nonsense() {
    for arguments in [&["--output", "json", "frobnicate"][..], &["cloud", "rm", "--output=json"]] {
        let output = Process::run(&mut Process::command(arguments));
        assert_eq!(output.status.code(), Some(64));
        let object: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON");
        assert_eq!(object["error"]["code"], "USAGE", "{object}");
    }
}
