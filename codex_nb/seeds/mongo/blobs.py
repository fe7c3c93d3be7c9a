"""Sealed logins in MongoDB: in the document of the seed, or in GridFS when one is large.

A file in GridFS is written in steps. It is therefore listed in the collection `uploads` before it
is begun and until it is gone, and a file that no seed names a day later is removed.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from gridfs.asynchronous import AsyncGridFSBucket
from gridfs.errors import CorruptGridFile, NoFile

from codex_nb.errors import StoreError
from codex_nb.seeds.mongo.documents import NOW
from codex_nb.seeds.records import Blob

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

    from codex_nb.seeds.mongo.documents import Document

INLINE_LIMIT = 4 * 1024 * 1024
"""Bytes up to which a blob is part of the document, which has at most 16 MB for two of them."""

_CHUNK = 1024 * 1024
_DAY = 24 * 3600


class Blobs:
    """The blobs of a database. Errors of the library pass, so that the caller can ask again."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._seeds = database.seeds
        self._uploads = database.uploads
        self._bucket = AsyncGridFSBucket(database, "blobs", chunk_size_bytes=_CHUNK)

    async def put(self, blob: Blob) -> Document:
        """Store a blob as far as that comes before the document; what goes into the document."""
        if len(blob.data) <= INLINE_LIMIT:
            return {"version": blob.version, "data": blob.data}
        file = uuid.uuid4().hex
        await self._uploads.update_one({"_id": file}, [{"$set": {"at": NOW}}], upsert=True)
        await self._bucket.upload_from_stream_with_id(file, "blob", blob.data)
        return {"version": blob.version, "file": file}

    async def get(self, stored: Document) -> Blob:
        """The blob that a document has or names.

        Raises:
            StoreError: Parts of it are missing.
        """
        if "data" in stored:
            return Blob(data=bytes(stored["data"]), version=stored["version"])
        try:
            stream = await self._bucket.open_download_stream(stored["file"])
            return Blob(data=await stream.read(), version=stored["version"])
        except (NoFile, CorruptGridFile) as exc:
            raise StoreError(
                "Parts of a stored login are missing in the database.",
                hint="Look for the previous login of the seed, or for a backup of the database.",
            ) from exc

    async def drop(self, stored: Document | None) -> None:
        """Remove what a document does not name any more."""
        if stored and "file" in stored:
            await self._remove(stored["file"])

    async def collect(self) -> int:
        """Remove files that no seed names and that are older than a day; how many."""
        is_old = {"$expr": {"$lt": ["$at", {"$subtract": [NOW, _DAY]}]}}
        removed = 0
        async for upload in self._uploads.find(is_old):
            file = upload["_id"]
            named = {"$or": [{"blob.file": file}, {"previous.file": file}]}
            if await self._seeds.find_one(named, {"_id": 1}) is None:
                await self._remove(file)
                removed += 1
        return removed

    async def _remove(self, file: str) -> None:
        with suppress(NoFile):  # its upload ended early; what there was of its chunks is gone now
            await self._bucket.delete(file)
        await self._uploads.delete_one({"_id": file})


__all__ = ["INLINE_LIMIT", "Blobs"]
