"""Leases of the seeds in a MongoDB store.

Whether one holds is decided by the server's clock, in the operation that relies on it.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from codex_nb.errors import SeedNotFoundError
from codex_nb.seeds.mongo.documents import (
    CONFIRMED,
    IS_FREE,
    IS_HELD,
    IS_USABLE,
    NOW,
    new_lease,
    to_lease,
    to_seed,
)
from codex_nb.seeds.mongo.rows import Rows, held, lost
from codex_nb.seeds.records import Status

if TYPE_CHECKING:
    from datetime import timedelta

    from codex_nb.seeds.mongo.documents import Document
    from codex_nb.seeds.records import Lease, Seed


class Leases(Rows):
    """The part of a store that says who may use a seed."""

    async def acquire(
        self, *, holder: str, ttl: timedelta, seed_id: str = "", pool: str = "", lease_id: str = ""
    ) -> tuple[Seed, Lease] | None:
        """Lease one seed, or of a pool the one that was leased longest ago."""
        is_new = not lease_id
        lease_id = lease_id or str(uuid.uuid4())
        whole: Document = {"_id": seed_id} if seed_id else {"pool": pool}
        if seed_id:
            which = {**whole, "status": {"$ne": Status.RETIRED.value}, "$expr": IS_FREE}
        else:
            which = {**whole, "claims": True, "$expr": {"$and": [IS_FREE, IS_USABLE]}}
        update = new_lease(lease_id, holder, ttl.total_seconds())
        by_turn = [("leased_at", ASCENDING), ("name", ASCENDING)]

        async def ask(is_repeated: bool) -> tuple[Seed, Lease] | None:
            mine: Document = {"lease.id": lease_id}
            held = {**mine, "$expr": IS_HELD}
            may_be_held = is_repeated or not is_new
            while True:
                if may_be_held and (mine_already := await self._update(held, CONFIRMED)):
                    return _pair(to_seed(mine_already))
                try:
                    leased = await self._update(which, update, sort=by_turn)
                except DuplicateKeyError:
                    # The index lets one seed have this lease: one that is over goes, and one that
                    # an earlier try got after all is found.
                    await self._seeds.update_one(
                        {**mine, "$expr": IS_FREE}, {"$set": {"lease": None}}
                    )
                    may_be_held = True
                    continue
                if leased is not None:
                    return _pair(to_seed(leased))
                if await self._seeds.find_one(whole, {"_id": 1}) is None:
                    raise await self._missing(seed_id) if seed_id else _empty(pool)
                return None

        return await self._link.ask(ask)

    async def renew(self, lease: Lease, *, ttl: timedelta) -> Lease:
        """Extend a lease that is still held."""
        later = {"lease.expires_at": {"$add": [NOW, ttl.total_seconds()]}, "seen_at": NOW}
        found = await self._link.ask(lambda _: self._update(held(lease), [{"$set": later}]))
        renewed = None if found is None else to_lease(found)
        if renewed is None:
            raise lost(lease)
        return renewed

    async def release(self, lease: Lease) -> bool:
        """Give a lease back; whether it was still held."""
        free = [{"$set": {"lease": None, "seen_at": NOW}}]

        async def ask(is_repeated: bool) -> bool:
            if await self._update(held(lease), free) is not None:
                return True
            # Only a release leaves the fence and no lease.
            done = {"_id": lease.seed, "lease": None, "fence": lease.fence}
            return is_repeated and await self._seeds.find_one(done, {"_id": 1}) is not None

        return await self._link.ask(ask)

    async def break_lease(self, seed_id: str) -> bool:
        """Take a lease away from whoever holds it; the fence rises. Whether there was one."""
        free = {"lease": None, "fence": {"$add": ["$fence", 1]}, "seen_at": NOW}

        async def ask(is_repeated: bool) -> bool:
            if await self._update({"_id": seed_id, "$expr": IS_HELD}, [{"$set": free}]) is not None:
                return True
            await self._document(seed_id)
            return is_repeated

        return await self._link.ask(ask)


def _pair(seed: Seed) -> tuple[Seed, Lease] | None:
    return None if seed.lease is None else (seed, seed.lease)


def _empty(pool: str) -> SeedNotFoundError:
    return SeedNotFoundError(
        f'There is no seed in the pool "{pool}".', hint="See all seeds with `%codex_seed list`."
    )


__all__ = ["Leases"]
