"""Files on network file systems: which they are, what time it is there, and a lock by name.

Byte-range locks of NFS are only as good as the identity of the client: two machines that were
cloned from one image break each other's. A name that can be made only once is kept apart by the
server itself, and held against such machines where the other locks did not.

Rules of the lock:

* Whoever makes the file holds it. It says which process that is.
* One that is `STALE` seconds old, or whose process is known to have ended, is taken away. The right
  to do so is a file as well, named after the very lock that is meant: of two who find the same lock
  stale only one gets it, and one who comes late finds another lock and leaves that alone.
* Ages are differences of two times of the file server, never of a clock of ours.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from codex_nb.errors import StoreError
from codex_nb.hosts.files import linux_boot
from codex_nb.protocol.values import obj, text_of

if TYPE_CHECKING:
    from types import TracebackType

    from codex_nb.protocol.messages import JsonObject

STALE = 30.0
"""Seconds after which a lock is taken for left behind; a transaction takes milliseconds."""

UNKNOWN = "unknown"
"""The file system where the system does not tell: it is taken for a local one."""

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
        "nfs4", "panfs", "smb2", "smb3", "smbfs", "virtiofs", "vboxsf",
    }
)  # fmt: skip
_LOCAL_FUSE = frozenset({"fuse.ext2", "fuse.ext4", "fuse.fuse-overlayfs", "fuse.lxcfs"})
# The namespace of process ids, whose inode no other one of this boot has.
_PIDS = Path("/proc/self/ns/pid")


def is_network(kind: str) -> bool:
    """Whether a file system of this type may be used by other machines at the same time."""
    if kind.startswith("fuse."):
        return kind not in _LOCAL_FUSE
    return kind in _NETWORK


def file_system_of(path: Path) -> str:
    """Type of the file system that an existing path lies on, as Linux names it, or `UNKNOWN`."""
    try:
        table = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return UNKNOWN
    return file_system_in(table, path.resolve())


def file_system_in(table: str, path: Path) -> str:
    """The same, of the text of a mountinfo table.

    Args:
        table: As proc_pid_mountinfo(5) describes it.
        path: Absolute, without links.
    """
    found, depth = UNKNOWN, -1
    for line in table.splitlines():
        mount, separator, source = line.partition(" - ")
        fields = mount.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_unescaped(fields[4]))
        # Of two mounts on one point the later lies on top.
        if path.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = source.split(" ")[0], len(point.parts)
    return found


def file_time(folder: Path) -> float:
    """The clock of the server that keeps a folder, in Unix seconds.

    Raises:
        OSError: The folder cannot be written.
    """
    path = folder / ".codex-nb-clock"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # No time given: the server takes its own.
        os.utime(file)
        return os.fstat(file).st_mtime
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A lock of somebody.

    Attributes:
        token: Names this very locking.
        at: When it was made, on the clock of the server.
        holder: Who holds it, for a person.
        has_ended: Whether its process is known to have ended.
    """

    token: str
    at: float
    holder: str
    has_ended: bool


class Sentinel:
    """A lock by name, held in a `with` block. Not reentrant; one thread at a time.

    Args:
        path: Of the file that is the lock; its folder exists.
        patience: Seconds to wait for others, besides the time in which a stale lock is found out.
        stale: Seconds after which a lock is taken for left behind.
    """

    def __init__(self, path: Path, *, patience: float, stale: float = STALE) -> None:
        self._path = path
        self._stale = stale
        self._limit = patience + stale
        self._token = ""
        self._since = 0.0

    def __enter__(self) -> Self:
        """Get the lock.

        Raises:
            StoreError: Others had it all the time.
            OSError: The folder cannot be written.
        """
        end = time.monotonic() + self._limit
        pause = 0.002
        token = uuid.uuid4().hex
        while True:
            # Before it is made: others count from then on.
            self._since = time.monotonic()
            if self._make(self._path, token):
                self._token = token
                return self
            seen = self._look()
            if seen is None or (self._is_stale(seen) and self._take_away(seen)):
                continue
            if time.monotonic() > end:
                raise StoreError(
                    f"The lock {self._path} was held by {seen.holder} for {self._limit:g} s.",
                    hint="Close what uses the store there, or wait until it is done.",
                )
            time.sleep(pause * (0.5 + random.random()))  # noqa: S311 - only spreads the tries
            pause = min(pause * 1.5, 0.1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back, if it is still ours."""
        if time.monotonic() - self._since < self._stale / 2:
            # Nobody takes away what is that young.
            self._path.unlink(missing_ok=True)
            return
        seen = self._look()
        if seen is not None and seen.token == self._token:
            self._take_away(seen)

    def _make(self, path: Path, token: str) -> bool:
        """Make a file that says who made it; False if it is there."""
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return False
        try:
            os.write(file, json.dumps({"token": token, **_this_process()}).encode())
        except BaseException:
            # It may be full: an empty lock would be in everybody's way.
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)
        return True

    def _look(self) -> _Seen | None:
        """The lock as it is now; None if there is none."""
        try:
            with self._path.open("rb") as file:
                at = os.fstat(file.fileno())
                content = _read(file.read(4096))
        except OSError as exc:
            # A client of NFS that remembers a file which another one removed finds it stale.
            if exc.errno in (errno.ENOENT, errno.ESTALE):
                return None
            raise
        host, pid = text_of(content.get("host")), content.get("pid")
        token = text_of(content.get("token"))
        return _Seen(
            token=token if re.fullmatch("[0-9a-f]{32}", token) else f"{at.st_mtime_ns:x}",
            at=at.st_mtime,
            holder=f"process {pid} on {host}" if host else "another process",
            has_ended=_has_ended(text_of(content.get("place")), pid),
        )

    def _is_stale(self, seen: _Seen) -> bool:
        # A lock of the future is none of this clock any more.
        return seen.has_ended or abs(file_time(self._path.parent) - seen.at) > self._stale

    def _take_away(self, seen: _Seen) -> bool:
        """Remove this very lock, if nobody else is about to; whether it is gone."""
        claim = self._claim(seen.token)
        if claim is None:
            return False
        try:
            again = self._look()
            if again is not None and again.token == seen.token:
                self._path.unlink(missing_ok=True)
        finally:
            claim.unlink(missing_ok=True)
        return True

    def _claim(self, token: str) -> Path | None:
        """A file that stands for the right to remove a lock; None while another has it."""
        for number in range(100):
            claim = self._path.with_name(f"{self._path.name}.{token}.{number}")
            if self._make(claim, token):
                return claim
            with suppress(FileNotFoundError):
                age = abs(file_time(self._path.parent) - claim.stat().st_mtime)
                if age <= self._stale:
                    return None
                # Whoever had it ended before it was done; the next number is free.
        return None


def _this_process() -> dict[str, str | int]:
    return {"host": os.uname().nodename, "place": _place(), "pid": os.getpid()}


def _place() -> str:
    """Within which process ids name processes; "" where that is not known."""
    try:
        return f"{linux_boot()}:{_PIDS.readlink()}"
    except OSError:
        return ""


def _has_ended(place: str, pid: object) -> bool:
    """Whether a process of this machine has ended; False for one of another."""
    if not place or place != _place() or not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def _read(data: bytes) -> JsonObject:
    try:
        return obj(json.loads(data))
    except (ValueError, RecursionError):
        return {}


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


__all__ = [
    "STALE",
    "UNKNOWN",
    "Sentinel",
    "file_system_in",
    "file_system_of",
    "file_time",
    "is_network",
]
