"""Which host keys are trusted: OpenSSH's known_hosts files, the user's and the system's.

A key is trusted when a file has it for the name of the host, or has the authority that signed it.
A key is unknown when no file has a key of that host. Any other key is refused: it was changed, or
revoked. Addresses are not looked at: they move from host to host, and the name is what was meant.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from codex_nb.errors import HostError
from codex_nb.hosts.files import make_folder, translated
from codex_nb.hosts.ssh.asking import UnknownKey

USER_FILE = "~/.ssh/known_hosts"
SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")

Trust = tuple[
    Sequence[asyncssh.SSHKey],
    Sequence[asyncssh.SSHKey],
    Sequence[asyncssh.SSHKey],
]
"""Keys of the host, keys of authorities, revoked keys."""


@dataclass(slots=True)
class KnownHosts:
    """The files in the order of a user's configuration. Accepted keys go into the first.

    Attributes:
        files: Those that do not exist count as empty.
        accepted: Lines of keys that were accepted for the life of this object.
    """

    files: Sequence[str]
    accepted: list[str] = field(default_factory=list)

    def trust(self, host: str, port: int | None) -> Trust:
        """What is known of a host; `port` is None where it is the usual one.

        A key that is known for the name without the port is trusted at every port, as OpenSSH does,
        but another key at another port is no change.

        Raises:
            HostError: A file cannot be read or understood.
        """
        known = self._load()
        keys, authorities, revoked, *_ = known.match(name_of(host, port), "", None)
        if port is not None:
            elsewhere = known.match(host, "", None)
            keys = keys or elsewhere[0]
            authorities = [*authorities, *elsewhere[1]]
            revoked = [*revoked, *elsewhere[2]]
        return keys, authorities, revoked

    def has(self, host: str, port: int | None) -> bool:
        """Whether some key of exactly this name is known, so that another one is a change."""
        return bool(self._load().match(name_of(host, port), "", None)[0])

    def question(self, host: str, port: int | None, key: asyncssh.SSHKey) -> UnknownKey:
        """What a person is to be asked about a key."""
        return UnknownKey(
            host=name_of(host, port),
            key_type=key.get_algorithm(),
            fingerprint=key.get_fingerprint("sha256"),
        )

    def accept(self, host: str, port: int | None, key: asyncssh.SSHKey, *, keep: bool) -> None:
        """Trust a key from now on; with `keep`, also in later processes.

        Raises:
            HostError: The file cannot be written.
        """
        line = f"{_hashed(name_of(host, port))} {key.export_public_key().decode().strip()}\n"
        self.accepted.append(line)
        if not keep:
            return
        path = Path(self.files[0] if self.files else USER_FILE).expanduser()
        make_folder(str(path.parent), mode=0o700)
        with translated("write", str(path)):
            # One write, so that lines of processes that append at the same time do not mix.
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(fd).st_size
                is_cut = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
                os.write(fd, b"\n" * is_cut + line.encode())
            finally:
                os.close(fd)

    def _load(self) -> asyncssh.SSHKnownHosts:
        known = asyncssh.SSHKnownHosts("".join(self.accepted))
        for name in self.files:
            path = Path(name).expanduser()
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise HostError(f"could not read {path}: {exc.strerror}") from exc
            for number, line in enumerate(text.splitlines(), 1):
                try:
                    known.load(line)
                except ValueError as exc:
                    raise HostError(
                        f"line {number} of {path} is not an entry of a known_hosts file",
                        hint="Correct or remove the line; it may be meant to revoke a key.",
                    ) from exc
        return known


def name_of(host: str, port: int | None) -> str:
    """How a known_hosts file calls a host."""
    return host if port in (None, 22) else f"[{host}]:{port}"


def _hashed(name: str) -> str:
    # So is Debian's setting, and it is legal with every other one.
    salt = os.urandom(20)
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
