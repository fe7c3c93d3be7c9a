"""A lease from when it is asked for until it is given back.

* It is renewed at a third of its time. A renewal that fails is tried again until the holder fences
  itself, a little before the store would give the seed to another; nothing else ends by it.
* When it is lost, that is told once and for all; it is never taken again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, LeaseLostError
from codex_nb.seeds.hold import jittered
from codex_nb.seeds.waiting import Waiting, wait_for_lease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from codex_nb.seeds.hold import Hold
    from codex_nb.seeds.store import Store

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.25
_FENCE_LOOK = 2.0
_CLEANUP_LIMIT = 10.0


class Tenure:
    """The lease of one holder.

    Args:
        store: An open store.
        holder: Who we are, in words for a person.
        wait: How long to wait for a seed that others have.
        ttl: Of the lease; what has to be renewed.
        on_wait: Told now and then who has it meanwhile.
        on_renewed: What is done besides, as the store was reached just then.
        clock: Counts seconds, those of a suspend included.
    """

    def __init__(
        self,
        store: Store,
        *,
        holder: str,
        wait: timedelta,
        ttl: timedelta,
        on_wait: Callable[[Waiting], None],
        on_renewed: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self.lost = asyncio.Event()
        self.why = ""
        self._store = store
        self._holder = holder
        self._wait = wait
        self._ttl = ttl
        self._on_wait = on_wait
        self._on_renewed = on_renewed
        self._clock = clock
        self._hold: Hold | None = None
        self._tasks = asyncio.TaskGroup()
        self._upkeep: list[asyncio.Task[None]] = []

    @property
    def hold(self) -> Hold:
        """The lease."""
        if self._hold is None:
            raise RuntimeError("the lease is not held: enter its holder first")
        return self._hold

    async def acquire(self, seed_id: str, pool: str) -> None:
        """Lease a seed, or one of a pool, as soon as it is free.

        Raises:
            SeedBusyError: Others had it for longer than one waits.
            SeedNotFoundError: There is no such seed, or nothing in that pool.
            StoreError: The store cannot be reached.
        """
        self._hold = await wait_for_lease(
            self._store,
            holder=self._holder,
            seed_id=seed_id,
            pool=pool,
            ttl=self._ttl,
            wait=self._wait,
            on_wait=self._on_wait,
            clock=self._clock,
        )

    async def start(self, name: str) -> None:
        """Keep it from now on.

        Args:
            name: Of the seed, for a person.
        """
        await self._tasks.__aenter__()
        self._upkeep = [
            self._tasks.create_task(self._renew(), name="renew lease"),
            self._tasks.create_task(self._fence(name), name="fence lease"),
        ]

    async def stop(self, error: BaseException | None) -> None:
        """Renew it no more.

        Args:
            error: What ended the block in which it was held.
        """
        for task in self._upkeep:
            task.cancel()
        if isinstance(error, asyncio.CancelledError):
            await self._tasks.__aexit__(type(error), error, error.__traceback__)
        else:
            # An error of the block is no error of the tasks, and stays what it is.
            await self._tasks.__aexit__(None, None, None)

    async def release(self) -> None:
        """Give it back, within a limit; nothing if that was done."""
        hold, self._hold = self._hold, None
        if hold is None:
            return
        try:
            async with asyncio.timeout(_CLEANUP_LIMIT):
                await self._store.release(hold.lease)
        except (CodexNBError, TimeoutError) as exc:
            # It ends by itself.
            logger.warning("release: %s", exc, extra={"codex_seed": hold.lease.seed})

    def lose(self, why: str) -> None:
        """Take note that it is lost; the first reason counts."""
        if not self.lost.is_set():
            self.why = why
            self.lost.set()
            extra = {"codex_seed": self.hold.lease.seed}
            logger.warning("lease was lost: %s", why, extra=extra)

    async def _renew(self) -> None:
        pause = usual = self._ttl.total_seconds() / 3
        while not self.lost.is_set():
            await asyncio.sleep(jittered(pause))
            try:
                await self.hold.renew()
                pause = usual
                await self._on_renewed()
            except LeaseLostError as exc:
                self.lose(exc.message)
            except CodexNBError as exc:
                extra = {"codex_seed": self.hold.lease.seed}
                logger.warning("lease: %s", exc.message, extra=extra)
                pause = min(usual, max(usual / 8, _FIRST_PAUSE))

    async def _fence(self, name: str) -> None:
        while (left := self.hold.left) > 0 and not self.lost.is_set():  # noqa: ASYNC110 - a clock
            # In steps, as a sleep does not count the time of a suspend.
            await asyncio.sleep(min(left, _FENCE_LOOK))
        if not self.lost.is_set():
            self.lose(f"The lease of the seed {name} could not be renewed in time.")


__all__ = ["Tenure"]
