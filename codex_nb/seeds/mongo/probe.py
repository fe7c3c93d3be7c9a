"""Whether a MongoDB server does what a store relies on: tried, not believed.

Servers that speak MongoDB's protocol differ where leases are decided: one gives a lease twice,
since its `$$NOW` is wrong within a filter; another ignores `_id` beside `$or`. Hence the same
statements are tried here as a store sends, on collections of their own, which are dropped again.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from gridfs.asynchronous import AsyncGridFSBucket
from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError

from codex_nb.errors import StoreError
from codex_nb.seeds.mongo.documents import IS_FREE, NOW, new_lease
from codex_nb.seeds.mongo.link import Link
from codex_nb.seeds.records import Finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from codex_nb.seeds.mongo.documents import Document

    _Attempt: TypeAlias = Callable[[str], Awaitable[Finding]]

_OLDEST = (4, 4)
_CLOCK_TOLERANCE = 60.0
_FILE_SIZE = 1_500_000


async def examine_server(
    uri: str, *, timeout: timedelta = timedelta(seconds=5)
) -> Sequence[Finding]:
    """What is found of a server where perhaps no store can be opened.

    Args:
        uri: As of MongoDB.
        timeout: How long to look for a server that takes writes.

    Raises:
        StoreError: The URI cannot be meant.
    """
    link = Link(uri, timeout=timeout)
    try:
        await link.open()
    except StoreError as exc:
        return [Finding(name="connection", state="fail", text=_sentence(exc))]
    try:
        return await probe(link)
    finally:
        await link.close()


async def probe(link: Link) -> Sequence[Finding]:
    """What is found of the server of an open link."""
    trial = _Trial(link)
    findings = []
    try:
        for name, attempt in trial.attempts().items():
            try:
                findings.append(await attempt(name))
            except ConnectionFailure as exc:
                text = _sentence(link.translated(exc))
                findings.append(Finding(name=name, state="fail", text=text))
                break  # each of the others would wait as long, and say the same
            except PyMongoError as exc:
                text = _sentence(link.translated(exc))
                findings.append(Finding(name=name, state="fail", text=text))
    finally:
        await trial.remove()
    return findings


class _Trial:
    """The statements of a store, on collections of its own. Errors of the library pass."""

    def __init__(self, link: Link) -> None:
        self._database = link.database
        self._client = link.client
        self._name = f"codex_nb_probe_{uuid.uuid4().hex}"
        self._objects = self._database[self._name]

    def attempts(self) -> dict[str, _Attempt]:
        """What is tried, in this order."""
        return {
            "version": self.version,
            "topology": self.topology,
            "durable writes": self.durable_writes,
            "clock": self.clock,
            "lease": self.lease,
            "conditional update": self.conditional_update,
            "unique account": self.unique_account,
            "large logins": self.large_logins,
        }

    async def remove(self) -> None:
        """Drop what was made; what cannot be reached any more stays."""
        for suffix in ("", ".files", ".chunks"):
            with suppress(PyMongoError):
                await self._database.drop_collection(self._name + suffix)

    async def version(self, name: str) -> Finding:
        version = str((await self._client.server_info())["version"])
        numbers = tuple(int(part) for part in version.split(".")[:2])
        if numbers < _OLDEST:
            return Finding(name=name, state="fail", text=f"MongoDB {version} is older than 4.4.")
        return Finding(name=name, state="ok", text=f"MongoDB {version}.")

    async def topology(self, name: str) -> Finding:
        hello = await self._database.command("hello")
        if not hello.get("isWritablePrimary", False):
            return Finding(
                name=name,
                state="fail",
                text="The server takes no writes now: name all members of its replica set, and see "
                "that it has a primary.",
            )
        if hello.get("msg") == "isdbgrid":
            return Finding(name=name, state="ok", text="A sharded cluster.")
        if "setName" in hello:
            members = len(hello.get("hosts", ()))
            text = f"A replica set of {members} member{'' if members == 1 else 's'}."
            return Finding(name=name, state="ok", text=text)
        return Finding(
            name=name,
            state="ok",
            text="One server without a replica set: when its disk is lost, so are the logins.",
        )

    async def durable_writes(self, name: str) -> Finding:
        answer = await self._objects.insert_one({"_id": "durable"})
        return _judged(
            name,
            answer.acknowledged,
            "A majority confirms writes in its journal.",
            "Not confirmed.",
        )

    async def clock(self, name: str) -> Finding:
        before = time.time()
        at = (await self._made("clock", [{"$set": {"at": NOW}}]))["at"]
        after = time.time()
        off = max(before - at, at - after, 0.0)
        if off > _CLOCK_TOLERANCE:
            text = f"This machine's clock and the server's differ by {off:.0f} s; leases use the "
            return Finding(name=name, state="warn", text=f"{text}server's.")
        return Finding(name=name, state="ok", text="This machine and the server agree.")

    async def lease(self, name: str) -> Finding:
        which = {"_id": "lease", "$expr": IS_FREE}
        await self._made("lease", [{"$set": {"fence": 0, "lease": None}}])
        winners = [
            found["lease"]["id"]
            for lease_id in ("first", "second")
            if (found := await self._changed(which, new_lease(lease_id, "probe", 60)))
        ]
        await self._changed({"_id": "lease"}, [{"$set": {"lease.expires_at": NOW}}])
        third = await self._changed(which, new_lease("third", "probe", 60))
        fence = third["fence"] if third else None
        return _judged(
            name,
            winners == ["first"] and fence == 2,
            "One holder at a time, on the server's clock.",
            f"Of two who asked, {len(winners)} got the lease: do not use this server.",
        )

    async def conditional_update(self, name: str) -> Finding:
        for _id in ("one", "other"):
            await self._made(_id, [{"$set": {"fingerprint": "parent", "intent": None}}])
        which = {"_id": "other", "fingerprint": "parent", "$or": [{"intent": None}, {"intent": 1}]}
        update = [{"$set": {"previous": "$fingerprint", "fingerprint": {"$literal": "$next"}}}]
        first, second = [await self._changed(which, update) for _ in range(2)]
        expected = {
            "_id": "other",
            "fingerprint": "$next",
            "intent": None,
            "previous": "parent",
        }
        return _judged(
            name,
            first == expected and second is None,
            "A login is replaced only by the next one.",
            "The server changed another document than was asked for: do not use it.",
        )

    async def unique_account(self, name: str) -> Finding:
        await self._objects.create_index(
            [("pool", ASCENDING), ("account", ASCENDING)],
            unique=True,
            partialFilterExpression={"claims": True},
        )
        account: Document = {"pool": "probe", "account": "one"}
        await self._objects.insert_one(account | {"_id": "dead", "claims": False})
        await self._objects.insert_one(account | {"_id": "alive", "claims": True})
        try:
            await self._objects.insert_one(account | {"_id": "copy", "claims": True})
            is_refused = False
        except DuplicateKeyError:
            is_refused = True
        return _judged(
            name,
            is_refused,
            "A second usable copy of a login is refused.",
            "A second usable copy of a login is taken: the two would end each other.",
        )

    async def large_logins(self, name: str) -> Finding:
        bucket = AsyncGridFSBucket(self._database, self._name, chunk_size_bytes=1024 * 1024)
        data = os.urandom(_FILE_SIZE)
        await bucket.upload_from_stream_with_id("file", "probe", data)
        stream = await bucket.open_download_stream("file")
        is_same = await stream.read() == data
        await bucket.delete("file")
        return _judged(
            name, is_same, "Stored in parts and read back.", "What was read back differs."
        )

    async def _made(self, which: str, update: list[Document]) -> Document:
        made = await self._changed({"_id": which}, update, upsert=True)
        return {} if made is None else made

    async def _changed(
        self, which: Document, update: list[Document], *, upsert: bool = False
    ) -> Document | None:
        return await self._objects.find_one_and_update(
            which, update, upsert=upsert, return_document=ReturnDocument.AFTER
        )


def _judged(name: str, is_fine: bool, fine: str, bad: str) -> Finding:
    return Finding(name=name, state="ok" if is_fine else "fail", text=fine if is_fine else bad)


def _sentence(error: StoreError) -> str:
    return f"{error.message} {error.hint}".strip()


__all__ = ["examine_server", "probe"]
