"""Leases of the seeds in a SQLite store.

A lease that ends later than its own length from now was given before the clock went back: it is cut
to that length, once.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from codex_nb.errors import SeedNotFoundError
from codex_nb.seeds.records import Status
from codex_nb.seeds.sqlite.rows import SELECT, Part, held_seed, is_usable, leased, seed_of

if TYPE_CHECKING:
    import sqlite3
    from datetime import timedelta

    from codex_nb.seeds.records import Lease, Seed
    from codex_nb.seeds.sqlite.rows import Row


class Leases(Part):
    """The part of a store that says who may use a seed."""

    async def acquire(
        self, *, holder: str, ttl: timedelta, seed_id: str = "", pool: str = "", lease_id: str = ""
    ) -> tuple[Seed, Lease] | None:
        """Lease one seed, or of a pool the one that was leased longest ago."""
        asked_for, lease_id = lease_id, lease_id or str(uuid.uuid4())
        seconds = ttl.total_seconds()

        def work(db: sqlite3.Connection) -> tuple[Seed, Lease] | None:
            now = self._cut(db)
            row = self._held(db, now, asked_for) if asked_for else None
            if row is None:
                row = self._free(db, now, seed_id, pool)
                if row is None:
                    return None
                row = leased(row, lease_id, holder, seconds, now)
                db.execute(
                    "UPDATE leases SET fence = fence + 1, id = ?, holder = ?, ttl = ?, "
                    "expires_at = ?, leased_at = ? WHERE seed = ?",
                    (lease_id, holder, seconds, now + seconds, now, row[0]),
                )
            seed = seed_of(row, now)
            return None if seed.lease is None else (seed, seed.lease)

        return await self._file.run(work, writes=True)

    async def renew(self, lease: Lease, *, ttl: timedelta) -> Lease:
        """Extend a lease that is still held."""
        seconds = ttl.total_seconds()

        def work(db: sqlite3.Connection) -> Lease:
            now = self._cut(db)
            db.execute(
                "UPDATE leases SET ttl = ?, expires_at = ? "
                "WHERE seed = ? AND id = ? AND fence = ? AND expires_at > ?",
                (seconds, now + seconds, lease.seed, lease.id, lease.fence, now),
            )
            return held_seed(db, lease, now)[1]

        return await self._file.run(work, writes=True)

    async def release(self, lease: Lease) -> bool:
        """Give a lease back; whether it was still held."""

        def work(db: sqlite3.Connection) -> bool:
            done = db.execute(
                "UPDATE leases SET id = '', expires_at = 0 "
                "WHERE seed = ? AND id = ? AND fence = ? AND expires_at > ?",
                (lease.seed, lease.id, lease.fence, self._cut(db)),
            )
            return done.rowcount > 0

        return await self._file.run(work, writes=True)

    async def break_lease(self, seed_id: str) -> bool:
        """Take a lease away from whoever holds it; the fence rises. Whether there was one."""

        def work(db: sqlite3.Connection) -> bool:
            now = self._cut(db)
            if self._seed(db, seed_id, now).lease is None:
                return False
            db.execute(
                "UPDATE leases SET id = '', expires_at = 0, fence = fence + 1 WHERE seed = ?",
                (seed_id,),
            )
            return True

        return await self._file.run(work, writes=True)

    def _held(self, db: sqlite3.Connection, now: float, lease_id: str) -> Row | None:
        """The row of the seed that was given under this lease already."""
        found: Row | None = db.execute(
            f"{SELECT} WHERE leases.id = ? AND leases.expires_at > ?", (lease_id, now)
        ).fetchone()
        return found

    def _free(self, db: sqlite3.Connection, now: float, seed_id: str, pool: str) -> Row | None:
        """The row of the seed to lease now."""
        if seed_id:
            row = self._row(db, seed_id)
            seed = seed_of(row, now)
            return row if seed.lease is None and seed.status != Status.RETIRED else None
        rows = list(db.execute(f"{SELECT} WHERE pool = ?", (pool,)))
        if not rows:
            raise SeedNotFoundError(
                f'There is no seed in the pool "{pool}".',
                hint="See all seeds with `%codex_seed list`.",
            )
        seeds = [(seed_of(row, now), row) for row in rows]
        free = [each for each in seeds if each[0].lease is None and is_usable(each[0], now)]
        # Those that were never leased come first.
        free.sort(key=lambda each: (each[0].leased_at or 0.0, each[0].name))
        return free[0][1] if free else None


__all__ = ["Leases"]
