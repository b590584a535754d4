"""What people do on both sides while processes are killed, and what they may expect to find again.

A content is known by its length, which no other content has, and by its first line. It is required to be found, at either side, as a
version or in a trash:

- written at the source: from then on; no longer once the person at the source wrote over it or deleted it, unless it was seen in the
  cloud before;
- written in the cloud: once the coordinator has acknowledged it, for ever.

What a person replaces or deletes is taken from what came out of the folder, never from what was read before: the agent may have put
something else there meanwhile.
"""

import ctypes
import json
import os
import random
import shutil
import threading
from pathlib import Path

from system import TARGET

# About how many there are at one time.
DOCUMENTS = 200
SMALL_BYTES = 60_000
LARGE_BYTES = (4_000_000, 24_000_000)
RENAME_EXCHANGE = 2
AT_FDCWD = -100
LIBC = ctypes.CDLL(None, use_errno=True)


def exchange(a, b):
    """Swaps two files at one moment."""
    if LIBC.renameat2(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(a))


class Content:
    def __init__(self, name, size):
        self.name, self.size = name, size
        self.required = False
        # It was seen in the cloud, which keeps what it had.
        self.in_cloud = False
        # Where it was at the source.
        self.paths = set()
        # Where it was when both sides were compared last, below the folder.
        self.seen_at = None
        # The side where a person replaced or deleted it since.
        self.gone_at = None
        # How to get at the version that holds it, once one was found.
        self.kept = None


class Ledger:
    def __init__(self, seed):
        self.random, self.contents, self.count, self.lock = random.Random(seed), {}, 0, threading.Lock()

    def compose(self, large):
        """Makes up a content that nobody wrote before."""
        with self.lock:
            return self.composed(large)

    def composed(self, large):
        self.count += 1
        size = self.random.randint(*LARGE_BYTES) if large else int(64 + SMALL_BYTES * self.random.random() ** 3)
        while size in self.contents:
            size += 1
        content = Content(f"content {self.count}", size)
        self.contents[size] = content
        line = f"{content.name}\n".encode()
        return content, line + self.random.randbytes(size - len(line))

    def of(self, data):
        """Returns the content that these bytes are; None if they are no whole one."""
        content = self.contents.get(len(data))
        return content if content and data.startswith(f"{content.name}\n".encode()) else None

    def gone_at_source(self, data):
        """A person at the source replaced or deleted this."""
        if content := self.of(data):
            content.required, content.gone_at = content.in_cloud, "source"

    def gone_in_cloud(self, size):
        """A person in the cloud replaced or deleted this."""
        if content := self.contents.get(size):
            content.gone_at = "cloud"


class AtSource:
    """Somebody who works in the folder with ordinary tools."""

    def __init__(self, system, ledger, seed):
        self.system, self.ledger, self.random, self.count = system, ledger, random.Random(seed), 0
        self.touched = set()

    def fresh(self, kind):
        self.count += 1
        return f"{kind}-s{self.count}"

    def outside(self):
        self.count += 1
        return self.system.outside / f"{self.count}"

    def folders(self):
        return [Path(at) for at, _, _ in os.walk(self.system.folder)]

    def documents(self):
        return [Path(at, name) for at, _, names in os.walk(self.system.folder) for name in names]

    def act(self):
        """Does one thing. What is no longer where it was is left alone."""
        creating = 30 if len(self.documents()) < DOCUMENTS else 3
        steps = [(self.create, creating), (self.save, 18), (self.edit, 14), (self.rename, 12), (self.delete, 10), (self.make_folder, 4),
                 (self.move_folder, 4), (self.delete_folder, 1), (self.create_large, 1)]
        step = self.random.choices([step for step, _ in steps], [weight for _, weight in steps])[0]
        try:
            step()
        except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, IndexError) as error:
            self.system.note(f"source: {step.__name__}: {error}")

    def touch(self, *paths, content=None):
        paths = [str(path.relative_to(self.system.folder)) for path in paths]
        self.touched.update(paths)
        self.system.note(f"source: {' to '.join(paths)}{f': {content.name}, {content.size} bytes' if content else ''}")

    def create_large(self):
        self.create(large=True)

    def create(self, large=False):
        path = self.random.choice(self.folders()) / self.fresh("large" if large else "doc")
        content, data = self.ledger.compose(large)
        self.touch(path, content=content)
        content.paths.add(path)
        with open(path, "xb") as file:
            content.required = True
            file.write(data)

    def save(self):
        """As editors do: beside it, then over it."""
        path = self.random.choice(self.documents())
        content, data = self.ledger.compose(self.random.random() < 0.01)
        draft = self.outside()
        draft.write_bytes(data)
        content.paths.add(path)
        self.touch(path, content=content)
        content.required = True
        try:
            exchange(draft, path)
        except FileNotFoundError:
            content.required = False
            raise
        self.ledger.gone_at_source(draft.read_bytes())
        draft.unlink()

    def edit(self):
        """In place, as simple programs do."""
        path = self.random.choice(self.documents())
        content, data = self.ledger.compose(False)
        self.touch(path, content=content)
        with open(path, "r+b") as file:
            old = file.read()
            content.paths.add(path)
            file.seek(0)
            file.truncate()
            # Nothing is left of what was.
            self.ledger.gone_at_source(old)
            content.required = True
            file.write(data)

    def rename(self):
        path = self.random.choice(self.documents())
        to = self.random.choice([path.parent, self.random.choice(self.folders())]) / self.fresh("doc")
        self.touch(path, to)
        os.rename(path, to)

    def rename_to_fresh(self, path):
        """What a person does whose name is taken."""
        to = path.with_name(self.fresh("renamed"))
        self.touch(path, to)
        os.rename(path, to)

    def delete(self):
        path, bin = self.random.choice(self.documents()), self.outside()
        self.touch(path)
        os.rename(path, bin)
        self.ledger.gone_at_source(bin.read_bytes())
        bin.unlink()

    def make_folder(self):
        path = self.random.choice(self.folders()) / self.fresh("folder")
        self.touch(path)
        path.mkdir()

    def move_folder(self):
        folders = self.folders()[1:]
        if folders:
            path, into = self.random.choice(folders), self.random.choice(self.folders())
            if path not in (into, *into.parents):
                to = into / self.fresh("folder")
                self.touch(path, to)
                os.rename(path, to)

    def delete_folder(self):
        folders = self.folders()[1:]
        if folders:
            path, bin = self.random.choice(folders), self.outside()
            self.touch(path)
            os.rename(path, bin)
            for at, _, names in os.walk(bin):
                for name in names:
                    self.ledger.gone_at_source(Path(at, name).read_bytes())
            shutil.rmtree(bin)


