"""Rotated logins on the disk of this machine, until the store has them.

A token endpoint gives each refresh token once. Between its answer and the store's lies a time in
which this disk holds the only copy, so the rules are strict:

* The file is made, with its room, before the endpoint is asked (`reserve`): on a disk that is full
  or cannot be written nobody asks. What arrives is written in place, without needing new room.
* Whoever works on a file holds a lock on it. Locks go with their process, so a file without one was
  left by a crash, and one with a lock belongs to somebody who is alive, frozen maybe.
* A file goes only when the store has its login. What the store will not take, because a login of
  another lineage is there or the seed is gone, is kept for 30 days as "….orphan"; what cannot be
  opened stays as it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.hosts import files
from codex_nb.hosts.files import translated
from codex_nb.seeds.spool_files import (
    ORPHAN,
    Entry,
    Sealer,
    Spooled,
    TornError,
    is_at,
    read,
    sync_folder,
)
from codex_nb.seeds.spool_rooms import make_rooms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from codex_nb.seeds.vault import Vault

_ORPHAN_AGE = 30 * 24 * 3600.0
_ABANDONED_AGE = 24 * 3600.0


def this_host() -> str:
    """This machine: its name and an id that survives a restart. The same in every process."""
    ids = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
    machine = ""
    for path in ids:
        with suppress(OSError):
            machine = machine or path.read_text(encoding="ascii", errors="replace").strip()
    # machine-id(5) asks not to show the id itself.
    return f"{platform.node()}:{hashlib.sha256(machine.encode()).hexdigest()[:12]}"


def host_name(host: str) -> str:
    """The name of a machine for a person, of what `Spool.host` gave there."""
    return host.partition(":")[0] or "another machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A file of the spool as it lies there.

    Attributes:
        entry: What it is about.
        is_filled: Whether a login is in it; else only its room is reserved.
        is_busy: Whether a living process works on it.
    """

    entry: Entry
    is_filled: bool
    is_busy: bool


