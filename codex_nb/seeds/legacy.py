"""The seeds of the older system, read from its MongoDB collections; nothing is written there.

    {prefix}_codex_seeds: {_id: ObjectId, createdAt, updatedAt?, blobId, manifestVersion: 1,
        poolKey?, status?: "alive" | "dead", lease?: {holder, expiresAt} | null, lastLeasedAt?,
        metadata?: {verify: {alive, checkedAt}, label?, …}}
    GridFS bucket "fs": a tar.gz with .codex/auth.json, perhaps .codex/config.toml, per `blobId`

A missing status is alive. The older system marked logins dead on answers that prove nothing, such
as 429 or 503; its word is kept, and a verify finds out.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bson import json_util
from gridfs.asynchronous import AsyncGridFSBucket
from gridfs.errors import CorruptGridFile, NoFile

from codex_nb.errors import SeedError, VaultError
from codex_nb.protocol.values import text_of
from codex_nb.seeds.archive import pack, unpack_legacy
from codex_nb.seeds.mongo.link import Link
from codex_nb.seeds.records import Seed, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.mongo.documents import Document
    from codex_nb.seeds.move import Side

_SUFFIX = "_codex_seeds"
_IDS = uuid.UUID("5b7f2a52-5e0c-4f0e-9d0b-6a5d1c2f8f11")
"""From the id of a seed there to the one here, so that importing twice makes no second copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacySeed:
    """A seed of the older system.

    Attributes:
        id: Its 24 hexadecimal digits there.
        pool: Its pool, or "".
        is_dead: Whether it was marked so.
        holder: Who has it leased now by the server's clock, or "".
        held_until: Until when, in Unix seconds; 0 without a holder.
        dates: Its times as Unix seconds, by the names that they have there.
        metadata: What else was known of it.
        blob: Its tar.gz, decrypted; None when it cannot be read.
        trouble: Why it cannot be read, as one sentence; else "".
    """

    id: str
    pool: str = ""
    is_dead: bool = False
    holder: str = ""
    held_until: float = 0.0
    dates: dict[str, float] = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=dict)
    blob: bytes | None = field(default=None, repr=False)
    trouble: str = ""

    @property
    def name(self) -> str:
        """What to call it: its label, or a name that its id gives."""
        label = re.sub(r"[^A-Za-z0-9_.-]+", "-", text_of(self.metadata.get("label")))
        return label.strip("-._")[:50] or f"legacy-{self.id[-6:]}"

    @property
    def reason(self) -> str:
        """Why it is dead, as one sentence; "" if it is not."""
        return "the older system marked it dead" if self.is_dead else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of one seed of the older system.

    Attributes:
        legacy: As it was read.
        seed: As it is here, or None.
        trouble: Why it is not here, as one sentence; else "".
    """

    legacy: LegacySeed
    seed: Seed | None = None
    trouble: str = ""


async def legacy_seeds(
    uri: str,
    prefix: str,
    *,
    decrypt: Callable[[bytes], bytes] | None = None,
    timeout: timedelta = timedelta(seconds=5),
) -> Sequence[LegacySeed]:
    """All seeds of an older system, the oldest first. Nothing is written.

    Args:
        uri: Of its MongoDB; the path names its database.
        prefix: Of its collections.
        decrypt: What it encrypted its blobs with, if anything; raises ValueError or VaultError for
            what it does not open.
        timeout: How long to look for the server.

    Raises:
        StoreError: The server cannot be reached or read.
    """
    link = Link(uri, timeout=timeout)
    await link.open()
    try:
        return await link.ask(lambda _: _read_all(link, prefix, decrypt))
    finally:
        await link.close()


async def import_legacy(source: Sequence[LegacySeed], into: Side) -> Sequence[Imported]:
    """Keep seeds of the older system in a store; what became of each, in their order.

    Pools stay. What was dead stays dead. What is leased there is not taken: two copies of a login
    in use end each other. For the same reason nobody should use the older system any more.

    Raises:
        StoreError: The store failed; what was imported until then is there, and importing again
            leaves it alone.
    """
    names = {seed.name for seed in await into.store.list()}
    results = []
    for legacy in source:
        name = legacy.name if legacy.name not in names else f"{legacy.name}-{legacy.id[-6:]}"
        try:
            results.append(Imported(legacy=legacy, seed=await _keep(legacy, name, into)))
        except SeedError as exc:
            results.append(Imported(legacy=legacy, trouble=exc.message))
        else:
            names.add(name)
    return results


async def _keep(legacy: LegacySeed, name: str, into: Side) -> Seed:
    if legacy.holder:
        until = datetime.fromtimestamp(legacy.held_until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        raise SeedError(f"{legacy.holder} uses it until {until}.")
    if legacy.blob is None:
        raise SeedError(legacy.trouble)
    login, config = unpack_legacy(legacy.blob)
    origin: JsonObject = {"id": legacy.id, "dates": dict(legacy.dates)}
    payload = pack(login, config)
    seed = Seed(
        id=uuid.uuid5(_IDS, legacy.id).hex,
        name=name,
        pool=legacy.pool,
        kind=login.kind,
        account="",
        fingerprint="",
        status=Status.DEAD if legacy.is_dead else Status.ALIVE,
        reason=legacy.reason,
        details=login.details() | {"legacy": origin},
    )
    seed = into.adopted(seed, payload)
    return await into.store.create(seed, into.sealed(seed, payload))


async def _read_all(
    link: Link, prefix: str, decrypt: Callable[[bytes], bytes] | None
) -> Sequence[LegacySeed]:
    stages: list[Document] = [
        {"$set": {"is_held": {"$gt": ["$lease.expiresAt", "$$NOW"]}}},
        {"$sort": {"createdAt": 1, "_id": 1}},
    ]
    found = await link.database[f"{prefix}{_SUFFIX}"].aggregate(stages)
    bucket = AsyncGridFSBucket(link.database)
    return [await _read(document, bucket, decrypt) async for document in found]


async def _read(
    document: Document, bucket: AsyncGridFSBucket, decrypt: Callable[[bytes], bytes] | None
) -> LegacySeed:
    blob, trouble = None, ""
    try:
        stream = await bucket.open_download_stream(document.get("blobId"))
        sealed = await stream.read()
        blob = decrypt(sealed) if decrypt else sealed
    except (NoFile, CorruptGridFile):
        trouble = "Its archive is missing in the database."
    except (ValueError, VaultError):
        trouble = "Its archive does not open with this key."
    lease = document["lease"] if document["is_held"] else {}
    return LegacySeed(
        id=str(document["_id"]),
        pool=document.get("poolKey") or "",
        is_dead=document.get("status") == "dead",
        holder=str(lease.get("holder") or "somebody") if lease else "",
        held_until=_seconds(lease["expiresAt"]) if lease else 0.0,
        dates={
            name: _seconds(value) for name, value in document.items() if isinstance(value, datetime)
        },
        metadata=json.loads(json_util.dumps(document.get("metadata") or {})),
        blob=blob,
        trouble=trouble,
    )


def _seconds(time: datetime) -> float:
    # pymongo gives UTC without saying so.
    return time.replace(tzinfo=UTC).timestamp()


__all__ = ["Imported", "LegacySeed", "import_legacy", "legacy_seeds"]
