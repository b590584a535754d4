#!/usr/bin/env python3
"""Kills coordinator and agent at random under load, and sees that nothing is lost.

Usage: python3 tests/tools/kills target/release/skybridge --kills 100 [--points]

In each round two people work, one in the folder and one in the cloud, while either process is killed (SIGKILL) and started again, one to
three times. Then both sides come to rest, the trees are compared byte for byte, and every content that must be there is looked for. Ends
with 1 at the first failure, and leaves everything where it says. Needs Python 3 and Linux, and nothing else; with --points, also strace:
then most of the processes are killed at a point, which is a system call that changes or tells something, the first or a later one.
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from check import Check
from people import AtSource, InCloud, Ledger
from system import Failed, System

# A system is used for so many rounds, then a new one begins: what is kept only grows.
ROUNDS = 30
# How long a process lives at the most until it is killed, and stays away.
ALIVE_SECONDS, AWAY_SECONDS = 1.2, 0.6
# Where a process can be killed: as it is about to do one of these.
POINTS = {
    "agent": ["fchmod", "fdatasync", "fsetxattr", "fsync", "linkat", "mkdirat", "openat2", "pwrite64", "renameat2", "syncfs", "unlinkat",
              "write", "writev"],
    "coordinator": ["fdatasync", "fsync", "ftruncate", "pwrite64", "write", "writev"],
}
# The how manieth time in one of its threads, at the most.
TIMES_MAX = 20
# How long the person at the source thinks between two actions at the most. In the cloud a command takes long enough.
PAUSE_SECONDS = 0.03


class World:
    """A system with its people, from its beginning to its end."""

    def __init__(self, program, home, seed, points):
        self.random, self.points = random.Random(seed), points
        deletes_source = self.random.random() < 0.7
        self.system = System(program, home, ["--delete-source"] if deletes_source else [])
        self.ledger = Ledger(seed)
        self.people = AtSource(self.system, self.ledger, seed + 1), InCloud(self.system, self.ledger, seed + 2)
        self.check = Check(self.system, self.ledger, *self.people, deletes_source)
        for _ in range(100):
            self.people[0].act()
        self.look()

    def look(self):
        self.system.settle()
        if failures := self.check.round():
            raise Failed("\n".join(failures))

    def round(self):
        stop, broken = threading.Event(), []

        def work(person, pause):
            try:
                while not stop.wait(self.random.uniform(0, pause)):
                    person.act()
            except Exception as error:
                broken.append(error)

        threads = [threading.Thread(target=work, args=who) for who in zip(self.people, (PAUSE_SECONDS, 0.0))]
        for thread in threads:
            thread.start()
        try:
            self.kill()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if broken:
            raise broken[0]
        self.look()

    def kill(self):
        for _ in range(self.random.randint(1, 3)):
            time.sleep(self.random.uniform(0.02, ALIVE_SECONDS))
            roles = self.random.choices([["agent"], ["coordinator"], ["agent", "coordinator"]], [9, 9, 2])[0]
            for role in roles:
                self.system.kill(role)
            time.sleep(self.random.uniform(0, AWAY_SECONDS))
            for role in roles:
                self.system.start(role, self.point(role))
        for role in [role for role, point in self.system.points.items() if point]:
            self.system.kill(role)
            self.system.start(role)

    def point(self, role):
        if not self.points or self.random.random() < 0.2:
            return None
        # As often one of the first times as one of the later.
        return self.random.choice(POINTS[role]), int(TIMES_MAX ** self.random.random())

    def end(self):
        """The last look: what only the agent keeps is put back."""
        failures, count = self.check.versions_at_source()
        for role in ("coordinator", "agent"):
            if "panicked" in (self.system.home / f"{role}.log").read_text():
                failures.append(f"the {role} panicked: see its log")
        if failures:
            raise Failed("\n".join(failures))
        return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--kills", type=int, default=100, help="of both together")
    parser.add_argument("--points", action="store_true", help="kill most of them at a point")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no round later than this")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    begun, total, rounds, contents, restored, number = time.monotonic(), {"agent": 0, "coordinator": 0}, 0, 0, 0, 0
    ends_at = Counter()
    going_on = lambda more: sum(total.values()) + more < arguments.kills and time.monotonic() - begun < arguments.seconds
    while going_on(0):
        home = Path(tempfile.mkdtemp(prefix="skybridge-kills-"))
        seed, number, world = arguments.seed + 1_000 * number, number + 1, None
        try:
            world = World(arguments.program.resolve(), home, seed, arguments.points)
            for _ in range(ROUNDS):
                if not going_on(sum(world.system.kills.values())):
                    break
                world.round()
                rounds += 1
            restored += world.end()
        except Failed as failure:
            print(f"FAILED with seed {seed}, see {home}:\n{failure}", flush=True)
            return 1
        finally:
            if world:
                world.system.stop()
                total = {role: total[role] + kills for role, kills in world.system.kills.items()}
                contents += world.ledger.count
                ends_at += world.system.ends_at
        shutil.rmtree(home)
        print(f"{total['agent']} kills of the agent, {total['coordinator']} of the coordinator, {rounds} rounds, {contents} contents, "
              f"{restored} of them found only among the agent's versions, in {time.monotonic() - begun:.0f} s: nothing lost", flush=True)
        if arguments.points:
            print(", ".join(f"{times} at {point}" for point, times in ends_at.most_common()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