class InCloud:
    """Somebody who works in the cloud with the command line. What a killed coordinator did not answer may be done or not."""

    def __init__(self, system, ledger, seed):
        self.system, self.ledger, self.random, self.count = system, ledger, random.Random(seed), 0
        self.documents, self.folders, self.touched = {}, [], set()

    def look(self, nodes):
        """Takes up what is there: paths with the lengths of documents, None for folders."""
        self.documents = {path: size for path, size in nodes.items() if size is not None}
        self.folders = ["", *(path for path, size in nodes.items() if size is None)]

    def act(self):
        creating = 30 if len(self.documents) < DOCUMENTS else 3
        steps = [(self.put, creating), (self.write, 30), (self.rename, 15), (self.remove, 8), (self.make_folder, 3), (self.move_folder, 2),
                 (self.remove_folder, 1), (self.put_large, 1)]
        self.random.choices([step for step, _ in steps], [weight for _, weight in steps])[0]()

    def fresh(self, kind):
        self.count += 1
        return f"{kind}-c{self.count}"

    def command(self, *arguments, touched):
        self.touched.update(touched)
        done = self.system.run("cloud", *arguments).returncode == 0
        self.system.note(f"cloud: {' '.join(map(str, arguments))}: {'done' if done else 'not answered'}")
        return done

    def inside(self, folder, name):
        return f"{folder}/{name}".lstrip("/")

    def upload(self, path, large=False):
        content, data = self.ledger.compose(large)
        file = self.system.outside / f"put-{content.size}"
        file.write_bytes(data)
        if self.command("put", file, f"{TARGET}/{path}", touched=[path]):
            content.required = content.in_cloud = True
            if path in self.documents:
                self.ledger.gone_in_cloud(self.replaced(path, content))
            self.documents[path] = content.size
        file.unlink()

    def replaced(self, path, content):
        """The size of what a content that was written to a path took the place of; None if it is a new document, because the agent had
        moved the other one away, or if it was moved itself since."""
        listed = self.system.run("--output", "json", "cloud", "versions", f"{TARGET}/{path}")
        if listed.returncode != 0:
            return None
        sizes = {version["version"]: int(version["content"]["size_bytes"]) for version in json.loads(listed.stdout)["versions"]}
        return next((sizes.get(version - 1) for version, size in sizes.items() if size == content.size), None)

    def put(self):
        self.upload(self.inside(self.random.choice(self.folders), self.fresh("doc")))

    def put_large(self):
        self.upload(self.inside(self.random.choice(self.folders), self.fresh("large")), large=True)

    def write(self):
        if self.documents:
            self.upload(self.random.choice(list(self.documents)))

    def rename(self):
        if self.documents:
            path = self.random.choice(list(self.documents))
            to = self.inside(self.random.choice(self.folders), self.fresh("doc"))
            if self.command("mv", f"{TARGET}/{path}", f"{TARGET}/{to}", touched=[path, to]):
                self.documents[to] = self.documents.pop(path)

    def remove(self):
        if self.documents:
            path = self.random.choice(list(self.documents))
            size = self.documents.pop(path)
            if self.command("rm", f"{TARGET}/{path}", touched=[path]):
                self.ledger.gone_in_cloud(size)

    def make_folder(self):
        path = self.inside(self.random.choice(self.folders), self.fresh("folder"))
        if self.command("mkdir", f"{TARGET}/{path}", touched=[path]):
            self.folders.append(path)

    def forget(self, folder):
        self.folders = [path for path in self.folders if not f"{path}/".startswith(f"{folder}/")]
        self.documents = {path: size for path, size in self.documents.items() if not path.startswith(f"{folder}/")}

    def move_folder(self):
        if len(self.folders) > 1:
            path, into = self.random.choice(self.folders[1:]), self.random.choice(self.folders)
            if not f"{into}/".startswith(f"{path}/"):
                to = self.inside(into, self.fresh("folder"))
                self.forget(path)
                if self.command("mv", f"{TARGET}/{path}", f"{TARGET}/{to}", touched=[path, to]):
                    self.folders.append(to)

    def remove_folder(self):
        if len(self.folders) > 1:
            path = self.random.choice(self.folders[1:])
            self.forget(path)
            self.command("rm", "-r", f"{TARGET}/{path}", touched=[path])
