#!/usr/bin/env python3
"""Fuzzes what reads bytes that somebody else made, each target for so long.

    fuzz.py [--seconds 60] [TARGET ...]

Needs `cargo install cargo-fuzz`, but no other compiler than the project's, which is told to be one of those that know coverage. Panics,
hangs and memory are looked for. `seeds/` holds what covered something new in earlier runs, made as little as it could be; what a run finds
beyond that is put into `corpus/`, which is not kept. What fails is put into `artifacts/`.

The first build takes a quarter of an hour on two cores. Half an hour of each target, all at one time on two busy cores, found nothing: 0.9
million images, 1.4 million manifests, 11.8 million messages, 7.4 million names, 3.3 million records.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
TARGETS = sorted(path.stem for path in (HERE / "targets").glob("*.rs"))


def fuzz(target, seconds):
    corpus = HERE / "corpus" / target
    if not corpus.exists():
        with tarfile.open(HERE / "seeds" / f"{target}.tar.xz") as seeds:
            seeds.extractall(HERE / "corpus", filter="data")
    command = ["cargo", "fuzz", "run", "--fuzz-dir", HERE, "--sanitizer", "none", target, corpus, "--"]
    command += [f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-timeout=10", "-max_len=65536", "-print_final_stats=1"]
    return subprocess.run(command, cwd=HERE, env={**os.environ, "RUSTC_BOOTSTRAP": "1"}).returncode


def main():
    arguments = argparse.ArgumentParser(description="Fuzzes what reads bytes that somebody else made.")
    arguments.add_argument("--seconds", type=int, default=60, help="for each target, 60 unless it says otherwise")
    arguments.add_argument("targets", nargs="*", choices=[*TARGETS, []], default=TARGETS, metavar="TARGET", help=", ".join(TARGETS))
    arguments = arguments.parse_args()
    failed = [target for target in arguments.targets if fuzz(target, arguments.seconds)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


main()
