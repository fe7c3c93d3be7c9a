"""What the tests of the contract of a store have in common."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from codex_nb.seeds.records import Blob, Intent, Seed

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.records import Lease
    from codex_nb.seeds.store import Store

TTL = timedelta(seconds=60)

HERE, THERE = "laptop:1", "desktop:2"
"""Two machines."""


def a_seed(name: str = "one", **fields: Any) -> Seed:
    """A seed to be created: of an account of its own, with the login "first"."""
    given = {"kind": "chatgpt", "account": f"account of {name}", "fingerprint": "first"} | fields
    return Seed(id=uuid.uuid4().hex, name=name, **given)


def a_blob(version: int = 1, data: bytes = b"sealed first") -> Blob:
    return Blob(data=data, version=version)


async def created(store: Store, name: str = "one", **fields: Any) -> Seed:
    """A seed in the store."""
    return await store.create(a_seed(name, **fields), a_blob())


async def leased(
    store: Store,
    seed: Seed,
    *,
    ttl: float = TTL.total_seconds(),
    lease_id: str = "",
    holder: str = "a test",
) -> Lease:
    """A lease of that seed, which is free."""
    found = await store.acquire(
        holder=holder, ttl=timedelta(seconds=ttl), seed_id=seed.id, lease_id=lease_id
    )
    assert found is not None
    return found[1]


async def leased_of(store: Store, pool: str) -> str | None:
    """Name of the seed that a pool gives; None if it has none free."""
    found = await store.acquire(holder="a test", ttl=TTL, pool=pool)
    return None if found is None else found[0].name


def an_intent(lease: Lease, *, attempt: str = "try-1", host: str = HERE) -> Intent:
    """To refresh the login "first"."""
    return Intent(attempt=attempt, fence=lease.fence, parent="first", host=host, at=1.5)


async def begun(store: Store, seed: Seed, *, attempt: str = "try-1", host: str = HERE) -> Intent:
    """A refresh that was begun and whose lease was given back."""
    lease = await leased(store, seed)
    intent = an_intent(lease, attempt=attempt, host=host)
    await store.begin_refresh(lease, intent)
    assert await store.release(lease)
    return intent


async def saved(
    store: Store,
    seed: Seed,
    *,
    parent: str = "first",
    fingerprint: str = "second",
    version: int = 2,
    data: bytes = b"sealed second",
    details: JsonObject | None = None,
    doubt: str = "",
) -> Seed:
    """The seed after the login that follows was saved."""
    return await store.save(
        seed.id,
        parent=parent,
        blob=a_blob(version, data),
        fingerprint=fingerprint,
        details=details or {},
        doubt=doubt,
    )
