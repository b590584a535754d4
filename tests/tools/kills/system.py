"""A coordinator and an agent as real processes over loopback, and the commands that people give them."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

PASSWORD = "correct horse battery"
SITE = "acme/team"
TARGET = f"{SITE}/Documents"
DEADLINE_SECONDS = 60
COMMAND_SECONDS = 60
# How long is waited for a process to come to its point.
POINT_SECONDS = 4.0
# Deletes are part of the load: the brake would stop it.
AGENT_CONFIG = """
data = "{data}"
[sites]
team = "{library}"
[brake]
share = 1.0
least = 1000000
most = 1000000
"""


class Failed(Exception):
    """Something is not as it must be."""


def tree_of(folder):
    """Returns what is below a folder: bytes of documents, None for folders."""
    tree = {}
    for at, folders, documents in os.walk(folder):
        relative = Path(at).relative_to(folder)
        tree.update({str(relative / name): None for name in folders})
        tree.update({str(relative / name): Path(at, name).read_bytes() for name in documents})
    return tree


class System:
    """Both roles, their data, and a synced folder."""

    def __init__(self, program, home, options):
        self.program, self.home = program, Path(home)
        self.library = self.home / "library"
        self.folder = self.library / "Documents"
        self.outside = self.home / "outside"
        self.listen = "127.0.0.1:0"
        self.processes, self.kills, self.points = {}, {"coordinator": 0, "agent": 0}, {}
        self.ends_at = Counter()
        for directory in (self.folder, self.outside):
            directory.mkdir(parents=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "SKYBRIDGE_CONFIG": str(self.home / "credentials.toml"),
            "SKYBRIDGE_AGENT_SOCKET": str(self.home / "agent/agent.sock"),
        }
        config = self.home / "agent.toml"
        config.write_text(AGENT_CONFIG.format(data=self.home / "agent", library=self.library))
        self.commands = {
            "coordinator": lambda: ["coordinator", "--data", self.home / "coordinator", "--listen", self.listen],
            "agent": lambda: ["agent", "--config", config],
        }
        try:
            self.prepare(config, options)
        except BaseException:
            self.stop()
            raise

    def prepare(self, config, options):
        self.start("coordinator")
        port = self.awaited("the coordinator listens", self.port)
        self.listen, url = f"127.0.0.1:{port}", f"https://localhost:{port}"
        self.done("admin", "network", "create", "acme", "--administrator", "ada@example.com", "--coordinator", url,
                  "--data", self.home / "coordinator", "--password-stdin", stdin=PASSWORD)
        self.done("login", "ada@example.com", "--coordinator", url, "--authority", self.home / "coordinator/tls/ca.pem",
                  "--password-stdin", stdin=PASSWORD)
        self.done("admin", "site", "create", SITE)
        enrolment = self.done("admin", "agent", "enroll", "acme", "fileserver", "--address", url).strip()
        self.done("agent", "enroll", "--config", config, enrolment)
        self.start("agent")
        self.awaited("the agent answers", lambda: self.run("status").returncode == 0)
        self.done("sync", "create", self.folder, "--to", SITE, *options)

    def port(self):
        text = re.sub(r"\x1b\[\d*m", "", (self.home / "coordinator.log").read_text())
        found = re.search(r"address=127\.0\.0\.1:(\d+)", text)
        return found and found.group(1)

    def start(self, role, point=None):
        """Starts a process. With a point, a system call and a number, it is killed as it enters that call for that time."""
        self.note(f"start the {role}" + (f", to be killed at {point}" if point else ""))
        command = [self.program, *self.commands[role]()]
        if point:
            call, number = point
            inject = f"inject={call}:signal=SIGKILL:when={number}"
            command = ["strace", "--follow-forks", "-e", f"trace={call}", "-e", inject, "-o", os.devnull, *command]
        with open(self.home / f"{role}.log", "a") as log:
            self.processes[role] = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self.points[role] = point

    def kill(self, role):
        """Kills a process without a warning, and forgets it. It must have been alive, or have come to its point."""
        process, point = self.processes.pop(role), self.points.pop(role)
        ended = self.ended(process, POINT_SECONDS if point else 0)
        if ended is not None and not (point and ended == -signal.SIGKILL):
            raise Failed(f"the {role} ended by itself with {ended}:\n{self.log(role)}")
        self.end(process, point)
        self.ends_at["any time" if ended is None else point[0]] += 1
        self.kills[role] += 1
        self.note(f"killed the {role}")

    @staticmethod
    def end(process, point):
        """Ends a process; who is traced would outlive its tracer."""
        if point and process.poll() is None:
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        else:
            process.kill()
        process.wait()

    @staticmethod
    def ended(process, seconds):
        """How a process ended, if it does so soon: it may never come to its point."""
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def note(self, what):
        """Writes down what somebody did, for whoever looks for the cause of a failure."""
        with open(self.home / "actions.log", "a") as log:
            log.write(f"{time.time():.3f} {what}\n")

    def log(self, role):
        return "".join((self.home / f"{role}.log").read_text().splitlines(keepends=True)[-20:])

    def stop(self):
        for role, process in self.processes.items():
            self.end(process, self.points[role])

    def run(self, *arguments, stdin="", text=True):
        return subprocess.run([self.program, *arguments], input=stdin if text else None, env=self.environment, text=text,
                              timeout=COMMAND_SECONDS, capture_output=True)

    def done(self, *arguments, stdin=""):
        ended = self.run(*arguments, stdin=stdin)
        if ended.returncode != 0:
            raise Failed(f"{arguments}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def json(self, *arguments):
        return json.loads(self.done("--output", "json", *arguments))

    def download(self):
        """Returns what the cloud has of the folder, as `tree_of` does."""
        into = self.home / "download"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        self.done("cloud", "get", "-r", TARGET, into)
        return tree_of(into / "Documents")

    def awaited(self, what, look):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.05)
        raise Failed(f"waited in vain until {what}\n{self.log('agent')}")

    def settle(self):
        """Waits until each side has done all that it knows of."""
        try:
            self.awaited("both sides are at rest", self.at_rest)
        except Failed as failure:
            states = self.done("status") + self.done("sync", "members", "Documents")
            (self.home / "members").write_text(states)
            raise Failed(f"{failure}\nthe members are listed in {self.home / 'members'}") from failure

    def at_rest(self):
        for role, process in self.processes.items():
            if process.poll() is not None:
                raise Failed(f"the {role} ended by itself with {process.returncode}:\n{self.log(role)}")
        if self.lag() != 0:
            return False
        try:
            if self.run("status", "--wait", "--rescan").returncode != 0 or self.lag() != 0:
                return False
        except subprocess.TimeoutExpired as error:
            raise Failed(f"the agent does not come to rest\n{self.log('agent')}") from error
        # What failed while a process was away is tried again by itself. Who waits, waits for another one, which has a reason.
        troubled = self.json("sync", "errors")["members"]
        self.waiting = self.json("sync", "members", "Documents", "--state", "pending")["members"]
        is_done = all(member["state"] != "MEMBER_STATE_RETRYING" for member in troubled) and (troubled or not self.waiting)
        if not is_done:
            self.note(f"not yet at rest: {[member['path'] for member in [*troubled, *self.waiting]]}")
        return is_done

    def lag(self):
        listed = self.run("--output", "json", "admin", "agent", "list", "acme")
        agents = json.loads(listed.stdout)["agents"] if listed.returncode == 0 else []
        return next((agent["lag_entries"] for agent in agents if agent["connected"]), None)
