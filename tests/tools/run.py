#!/usr/bin/env python3
"""Runs the README's examples, and some misuse, with grpcurl and Python against a real coordinator.

Usage: run.py PROGRAM, with grpcurl and what requirements.txt names installed. Each block of the README that stands behind a line
`<!-- tested: NAME -->` is run to the letter, but for the coordinator's address, which is a free port here.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/skybridge").resolve()
DEADLINE_SECONDS = 60
PASSWORD = "correct horse battery"


def readme_block(name):
    """Returns the block of the README with this name."""
    found = re.search(rf"<!-- tested: {name} -->\n+```\w+\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    if not found:
        raise AssertionError(f"the README has no block {name}")
    return found.group(1)


class Coordinator:
    """A coordinator on a free port, with a network, a site and an administrator who signed in."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.data = self.directory / "data"
        (self.directory / "bin").mkdir()
        (self.directory / "bin/skybridge").symlink_to(PROGRAM)
        path = f"{self.directory / 'bin'}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(directory), "SKYBRIDGE_CONFIG": str(self.directory / "credentials.toml")}
        self.process = subprocess.Popen(
            [PROGRAM, "coordinator", "--listen", "127.0.0.1:0", "--data", self.data],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.log = []
        listening = threading.Event()

        def read():
            for line in self.process.stdout:
                self.log.append(line)
                if "listening" in line:
                    listening.set()
            listening.set()

        threading.Thread(target=read, daemon=True).start()
        listening.wait(DEADLINE_SECONDS)
        found = re.search(r"address\S*?=\S*?127\.0\.0\.1:(\d+)", re.sub(r"\x1b\[\d*m", "", "".join(self.log)))
        if not found:
            self.stop()
            raise AssertionError("the coordinator does not listen:\n" + "".join(self.log))
        self.address = f"localhost:{found.group(1)}"
        (self.directory / "ca.pem").write_text((self.data / "tls/ca.pem").read_text())
        url = f"https://{self.address}"
        self.skybridge("admin", "network", "create", "acme", "--administrator", "ada@example.com", "--data", str(self.data),
                       "--coordinator", url, "--password-stdin", stdin=PASSWORD)
        self.skybridge("login", "ada@example.com", "--coordinator", url, "--authority", "ca.pem", "--password-stdin", stdin=PASSWORD)
        self.skybridge("admin", "site", "create", "acme/marketing")

    def skybridge(self, *arguments, stdin=""):
        return self.run([PROGRAM, *arguments], stdin)

    def run(self, command, stdin="", check=True, **more):
        done = subprocess.run(command, input=stdin, cwd=self.directory, env=self.environment | more, text=True, timeout=DEADLINE_SECONDS,
                              capture_output=True)
        if check and done.returncode != 0:
            raise AssertionError(f"{command} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def local(self, text):
        """Returns an example for this coordinator's port."""
        return text.replace("localhost:7443", self.address)

    def grpcurl(self, method, request=None, token=None, check=True):
        header = ["-H", f"authorization: Bearer {token}"] if token else []
        data = ["-d", json.dumps(request)] if request is not None else []
        return self.run(["grpcurl", "-cacert", "ca.pem", *header, *data, self.address, method], check=check)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE_SECONDS)
        finally:
            self.process.kill()


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.coordinator = Coordinator(cls.directory.name)
        script = cls.coordinator.local(readme_block("token")) + 'printf "%s" "$TOKEN"'
        cls.token = cls.coordinator.run(["bash", "-euo", "pipefail", "-c", script]).stdout.splitlines()[-1]

    @classmethod
    def tearDownClass(cls):
        stopped = cls.coordinator.stop()
        cls.directory.cleanup()
        assert stopped == 0, f"the coordinator ended with {stopped}:\n" + "".join(cls.coordinator.log)

    def test_grpcurl_examples_of_the_readme(self):
        script = self.coordinator.local(readme_block("grpcurl"))
        done = self.coordinator.run(["bash", "-euo", "pipefail", "-c", script], TOKEN=self.token)
        self.assertIn("skybridge.v1.LibraryService", done.stdout)
        self.assertIn('"path": "acme/marketing/Plans"', done.stdout)
        self.assertIn("SERVING", done.stdout)

    def test_python_example_of_the_readme(self):
        protos = sorted(str(path) for path in (ROOT / "proto").rglob("*.proto"))
        generate = self.coordinator.local(readme_block("python-generate")).replace("proto/skybridge/v1/*.proto", " ".join(protos))
        self.coordinator.run(["bash", "-euo", "pipefail", "-c", generate.replace("-I proto", f"-I {ROOT / 'proto'}")])
        example = self.coordinator.local(readme_block("python"))
        done = self.coordinator.run([sys.executable, "-"], stdin=example, TOKEN=self.token)
        self.assertIn("acme/marketing/report.txt", done.stdout)
        self.assertIn("All is well.", done.stdout)

    def test_reflection_and_health_need_no_token(self):
        self.assertIn("skybridge.v1.SyncService", self.coordinator.grpcurl("list").stdout.split())
        described = self.coordinator.grpcurl("describe").stdout
        self.assertIn("rpc Synchronize", described)
        from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
        import grpc

        credentials = grpc.ssl_channel_credentials((Path(self.directory.name) / "ca.pem").read_bytes())
        with grpc.secure_channel(self.coordinator.address, credentials) as channel:
            services = ProtoReflectionDescriptorDatabase(channel).get_services()
        self.assertIn("skybridge.v1.LibraryService", services)

    def test_bash_loads_the_completion_and_completes_a_subcommand(self):
        (Path(self.directory.name) / "completion.bash").write_text(self.coordinator.skybridge("completion", "bash").stdout)
        script = "source completion.bash; COMP_WORDS=(skybridge cloud tra); COMP_CWORD=2; _skybridge skybridge tra cloud; echo ${COMPREPLY[@]}"
        self.assertEqual(self.coordinator.run(["bash", "--norc", "-euo", "pipefail", "-c", script]).stdout, "trash\n")

    def test_malformed_requests_are_refused_with_their_field(self):
        library = "skybridge.v1.LibraryService"
        cases = [
            (f"{library}/GetNode", {}, "InvalidArgument"),
            (f"{library}/GetNode", {"node": {"id": {"network": "acme", "node_id": "junk"}}}, "InvalidArgument"),
            (f"{library}/GetNode", {"node": {"path": "acme/marketing/no such thing"}}, "NotFound"),
            (f"{library}/GetNode", {"node": {"path": "other/site"}}, "NotFound"),
            (f"{library}/ListNodes", {"parent": {"path": "acme/marketing"}, "page_token": "junk"}, "InvalidArgument"),
            (f"{library}/CreateFolder", {"parent": {"path": "acme/marketing"}, "name": "a/b"}, "InvalidArgument"),
            (f"{library}/WriteDocument", {"data": "AAAA"}, "InvalidArgument"),
            ("skybridge.v1.SyncSetService/GetSyncSet", {"set_id": "junk"}, "InvalidArgument"),
        ]
        for method, request, code in cases:
            with self.subTest(method=method, request=request):
                done = self.coordinator.grpcurl(method, request, self.token, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(f"Code: {code}", done.stderr)
                self.assertIn("google.rpc.ErrorInfo", done.stderr)

    def test_strangers_get_nothing(self):
        listing = ("skybridge.v1.LibraryService/ListNodes", {"parent": {"path": "acme/marketing"}})
        for token in [None, "junk", self.token + "x"]:
            done = self.coordinator.grpcurl(*listing, token, check=False)
            self.assertIn("Code: Unauthenticated", done.stderr)
        wrong = {"email": "ada@example.com", "password": "wrong password"}
        done = self.coordinator.grpcurl("skybridge.v1.AccountService/SignIn", wrong, check=False)
        self.assertIn("Code: Unauthenticated", done.stderr)
        # The token's scope is the library: it administers nothing, whatever its account may do.
        done = self.coordinator.grpcurl("skybridge.v1.AgentService/ListAgents", {"network": "acme"}, self.token, check=False)
        self.assertIn("Code: PermissionDenied", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