class Spool:
    """The spool of one store on this machine. Its methods wait for the disk; run them in a thread.

    Args:
        folder: Where files of all stores lie; made, for this user alone, when first needed.
        vault: Seals what lies here.
        store_id: UUID of the store; files of others are left alone.
        at: Told each point that a fault may hit.
    """

    def __init__(
        self,
        folder: Path,
        vault: Vault,
        store_id: str,
        *,
        at: Callable[[str], None] = lambda _point: None,
    ) -> None:
        self._at = at
        self._folder = folder
        self._sealer = Sealer(vault, store_id)
        self._store_id = store_id
        self._host = ""

    @property
    def host(self) -> str:
        """This machine and this spool, which another user of the machine does not share.

        Raises:
            HostError: The folder cannot be used.
        """
        if not self._host:
            self._host = f"{this_host()}:{self._own_id()}"
        return self._host

    def reserve(self, entry: Entry, *, room: int = 0) -> Spooled:
        """Make the file of a refresh that is about to begin, durable and with its room.

        Args:
            entry: What it is about; host and store are filled in.
            room: Bytes that the payload is expected to take.

        Raises:
            HostError: The disk is full, or cannot be written.
        """
        [made] = self.reserve_all([(entry, room)])
        if isinstance(made, Exception):
            raise made
        return made

    def reserve_all(
        self, wanted: Sequence[tuple[Entry, int]]
    ) -> Sequence[Spooled | HostError | ValueError]:
        """Make the files of several refreshes, for which the disk is waited for together.

        Args:
            wanted: For each, what `reserve` takes.

        Returns:
            For each, in this order, its file or why there is none.
        """
        try:
            host = self.host
        except HostError as exc:
            return [exc] * len(wanted)
        complete = [
            (replace(entry, host=host, store=self._store_id), room) for entry, room in wanted
        ]
        return [
            room.error or Spooled(self._sealer, room.path, room.fd, room.entry, None, self._at)
            for room in make_rooms(self._folder, complete)
        ]

    def names(self, seed: str = "") -> Sequence[str]:
        """The files that wait, of one seed or of all; without those put aside.

        Raises:
            HostError: The folder cannot be read.
        """
        return [
            name
            for name in self._listed()
            if not name.endswith(ORPHAN) and name.startswith(f"{seed}-" if seed else "")
        ]

    def claim(self, name: str) -> Spooled | None:
        """Take a file that nobody works on.

        Returns:
            None if somebody does, or it is gone, or another store's, or torn and put aside now.

        Raises:
            HostError: It cannot be read.
        """
        path = self._folder / name
        with translated("read", str(path)):
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entry, blob = read(fd, name)
                if not is_at(fd, path) or entry.store != self._store_id:
                    os.close(fd)
                    return None
            except BlockingIOError:
                os.close(fd)
                return None
            except TornError as torn:
                # Written halfway by a process that was killed: nobody can read it.
                with Spooled(self._sealer, path, fd, torn.entry, None) as left:
                    if torn.entry.store in ("", self._store_id):
                        left.orphan()
                return None
            except BaseException:
                os.close(fd)
                raise
        return Spooled(self._sealer, path, fd, entry, blob, self._at)

    def is_busy(self, name: str) -> bool:
        """Whether a living process works on a file; not when it is gone.

        Raises:
            HostError: It cannot be looked at.
        """
        path = self._folder / name
        with translated("read", str(path)):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(fd)
        return False

    def is_abandoned(self, spooled: Spooled) -> bool:
        """Whether a file that was only reserved tells nothing and may go."""
        # A machine that shares this folder may hold locks that are not seen here.
        at = spooled.entry.at
        return spooled.entry.host == self.host or time.time() - at > _ABANDONED_AGE

    def pending(self, seed: str = "") -> Sequence[Pending]:
        """What waits, of one seed or of all. Nothing is opened, so no key is needed.

        Raises:
            HostError: It cannot be read.
        """
        found = []
        for name in self.names(seed):
            path = self._folder / name
            with translated("read", str(path)), suppress(FileNotFoundError):
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    entry, blob = read(fd, name)
                except TornError as torn:  # perhaps only because it is being written
                    entry, blob = torn.entry, None
                finally:
                    os.close(fd)
                if entry.store == self._store_id:
                    is_busy = self.is_busy(name)
                    found.append(Pending(entry=entry, is_filled=blob is not None, is_busy=is_busy))
        return found

    def orphans(self) -> Sequence[Path]:
        """Files that were put aside.

        Raises:
            HostError: The folder cannot be read.
        """
        return [self._folder / name for name in self._listed() if name.endswith(ORPHAN)]

    def sweep(self) -> int:
        """Remove what was put aside more than 30 days ago; how many.

        Raises:
            HostError: They cannot be removed.
        """
        removed = 0
        for path in self.orphans():
            with translated("remove", str(path)), suppress(FileNotFoundError):
                if time.time() - path.stat().st_ctime > _ORPHAN_AGE:
                    path.unlink()
                    removed += 1
        return removed

    def _listed(self) -> Sequence[str]:
        with translated("list", str(self._folder)), suppress(FileNotFoundError):
            # Faster than a path for each of them, and this is asked before every refresh.
            names = os.listdir(self._folder)  # noqa: PTH208
            return sorted(name for name in names if not name.startswith("."))
        return []

    def _own_id(self) -> str:
        path = self._folder / ".id"
        with translated("write", str(path)):
            with suppress(FileNotFoundError):
                return path.read_text(encoding="ascii")
            files.make_folder(str(self._folder), mode=0o700)
            with _alone(self._folder):
                if not path.exists():
                    files.write_file(str(path), os.urandom(6).hex().encode(), mode=0o600)
                    sync_folder(self._folder)
                return path.read_text(encoding="ascii")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


__all__ = ["Entry", "Pending", "Spool", "Spooled", "host_name", "this_host"]
