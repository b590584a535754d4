"""What people reach the servers with. All have the same methods; paths are relative to the server's folder."""

import ftplib
import io
import re
import socket
import struct
import subprocess
from pathlib import Path
from urllib.parse import quote

COMMAND_SECONDS = 60


def run(command, data=b""):
    done = subprocess.run(command, input=data, capture_output=True, timeout=COMMAND_SECONDS)
    # smbclient ends well when a command before the last one failed.
    if done.returncode != 0 or b"NT_STATUS" in done.stdout:
        raise AssertionError(f"{command} failed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr.decode()}")
    return done.stdout


class Sending:
    """An upload by a program that reads its standard input."""

    def __init__(self, command):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def finish(self):
        output, _ = self.process.communicate(timeout=COMMAND_SECONDS)
        if self.process.returncode != 0:
            raise AssertionError(f"{self.command} failed with {self.process.returncode}:\n{output.decode()}")

    def cut(self):
        self.process.kill()
        self.process.communicate()

    # Kills it if it still runs.
    abandon = cut


class Session(Sending):
    """A program that takes commands."""

    def expects(self, text):
        """Waits until it says this; its output until then is gone."""
        said = b""
        while text.encode() not in said:
            byte = self.process.stdout.read(1)
            if not byte:
                raise AssertionError(f"{self.command} said {said}")
            said += byte


class Reading:
    """A download by a program that writes to its standard output."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def read(self, length=-1):
        return self.process.stdout.read(length)

    def close(self):
        self.process.stdout.close()
        self.process.wait(COMMAND_SECONDS)


class Smb:
    """smbclient: one call is one session."""

    def __init__(self, server):
        config = f"--configfile={server.home / 'config'}"
        self.command = ["smbclient", config, "//127.0.0.1/documents", f"--port={server.port}", "--no-pass"]

    def session(self, *commands, data=b""):
        return run([*self.command, "--command", "; ".join(commands)], data)

    def put(self, path, data):
        self.session(f'put - "{path}"', data=data)

    def get(self, path):
        return self.session(f'get "{path}" -')

    def go_on(self, path, data, left):
        """From its beginning: `reput` of some versions writes what is missing to the wrong place."""
        self.put(path, data)

    def open_session(self, command):
        """A session that goes on after a command."""
        session = Session(["stdbuf", "--output=L", *self.command])
        session.send(f"{command}\n".encode())
        return session

    def sending(self, path):
        return Sending([*self.command, "--command", f'put - "{path}"'])

    def reading(self, path):
        return Reading([*self.command, "--command", f'get "{path}" -'])

    def rename(self, path, to):
        self.session(f'rename "{path}" "{to}"')

    def replace(self, path, to):
        self.session(f'rename "{path}" "{to}" -f')

    def mkdir(self, path):
        self.session(f'mkdir "{path}"')

    def delete(self, path):
        self.session(f'rm "{path}"')

    def delete_folder(self, path):
        self.session(f'deltree "{path}"')

    def list(self, path):
        listed = self.session(f'cd "{path}"', "ls").decode().splitlines()
        return {line[2:].split("  ")[0] for line in listed if line.startswith("  ")} - {".", ".."}

    def put_tree(self, folder):
        self.session(f'lcd "{folder}"', "recurse on", "prompt off", "mput *")


class Ftp:
    """Python's, with a connection for each call."""

    def __init__(self, server):
        self.port = server.port

    def connection(self):
        ftp = ftplib.FTP(timeout=COMMAND_SECONDS)
        ftp.connect("127.0.0.1", self.port)
        ftp.login()
        return ftp

    def put(self, path, data, rest=None):
        with self.connection() as ftp:
            ftp.storbinary(f"STOR {path}", io.BytesIO(data), rest=rest)

    def go_on(self, path, data, left):
        self.put(path, data[len(left) :], rest=len(left))

    def get(self, path):
        got = io.BytesIO()
        with self.connection() as ftp:
            ftp.retrbinary(f"RETR {path}", got.write)
        return got.getvalue()

    def sending(self, path):
        return FtpTransfer(self.connection(), f"STOR {path}")

    def reading(self, path):
        return FtpTransfer(self.connection(), f"RETR {path}")

    def rename(self, path, to):
        with self.connection() as ftp:
            ftp.rename(path, to)

    replace = rename

    def mkdir(self, path):
        with self.connection() as ftp:
            ftp.mkd(path)

    def delete(self, path):
        with self.connection() as ftp:
            ftp.delete(path)

    def delete_folder(self, path):
        with self.connection() as ftp:
            self.delete_below(ftp, path)

    def delete_below(self, ftp, path):
        for name in self.list(path):
            try:
                ftp.delete(f"{path}/{name}")
            except ftplib.error_perm:
                self.delete_below(ftp, f"{path}/{name}")
        ftp.rmd(path)

    def list(self, path):
        with self.connection() as ftp:
            return {name.rpartition("/")[2] for name in ftp.nlst(path)}

    def put_tree(self, folder):
        with self.connection() as ftp:
            for path in sorted(Path(folder).rglob("*")):
                name = path.relative_to(folder)
                if path.is_dir():
                    ftp.mkd(str(name))
                else:
                    ftp.storbinary(f"STOR {name}", io.BytesIO(path.read_bytes()))


