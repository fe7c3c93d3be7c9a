"""A point inside of the step that makes a seed: its login is written, its row is not yet there.

Stores have no such point of their own, as nobody but a fault could use it. So their own steps are
wrapped, in a process that is about to be killed. MongoDB has the point only for a large login, so
there every login is large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from codex_nb.seeds.mongo import blobs
from codex_nb.seeds.sqlite.file import DatabaseFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from codex_nb.seeds.mongo.documents import Document
    from codex_nb.seeds.records import Blob

T = TypeVar("T")


def stop_halfway(at: Callable[[str], None]) -> None:
    """From now on, in this process, tell "blob_written" whenever a login was written."""
    put, run = blobs.Blobs.put, DatabaseFile.run

    async def put_then(self: blobs.Blobs, blob: Blob) -> Document:
        stored = await put(self, blob)
        at("blob_written")
        return stored

    async def run_then(
        self: DatabaseFile, work: Callable[[sqlite3.Connection], T], *, writes: bool = False
    ) -> T:
        def work_then(connection: sqlite3.Connection) -> T:
            result = work(connection)
            at("blob_written")
            return result

        return await run(self, work_then if writes else work, writes=writes)

    blobs.INLINE_LIMIT = 0
    blobs.Blobs.put = put_then  # type: ignore[method-assign]
    DatabaseFile.run = run_then  # type: ignore[method-assign]


__all__ = ["stop_halfway"]
