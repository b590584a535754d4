//! What bad input gets from the real program: one clear line that says what to do, a failing exit code, and nothing half-made.

use std::{
    fs,
    process::{Output, Stdio},
};

use tempfile::TempDir;

use crate::support::{Process, eventually};

const PASSWORD: &str = "correct horse battery";

/// A coordinator with a network and its administrator, and the home of a person.
struct Cloud {
    home: TempDir,
    coordinator: Process,
    address: String,
    fingerprint: String,
}

impl Cloud {
    fn start() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut command = Process::command(["coordinator", "--data", "cloud", "--listen", "127.0.0.1:0"]);
        let coordinator = Process::start(command.current_dir(home.path()));
        let line = coordinator.line_with("listening");
        let word = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)).expect("it is said").to_owned();
        let (address, fingerprint) = (format!("https://{}", word("address=")), word("fingerprint="));
        let cloud = Self { home, coordinator, address, fingerprint };
        let network = ["admin", "network", "create", "acme", "--administrator", "ada@example.com", "--data", "cloud", "--coordinator"];
        cloud.done(&[&network[..], &[&cloud.address, "--password-stdin"]].concat(), PASSWORD);
        cloud
    }

    /// Runs a command with a line on its standard input.
    fn run(&self, arguments: &[&str], line: &str) -> Output {
        let input = self.home.path().join("input");
        fs::write(&input, format!("{line}\n")).expect("written");
        let mut command = Process::command(arguments);
        command.stdin(Stdio::from(fs::File::open(input).expect("opened")));
        Process::run(command.current_dir(self.home.path()).env("HOME", self.home.path()))
    }

    fn done(&self, arguments: &[&str], line: &str) -> String {
        let output = self.run(arguments, line);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Runs a command that is refused with one line, and returns the line.
    fn refused(&self, code: i32, arguments: &[&str], line: &str) -> String {
        let output = self.run(arguments, line);
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr).into_owned());
        assert_eq!((output.status.code(), out.as_ref(), error.lines().count()), (Some(code), "", 1), "{arguments:?}: {error}");
        assert!(error.starts_with("skybridge: ") && !error.contains("panicked"), "{error}");
        error
    }

    fn login(&self, address: &str, fingerprint: &str, password: &str, code: i32) -> String {
        let how = ["login", "ada@example.com", "--coordinator", address, "--fingerprint", fingerprint, "--password-stdin"];
        self.refused(code, &how, password)
    }

    fn signed_in(self) -> Self {
        let how = ["login", "ada@example.com", "--coordinator", &self.address, "--fingerprint", &self.fingerprint, "--password-stdin"];
        self.done(&how, PASSWORD);
        self
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }
}

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
