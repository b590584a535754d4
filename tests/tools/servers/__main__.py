#!/usr/bin/env python3
"""Writes through Samba, vsftpd and Apache's WebDAV into a synced folder, and sees that the cloud has what each of them made of it.

Usage: python3 tests/tools/servers target/release/skybridge [--all] [PATTERN]

Each server has a pair of its own, and all work at one time. A server that is not installed is skipped, or with --all a failure. Needs
Python 3 and Linux, and nothing else; Samba runs as root only.
"""

import argparse
import io
import signal
import sys
import threading
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "kills")]

from cases import CASES, Case


def work(tests, stream, results):
    results.append(unittest.TextTestRunner(stream, verbosity=2).run(tests))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("pattern", nargs="?", default="*", help="only tests whose names it fits")
    parser.add_argument("--all", action="store_true", help="all servers must be installed")
    arguments = parser.parse_args()
    Case.program = arguments.program.resolve()
    loader = unittest.TestLoader()
    loader.testMethodPrefix, loader.testNamePatterns = "s_b02_", [f"*{arguments.pattern}*"]
    # Whoever ends this ends the servers too, which have sessions of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results, streams = [], [io.StringIO() for _ in CASES]
    work_of = lambda case, stream: threading.Thread(target=work, args=(loader.loadTestsFromTestCase(case), stream, results), daemon=True)
    threads = [work_of(*each) for each in zip(CASES, streams)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for case, stream in zip(CASES, streams):
            case.stop()
            print(stream.getvalue(), flush=True)
    if arguments.all and any(result.skipped for result in results):
        print("not all servers are installed")
        return 1
    # A thread that broke has no result.
    return 0 if len(results) == len(CASES) and all(result.wasSuccessful() for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
