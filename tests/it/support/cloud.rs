//! The coordinator as a process, and a person who gives commands to the real program.

use std::{
    fs,
    path::PathBuf,
    process::{Output, Stdio},
};

use tempfile::TempDir;

use super::Process;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A coordinator with a network and its administrator, and the home of a person.
pub(crate) struct Cloud {
    pub(crate) home: TempDir,
    pub(crate) coordinator: Process,
    pub(crate) address: String,
    pub(crate) fingerprint: String,
}

impl Cloud {
    pub(crate) fn start() -> Self {
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
    pub(crate) fn run(&self, arguments: &[&str], line: &str) -> Output {
        let input = self.path("input");
        fs::write(&input, format!("{line}\n")).expect("written");
        let mut command = Process::command(arguments);
        command.stdin(Stdio::from(fs::File::open(input).expect("opened")));
        Process::run(command.current_dir(self.home.path()).env("HOME", self.home.path()))
    }

    pub(crate) fn done(&self, arguments: &[&str], line: &str) -> String {
        let output = self.run(arguments, line);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Runs a command that is refused with one line, and returns the line.
    pub(crate) fn refused(&self, code: i32, arguments: &[&str], line: &str) -> String {
        let output = self.run(arguments, line);
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr).into_owned());
        assert_eq!((output.status.code(), out.as_ref(), error.lines().count()), (Some(code), "", 1), "{arguments:?}: {error}");
        assert!(error.starts_with("skybridge: ") && !error.contains("panicked"), "{error}");
        error
    }

    pub(crate) fn login(&self, address: &str, fingerprint: &str, password: &str, code: i32) -> String {
        let how = ["login", "ada@example.com", "--coordinator", address, "--fingerprint", fingerprint, "--password-stdin"];
        self.refused(code, &how, password)
    }

    pub(crate) fn signed_in(self) -> Self {
        let how = ["login", "ada@example.com", "--coordinator", &self.address, "--fingerprint", &self.fingerprint, "--password-stdin"];
        self.done(&how, PASSWORD);
        self
    }

    /// Enrols an agent that keeps its state in `data`.
    pub(crate) fn enrolled(self, data: &str) -> Self {
        let enrolment = self.done(&["admin", "agent", "enroll", "acme", "fileserver", "--address", &self.address], "");
        self.done(&["agent", "enroll", &enrolment, "--data", data], "");
        self
    }

    /// Starts the agent that keeps its state in `data`, beside the directory `library`.
    pub(crate) fn agent(&self, data: &str) -> Process {
        let site = format!("team={}", self.path("library").display());
        fs::create_dir_all(self.path("library")).expect("made");
        Process::start(Process::command(["agent", "--data", data, "--site", &site]).current_dir(self.home.path()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}
