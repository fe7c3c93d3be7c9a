"""The documents of a MongoDB store, read and changed one at a time."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from pymongo import ASCENDING, ReturnDocument

from codex_nb.errors import LeaseLostError, LineageError, SeedNotFoundError
from codex_nb.seeds.mongo.blobs import Blobs
from codex_nb.seeds.mongo.documents import IS_HELD, NOW, WITHOUT_BLOBS, to_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.asynchronous.collection import AsyncCollection

    from codex_nb.seeds.mongo.documents import Document
    from codex_nb.seeds.mongo.link import Link
    from codex_nb.seeds.records import Lease, Seed


class Rows:
    """The collections of a store. What is named with an underscore runs inside of `Link.ask`.

    Args:
        link: To the server.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def _seeds(self) -> AsyncCollection[Document]:
        return self._link.database.seeds

    @property
    def _notes(self) -> AsyncCollection[Document]:
        return self._link.database.notes

    @property
    def _graves(self) -> AsyncCollection[Document]:
        return self._link.database.graves

    @property
    def _blobs(self) -> Blobs:
        return Blobs(self._link.database)

    async def _update(
        self,
        which: Document,
        update: Sequence[Document],
        *,
        sort: Sequence[tuple[str, int]] | None = None,
        upsert: bool = False,
    ) -> Document | None:
        """Change one seed; how it is then, or None if there was none of that kind."""
        return await self._seeds.find_one_and_update(
            which,
            list(update),
            projection=WITHOUT_BLOBS,
            sort=sort,
            upsert=upsert,
            return_document=ReturnDocument.AFTER,
        )

    async def _read(self, which: Document) -> Sequence[Seed]:
        """Seeds by name."""
        stages: list[Document] = [
            {"$match": which},
            {"$set": {"seen_at": NOW}},
            {"$unset": list(WITHOUT_BLOBS)},
            {"$sort": {"name": ASCENDING}},
        ]
        return [to_seed(found) async for found in await self._seeds.aggregate(stages)]

    async def _document(self, seed_id: str) -> Document:
        """One seed.

        Raises:
            SeedNotFoundError: There is none.
        """
        found = await self._seeds.find_one({"_id": seed_id}, WITHOUT_BLOBS)
        if found is None:
            raise await self._missing(seed_id)
        return found

    async def _missing(self, name: str) -> SeedNotFoundError:
        names = await self._seeds.distinct("name")
        near = get_close_matches(name, names, n=3)
        return SeedNotFoundError(
            f"There is no seed {name}.",
            hint=f"Close names are: {', '.join(near)}."
            if near
            else "See all seeds with `%codex_seed list`.",
        )


def held(lease: Lease) -> Document:
    """The seed of a lease, if it still holds."""
    return {"_id": lease.seed, "lease.id": lease.id, "$expr": IS_HELD}


def lost(lease: Lease) -> LeaseLostError:
    """The error for a lease that does not hold."""
    return LeaseLostError(
        f"The lease of {lease.holder} ran out, or was given to another.",
        hint="Lease the seed again.",
    )


def broken_lineage(name: str) -> LineageError:
    """The error for a login that does not follow the stored one."""
    return LineageError(
        f"The stored login of the seed {name} is another than the one that this one follows.",
        hint=f"Verify it with `%codex_seed verify {name}`.",
    )


__all__ = ["Rows", "broken_lineage", "held", "lost"]
