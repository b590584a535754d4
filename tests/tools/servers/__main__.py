#!/usr/bin/env python3
"""Writes through Samba, vsftpd and Apache's WebDAV into a synced folder, and sees that the cloud has what each of them made of it.

Usage: python3 tests/tools/servers target/release/skybridge [--all] [PATTERN]

A server that is not installed is skipped, or with --all a failure. Needs Python 3, Linux and nothing else; Samba only runs as root.
"""

import argparse
import signal
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "kills")]

import cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("pattern", nargs="?", default="*", help="only tests whose names it fits")
    parser.add_argument("--all", action="store_true", help="all servers must be installed")
    arguments = parser.parse_args()
    # Whoever ends this ends its servers too, which have sessions of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cases.World.program = arguments.program.resolve()
    loader = unittest.TestLoader()
    loader.testMethodPrefix, loader.testNamePatterns = "s_b02_", [f"*{arguments.pattern}*"]
    tests = loader.loadTestsFromModule(cases)
    try:
        result = unittest.TextTestRunner(verbosity=2).run(tests)
    finally:
        cases.World.end()
    if arguments.all and result.skipped:
        print("skipped, though --all was given")
        return 1
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
