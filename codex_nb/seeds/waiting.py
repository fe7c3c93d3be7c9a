"""The wait for a lease that others have."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, LoginError, SeedBusyError
from codex_nb.seeds.finishing import finished
from codex_nb.seeds.hold import Hold, boot_clock, jittered
from codex_nb.seeds.records import Status
from codex_nb.seeds.waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.seeds.store import Store

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 1.0
_PAUSE_BEHIND = 3.0
"""Seconds between two looks of one who is not the next. A place is kept for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a seed is not had yet.

    Attributes:
        name: Of the seed that will be free first.
        holder: Who has it; "" when nobody has, and another machine has to tell how a refresh ended.
        left: Seconds until its lease ends unless it is renewed.
        ahead: How many others wait for the same and came before.
    """

    name: str
    holder: str
    left: float
    ahead: int = 0


async def wait_for_lease(
    store: Store,
    *,
    holder: str,
    seed_id: str = "",
    pool: str = "",
    ttl: timedelta,
    wait: timedelta = timedelta(0),
    on_wait: Callable[[Waiting], None] = lambda _waiting: None,
    clock: Callable[[], float] = boot_clock,
) -> Hold:
    """Lease a seed, or one of a pool, as soon as it is free and all have it who asked before.

    Args:
        store: An open store.
        holder: Who asks, in words for a person.
        seed_id: Id of the seed; or
        pool: of which pool.
        ttl: Of the lease.
        wait: For how long at most.
        on_wait: Told now and then who has it meanwhile.
        clock: Counts seconds, those of a suspend included.

    Raises:
        SeedBusyError: Others had it all the time.
        SeedNotFoundError: There is no such seed, or nothing in that pool.
        LoginError: What is there is dead or retired.
        StoreError: The store cannot be reached.
    """
    end = clock() + wait.total_seconds()
    lease_id = str(uuid.uuid4())
    waiters = Waiters(store, f"pool:{pool}" if pool else f"seed:{seed_id}", lease_id)
    pause = _FIRST_PAUSE
    holds: list[Hold] = []

    async def ask() -> None:
        asked_at = clock()
        found = await store.acquire(
            holder=holder, ttl=ttl, seed_id=seed_id, pool=pool, lease_id=lease_id
        )
        if found is not None:
            holds.append(Hold(store, found[1], ttl=ttl, asked_at=asked_at, clock=clock))

    try:
        while True:
            ahead = await waiters.ahead()
            if ahead == 0:
                await finished(ask())
            if holds:
                await finished(waiters.leave())
                return holds[0]
            waiting = replace(await _who(store, seed_id, pool), ahead=ahead)
            left = end - clock()
            if left <= 0:
                raise _busy(waiting)
            await waiters.stay()
            on_wait(waiting)
            await asyncio.sleep(min(left, jittered(_PAUSE_BEHIND if ahead else pause)))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    except asyncio.CancelledError:
        for hold in holds:
            with suppress(CodexNBError):  # else it ends by itself
                await store.release(hold.lease)
        raise
    finally:
        await finished(waiters.leave())


async def _who(store: Store, seed_id: str, pool: str) -> Waiting:
    """Who has what we wait for.

    Raises:
        LoginError: Waiting is of no use.
    """
    seeds = [await store.find(seed_id)] if seed_id else list(await store.list(pool))
    useless = (Status.RETIRED,) if seed_id else (Status.RETIRED, Status.DEAD)
    found = [
        Waiting(
            name=each.name,
            holder=each.lease.holder if each.lease else "",
            left=each.lease.left if each.lease else 0.0,
        )
        for each in seeds
        if each.status not in useless
    ]
    if not found:
        raise LoginError(
            f"Every seed of the pool {pool} is dead or retired."
            if pool
            else f"The seed {seeds[0].name} is retired.",
            hint="Log in anew with `%codex_seed login`, or take another seed.",
        )
    held = [each for each in found if each.holder]
    return min(held or found, key=lambda each: each.left)


def _busy(waiting: Waiting) -> SeedBusyError:
    if waiting.ahead and not waiting.holder:
        return SeedBusyError(
            f"Others wait for the seed {waiting.name} already.",
            hint="Wait longer, or take another seed.",
        )
    if not waiting.holder:
        return SeedBusyError(
            f"The seed {waiting.name} is being refreshed by another machine.",
            hint="Try again later, or take another seed.",
        )
    return SeedBusyError(
        f"The seed {waiting.name} is in use by {waiting.holder}.",
        hint=f"Its lease lasts {max(waiting.left, 0):.0f} s unless it is renewed; wait longer, or "
        "take another seed.",
    )


__all__ = ["Waiting", "wait_for_lease"]
