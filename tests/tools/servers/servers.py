"""Servers over a folder of the repository, each on a free port of loopback, with all that it needs in a directory of its own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 20
PORTS_TRIED = 5
MODULES = Path("/usr/lib/apache2/modules")

# Guests are the user that runs this, so that there is no password. `kernel oplocks` makes leases of the file system of what clients are
# promised, which is the most that can be in an agent's way. With few credits a client does not hold megabytes back until it sends.
SAMBA = """
[global]
server role = standalone server
interfaces = 127.0.0.1/8
bind interfaces only = yes
smb ports = {port}
map to guest = Bad User
guest account = root
private dir = {home}
lock directory = {home}
state directory = {home}
cache directory = {home}
pid directory = {home}
ncalrpc dir = {home}/ncalrpc
log file = {home}/log
disable netbios = yes
disable spoolss = yes
load printers = no
kernel oplocks = yes
smb2 max credits = 8
smb2 max write = 65536
[documents]
path = {folder}
guest ok = yes
read only = no
"""

VSFTPD = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
run_as_launching_user=YES
secure_chroot_dir={home}
local_enable=NO
anonymous_enable=YES
no_anon_password=YES
anon_root={folder}
anon_umask=022
anon_world_readable_only=NO
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
write_enable=YES
allow_writeable_chroot=YES
seccomp_sandbox=NO
xferlog_enable=NO
"""

APACHE = """
ServerRoot {home}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {home}/pid
ErrorLog {home}/log
Mutex file:{home}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dav_module {modules}/mod_dav.so
LoadModule dav_fs_module {modules}/mod_dav_fs.so
DavLockDB {home}/locks
DocumentRoot {folder}
StartServers 1
<Directory {folder}>
Dav On
</Directory>
"""


def found(program):
    """Returns where a program is, also where only root looks for it."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Server:
    """A server that runs until it is stopped. Who it runs as owns its folder."""

    # What must be there, the server itself first; its configuration and how it is given; who it runs as, if not who runs this.
    needs, config, arguments, user = (), "", (), None

    @classmethod
    def missing(cls):
        """Returns why this server cannot be run here, or nothing."""
        absent = [need for need in cls.needs if not (found(need) or Path(need).exists())]
        return f"not installed: {', '.join(map(str, absent))}" if absent else None

    def __init__(self, home, folder):
        self.home = Path(home)
        self.home.mkdir()
        folder.mkdir()
        if self.user:
            for directory in (self.home, folder):
                shutil.chown(directory, self.user, self.user)
        for _ in range(PORTS_TRIED):
            self.port = free_port()
            config = self.home / "config"
            config.write_text(self.config.format(port=self.port, home=self.home, folder=folder, modules=MODULES))
            self.start([argument.format(config=config) for argument in self.arguments])
            if self.listens():
                return
            self.stop()
        raise RuntimeError(f"{self.needs[0]} does not listen:\n{(self.home / 'output').read_text()}")

    def start(self, arguments):
        # A session of its own, so that the processes which it starts can be ended with it.
        as_user = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        with open(self.home / "output", "a") as output:
            self.process = subprocess.Popen([found(self.needs[0]), *arguments], stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, start_new_session=True, **as_user)

    def listens(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self):
        """Ends it with the processes that it started. Until it is waited for nobody else's have its number."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Samba(Server):
    needs, config = ("smbd", "smbclient"), SAMBA
    arguments = ("--foreground", "--no-process-group", "--debug-stdout", "--configfile={config}")

    @classmethod
    def missing(cls):
        return super().missing() or (os.geteuid() and "smbd runs as root only") or None


class Vsftpd(Server):
    needs, config, arguments = ("vsftpd",), VSFTPD, ("{config}",)


class Apache(Server):
    needs, config, arguments = ("apache2", "curl", MODULES / "mod_dav_fs.so"), APACHE, ("-f", "{config}", "-DFOREGROUND")
    # It refuses to serve as root.
    user = None if os.geteuid() else "www-data"
