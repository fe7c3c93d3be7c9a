"""An auth.json that codex holds itself, and the watcher that saves what codex makes of it.

Codex rewrites the file by truncating it first, without a rename, so a reader may see an empty or
a torn file (checked against 0.142.5, 0.163.0 and 0.169.0): only whole ones count. A file that was
logged out, or that holds another account, is told and never saved over the seed.

A record beside the spool says where a file was planted and which login was last saved from it. When
the session host is killed, the next one on this machine finds the file by its record (row C2 of
docs/seeds.md) and saves what codex wrote meanwhile.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from codex_nb.errors import HostError, LineageError, SeedNotFoundError, StoreError
from codex_nb.hosts import files
from codex_nb.seeds.auth import Fault, Login, UnusableLoginError
from codex_nb.seeds.spool import this_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from codex_nb.hosts.base import Host

logger = logging.getLogger(__name__)

LOOK_EVERY = timedelta(seconds=1)
_AGAIN = 0.2
_TORN_TRIES = 10
_LIMIT = 1024 * 1024


class Fingerprinting(Protocol):
    """What tells one login from another without its secrets."""

    def credential(self, login: Login) -> str: ...


class PlantedLogin:
    """One auth.json in the home of a running codex.

    Args:
        host: Where codex runs.
        path: Of the auth.json there.
        seed: Id of the seed.
        fingerprints: Those of the store.
        save: Saves a login that codex wrote, by its lineage.
        records: Folder of the records on this machine; None when the host is another machine,
            whose files nobody here could look up after a crash.
        tell: Takes what a person should know, as one sentence.
        look_every: Time between two looks at the file.
    """

    def __init__(
        self,
        host: Host,
        path: str,
        *,
        seed: str,
        fingerprints: Fingerprinting,
        save: Callable[[Login], Awaitable[None]],
        records: Path | None,
        tell: Callable[[str], None],
        look_every: timedelta = LOOK_EVERY,
    ) -> None:
        self._host = host
        self._path = path
        self._seed = seed
        self._fingerprints = fingerprints
        self._save = save
        self._record = None if records is None else _Record(records)
        self._tell = tell
        self._pause = look_every.total_seconds()
        self._account: frozenset[str] = frozenset()
        self._saved = ""
        self._stamp = ""
        self._told: set[str] = set()

    async def plant(self, login: Login) -> None:
        """Write the file, before codex starts.

        Raises:
            HostError: It cannot be written.
        """
        self._account = login.accounts
        self._saved = self._fingerprints.credential(login)
        self._note()
        await self._host.write_file(self._path, login.to_bytes())
        self._stamp = await self._host.file_stamp(self._path)

    async def watch(self) -> None:
        """Save every login that codex writes, until cancelled."""
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self.look()
            except (HostError, StoreError) as exc:
                # The next look, or the last one, takes it up again.
                self._once(f"A new login could not be saved yet: {exc.message}")

    async def look(self) -> None:
        """Save the login in the file if codex rewrote it. For the last time after codex ended.

        Raises:
            HostError: The file cannot be read.
            StoreError: The login cannot be saved now.
        """
        stamp = await self._stamp_now()
        if stamp == self._stamp:
            return
        login = await self._whole()
        if login is not None:
            await self._take(login)
        self._stamp = stamp

    async def remove(self) -> None:
        """Remove the file and its record; what is in it must have been saved."""
        await self._host.remove_tree(self._path)
        if self._record is not None:
            self._record.remove()
            self._record = None

    async def _stamp_now(self) -> str:
        if not await self._host.exists(self._path):
            return ""
        return await self._host.file_stamp(self._path)

    async def _whole(self) -> Login | None:
        """What the file holds as soon as it is whole; None for what is not to be saved."""
        fault = Fault.LOGGED_OUT
        for _ in range(_TORN_TRIES):
            if not await self._host.exists(self._path):
                fault = Fault.LOGGED_OUT
                break
            data = await self._host.read_file(self._path, limit=_LIMIT)
            try:
                return Login.parse(data)
            except UnusableLoginError as exc:
                fault = exc.fault
            if fault not in (Fault.EMPTY, Fault.TORN):
                break
            await asyncio.sleep(_AGAIN)
        if fault is Fault.LOGGED_OUT:
            self._once("Codex logged out in this session. The seed keeps the login that it has.")
        else:
            self._once(f"The auth.json that codex wrote is {fault.value}; it was not saved.")
        return None

    async def _take(self, login: Login) -> None:
        fingerprint = self._fingerprints.credential(login)
        if fingerprint == self._saved:
            return
        if self._account and login.accounts and not self._account & login.accounts:
            self._once("Codex logged in to another account in this session; it was not saved.")
            return
        try:
            await self._save(login)
        except (LineageError, SeedNotFoundError) as exc:
            # It was put aside; to try it again would tell the same.
            self._once(f"What Codex made of the login was not stored: {exc.message}")
        self._saved = fingerprint
        self._note()

    def _note(self) -> None:
        if self._record is not None:
            self._record.write(self._seed, self._path, self._saved)

    def _once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            logger.info("planted login changed", extra={"codex_seed": self._seed})
            self._tell(text)


class _Record:
    """A record and the lock beside it, which ends with this process however that ends."""

    def __init__(self, folder: Path) -> None:
        files.make_folder(str(folder), mode=0o700)
        self._path = folder / f"{os.urandom(8).hex()}.json"
        self._lock = os.open(_lock_of(self._path), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def write(self, seed: str, path: str, parent: str) -> None:
        known = {"seed": seed, "path": path, "parent": parent, "host": this_host()}
        files.write_file(str(self._path), json.dumps(known).encode(), mode=0o600)

    def remove(self) -> None:
        _forget(self._path)
        os.close(self._lock)


def _lock_of(record: Path) -> Path:
    return record.with_suffix(".lock")


def _forget(record: Path) -> None:
    record.unlink(missing_ok=True)
    _lock_of(record).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class LeftLogin:
    """An auth.json that a killed session host left behind.

    Attributes:
        seed: Id of its seed.
        parent: Fingerprint of the login that was last saved from it.
        login: What it holds now.
        path: Of the file.
        record: Its record. Both go when the login is safe.
    """

    seed: str
    parent: str
    login: Login
    path: str
    record: Path


async def recover(
    records: Path, save: Callable[[LeftLogin], Awaitable[None]], fingerprints: Fingerprinting
) -> int:
    """Save what killed session hosts of this machine left; how many logins were saved.

    Args:
        records: Folder of the records.
        save: Saves one by its lineage.
        fingerprints: Those of the store.
    """
    saved = 0
    for left in _left(records):
        if fingerprints.credential(left.login) != left.parent:
            try:
                await save(left)
                saved += 1
            except StoreError:
                continue
            except (LineageError, SeedNotFoundError):
                # Another login is stored by now, or the seed is gone; this one was put aside.
                logger.info("left login was outdated", extra={"codex_seed": left.seed})
        files.remove_tree(left.path)
        _forget(left.record)
    return saved


def _left(records: Path) -> Iterator[LeftLogin]:
    """The files whose session host is gone, as far as they can be read."""
    for record in sorted(records.glob("*.json")):
        try:
            known = json.loads(record.read_bytes())
            seed, path, parent = (str(known[name]) for name in ("seed", "path", "parent"))
            is_ours = known["host"] == this_host()
        except (OSError, ValueError, KeyError, TypeError):
            continue
        with _locked(record) as is_free:
            # Another machine that shares this folder has its own files.
            if not is_ours or not is_free:
                continue
            if not files.exists(path):  # pruned with its session
                _forget(record)
                continue
            try:
                login = Login.parse(files.read_file(path, limit=_LIMIT))
            except HostError:
                # Perhaps it can be read another time; only the record knows where it is.
                continue
            except UnusableLoginError:
                # Logged out, or never whole: there is nothing to save.
                files.remove_tree(path)
                _forget(record)
                continue
            yield LeftLogin(seed, parent, login, path, record)


@contextmanager
def _locked(record: Path) -> Iterator[bool]:
    """Hold the lock of a record for a while; whether nobody else holds it."""
    lock = os.open(_lock_of(record), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


__all__ = ["LOOK_EVERY", "LeftLogin", "PlantedLogin", "recover"]
