"""What must hold once both sides are at rest: equal trees, nothing lost, nothing back, nothing torn."""

import json
from pathlib import Path

from system import SITE, TARGET, tree_of

ATTIC = f"{SITE}/Attic"


def lies_in(path, tops):
    """Whether a path, or a folder above it, is among others."""
    return any(path == top or path.startswith(f"{top}/") for top in tops)


class Check:
    """Looks at one system after each round; what it found of versions is remembered."""

    def __init__(self, system, ledger, source, cloud, deletes_source):
        self.system, self.ledger, self.source, self.cloud = system, ledger, source, cloud
        self.deletes_source, self.versions_seen, self.restored = deletes_source, set(), 0
        self.system.done("cloud", "mkdir", ATTIC)

    def round(self):
        """Compares and searches; returns what is wrong."""
        here, there = tree_of(self.system.folder), self.system.download()
        nodes = self.system.json("cloud", "tree", TARGET)["nodes"]
        self.failures = []
        troubled = self.troubled()
        self.compare(here, there, troubled, nodes)
        live = self.live(here, there)
        self.check_gone(live)
        self.search(live, nodes, here)
        self.take_up(here, there)
        self.heal(troubled)
        return self.failures

    def troubled(self):
        """Returns the members whose state says why the sides may differ."""
        members = self.system.json("sync", "errors")["members"]
        return members + self.system.json("sync", "members", "Documents", "--state", "pending")["members"]

    def compare(self, here, there, troubled, nodes):
        paths = {member["path"].removeprefix(f"{self.system.folder}/") for member in troubled}
        troubled_ids = {member["node_id"] for member in troubled}
        paths |= {node["path"].removeprefix(f"{TARGET}/") for node in nodes if node["node_id"] in troubled_ids}
        self.explained = paths
        for path in sorted(here.keys() | there.keys()):
            if here.get(path, False) != there.get(path, False) and not lies_in(path, paths):
                self.failures.append(f"DIFFERENT: {path}: {self.shown(here, path)} here, {self.shown(there, path)} in the cloud")

    def shown(self, tree, path):
        if path not in tree:
            return "nothing"
        content = tree[path] and self.ledger.of(tree[path])
        return "a folder" if tree[path] is None else content.name if content else f"{len(tree[path])} bytes"

    def live(self, here, there):
        """Returns where each content is now, on both sides."""
        live = {}
        for side, tree in (("source", here), ("cloud", there)):
            for path, data in tree.items():
                if data is None:
                    continue
                content = self.ledger.of(data)
                if content is None:
                    self.failures.append(f"TORN: {path} on the side {side}: {len(data)} bytes that nobody wrote")
                    continue
                live.setdefault(content, {"source": [], "cloud": []})[side].append(path)
        for content, places in live.items():
            for side, paths in places.items():
                if len(paths) > 1:
                    self.failures.append(f"TWICE: {content.name} is on the side {side} at {paths}")
        return live

    def check_gone(self, live):
        """What a person replaced or deleted on one side, and nobody touched on the other, is on neither."""
        touched = {"source": self.cloud.touched, "cloud": self.source.touched}
        for content, places in live.items():
            if content.gone_at is None or (content.gone_at == "cloud" and not self.deletes_source):
                continue
            # It goes once what it waits for is settled.
            if any(lies_in(path, self.explained) for path in [*places["source"], *places["cloud"]]):
                continue
            was = [content.seen_at] if content.seen_at else [str(path.relative_to(self.system.folder)) for path in content.paths]
            if was and not any(lies_in(path, touched[content.gone_at]) for path in was):
                self.failures.append(f"BACK: {content.name} was replaced or deleted on the side {content.gone_at}: {places}")

    def search(self, live, nodes, here):
        """Looks for what is required and is nowhere current: in histories, in the trash, among the versions kept at the source."""
        for node in nodes:
            self.look_into(node)
        for trashed in self.system.json("cloud", "trash", SITE)["nodes"]:
            self.restored += 1
            place = f"{ATTIC}/{self.restored}"
            self.system.done("cloud", "trash", SITE, "--restore", trashed["node"]["node_id"], "--to", ATTIC, "--name", f"{self.restored}")
            self.look_into({**trashed["node"], "path": place})
            if trashed["node"]["kind"] == "NODE_KIND_FOLDER":
                for node in self.system.json("cloud", "tree", place)["nodes"]:
                    self.look_into(node)
        missing = [content for content in self.ledger.contents.values() if content.required and content not in live and not content.kept]
        if missing:
            self.look_at_source(missing, here)
        for content in missing:
            if not content.kept:
                self.failures.append(f"LOST: {content.name}, {content.size} bytes, last seen at {content.seen_at}, {content.paths}")

    def look_into(self, node):
        """Takes up the versions of a document in the cloud that were not seen before, and reads each."""
        seen = (node["node_id"], node["version"])
        if node["version"] == 0 or seen in self.versions_seen:
            return
        self.versions_seen.add(seen)
        for version in self.system.json("cloud", "versions", node["path"])["versions"]:
            content = self.ledger.contents.get(int(version["content"]["size_bytes"]))
            if content is None or content.kept:
                continue
            data = self.system.run("cloud", "cat", node["path"], "--version", str(version["version"]), text=False).stdout
            if self.ledger.of(data) is content:
                content.kept = "in the cloud"

    def look_at_source(self, missing, here):
        """Asks for all that was kept beneath the folder, and then at each document that there is: there the versions of what is there are
        listed, wherever it was."""
        current = [self.system.folder / path for path, data in here.items() if data is not None]
        for path in [self.system.folder, *current]:
            if all(content.kept for content in missing):
                return
            listed = self.system.run("--output", "json", "versions", path)
            if listed.returncode == 0:
                self.take_versions(missing, listed.stdout)

    def take_versions(self, missing, listed):
        for version in json.loads(listed)["versions"]:
            for content in missing:
                if content.size == version["size_bytes"]:
                    content.kept = (version["path"], str(version["version"]))

    def take_up(self, here, there):
        """What was seen now is what people go on from."""
        for content in self.ledger.contents.values():
            content.gone_at = content.seen_at = None
        for path, data in there.items():
            if content := data and self.ledger.of(data):
                content.in_cloud, content.required, content.seen_at = True, True, path
        for path, data in here.items():
            if content := data and self.ledger.of(data):
                content.paths.add(self.system.folder / path)
        self.source.touched.clear()
        self.cloud.touched.clear()
        self.cloud.look({path: None if data is None else len(data) for path, data in there.items()})

    def heal(self, troubled):
        """Does what the remedies say, so that the next round begins in step."""
        for member in troubled:
            path = Path(member["path"])
            if member["reason"] == "REASON_NAME_CLASH" and path.exists():
                self.source.rename_to_fresh(path)
        if troubled:
            self.system.done("sync", "request", "Documents")

    def versions_at_source(self):
        """Puts back each version that only the agent has, and expects its bytes; returns what is wrong, and how many there were."""
        failures, count = [], 0
        for content in [content for content in self.ledger.contents.values() if isinstance(content.kept, tuple)]:
            # Its document may have moved since it was found.
            content.kept, here = None, dict.fromkeys(tree_of(self.system.folder), b"")
            self.look_at_source([content], here)
            if content.kept is None:
                failures.append(f"LOST: {content.name} was among the agent's versions")
                continue
            path, version = content.kept
            count += 1
            restored = self.system.json("restore", path, "--version", version)["path"]
            if self.ledger.of(Path(restored).read_bytes()) is not content:
                failures.append(f"WRONG: version {version} of {path} is not {content.name}")
        return failures, count
