"""The logins in a MongoDB store: read, sealed anew, and replaced by the next of their lineage."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pymongo.errors import DuplicateKeyError

from codex_nb.errors import SeedBusyError, SeedNotFoundError, StoreError
from codex_nb.seeds.mongo.documents import (
    CONFIRMED,
    NOW,
    WITHOUT_BLOBS,
    follows,
    literals,
    merged,
    new_login,
    to_seed,
)
from codex_nb.seeds.mongo.rows import Rows, broken_lineage, held, lost
from codex_nb.seeds.records import Status, after_save

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.mongo.documents import Document
    from codex_nb.seeds.records import Blob, Intent, Lease, Seed


class Logins(Rows):
    """The part of a store that keeps the blobs, and guards how one follows another."""

    async def read_blob(self, seed_id: str, *, previous: bool = False) -> Blob:
        """The sealed login, or the one before it."""
        field = "previous" if previous else "blob"

        async def ask(_: bool) -> Blob:
            tried: Document | None = None
            while True:
                found = await self._seeds.find_one({"_id": seed_id}, {field: 1})
                if found is None:
                    raise await self._missing(seed_id)
                if found[field] is None:
                    raise SeedNotFoundError("The seed has no previous login.")
                try:
                    return await self._blobs.get(found[field])
                except StoreError:
                    # It may have been replaced, and removed, since the document was read.
                    if tried == found:
                        raise
                    tried = found

        return await self._link.ask(ask)

    async def replace_blob(self, seed_id: str, blob: Blob) -> bool:
        """Store the same login sealed anew, if the stored version still is `blob.version`."""

        async def ask(_: bool) -> bool:
            stored = await self._blobs.put(blob)
            old = await self._seeds.find_one_and_update(
                {"_id": seed_id, "blob.version": blob.version},
                {"$set": {"blob": stored, "previous": None}},
                projection=WITHOUT_BLOBS,
            )
            for unused in (stored,) if old is None else (old["blob"], old["previous"]):
                await self._blobs.drop(unused)
            return old is not None

        return await self._link.ask(ask)

    async def begin_refresh(self, lease: Lease, intent: Intent) -> None:
        """Write down that the token endpoint is about to be asked."""
        not_taken = [{"intent": None}, {"intent.host": intent.host}]
        which = {**held(lease), "fingerprint": intent.parent, "$or": not_taken}
        update = [{"$set": {**literals({"intent": asdict(intent)}), "seen_at": NOW}}]

        async def ask(_: bool) -> None:
            if await self._update(which, update) is not None:
                return
            found = await self._read({"_id": lease.seed})
            if not found or found[0].lease is None or found[0].lease.id != lease.id:
                raise lost(lease)
            if found[0].fingerprint != intent.parent:
                raise broken_lineage(found[0].name)
            raise SeedBusyError(
                f"Another machine began to refresh the seed {found[0].name} and did not say how it "
                "ended.",
                hint="Wait until it does, or verify the seed there.",
            )

        await self._link.ask(ask)

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

        async def ask(_: bool) -> Seed:
            stored = await self._blobs.put(blob)
            may_claim = True
            while True:
                old = await self._document(seed_id)
                status, reason = Status(old["status"]), old["reason"]
                if may_claim:
                    status, reason = after_save(status, reason, doubt)
                if not follows(old, parent, blob):
                    if old["blob"].get("file") != stored.get("file"):
                        await self._blobs.drop(stored)
                    if old["fingerprint"] != fingerprint:
                        raise broken_lineage(old["name"])
                    there = {"_id": seed_id, "fingerprint": fingerprint}
                    if (found := await self._update(there, CONFIRMED)) is not None:
                        return to_seed(found)
                    continue
                update = new_login(
                    blob=stored,
                    fingerprint=fingerprint,
                    details=merged(old["details"], details),
                    status=status,
                    reason=reason,
                    verified=not doubt,
                )
                same = {name: old[name] for name in ("_id", "fingerprint", "details", "status")}
                try:
                    found = await self._update(
                        {**same, "blob.version": old["blob"]["version"]}, update
                    )
                except DuplicateKeyError:
                    # Another seed has the account by now; the login is kept all the same.
                    may_claim = False
                    continue
                if found is not None:
                    await self._blobs.drop(old["previous"])
                    return to_seed(found)

        return await self._link.ask(ask)

    async def end_refresh(self, seed_id: str, attempt: str) -> bool:
        """Clear an intent whose attempt is known to have changed nothing; whether it was there."""
        which = {"_id": seed_id, "intent.attempt": attempt}
        clear = [{"$set": {"intent": None, "seen_at": NOW}}]

        async def ask(is_repeated: bool) -> bool:
            return await self._update(which, clear) is not None or is_repeated

        return await self._link.ask(ask)


__all__ = ["Logins"]
