//! The agent as a process, and the commands of people beside it.

use std::fs;

use crate::support::{Cloud, Process, eventually};

/// Runs a command of somebody at the source, who names the agent's socket.
fn at_source(cloud: &Cloud, data: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let socket = cloud.path(data).join("agent.sock");
    let output = cloud.run(&[&["--agent-socket", socket.to_str().expect("UTF-8")], arguments].concat(), "");
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text")).concat();
    (output.status.code(), told)
}

fn agent(cloud: &Cloud, data: &str) -> Process {
    let agent = cloud.agent(data);
    eventually("the agent answers", || (at_source(cloud, data, &["status"]).0 == Some(0)).then_some(()));
    agent
}

#[test]
fn an_agent_whose_data_directory_is_deep_in_the_tree_is_reached_by_its_socket() {
    // The address of a socket holds 107 bytes.
    let data = ["directory"; 20].join("/");
    let cloud = Cloud::start().signed_in().enrolled(&data);
    // It leaves its socket behind when it is killed.
    drop(agent(&cloud, &data));
    let mut again = agent(&cloud, &data);
    let (code, told) = at_source(&cloud, &data, &["status"]);
    assert_eq!(code, Some(0), "{told}");
    again.interrupt();
    assert!(again.end().success(), "{}", again.printed());
}

#[test]
fn a_status_waits_until_everything_is_in_step_or_has_a_reason() {
    let cloud = Cloud::start().signed_in().enrolled("agent");
    let _agent = agent(&cloud, "agent");
    let run = |arguments: &[&str]| at_source(&cloud, "agent", arguments);
    cloud.done(&["admin", "site", "create", "acme/team"], "");
    let folder = cloud.path("library/Plans");
    fs::create_dir(&folder).expect("made");
    assert_eq!(run(&["sync", "create", "library/Plans", "--to", "acme/team"]).0, Some(0));
    let there = || cloud.done(&["cloud", "tree", "acme/team/Plans"], "");
    for round in 0..3 {
        for number in 0..50 {
            fs::write(folder.join(format!("{round}-{number}")), "content").expect("written");
        }
        let (code, told) = run(&["status", "--wait", "--rescan", "--check"]);
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(there().matches(&format!("{round}-")).count(), 50, "it waited for all of them");
    }
    // What a person must see to holds nobody up.
    fs::write(folder.join("a:b"), "").expect("written");
    let (code, told) = run(&["status", "--wait", "--rescan", "--check"]);
    assert!(code == Some(1) && told.contains("NAME_NOT_ALLOWED") && told.contains("skybridge sync errors"), "{told}");
    assert_eq!(run(&["status", "--wait", "--rescan"]).0, Some(0));
}
