"""A real OpenSSH server on loopback, for the user who runs the tests, with keys of its own.

A listener of ours hands each connection to `sshd -i`, so the kernel chooses the port and nothing is
left when the tests end. Like sshd itself it must be called by its full path.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SSHD = shutil.which("sshd", path=f"/usr/sbin:/sbin:/usr/local/sbin:{os.environ['PATH']}")

needs_sshd = pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's sshd (openssh-server)")

# sshd as root wants this folder for a child of it that looks after nothing.
PRIVILEGE_SEPARATION = Path("/run/sshd")


@dataclass
class Sshd:
    """The server, and what a client needs to reach it.

    Attributes:
        folder: Where its files are. `home` in it is the home of the user.
        port: Where it listens, on 127.0.0.1.
        config: A configuration file for clients, in which the host is called "box".
        known_hosts: The file that `config` names; it has the key of the server.
        servers: The running `sshd -i`, one for each connection.
        wrapper: What starts each of them.
        is_down: Whether new connections are hung up at once.
    """

    folder: Path
    port: int
    config: Path
    known_hosts: Path
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    wrapper: list[str] = field(default_factory=list)
    is_down: bool = False

    def cut(self) -> None:
        """End all connections from the host's side, as a crash of it would."""
        for server in self.servers:
            server.kill()
            server.wait()


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new key pair at `path` and `path`.pub."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path


@contextmanager
def running_sshd(folder: Path, *settings: str, shell: str = "") -> Iterator[Sshd]:
    """A server whose configuration begins with `settings`, of which sshd takes the first.

    Args:
        folder: Where its files are; it is made.
        settings: Lines for sshd_config.
        shell: The login shell in place of the user's own; only root can have it so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    host_key, user_key = make_key(folder / "host_key"), make_key(folder / "user_key")
    # The start files of the person who runs the tests are neither read nor waited for.
    home = folder / "home"
    home.mkdir()
    (folder / "authorized_keys").write_bytes((folder / "user_key.pub").read_bytes())
    (folder / "sshd_config").write_text(
        "\n".join(
            [
                *settings,
                f"HostKey {host_key}",
                f"AuthorizedKeysFile {folder}/authorized_keys",
                f"SetEnv HOME={home}",
                "StrictModes no",
                "UsePAM no",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "PrintMotd no",
                *([] if "Subsystem" in str(settings) else ["Subsystem sftp internal-sftp"]),
                "LogLevel ERROR",
                "",
            ]
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        known_hosts = folder / "known_hosts"
        public = (folder / "host_key.pub").read_text()
        known_hosts.write_text(f"[127.0.0.1]:{port} {public}")
        config = folder / "config"
        config.write_text(
            f"Host box\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n"
            f" IdentityFile {user_key}\n IdentitiesOnly yes\n IdentityAgent none\n"
            f" UserKnownHostsFile {known_hosts}\n GlobalKnownHostsFile {folder}/none\n"
        )
        sshd = Sshd(folder=folder, port=port, config=config, known_hosts=known_hosts)
        if shell:
            sshd.wrapper = _with_login_shell(folder / "passwd", shell)
        thread = threading.Thread(target=_serve, args=(listener, sshd))
        thread.start()
        try:
            yield sshd
        finally:
            # close() alone does not wake up who waits in accept().
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            sshd.cut()


def can_change_login_shells() -> bool:
    """Whether this user may have a view of the file system of their own."""
    argv = ["unshare", "--mount", "true"]
    return os.geteuid() == 0 and subprocess.run(argv, capture_output=True).returncode == 0


def _with_login_shell(passwd: Path, shell: str) -> list[str]:
    """The beginning of an argv whose process sees another /etc/passwd, as nobody else does."""
    user = pwd.getpwuid(os.getuid())
    entry = f"{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::{user.pw_dir}:{shell}\n"
    others = Path("/etc/passwd").read_text().splitlines(keepends=True)
    passwd.write_text(
        entry + "".join(line for line in others if not line.startswith(f"{user.pw_name}:"))
    )
    script = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def _serve(listener: socket.socket, sshd: Sshd) -> None:
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    argv = [
        *sshd.wrapper,
        str(SSHD),
        "-i",
        "-f",
        str(sshd.folder / "sshd_config"),
        "-E",
        str(sshd.folder / "log"),
    ]
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            if sshd.is_down:
                continue
            fd = connection.fileno()
            server = subprocess.Popen(argv, stdin=fd, stdout=fd, stderr=fd)
            sshd.servers.append(server)
