"""A store of seeds in MongoDB, shared by whoever may reach the server.

Rules of this file:

* Each step that matters is one atomic operation on one document, decided by the server and its
  clock; there are no transactions, so that a server without a replica set does as well.
* Each operation can be repeated after an unclear answer (see link): it either has the same
  outcome again, or reads what is there.
* A large blob is written before the document that names it, and removed after the document that
  does not name it any more.

Facts checked against MongoDB 6.0.5 and pymongo 4.20. Nothing later than MongoDB 4.4 is asked for.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from codex_nb.errors import SeedBusyError, SeedTakenError, StoreError
from codex_nb.seeds.mongo.documents import (
    IS_FREE,
    NOW,
    WITHOUT_BLOBS,
    details_fields,
    literals,
    merged,
    new_seed,
    status_fields,
    to_seed,
)
from codex_nb.seeds.mongo.leases import Leases
from codex_nb.seeds.mongo.link import Link
from codex_nb.seeds.mongo.logins import Logins
from codex_nb.seeds.mongo.probe import probe
from codex_nb.seeds.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.mongo.documents import Document
    from codex_nb.seeds.records import Blob, Finding, Seed

_SCHEMA = 1
_TOMBSTONE_LIFE = 30 * 24 * 3600
_ABOUT = "store"
"""The note that says what the store is; others begin otherwise."""

_INDEXES = (
    IndexModel("name", unique=True),
    IndexModel(
        [("pool", ASCENDING), ("account", ASCENDING)],
        unique=True,
        partialFilterExpression={"claims": True},
    ),
    # So that asking twice for one lease cannot give two.
    IndexModel("lease.id", unique=True, partialFilterExpression={"lease.id": {"$exists": True}}),
)


class MongoStore(Leases, Logins):
    """A store in one database of a MongoDB server; see `Store` for what its methods promise.

    Args:
        uri: As of MongoDB; its path names the database, `codex_nb` if there is none.
        timeout: How long to look for a server that takes writes before one gives up.

    Raises:
        StoreError: The URI cannot be meant.
    """

    is_shared = True

    def __init__(self, uri: str, *, timeout: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(Link(uri, timeout=timeout))
        self._id = ""

    @property
    def id(self) -> str:
        """UUID of the store."""
        return self._id

    @property
    def uri(self) -> str:
        """Server, user and database; no password."""
        return self._link.uri

    async def __aenter__(self) -> Self:
        """Connect, and make indexes and the store's id if they are not there."""
        await self._link.open()
        try:
            await self._link.ask(lambda _: self._prepare())
        except BaseException:
            await self._link.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._link.close()

    async def now(self) -> float:
        """The server's clock."""

        async def ask(_: bool) -> float:
            cursor = await self._notes.aggregate(
                [{"$match": {"_id": _ABOUT}}, {"$set": {"at": NOW}}]
            )
            about = await anext(cursor)
            return float(about["at"])

        return await self._link.ask(ask)

    async def note(self, name: str, first: bytes | None = None) -> bytes | None:
        """A small value of the whole store; the first writer wins."""
        which = {"_id": _note(name)}

        async def ask(_: bool) -> bytes | None:
            if first is not None:
                # Two who make it at once: one of them is told that it is there.
                with suppress(DuplicateKeyError):
                    await self._notes.update_one(
                        which, {"$setOnInsert": {"value": first}}, upsert=True
                    )
            found = await self._notes.find_one(which)
            return None if found is None else bytes(found["value"])

        return await self._link.ask(ask)

    async def replace_note(self, name: str, old: bytes, new: bytes) -> bool:
        """Replace such a value if it is still `old`; whether it was."""

        async def ask(is_repeated: bool) -> bool:
            which: Document = {"_id": _note(name)}
            answer = await self._notes.update_one({**which, "value": old}, {"$set": {"value": new}})
            if is_repeated and not answer.matched_count:
                return await self._notes.find_one({**which, "value": new}) is not None
            return bool(answer.matched_count)

        return await self._link.ask(ask)

    # Seeds

    async def create(self, seed: Seed, blob: Blob) -> Seed:
        """Store a new seed with its login, both or neither."""
        maker = uuid.uuid4().hex

        async def ask(_: bool) -> Seed:
            grave = await self._graves.find_one({"_id": seed.id})
            fence = grave["fence"] if grave else 0
            stored = await self._blobs.put(blob)
            made = new_seed(seed, stored, fence=fence, maker=maker)
            try:
                found = await self._update({"_id": seed.id}, made, upsert=True)
            except DuplicateKeyError as exc:
                await self._blobs.drop(stored)
                raise _taken(exc, seed.name) from exc
            if found is None or found["made_by"] != maker:
                await self._blobs.drop(stored)
                raise SeedTakenError(f"A seed with the id {seed.id} is in the store already.")
            if found["blob"].get("file") != stored.get("file"):  # an earlier try of this one
                await self._blobs.drop(stored)
            await self._graves.delete_one({"_id": seed.id})
            return to_seed(found)

        return await self._link.ask(ask)

    async def find(self, name: str) -> Seed:
        """The seed of this name or id."""

        async def ask(_: bool) -> Seed:
            found = await self._read({"$or": [{"name": name}, {"_id": name}]})
            if not found:
                raise await self._missing(name)
            return next((seed for seed in found if seed.name == name), found[0])

        return await self._link.ask(ask)

    async def list(self, pool: str | None = None) -> Sequence[Seed]:
        """All seeds by name, or those of a pool."""
        which: Document = {} if pool is None else {"pool": pool}
        return await self._link.ask(lambda _: self._read(which))

    async def delete(self, seed_id: str) -> None:
        """Remove a seed and its blobs, and leave a tombstone."""
        which: Document = {"_id": seed_id}

        async def ask(is_repeated: bool) -> None:
            while (old := await self._seeds.find_one(which, WITHOUT_BLOBS)) is not None:
                # First, so that no seed goes without one: its fences must not be given again.
                grave = literals({"fence": old["fence"]}) | {"at": NOW}
                await self._graves.update_one(which, [{"$set": grave}], upsert=True)
                same = {**which, "fence": old["fence"]}
                gone = await self._seeds.find_one_and_delete(
                    {**same, "intent": None, "$expr": IS_FREE}, projection=WITHOUT_BLOBS
                )
                if gone is not None:
                    await self._blobs.drop(gone["blob"])
                    await self._blobs.drop(gone["previous"])
                    return
                if await self._seeds.find_one(same, {"_id": 1}) is not None:
                    await self._graves.delete_one(which)
                    raise SeedBusyError(
                        f"The seed {old['name']} is in use, or is being refreshed.",
                        hint="Delete it when it was released.",
                    )
            if not is_repeated:
                raise await self._missing(seed_id)

        await self._link.ask(ask)

    async def change(
        self,
        seed_id: str,
        *,
        name: str | None = None,
        pool: str | None = None,
        details: JsonObject | None = None,
    ) -> Seed:
        """Rename, move to a pool, or merge into the details."""
        given = {key: value for key, value in (("name", name), ("pool", pool)) if value is not None}

        async def ask(_: bool) -> Seed:
            while True:
                old = await self._document(seed_id)
                new = (
                    given
                    if details is None
                    else given | details_fields(merged(old["details"], details))
                )
                update = [{"$set": {**literals(new), "seen_at": NOW}}]
                try:
                    found = await self._update({"_id": seed_id, "details": old["details"]}, update)
                except DuplicateKeyError as exc:
                    raise _taken(exc, name or old["name"]) from exc
                if found is not None:
                    return to_seed(found)

        return await self._link.ask(ask)

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
        before = [was] if was else set(Status) - {Status.RETIRED}
        allowed = [each.value for each in (status, *before)]
        which: Document = {"_id": seed_id, "status": {"$in": allowed}}
        if fingerprint is not None:
            which["fingerprint"] = fingerprint
        if fence is not None:
            which["fence"] = fence
        fields = literals(status_fields(status, reason))
        times = {"seen_at": NOW} | ({"verified_at": NOW} if verified else {})

        async def ask(_: bool) -> bool:
            try:
                return await self._update(which, [{"$set": {**fields, **times}}]) is not None
            except DuplicateKeyError as exc:
                raise _taken(exc, seed_id) from exc

        return await self._link.ask(ask)

    # Upkeep

    async def collect(self) -> int:
        """Remove blobs that no seed names and tombstones past 30 days; how many."""
        is_old = {"$expr": {"$lt": ["$at", {"$subtract": [NOW, _TOMBSTONE_LIFE]}]}}

        async def ask(_: bool) -> int:
            graves = await self._graves.delete_many(is_old)
            return graves.deleted_count + await self._blobs.collect()

        return await self._link.ask(ask)

    async def examine(self) -> Sequence[Finding]:
        """Try whatever the store relies on, on objects of its own that are removed again."""
        return await probe(self._link)

    async def _prepare(self) -> None:
        about = {"id": str(uuid.uuid4()), "schema": _SCHEMA}
        with suppress(DuplicateKeyError):
            await self._notes.update_one({"_id": _ABOUT}, {"$setOnInsert": about}, upsert=True)
        found = await self._notes.find_one({"_id": _ABOUT})
        if found is None or found["schema"] > _SCHEMA:
            raise StoreError(
                f"A later version of codex_nb made the store {self.uri}.", hint="Update codex_nb."
            )
        await self._seeds.create_indexes(list(_INDEXES))
        self._id = found["id"]


def _note(name: str) -> str:
    return f"note:{name}"


def _taken(error: DuplicateKeyError, name: str) -> SeedTakenError:
    """What is there already, as the index that refused tells."""
    if "account" in (error.details or {}).get("keyPattern", {}):
        return SeedTakenError(
            "Another usable seed of that pool has the same account.",
            hint="Use that one, or retire it first: two copies of one login end each other.",
        )
    return SeedTakenError(f"There is a seed {name} already.", hint="Choose another name.")


__all__ = ["MongoStore"]
