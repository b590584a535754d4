"""What clients do, through each server, and what must then be in the cloud."""

import random
import subprocess
import tempfile
import unittest
from pathlib import Path

from clients import Dav, Ftp, Smb
from servers import Apache, Samba, Vsftpd
from system import SITE, TARGET, Failed, System, tree_of

# Enough that a server writes a part of it before it has the whole.
LARGE_BYTES = 2 << 20
TREE_FOLDERS, TREE_DOCUMENTS = 5, 50


class Case(unittest.TestCase):
    """A pair, and one server over a folder inside of the synced one."""

    program = system = server = server_type = client_type = None
    # How files begin that the server makes for itself, closes and removes or renames: while they are there, they are documents like others.
    own_files = ()

    @classmethod
    def setUpClass(cls):
        if reason := cls.server_type.missing():
            raise unittest.SkipTest(reason)
        cls.random, cls.fetched = random.Random(cls.__name__), {}
        # What clients deleted, which alone may be in the trash.
        cls.trashed = set()
        home = tempfile.TemporaryDirectory(prefix="skybridge-servers-", ignore_cleanup_errors=True)
        cls.addClassCleanup(home.cleanup)
        # A server that runs as somebody else has to get through.
        Path(home.name).chmod(0o711)
        cls.addClassCleanup(cls.stop)
        cls.system = System(cls.program, home.name, ["--delete-source"])
        cls.folder, cls.target = cls.system.folder / "served", f"{TARGET}/served"
        cls.server = cls.server_type(cls.system.home / "server", cls.folder)
        cls.client = cls.client_type(cls.server)

    @classmethod
    def stop(cls):
        for running in (cls.server, cls.system):
            if running:
                running.stop()

    @classmethod
    def tearDownClass(cls):
        """Nothing more comes to light when everything is looked through, and no temporary name of a server stays in the cloud."""
        cls.system.settle()
        if tree_of(cls.system.folder) != cls.system.download():
            raise Failed("the cloud has something else than the folder")
        if troubled := cls.system.json("sync", "errors")["members"]:
            raise Failed(f"not in step: {troubled}")
        trashed = {trashed["node"]["name"] for trashed in cls.system.json("cloud", "trash", SITE)["nodes"]}
        if strange := {name for name in trashed - cls.trashed if not name.startswith(cls.own_files)}:
            raise Failed(f"in the trash, though no client deleted it: {strange}")
        for role in ("coordinator", "agent"):
            if "panicked" in (cls.system.home / f"{role}.log").read_text():
                raise Failed(f"the {role} panicked: {cls.system.log(role)}")

    def content(self, size):
        return self.random.randbytes(size)

    def put(self, path, size):
        """Uploads something new, and returns it once the cloud has it."""
        data = self.content(size)
        self.client.put(path, data)
        self.assertEqual((self.folder / path).read_bytes(), data)
        self.in_step()
        return data

    def delete(self, path):
        self.trashed.add(Path(path).name)
        self.client.delete(path)
        self.assertFalse((self.folder / path).exists())
        self.in_step()

    def delete_folder(self, path):
        self.trashed |= {path, *(below.name for below in (self.folder / path).rglob("*"))}
        self.client.delete_folder(path)
        self.assertFalse((self.folder / path).exists())
        self.in_step()

    def is_in_step(self):
        try:
            if self.system.run("status", "--wait").returncode != 0:
                self.difference = self.system.run("status").stdout
                return False
        except subprocess.TimeoutExpired:
            self.difference = "the agent is not at rest"
            return False
        here, there = tree_of(self.folder), self.in_cloud()
        self.difference = sorted(path for path in here.keys() | there.keys() if here.get(path, False) != there.get(path, False))
        return not self.difference

    def in_step(self):
        """Waits until the cloud has what the folder has, to the byte. Nobody asks the agent to look."""
        try:
            self.system.awaited("the cloud has what the folder has", self.is_in_step)
        except Failed as failure:
            self.fail(f"{failure}\nnot in step: {self.difference}")

    def listed(self):
        return {node["path"].removeprefix(f"{self.target}/"): node for node in self.system.json("cloud", "tree", self.target)["nodes"]}

    def nodes(self):
        return {path: node["node_id"] for path, node in self.listed().items()}

    def in_cloud(self):
        """Returns what the cloud has, as `tree_of` does; no version is fetched twice."""
        tree = {}
        for path, node in self.listed().items():
            version = node["node_id"], node["version"]
            if node["kind"] == "NODE_KIND_FOLDER":
                self.fetched[version] = None
            elif version not in self.fetched:
                self.fetched[version] = self.fetch(node["path"], node["version"])
            tree[path] = self.fetched[version]
        return tree

    def fetch(self, at, version):
        return self.system.run("cloud", "cat", at, "--version", str(version), text=False).stdout

    def sizes(self, path):
        """Returns the sizes of all versions in the cloud, the oldest first."""
        versions = self.system.json("cloud", "versions", f"{self.target}/{path}")["versions"]
        return [int(version["content"]["size_bytes"]) for version in sorted(versions, key=lambda version: int(version["version"]))]

    def cloud_put(self, path, size):
        data = self.content(size)
        source = self.system.home / Path(path).name
        source.write_bytes(data)
        self.system.done("cloud", "put", source, f"{self.target}/{path}")
        return data

    def marker(self, name):
        """Lets the agent see something that was made after all that was done before, so that what it passes over is passed over."""
        (self.folder / name).write_bytes(b"")
        self.system.awaited("the cloud has the marker", lambda: name in self.nodes())

    def marker_from_cloud(self, name):
        """The same for what was done in the cloud."""
        self.cloud_put(name, 0)
        self.system.awaited("the marker is here", (self.folder / name).exists)

    def is_kept(self, path, data):
        """Whether a document's content is in its history, in the cloud or at the source."""
        kept = self.system.json("versions", self.folder / path)["versions"]
        return data in self.contents(f"{self.target}/{path}") or len(data) in [int(version["size_bytes"]) for version in kept]

    def is_in_trash(self, data):
        """Whether a document that an editor left in the trash has had this content. Takes them out of the trash."""
        trashed = [trashed["node"] for trashed in self.system.json("cloud", "trash", SITE)["nodes"]]
        found = False
        for node in (node for node in trashed if node["name"].startswith(("letter.", "essay."))):
            self.system.done("cloud", "trash", SITE, "--restore", node["node_id"], "--to", SITE, "--name", node["node_id"])
            found |= data in self.contents(f"{SITE}/{node['node_id']}")
        return found

    def contents(self, at):
        """Returns the contents of all versions in the cloud."""
        versions = self.system.json("cloud", "versions", at)["versions"]
        return [self.fetch(at, version["version"]) for version in versions]


