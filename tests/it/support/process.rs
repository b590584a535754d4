//! The real program as a child process: started, watched with a deadline, and always ended.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up: far more than a busy machine needs, since passing tests never wait for it.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Waits until `look` finds what it looks for.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::park_timeout(POLL);
    }
}

/// The program while it runs.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Process {
    /// Makes a command of the program that sees nothing of the surroundings of the test.
    pub(crate) fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skybridge"));
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        command
    }

    /// Makes a command of a copy of the program, run by somebody else.
    pub(crate) fn command_by<S: AsRef<OsStr>>(user: u32, program: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().stdin(Stdio::null()).uid(user).gid(user);
        command
    }

    /// Runs a command of the program to its end.
    pub(crate) fn run(command: &mut Command) -> Output {
        command.output().expect("the program runs")
    }

    /// Starts a command of the program and goes on while it runs.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let printed = Arc::new(Mutex::new(String::new()));
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("it is piped")), Box::new(child.stderr.take().expect("it is piped"))];
        for output in outputs {
            let printed = Arc::clone(&printed);
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                    printed.push_str(&line);
                    printed.push('\n');
                }
            });
        }
        Self { child, printed }
    }

    /// Returns its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it printed so far, on both outputs.
    pub(crate) fn printed(&self) -> String {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a line that it printed holds `text`, and returns the line.
    pub(crate) fn line_with(&self, text: &str) -> String {
        let found = || self.printed().lines().find(|line| line.contains(text)).map(str::to_owned);
        eventually(&format!("it prints {text:?}; it printed:\n{}", self.printed()), found)
    }

    /// Waits until it ends.
    pub(crate) fn end(&mut self) -> ExitStatus {
        eventually("the program ends", || self.child.try_wait().expect("it can be waited for"))
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        // It may have ended already; then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Asks it to end, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it can be asked to end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
