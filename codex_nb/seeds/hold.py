"""A lease as its holder sees it: how long it lasts, on a clock that no suspend stops.

A holder cannot ask the store at every step, and the store may be out of reach. So it counts from
the moment at which it *asked* for the lease, and gives up a little before the store would: by then
nobody else can have it.
"""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import timedelta

    from codex_nb.seeds.records import Lease, Seed
    from codex_nb.seeds.store import Store

FENCE_MARGIN = 5.0
"""Seconds before the end of a lease at which its holder stops by itself; less for short leases."""


def boot_clock() -> float:
    """Seconds since some moment, those of a suspend included; no person can set it."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Hold:
    """A lease, and until when its holder may act on it.

    Args:
        store: Which gave the lease.
        lease: As it was given.
        ttl: For which it was asked, and will be again.
        asked_at: Reading of `clock` before it was asked for.
        clock: Counts seconds and never goes back.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        *,
        ttl: timedelta,
        asked_at: float,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._margin = min(FENCE_MARGIN, ttl.total_seconds() / 4)
        self._take(lease, asked_at)

    @property
    def lease(self) -> Lease:
        """The lease as it was last given."""
        return self._lease

    @property
    def ttl(self) -> timedelta:
        """How long each renewal makes it last."""
        return self._ttl

    @property
    def left(self) -> float:
        """Seconds for which the holder may still act on it; at most 0 when it may not."""
        return self._ends_at - self._clock()

    @property
    def now(self) -> float:
        """The store's clock, as far as it can be told without asking."""
        return self._lease.expires_at - self._lease.left + (self._clock() - self._asked_at)

    async def renew(self) -> None:
        """Extend the lease.

        Raises:
            LeaseLostError: It is not held any more.
            StoreError: The store was not reached; the lease lasts as long as before.
        """
        asked_at = self._clock()
        lease = await self._store.renew(self._lease, ttl=self._ttl)
        if asked_at >= self._asked_at:  # else a later one was faster
            self._take(lease, asked_at)

    def _take(self, lease: Lease, asked_at: float) -> None:
        self._lease = lease
        self._asked_at = asked_at
        self._ends_at = asked_at + lease.left - self._margin


@asynccontextmanager
async def borrowed(
    store: Store,
    seed_id: str,
    *,
    holder: str,
    ttl: timedelta,
    clock: Callable[[], float] = boot_clock,
) -> AsyncIterator[tuple[Seed, Hold] | None]:
    """A seed for something that is over before its lease is; None when it is not free.

    Raises:
        SeedNotFoundError: There is no such seed.
        StoreError: The store was not reached.
    """
    asked_at = clock()
    found = await store.acquire(holder=holder, ttl=ttl, seed_id=seed_id)
    if found is None:
        yield None
        return
    seed, lease = found
    try:
        yield seed, Hold(store, lease, ttl=ttl, asked_at=asked_at, clock=clock)
    finally:
        # One that cannot be given back ends by itself.
        with suppress(CodexNBError):
            await store.release(lease)


def jittered(seconds: float) -> float:
    """About so many, so that those who began at once do not go on at once."""
    return seconds * random.uniform(0.85, 1.15)  # noqa: S311 - spreads load, guards nothing


__all__ = ["FENCE_MARGIN", "Hold", "boot_clock", "borrowed", "jittered"]
