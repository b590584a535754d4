//! The command line as scripts meet it: exit codes, one clear line of error, JSON.

use crate::support::Process;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().expect("a directory");
    let output = Process::run(Process::command(arguments).current_dir(home.path()).env("HOME", home.path()));
    (output.status.code(), String::from_utf8(output.stdout).expect("text"), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn help_is_done_and_nonsense_is_64() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("login") && out.contains("cloud"), "{out}");
    assert_eq!(run(&["--version"]).0, Some(0));
    for nonsense in [&[][..], &["frobnicate"], &["cloud", "rm"], &["sync", "create", "x"], &["--output", "xml", "status"]] {
        let (code, out, error) = run(nonsense);
        assert_eq!(code, Some(64), "{nonsense:?}: {out}{error}");
        assert!(!error.is_empty() && out.is_empty(), "{nonsense:?}");
    }
}

#[test]
fn without_a_sign_in_or_an_agent_one_line_says_what_to_do() {
    for (arguments, expected) in [(&["cloud", "ls"][..], "skybridge login"), (&["status"], "SKYBRIDGE_AGENT_SOCKET")] {
        let (code, out, error) = run(arguments);
        assert_eq!((code, out.as_str(), error.lines().count()), (Some(64), "", 1), "{arguments:?}: {error}");
        assert!(error.starts_with("skybridge: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn an_error_is_an_object_for_programs() {
    let (code, _, error) = run(&["status", "--output", "json", "--agent-socket", "/nonexistent/agent.sock"]);
    assert_eq!(code, Some(1));
    let object: serde_json::Value = serde_json::from_str(&error).expect("JSON");
    assert_eq!(object["error"]["code"], "UNAVAILABLE");
    assert!(object["error"]["message"].as_str().is_some_and(|message| message.contains("/nonexistent/agent.sock")), "{object}");
    assert!(object["error"]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{object}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    // A completion script is longer than a pipe holds.
    let mut command = Process::command(["completion", "bash"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
