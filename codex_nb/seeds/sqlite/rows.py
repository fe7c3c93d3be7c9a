"""The rows of a SQLite store as records, and what its parts have in common."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias

from codex_nb.errors import LeaseLostError, LineageError, SeedNotFoundError, SeedTakenError
from codex_nb.seeds.auth import REFRESH_MARGIN
from codex_nb.seeds.records import Intent, Lease, Seed, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.sqlite.file import DatabaseFile

SELECT = (
    "SELECT seeds.id, name, pool, kind, account, fingerprint, version, status, reason, details, "
    "created_at, updated_at, verified_at, leases.leased_at, intent, leases.id, leases.holder, "
    "leases.fence, leases.expires_at, leases.ttl "
    "FROM seeds JOIN leases ON leases.seed = seeds.id"
)


class Part:
    """What the parts of a SQLite store have in common.

    Args:
        file: In which the store lies.
    """

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file

    async def _changed(self, statement: str, values: tuple[object, ...]) -> bool:
        """Whether a statement changed a row."""
        return await self._file.run(
            lambda db: db.execute(statement, values).rowcount > 0, writes=True
        )

    def _seed(self, db: sqlite3.Connection, seed_id: str, now: float) -> Seed:
        return seed_of(self._row(db, seed_id), now)

    def _row(self, db: sqlite3.Connection, seed_id: str) -> Row:
        row: Row | None = db.execute(f"{SELECT} WHERE seeds.id = ?", (seed_id,)).fetchone()
        if row is None:
            raise missing(db, seed_id)
        return row

    def _cut(self, db: sqlite3.Connection) -> float:
        """The time; leases from before the clock went back end within their own length from it."""
        now, done = self._file.now(), self._file.cut_at
        # Nobody else writes before this transaction ends, so that once in it is enough.
        if done is None or now < done:
            db.execute(
                "UPDATE leases SET expires_at = ?1 + ttl WHERE expires_at > ?1 + ttl", (now,)
            )
            self._file.cut_at = now
        return now


Row: TypeAlias = tuple[Any, ...]
"""As sqlite3 gives it; its columns are those of SELECT."""


def seed_of(row: Row, now: float) -> Seed:
    """A row of SELECT as the seed that it is at this time."""
    *plain, details, created_at, updated_at, verified_at, leased_at = row[:14]
    intent, lease_id, holder, fence, expires_at, ttl = row[14:]
    seed_id, name, pool, kind, account, fingerprint, version, status, reason = plain
    # A clock that went back does not make a lease longer than it was.
    expires_at = min(expires_at, now + ttl)
    lease = Lease(
        seed=seed_id, id=lease_id, holder=holder, fence=fence,
        expires_at=expires_at, left=expires_at - now,
    )  # fmt: skip
    return Seed(
        id=seed_id,
        name=name,
        pool=pool,
        kind=kind,
        account=account,
        fingerprint=fingerprint,
        version=version,
        status=Status(status),
        reason=reason,
        details=json.loads(details),
        created_at=created_at,
        updated_at=updated_at,
        verified_at=verified_at,
        leased_at=leased_at,
        lease=lease if lease_id and lease.left > 0 else None,
        intent=None if intent is None else Intent(**json.loads(intent)),
    )


def leased(row: Row, lease_id: str, holder: str, ttl: float, now: float) -> Row:
    """A row of SELECT when its seed was leased just now; the fence rises by one."""
    *plain, _, intent, _, _, fence, _, _ = row
    return (*plain, now, intent, lease_id, holder, fence + 1, now + ttl, ttl)


def is_usable(seed: Seed, now: float) -> bool:
    """Whether a seed of a pool may be given for use: nobody may be refreshing it, or need not."""
    if seed.status not in (Status.ALIVE, Status.SUSPECT):
        return False
    if seed.intent is None:
        return True
    end = seed.details.get("expires_at")
    if isinstance(end, bool) or not isinstance(end, int | float):
        return False
    return end > now + REFRESH_MARGIN


def merged(old: JsonObject, new: JsonObject) -> JsonObject:
    """Details with new ones; a null value removes its key."""
    return {key: value for key, value in {**old, **new}.items() if value is not None}


def held_seed(db: sqlite3.Connection, lease: Lease, now: float) -> tuple[Seed, Lease]:
    """The seed of a lease, and the same lease as it is now.

    Raises:
        LeaseLostError: It expired, or was given to another.
    """
    row = db.execute(f"{SELECT} WHERE seeds.id = ?", (lease.seed,)).fetchone()
    seed = None if row is None else seed_of(row, now)
    held = None if seed is None else seed.lease
    if seed is None or held is None or (held.id, held.fence) != (lease.id, lease.fence):
        raise LeaseLostError(
            f"The lease of {lease.holder} ran out, or was given to another.",
            hint="Lease the seed again.",
        )
    return seed, held


def missing(db: sqlite3.Connection, name: str) -> SeedNotFoundError:
    """There is no such seed; the hint has names that are close."""
    names = [row[0] for row in db.execute("SELECT name FROM seeds")]
    close = get_close_matches(name, names, 3)
    hint = f"Did you mean {' or '.join(close)}?" if close else "See all with `%codex_seed list`."
    return SeedNotFoundError(f"There is no seed {name}.", hint=hint)


def broken_lineage(name: str) -> LineageError:
    """The error for a login that does not follow the stored one."""
    return LineageError(
        f"The stored login of the seed {name} is another than the one that this one follows.",
        hint=f"Verify it with `%codex_seed verify {name}`.",
    )


@contextmanager
def taken(db: sqlite3.Connection, name: str) -> Iterator[None]:
    """What the indexes refuse, in words."""
    try:
        yield
    except sqlite3.IntegrityError as exc:
        if "seeds.name" in str(exc):
            raise SeedTakenError(
                f"There is a seed {name} already.", hint="Choose another name."
            ) from exc
        raise SeedTakenError(
            "Another usable seed of that pool has the same account.",
            hint="Use that one, or retire it first: two copies of one login end each other.",
        ) from exc


__all__ = [
    "SELECT",
    "Part",
    "Row",
    "broken_lineage",
    "held_seed",
    "is_usable",
    "leased",
    "merged",
    "missing",
    "seed_of",
    "taken",
]
