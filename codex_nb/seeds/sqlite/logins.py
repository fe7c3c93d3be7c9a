"""The logins in a SQLite store: read, sealed anew, and replaced by the next of their lineage."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from codex_nb.errors import SeedBusyError, SeedNotFoundError
from codex_nb.seeds.records import Blob, after_save
from codex_nb.seeds.sqlite.rows import Part, broken_lineage, held_seed, merged, missing

if TYPE_CHECKING:
    import sqlite3

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.records import Intent, Lease, Seed


class Logins(Part):
    """The part of a store that keeps the blobs, and guards how one follows another."""

    async def read_blob(self, seed_id: str, *, previous: bool = False) -> Blob:
        """The sealed login, or the one before it."""
        fields = "previous, previous_version" if previous else "data, version"

        def work(db: sqlite3.Connection) -> Blob:
            row = db.execute(f"SELECT {fields} FROM blobs WHERE seed = ?", (seed_id,)).fetchone()  # noqa: S608 - one of two texts of ours
            if row is None:
                raise missing(db, seed_id)
            if row[0] is None:
                raise SeedNotFoundError("The seed has no previous login.")
            return Blob(data=bytes(row[0]), version=row[1])

        return await self._file.run(work)

    async def replace_blob(self, seed_id: str, blob: Blob) -> bool:
        """Store the same login sealed anew, if the stored version still is `blob.version`."""
        return await self._changed(
            "UPDATE blobs SET data = ?, previous = NULL, previous_version = NULL "
            "WHERE seed = ? AND version = ?",
            (blob.data, seed_id, blob.version),
        )

    async def begin_refresh(self, lease: Lease, intent: Intent) -> None:
        """Write down that the token endpoint is about to be asked."""

        def work(db: sqlite3.Connection) -> None:
            now = self._cut(db)
            seed, _ = held_seed(db, lease, now)
            if seed.fingerprint != intent.parent:
                raise broken_lineage(seed.name)
            if seed.intent is not None and seed.intent.host != intent.host:
                raise SeedBusyError(
                    f"Another machine began to refresh the seed {seed.name} and did not say how "
                    "it ended.",
                    hint="Wait until it does, or verify the seed there.",
                )
            db.execute(
                "UPDATE seeds SET intent = ? WHERE id = ?", (json.dumps(asdict(intent)), seed.id)
            )

        await self._file.run(work, writes=True)

    async def save(
        self,
        seed_id: str,
        *,
        parent: str,
        blob: Blob,
        fingerprint: str,
        details: JsonObject,
        doubt: str = "",
    ) -> Seed:
        """Store the login that follows `parent`: blob, fingerprint, details and status at once."""

        def work(db: sqlite3.Connection) -> Seed:
            now = self._file.now()
            seed = self._seed(db, seed_id, now)
            follows = seed.fingerprint == parent and seed.version + 1 == blob.version
            if seed.fingerprint != fingerprint and not follows:
                raise broken_lineage(seed.name)
            if not follows:
                return seed
            known = merged(seed.details, details)
            verified_at = seed.verified_at if doubt else now
            status, reason = after_save(seed.status, seed.reason, doubt)
            db.execute(
                "UPDATE blobs SET previous = data, previous_version = version, data = ?, "
                "version = ? WHERE seed = ?",
                (blob.data, blob.version, seed_id),
            )
            db.execute(
                "UPDATE seeds SET fingerprint = ?, version = ?, details = ?, updated_at = ?, "
                "verified_at = ?, intent = NULL WHERE id = ?",
                (fingerprint, blob.version, json.dumps(known), now, verified_at, seed_id),
            )
            if (status, reason) != (seed.status, seed.reason):
                # Another seed may have the account by now; the login is kept all the same.
                db.execute(
                    "UPDATE OR IGNORE seeds SET status = ?, reason = ? WHERE id = ?",
                    (status, reason, seed_id),
                )
                return self._seed(db, seed_id, now)
            return replace(
                seed,
                fingerprint=fingerprint,
                version=blob.version,
                details=known,
                updated_at=now,
                verified_at=verified_at,
                intent=None,
            )

        return await self._file.run(work, writes=True)

    async def end_refresh(self, seed_id: str, attempt: str) -> bool:
        """Clear an intent whose attempt is known to have changed nothing; whether it was there."""

        def work(db: sqlite3.Connection) -> bool:
            row = db.execute("SELECT intent FROM seeds WHERE id = ?", (seed_id,)).fetchone()
            if row is None or row[0] is None or json.loads(row[0])["attempt"] != attempt:
                return False
            db.execute("UPDATE seeds SET intent = NULL WHERE id = ?", (seed_id,))
            return True

        return await self._file.run(work, writes=True)


__all__ = ["Logins"]