class Promises:
    """The tests that are the same for each server."""

    def s_b02_a_document_is_overwritten_renamed_moved_and_deleted(self):
        self.client.mkdir("drafts")
        sizes = [3_000, 200_000, 10, 70_000, 0, 1_000_000]
        for size in sizes:
            self.put("plan.txt", size)
        node = self.nodes()["plan.txt"]
        self.client.rename("plan.txt", "Plan für 2027.txt")
        self.in_step()
        self.client.rename("Plan für 2027.txt", "drafts/plan.txt")
        self.in_step()
        self.assertEqual(self.nodes()["drafts/plan.txt"], node)
        self.put("drafts/plan.txt", 5_000)
        self.assertEqual(self.nodes()["drafts/plan.txt"], node)
        self.assertEqual(self.sizes("drafts/plan.txt"), [*sizes, 5_000])
        self.delete("drafts/plan.txt")

    def s_b02_what_is_overwritten_again_and_again_is_one_document(self):
        sizes = [40_000 + size for size in range(12)]
        for size in sizes:
            self.client.put("minutes.txt", self.content(size))
        self.in_step()
        versions = self.sizes("minutes.txt")
        self.assertLessEqual(set(versions), set(sizes))
        self.assertEqual(versions[-1], sizes[-1])

    def s_b02_folders_are_made_renamed_moved_and_deleted(self):
        for folder in ("offers", "offers/open", "archive"):
            self.client.mkdir(folder)
        self.in_step()
        self.put("offers/open/one.txt", 100)
        nodes = self.nodes()
        self.client.rename("offers/open", "offers/closed")
        self.in_step()
        self.client.rename("offers/closed", "archive/closed")
        self.in_step()
        for before, after in (("offers/open", "archive/closed"), ("offers/open/one.txt", "archive/closed/one.txt"), ("offers", "offers")):
            self.assertEqual(self.nodes()[after], nodes[before])
        for folder in ("offers", "archive"):
            self.delete_folder(folder)

    def s_b02_a_tree_of_documents_arrives_is_replaced_and_deleted(self):
        with tempfile.TemporaryDirectory() as made:
            for number in range(TREE_DOCUMENTS):
                folder = Path(made, "tree", f"part {number % TREE_FOLDERS}")
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{number}.bin").write_bytes(self.content(number * 1_500))
            self.client.put_tree(made)
            self.assertEqual(tree_of(self.folder / "tree"), tree_of(Path(made, "tree")))
        self.in_step()
        nodes = self.nodes()
        self.client.rename("tree", "wood")
        for number in range(TREE_FOLDERS):
            self.client.rename(f"wood/part {number}", f"wood/side {number}")
            self.client.put(f"wood/side {number}/{number}.bin", self.content(20_000))
        self.in_step()
        moved = {path.replace("tree", "wood").replace("part", "side"): node for path, node in nodes.items() if path.startswith("tree")}
        self.assertEqual({path: node for path, node in self.nodes().items() if path.startswith("wood")}, moved)
        self.delete_folder("wood")

    def s_b02_an_editor_saves_over_the_document(self):
        old, new = self.put("letter.txt", 9_000), self.content(9_500)
        self.trashed |= {"letter.txt", "letter.tmp"}
        self.client.put("letter.tmp", new)
        self.client.replace("letter.tmp", "letter.txt")
        self.in_step()
        self.assertEqual((self.folder / "letter.txt").read_bytes(), new)
        # A temporary document that was synced before it took the place stays itself there, and what was there is in the trash.
        self.assertTrue(self.is_kept("letter.txt", old) or self.is_in_trash(old))

    def s_b02_an_editor_puts_the_document_aside_and_saves_another(self):
        old, new = self.put("essay.txt", 9_000), self.content(9_500)
        self.trashed |= {"essay.txt", "essay.bak", "essay.tmp"}
        self.client.put("essay.tmp", new)
        self.client.rename("essay.txt", "essay.bak")
        self.client.rename("essay.tmp", "essay.txt")
        self.client.delete("essay.bak")
        self.in_step()
        self.assertEqual((self.folder / "essay.txt").read_bytes(), new)
        # The agent that saw each step has another document now, and the former one in the trash.
        self.assertTrue(self.is_kept("essay.txt", old) or self.is_in_trash(old))

    def s_b02_what_the_cloud_wrote_is_read_and_written_back(self):
        self.client.mkdir("shared")
        self.in_step()
        first = self.cloud_put("shared/report.bin", 50_000)
        self.in_step()
        self.assertEqual(self.client.get("shared/report.bin"), first)
        second = self.put("shared/report.bin", 60_000)
        third = self.cloud_put("shared/report.bin", 20)
        self.in_step()
        self.assertEqual(self.client.get("shared/report.bin"), third)
        self.assertTrue(self.is_kept("shared/report.bin", first) and self.is_kept("shared/report.bin", second))
        at = f"{self.target}/shared"
        self.system.done("cloud", "mv", f"{at}/report.bin", f"{at}/final.bin")
        self.in_step()
        self.assertEqual(self.client.list("shared"), {"final.bin"})
        self.trashed.add("final.bin")
        self.system.done("cloud", "rm", f"{at}/final.bin")
        self.in_step()
        self.assertEqual(self.client.list("shared"), set())

    def s_b02_s_b23_no_part_of_an_upload_that_goes_on_is_in_the_cloud(self):
        data = self.content(LARGE_BYTES)
        sending = self.part_of("slow.bin", data)
        self.marker("while slow.bin is sent")
        self.assertNotIn("slow.bin", self.nodes())
        sending.send(data[LARGE_BYTES // 2 :])
        sending.finish()
        self.in_step()
        self.assertTrue((self.folder / "slow.bin").read_bytes() == data)
        self.assertEqual(self.sizes("slow.bin"), [LARGE_BYTES])

    def s_b02_an_upload_that_is_cut_off_is_made_good(self):
        old, data = self.put("cut.bin", 30_000), self.content(LARGE_BYTES)
        sending = self.part_of("cut.bin", data)
        self.marker("while cut.bin is sent")
        self.assertEqual(self.sizes("cut.bin"), [len(old)])
        sending.cut()
        self.in_step()
        # What the server leaves is the document until somebody makes it good: nobody writes to it any more.
        left = (self.folder / "cut.bin").read_bytes()
        self.assertTrue(left == old or data.startswith(left))
        sizes = self.sizes("cut.bin")
        self.assertEqual(sizes, [len(old)] if left == old else [len(old), len(left)])
        self.client.go_on("cut.bin", data, left)
        self.in_step()
        self.assertTrue((self.folder / "cut.bin").read_bytes() == data)
        self.assertEqual(self.sizes("cut.bin"), [*sizes, LARGE_BYTES])

    def s_b02_what_the_cloud_writes_during_an_upload_and_what_is_uploaded_are_kept(self):
        self.put("both.bin", 30_000)
        data = self.content(LARGE_BYTES)
        sending = self.part_of("both.bin", data)
        there = self.cloud_put("both.bin", 40_000)
        self.marker_from_cloud("while both.bin is sent")
        sending.send(data[LARGE_BYTES // 2 :])
        sending.finish()
        self.in_step()
        self.assertIn((self.folder / "both.bin").read_bytes(), (there, data))
        self.assertTrue(self.is_kept("both.bin", there) and self.is_kept("both.bin", data))

    def s_b02_a_download_that_goes_on_while_the_cloud_writes_is_of_one_version(self):
        old = self.put("read.bin", 3 * LARGE_BYTES)
        reading = self.client.reading("read.bin")
        self.addCleanup(reading.close)
        begun = reading.read(1_000)
        new = self.cloud_put("read.bin", 50_000)
        self.in_step()
        self.assertEqual((self.folder / "read.bin").read_bytes(), new)
        self.assertTrue(begun + reading.read() == old)

    def part_of(self, path, data):
        """Begins an upload, and waits until the server wrote a part of it, under whatever name."""
        sending = self.client.sending(path)
        self.addCleanup(sending.abandon)
        before = {path: path.stat().st_size for path in self.folder.iterdir()}
        sending.send(data[: LARGE_BYTES // 2])
        grown = lambda: any(before.get(path, 0) != path.stat().st_size >= LARGE_BYTES // 4 for path in self.folder.iterdir())
        self.system.awaited("the server wrote a part", grown)
        return sending


class WrittenBySmb(Promises, Case):
    server_type, client_type = Samba, Smb

    def s_b02_edge_f06_what_a_client_holds_open_is_replaced_once_it_is_closed(self):
        old = self.put("held.txt", 5_000)
        session = self.client.open_session("open held.txt")
        self.addCleanup(session.abandon)
        session.expects("for read/write fnum 1")
        there = self.cloud_put("held.txt", 6_000)
        self.marker_from_cloud("while held.txt is open")
        self.assertEqual((self.folder / "held.txt").read_bytes(), old)
        here = self.content(7_000)
        self.client.put("held.txt", here)
        self.marker("while held.txt is still open")
        self.assertEqual((self.folder / "held.txt").read_bytes(), here)
        session.send(b"close 1\n")
        session.finish()
        self.in_step()
        self.assertEqual(self.client.get("held.txt"), there)
        self.assertTrue(self.is_kept("held.txt", here))

    def s_b02_attributes_are_no_content_and_stay_when_the_cloud_writes(self):
        self.put("hidden.txt", 5_000)
        self.client.session("setmode hidden.txt +h")
        self.marker("after hidden.txt is hidden")
        self.assertEqual(self.sizes("hidden.txt"), [5_000])
        self.cloud_put("hidden.txt", 6_000)
        self.in_step()
        self.assertRegex(self.client.session("allinfo hidden.txt"), b"attributes: .*H")


class WrittenByFtp(Promises, Case):
    server_type, client_type = Vsftpd, Ftp


class WrittenByDav(Promises, Case):
    server_type, client_type = Apache, Dav
    own_files = (".davfs.tmp", ".locknull")

    def s_b02_a_client_locks_writes_and_unlocks(self):
        token = self.client.lock("locked.txt")
        self.client.put("locked.txt", self.content(5_000), f"If: (<{token}>)")
        self.in_step()
        there = self.cloud_put("locked.txt", 6_000)
        self.in_step()
        self.assertEqual(self.client.get("locked.txt"), there)
        self.client.put("locked.txt", self.content(7_000), f"If: (<{token}>)")
        self.in_step()
        self.client.method("UNLOCK", "locked.txt", f"Lock-Token: <{token}>")
        self.put("locked.txt", 8_000)
        self.assertEqual(self.sizes("locked.txt"), [5_000, 6_000, 7_000, 8_000])

    def s_b02_what_is_copied_is_another_document(self):
        self.put("form.txt", 5_000)
        self.client.method("COPY", "form.txt", f"Destination: {self.client.url('form of 2027.txt')}")
        self.in_step()
        nodes = self.nodes()
        self.assertNotEqual(nodes["form.txt"], nodes["form of 2027.txt"])
        self.put("form of 2027.txt", 6_000)
        self.assertEqual((self.sizes("form.txt"), self.sizes("form of 2027.txt")), ([5_000], [5_000, 6_000]))

    def s_b02_properties_of_the_server_are_no_content(self):
        self.put("titled.txt", 5_000)
        self.client.set_property("titled.txt", "colour", "green")
        self.in_step()
        self.client.rename("titled.txt", "named.txt")
        self.in_step()
        self.assertEqual(self.sizes("named.txt"), [5_000])


CASES = WrittenBySmb, WrittenByFtp, WrittenByDav