class FtpTransfer:
    """A data connection, and the connection that it belongs to."""

    def __init__(self, ftp, command):
        self.ftp, self.data = ftp, ftp.transfercmd(command)
        self.file = self.data.makefile("rb")

    def send(self, data):
        self.data.sendall(data)

    def read(self, length=-1):
        return self.file.read(length)

    def finish(self):
        self.end()
        self.ftp.voidresp()
        self.ftp.quit()

    def end(self):
        self.file.close()
        self.data.close()

    def abandon(self):
        self.end()
        self.ftp.close()

    close = abandon

    def cut(self):
        """Resets the data connection: a mere end of it would be the end of the document."""
        self.data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.end()
        try:
            self.ftp.voidresp()
        except ftplib.error_temp:
            self.ftp.quit()
        else:
            raise AssertionError("the server did not notice that the connection broke")


class Dav:
    """curl."""

    def __init__(self, server):
        self.root = f"http://127.0.0.1:{server.port}"

    def url(self, path):
        return f"{self.root}/{quote(str(path))}"

    def call(self, *arguments, data=b""):
        return run(["curl", "--silent", "--show-error", "--fail", *arguments], data)

    def method(self, method, path, *headers, data=None):
        body = ["--data-binary", "@-"] if data is not None else []
        return self.call("--request", method, *(word for header in headers for word in ("--header", header)), *body, self.url(path),
                         data=data or b"")

    def put(self, path, data, *headers):
        self.call("--upload-file", "-", *(word for header in headers for word in ("--header", header)), self.url(path), data=data)

    def go_on(self, path, data, left):
        """There is nothing to go on from: what is cut off is gone."""
        self.put(path, data)

    def get(self, path):
        return self.call(self.url(path))

    def sending(self, path):
        return Sending(["curl", "--silent", "--show-error", "--fail", "--upload-file", "-", self.url(path)])

    def reading(self, path):
        return Reading(["curl", "--silent", self.url(path)])

    def rename(self, path, to):
        self.method("MOVE", path, f"Destination: {self.url(to)}")

    replace = rename

    def mkdir(self, path):
        self.method("MKCOL", f"{path}/")

    def delete(self, path):
        self.method("DELETE", path)

    def delete_folder(self, path):
        self.method("DELETE", f"{path}/")

    def list(self, path):
        found = self.method("PROPFIND", f"{path}/", "Depth: 1").decode().split("<D:href>")[1:]
        names = {href.partition("</D:href>")[0].strip("/").rpartition("/")[2] for href in found[1:]}
        return names

    def put_tree(self, folder):
        """One call for each folder, which sends its documents over one connection."""
        folder = Path(folder)
        for at in [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]:
            name = at.relative_to(folder)
            if at != folder:
                self.mkdir(name)
            if files := [str(path) for path in at.iterdir() if path.is_file()]:
                self.call("--upload-file", "{" + ",".join(files) + "}", self.url(name) + "/")

    def lock(self, path):
        """Locks a document, also one that is not there yet, and returns the token."""
        scope = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
        answer = self.method("LOCK", path, "Timeout: Second-600", data=scope).decode()
        return re.search(r"opaquelocktoken:[^<]+", answer).group()

    def set_property(self, path, name, value):
        update = f'<propertyupdate xmlns="DAV:"><set><prop><{name} xmlns="urn:x">{value}</{name}></prop></set></propertyupdate>'
        self.method("PROPPATCH", path, data=update.encode())
