"""A store of seeds in one SQLite file of this user: nothing to install, for many processes at once.

Rules of this file:

* Each method is one transaction, begun with the right to write if it writes.
* Times are read inside of the transaction, so that nobody waits with an old one.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from codex_nb.errors import SeedBusyError, SeedTakenError
from codex_nb.seeds.records import Finding, Seed, Status
from codex_nb.seeds.sqlite.file import DatabaseFile
from codex_nb.seeds.sqlite.leases import Leases
from codex_nb.seeds.sqlite.logins import Logins
from codex_nb.seeds.sqlite.rows import SELECT, merged, seed_of, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.records import Blob

_TOMBSTONE_LIFE = 30 * 24 * 3600.0
_ROOM = 50 * 1024 * 1024
_PATIENCE = timedelta(seconds=30)
_ABOUT = "store"
"""The note with the id of the store; those of others begin otherwise."""


class SqliteStore(Leases, Logins):
    """A store in a file; see `Store` for what its methods promise.

    Args:
        path: Of the file; its folder is made when it is not there.
        file_system: Type of the file system; None looks.
        clock: Unix seconds; None takes that of the machine, or of a network file system's server.
        patience: How long to wait for others who have the file locked.
    """

    def __init__(
        self,
        path: Path,
        *,
        file_system: str | None = None,
        clock: Callable[[], float] | None = None,
        patience: timedelta = _PATIENCE,
    ) -> None:
        super().__init__(
            DatabaseFile(path, file_system=file_system, clock=clock, patience=patience)
        )
        self._id = ""

    @property
    def id(self) -> str:
        """UUID of the store."""
        return self._id

    @property
    def uri(self) -> str:
        """How a person names it."""
        return f"sqlite:{self._file.path}"

    @property
    def is_shared(self) -> bool:
        """Whether other machines can reach it: on a network file system. Known when it is open."""
        return self._file.is_network

    async def __aenter__(self) -> Self:
        """Open the file; make it if it is not there."""
        try:
            await self._file.open()
            found = await self._note(_ABOUT, str(uuid.uuid4()).encode())
        except BaseException:
            await self._file.close()
            raise
        self._id = (found or b"").decode()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        await self._file.close()

    async def now(self) -> float:
        """The clock of this machine, or of the file's server."""
        return await self._file.run(lambda _: self._file.now())

    async def note(self, name: str, first: bytes | None = None) -> bytes | None:
        """A small value of the whole store; the first writer wins."""
        return await self._note(_note(name), first)

    async def replace_note(self, name: str, old: bytes, new: bytes) -> bool:
        """Replace such a value if it is still `old`; whether it was."""
        update = "UPDATE notes SET value = ? WHERE name = ? AND value = ?"
        return await self._changed(update, (new, _note(name), old))

    # Seeds

    async def create(self, seed: Seed, blob: Blob) -> Seed:
        """Store a new seed with its login, both or neither."""

        def work(db: sqlite3.Connection) -> Seed:
            now = self._file.now()
            if db.execute("SELECT 1 FROM seeds WHERE id = ?", (seed.id,)).fetchone():
                raise SeedTakenError(
                    f"A seed with the id {seed.id} is in the store already.",
                    hint="Give the seed another id.",
                )
            grave = db.execute("SELECT fence FROM graves WHERE id = ?", (seed.id,)).fetchone()
            with taken(db, seed.name):
                db.execute(
                    "INSERT INTO seeds VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,NULL)",
                    (
                        *(seed.id, seed.name, seed.pool, seed.kind, seed.account),
                        *(seed.fingerprint, blob.version, seed.status.value, seed.reason),
                        *(json.dumps(merged({}, seed.details)), now, now, None),
                    ),
                )
            db.execute(
                "INSERT INTO leases (seed, fence) VALUES (?, ?)",
                (seed.id, grave[0] if grave else 0),
            )
            db.execute(
                "INSERT INTO blobs (seed, data, version) VALUES (?, ?, ?)",
                (seed.id, blob.data, blob.version),
            )
            db.execute("DELETE FROM graves WHERE id = ?", (seed.id,))
            return self._seed(db, seed.id, now)

        return await self._file.run(work, writes=True)

    async def find(self, name: str) -> Seed:
        """The seed of this name or id."""

        def work(db: sqlite3.Connection) -> Seed:
            row = db.execute(
                "SELECT id FROM seeds WHERE name = ?1 OR id = ?1 ORDER BY name = ?1 DESC", (name,)
            ).fetchone()
            return self._seed(db, row[0] if row else name, self._file.now())

        return await self._file.run(work)

    async def list(self, pool: str | None = None) -> Sequence[Seed]:
        """All seeds by name, or those of a pool."""

        def work(db: sqlite3.Connection) -> Sequence[Seed]:
            now = self._file.now()
            rows = db.execute(
                f"{SELECT} WHERE ?1 IS NULL OR seeds.pool = ?1 ORDER BY seeds.name", (pool,)
            )
            return [seed_of(row, now) for row in rows]

        return await self._file.run(work)

    async def delete(self, seed_id: str) -> None:
        """Remove a seed and its blobs, and leave a tombstone."""

        def work(db: sqlite3.Connection) -> None:
            now = self._file.now()
            seed = self._seed(db, seed_id, now)
            if seed.lease is not None or seed.intent is not None:
                raise SeedBusyError(
                    f"The seed {seed.name} is in use, or is being refreshed.",
                    hint="Delete it when it was released.",
                )
            db.execute(
                "INSERT OR REPLACE INTO graves SELECT seed, fence, ? FROM leases WHERE seed = ?",
                (now, seed_id),
            )
            db.execute("DELETE FROM seeds WHERE id = ?", (seed_id,))

        await self._file.run(work, writes=True)

    async def change(
        self,
        seed_id: str,
        *,
        name: str | None = None,
        pool: str | None = None,
        details: JsonObject | None = None,
    ) -> Seed:
        """Rename, move to a pool, or merge into the details."""

        def work(db: sqlite3.Connection) -> Seed:
            now = self._file.now()
            old = self._seed(db, seed_id, now)
            new = merged(old.details, details or {})
            with taken(db, name or old.name):
                db.execute(
                    "UPDATE seeds SET name = coalesce(?, name), pool = coalesce(?, pool), "
                    "details = ? WHERE id = ?",
                    (name, pool, json.dumps(new), seed_id),
                )
            return self._seed(db, seed_id, now)

        return await self._file.run(work, writes=True)

    async def mark(
        self,
        seed_id: str,
        status: Status,
        reason: str = "",
        *,
        fingerprint: str | None = None,
        fence: int | None = None,
        was: Status | None = None,
        verified: bool = False,
    ) -> bool:
        """Set the status if the conditions hold; whether they did."""

        def work(db: sqlite3.Connection) -> bool:
            with taken(db, seed_id):
                done = db.execute(
                    "UPDATE seeds SET status = ?, reason = ?, "
                    "verified_at = CASE WHEN ? THEN ? ELSE verified_at END "
                    "WHERE id = ? AND coalesce(? = fingerprint, 1) "
                    "AND coalesce(? = (SELECT fence FROM leases WHERE seed = seeds.id), 1) "
                    "AND (status = ? OR coalesce(status = ?, status <> ?))",
                    (
                        *(status.value, reason, verified, self._file.now()),
                        *(seed_id, fingerprint, fence),
                        *(status.value, was and was.value, Status.RETIRED.value),
                    ),
                )
            return done.rowcount > 0

        return await self._file.run(work, writes=True)

    # Upkeep

    async def collect(self) -> int:
        """Remove tombstones past 30 days; how many. Blobs go with their seeds here."""

        def work(db: sqlite3.Connection) -> int:
            before = self._file.now() - _TOMBSTONE_LIFE
            return db.execute("DELETE FROM graves WHERE at < ?", (before,)).rowcount

        return await self._file.run(work, writes=True)

    async def examine(self) -> Sequence[Finding]:
        """Try whatever the store relies on, on objects of its own that are removed again."""

        def look(db: sqlite3.Connection) -> list[Finding]:
            (integrity,) = db.execute("PRAGMA integrity_check").fetchone()
            (mode,) = db.execute("PRAGMA journal_mode").fetchone()
            return [
                Finding(
                    name="integrity",
                    state="ok" if integrity == "ok" else "fail",
                    text="" if integrity == "ok" else "Take the file back from a backup.",
                ),
                Finding(
                    name="journal",
                    state="ok" if mode == "truncate" else "fail",
                    text=f"mode {mode}, SQLite {sqlite3.sqlite_version}",
                ),
            ]

        def write(db: sqlite3.Connection) -> Finding:
            value = uuid.uuid4().bytes
            db.execute("INSERT INTO notes VALUES ('probe', ?)", (value,))
            row = db.execute("SELECT value FROM notes WHERE name = 'probe'").fetchone()
            db.execute("DELETE FROM notes WHERE name = 'probe'")
            return Finding(name="write and read", state="ok" if row[0] == value else "fail")

        found = await self._file.run(look)
        found.append(await self._file.run(write, writes=True))
        path = self._file.path
        modes = " and ".join(
            f"{stat.S_IMODE(each.stat().st_mode):o}" for each in (path.parent, path)
        )
        # Opening it refuses what others can change.
        found.append(Finding(name="permissions", state="ok", text=f"folder and file: {modes}"))
        found.append(self._about_place())
        free = shutil.disk_usage(path.parent).free
        found.append(
            Finding(
                name="free space",
                state="ok" if free >= _ROOM else "warn",
                text=f"{free // 1_000_000} MB" + ("" if free >= _ROOM else ": make room."),
            )
        )
        return found

    # Within

    async def _note(self, name: str, first: bytes | None) -> bytes | None:
        def work(db: sqlite3.Connection) -> bytes | None:
            if first is not None:
                db.execute("INSERT OR IGNORE INTO notes VALUES (?, ?)", (name, first))
            row = db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._file.run(work, writes=first is not None)

    def _about_place(self) -> Finding:
        kind = self._file.file_system or "unknown"
        if not self._file.is_network:
            return Finding(name="file system", state="ok", text=kind)
        return Finding(
            name="file system",
            state="warn",
            text=f"{kind} is a network file system: slower, and only as safe as its locks. "
            "Name a local file with CODEX_NB_STORE, or share a MongoDB.",
        )


def _note(name: str) -> str:
    return f"note:{name}"


__all__ = ["SqliteStore"]
