#!/usr/bin/env python3
"""Plants the bugs of bugs.toml in a copy of the sources, and looks how long the simulation takes to find each.

    plant.py --check            every text that a bug replaces is there exactly once; needs no build
    plant.py [--seconds 60] [NAME ...]    builds the copy and runs the simulation with each bug, or with these

What came of it is in FOUND.md.

The copy is built once, with all bugs in it behind switches; SKYBRIDGE_PLANTED names the one that is on. Seeds run in the same order
each time, on all cores, until one fails.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
COPY = ROOT / "target" / "planted"
SWITCH = '''//! Which planted bug is switched on.

/// Whether this one is.
#[must_use]
pub fn is(name: &str) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var("SKYBRIDGE_PLANTED").ok()).as_deref() == Some(name)
}
'''


def planted(bugs):
    """The files that the bugs change, as they become; ends when a text is not there exactly once."""
    files = {}
    for bug in bugs:
        for place in [bug, *bug.get("also", [])]:
            name, file = bug["name"], place["file"]
            text = files.get(file) or (ROOT / file).read_text()
            if text.count(place["old"]) != 1:
                sys.exit(f"{name}: its text is {text.count(place['old'])} times in {file}: bring it up to date")
            files[file] = text.replace(place["old"], place["new"].replace("PLANTED", f"crate::planted::is(\"{name}\")"))
    return files


def write(path, text):
    """Leaves files alone that are as they should be, so that little is built again."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def build(files):
    tracked = subprocess.check_output(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True).split("\n")
    for name in filter(None, tracked):
        source = ROOT / name
        if source.is_file() and name not in files:
            try:
                write(COPY / name, source.read_text())
            except UnicodeDecodeError:
                (COPY / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, COPY / name)
    for name, text in files.items():
        write(COPY / name, text)
    write(COPY / "src" / "planted.rs", SWITCH)
    write(COPY / "src/lib.rs", (ROOT / "src/lib.rs").read_text() + "pub mod planted;\n")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    command = ["cargo", "test", "--locked", "--profile", "sim", "--package", "skybridge-sim", "--test", "sim", "--no-run"]
    built = subprocess.run(command, cwd=COPY, env={**os.environ, "CARGO_TARGET_DIR": str(target)}, stderr=subprocess.PIPE, text=True)
    if built.returncode:
        sys.exit(built.stderr)
    return target / re.search(r"(sim/deps/sim-\w+)\)", built.stderr).group(1)


def find(binary, name, seconds):
    """Returns what was found, and after how many seeds and seconds."""
    switches = {"SKYBRIDGE_SIM_STOP": "1", "SKYBRIDGE_SIM_SECONDS": str(seconds), "SKYBRIDGE_PLANTED": name}
    run = subprocess.run([binary, "seeds", "--nocapture"], env={**os.environ, **switches}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found = re.search(r"seed (\d+:\d+) fails: (.*)", run.stdout)
    done = re.search(r"(\d+) seeds from \d+ in ([\d.]+) s", run.stdout)
    return found and (found.group(1), found.group(2)), done.groups() if done else ("?", "?")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("names", nargs="*")
    arguments = arguments.parse_args()
    bugs = tomllib.loads((HERE / "bugs.toml").read_text())["bug"]
    files = planted(bugs)
    if arguments.check:
        print(f"{len(bugs)} bugs can be planted")
        return
    binary = build(files)
    missed = []
    for bug in bugs:
        if arguments.names and bug["name"] not in arguments.names:
            continue
        found, (seeds, seconds) = find(binary, bug["name"], arguments.seconds)
        if found is None:
            missed.append(bug["name"])
        print(f"| `{bug['name']}` | {seeds} | {seconds} | {found[1][:100] if found else 'not found'} |", flush=True)
    if missed:
        sys.exit(f"not found: {', '.join(missed)}")


main()
