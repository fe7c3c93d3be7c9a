"""One file of the spool: a header of 4 KiB, one line of JSON without secrets, and a sealed login.

Inside the seal the header is there again, so that nobody can put another one before it. A digest
tells a file that was written halfway, also where nothing is encrypted.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from codex_nb.errors import VaultError
from codex_nb.hosts.files import translated
from codex_nb.protocol.values import obj
from codex_nb.seeds.vault import Binding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.vault import Vault

ORPHAN = ".orphan"
"""How the name of a file ends that was put aside."""

_HEADER = 4096
_FORM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a file of the spool is about.

    Attributes:
        seed: Id of the seed.
        attempt: Id of the refresh that it belongs to.
        parent: Fingerprint of the login that is to be followed.
        version: That the seed will have with the new login.
        at: When it was begun, in Unix seconds.
        host: Where.
        store: UUID of the store.
    """

    seed: str
    attempt: str
    parent: str
    version: int
    at: float
    host: str = ""
    store: str = ""

    def to_json(self) -> JsonObject:
        """As it is written, in the header and within the seal."""
        # `asdict` copies deeply, which takes longer than all the rest of writing it.
        return {
            "seed": self.seed,
            "attempt": self.attempt,
            "parent": self.parent,
            "version": self.version,
            "at": self.at,
            "host": self.host,
            "store": self.store,
        }


class Sealer:
    """Seals and opens the files of one store.

    Args:
        vault: Of the store.
        store_id: UUID of the store.
    """

    def __init__(self, vault: Vault, store_id: str) -> None:
        self._vault = vault
        self._store_id = store_id

    def seal(self, entry: Entry, payload: bytes) -> bytes:
        """A payload as it lies in the file of an entry."""
        inner = json.dumps(entry.to_json()).encode() + b"\n" + payload
        return self._vault.seal(inner, self._binding(entry))

    def open(self, entry: Entry, blob: bytes) -> bytes:
        """The payload in the file of an entry.

        Raises:
            VaultError: It does not open with these keys, or belongs to another entry.
        """
        head, _, payload = self._vault.open(blob, self._binding(entry)).partition(b"\n")
        if head != json.dumps(entry.to_json()).encode():
            raise VaultError(
                f"The file of seed {entry.seed} in the spool was changed.",
                hint="Leave it where it is, and look at it with `codex-nb store doctor`.",
            )
        return payload

    def _binding(self, entry: Entry) -> Binding:
        return Binding(self._store_id, entry.seed, "spool", entry.version)


class Spooled:
    """One file of the spool, locked by this process until it is closed.

    All methods wait for the disk; run them in a thread. Made by `Spool.reserve` and `Spool.claim`.

    Args:
        sealer: Of the store.
        path: Of the file.
        fd: Of the file, open and locked; closed by this.
        entry: What the file is about.
        blob: What lies in it; None if only its room is reserved.
        at: Told each point that a fault may hit.
    """

    def __init__(
        self,
        sealer: Sealer,
        path: Path,
        fd: int,
        entry: Entry,
        blob: bytes | None,
        at: Callable[[str], None] = lambda _point: None,
    ) -> None:
        self.entry = entry
        self._sealer = sealer
        self._at = at
        self._path = path
        self._fd = fd
        self._blob = blob

    @property
    def is_filled(self) -> bool:
        """Whether a login arrived here."""
        return self._blob is not None

    def keep(self, payload: bytes) -> None:
        """Seal what arrived and write it into the reserved room; durable when it returns.

        Raises:
            HostError: The disk did not take it.
        """
        self._blob = self._sealer.seal(self.entry, payload)
        with translated("write", str(self._path)):
            write_at_start(self._fd, header_of(self.entry, self._blob) + self._blob)
            self._at("spool_written")
            sync_data(self._fd)

    def payload(self) -> bytes:
        """What was kept.

        Raises:
            VaultError: It does not open with these keys, or was damaged.
        """
        if self._blob is None:
            raise ValueError("nothing was kept here")
        return self._sealer.open(self.entry, self._blob)

    def clear(self) -> None:
        """Remove the file; that this survives a crash does not matter."""
        with translated("remove", str(self._path)):
            self._path.unlink(missing_ok=True)
        self.close()

    def orphan(self) -> None:
        """Put the file aside: nobody tries to save it again, and it goes after 30 days."""
        with translated("rename", str(self._path)):
            self._path.replace(self._path.with_name(self._path.name + ORPHAN))
        self.close()

    def close(self) -> None:
        """Leave the file as it is, to whoever drains the spool next."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TornError(Exception):
    """A file was not written to its end."""

    def __init__(self, entry: Entry) -> None:
        super().__init__("torn")
        self.entry = entry


def header_of(entry: Entry, blob: bytes | None) -> bytes:
    """The first 4 KiB of a file.

    Raises:
        ValueError: The names in the entry do not fit.
    """
    digest = hashlib.sha256(blob).hexdigest() if blob is not None else ""
    kept: JsonObject = {"form": _FORM, "length": len(blob or b""), "sha256": digest}
    line = json.dumps({**kept, "entry": entry.to_json()}).encode()
    if len(line) >= _HEADER:
        raise ValueError("the names in this entry are too long")
    return line.ljust(_HEADER - 1) + b"\n"


def read(fd: int, name: str) -> tuple[Entry, bytes | None]:
    """What an open file is about, and what lies in it.

    Raises:
        TornError: It was not written to its end.
    """
    seed, _, attempt = name.removesuffix(ORPHAN).partition("-")
    entry = Entry(seed=seed, attempt=attempt, parent="", version=0, at=0.0)
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    try:
        header = obj(json.loads(data[:_HEADER]))
        length = header["length"]
        entry = Entry(**obj(header["entry"]))  # type: ignore[arg-type]  # checked by the seal
    except (ValueError, KeyError, TypeError):
        raise TornError(entry) from None
    if header.get("form") != _FORM or not isinstance(length, int):
        raise TornError(entry)
    if not header["sha256"]:
        return entry, None
    blob = data[_HEADER : _HEADER + length]
    if hashlib.sha256(blob).hexdigest() != header["sha256"]:
        raise TornError(entry)
    return entry, blob


def write_at_start(fd: int, data: bytes) -> None:
    """Write all of it over what is there."""
    written = 0
    while written < len(data):
        written += os.pwrite(fd, data[written:], written)


def sync_data(fd: int) -> None:
    """Make what was written to a file durable, and what it takes to read it again."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_at(fd: int, path: Path) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


__all__ = [
    "ORPHAN",
    "Entry",
    "Sealer",
    "Spooled",
    "TornError",
    "header_of",
    "is_at",
    "read",
    "sync_data",
    "sync_folder",
    "write_at_start",
]
