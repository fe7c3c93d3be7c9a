"""Room in the spool for logins that are about to come, made for many at once.

First all files are written, then each is waited for, which the disk does in one go. Then they get
their names, and the folder is waited for once.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.hosts import files
from codex_nb.hosts.files import translated
from codex_nb.seeds.spool_files import header_of, sync_folder, write_at_start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from codex_nb.seeds.spool_files import Entry

_ROOM = 16 * 1024


class Room:
    """A file on its way into the spool.

    Args:
        folder: The spool.
        entry: What the file is about.
        size: Bytes that the payload is expected to take.

    Attributes:
        entry: As given.
        path: Of the file, when it is made.
        fd: Of the file, open and locked; -1 if there is none.
        error: Why it could not be made, or None.
    """

    def __init__(self, folder: Path, entry: Entry, size: int) -> None:
        self.entry = entry
        self.path = folder / f"{entry.seed}-{entry.attempt}"
        self.fd = -1
        self.error: HostError | ValueError | None = None
        self._draft = self.path.with_name(f".{self.path.name}")
        self._size = size

    def go(self, step: Callable[[Room], None]) -> None:
        """Take a step on the way, unless one has failed; then nothing is left behind."""
        if self.error is not None:
            return
        try:
            with translated("write", str(self.path)):
                step(self)
        except (HostError, ValueError) as exc:
            self.error = exc
            self.discard()

    def write(self) -> None:
        """Write the file, not to the disk yet, and under a name that nobody looks at."""
        data = header_of(self.entry, None)
        try:
            self._open()
        except FileNotFoundError:
            files.make_folder(str(self.path.parent), mode=0o700)
            self._open()
        # Before it has its name, so that nobody ever finds it without a lock.
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        # Random, as a file system that compresses would reserve nothing for zeros.
        write_at_start(self.fd, data + os.urandom(_ROOM + 2 * self._size))
        if hasattr(os, "posix_fadvise"):
            # Linux begins to write then, and does not wait for it. Elsewhere it does no harm.
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def name(self) -> None:
        """Wait until it is on the disk, and give it its name."""
        os.fsync(self.fd)
        self._draft.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        if self.fd >= 0:
            for each in (self._draft, self.path):
                with suppress(OSError):
                    each.unlink(missing_ok=True)
            os.close(self.fd)
            self.fd = -1

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.fd = os.open(self._draft, flags, 0o600)


def make_rooms(folder: Path, wanted: Sequence[tuple[Entry, int]]) -> Sequence[Room]:
    """Make the files of refreshes that are about to begin, durable and with their room.

    Args:
        folder: The spool; made, for this user alone, when it is not there.
        wanted: What each is about, and how many bytes its payload is expected to take.

    Returns:
        All of them, each with its file or an error.
    """
    rooms = [Room(folder, entry, size) for entry, size in wanted]
    try:
        for step in (Room.write, Room.name, _Naming(folder)):
            for room in rooms:
                room.go(step)
    except BaseException:
        for room in rooms:
            room.discard()
        raise
    return rooms


class _Naming:
    """Makes the names in a folder durable: all of them when it is asked to for the first time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_done = False
        self._error: OSError | None = None

    def __call__(self, _room: Room) -> None:
        if not self._is_done:
            self._is_done = True
            try:
                sync_folder(self._folder)
            except OSError as exc:
                self._error = exc
        if self._error is not None:
            raise self._error


__all__ = ["Room", "make_rooms"]
