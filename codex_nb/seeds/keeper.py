"""Refreshes seeds that nobody uses before they run out, and saves what waits on this machine.

A seed that is leased is left to its holder. One that could not be refreshed is tried again after a
pause that doubles, or when the endpoint says; an outage is no reason to ask faster.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError
from codex_nb.seeds.records import Status
from codex_nb.seeds.rotations import Drain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.rotations import Rotations
    from codex_nb.seeds.store import Store
    from codex_nb.seeds.verify import Verdict, Verifier

logger = logging.getLogger(__name__)

MARGIN = timedelta(hours=1)
LOOK_EVERY = timedelta(minutes=10)

_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0
_SHORTEST_SLEEP = 1.0


class Keeper:
    """Keeps the seeds of a store fresh while it runs.

    Args:
        store: An open store.
        verifier: Of that store; refreshes one seed at a time.
        rotations: Of that store on this machine.
        margin: How long before its end a token is refreshed; at most a third of its life.
        look_every: How long it sleeps at most, as seeds come and go.
        collect: Called at each look; removes what no seed names any more when that is due.
    """

    def __init__(
        self,
        store: Store,
        verifier: Verifier,
        rotations: Rotations,
        *,
        margin: timedelta = MARGIN,
        look_every: timedelta = LOOK_EVERY,
        collect: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._store = store
        self._verifier = verifier
        self._rotations = rotations
        self._margin = margin.total_seconds()
        self._look_every = look_every.total_seconds()
        self._collect = collect
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    async def run(self) -> None:
        """Keep them fresh until cancelled. A refresh that has begun is finished first."""
        failures = 0
        while True:
            try:
                pause = await self.keep()
                failures = 0
            except CodexNBError as exc:
                failures += 1
                pause = min(_pause_after(failures), self._look_every)
                logger.warning("keeper: %s; again in %.0f s", exc.message, pause)
            await asyncio.sleep(pause)

    async def keep(self) -> float:
        """Save what waits and refresh what is due, once.

        Returns:
            Seconds until there is something to do again, as far as is known.

        Raises:
            StoreError: The store cannot be reached.
            HostError: The spool of this machine cannot be read.
        """
        for drained in await self._rotations.drain():
            if drained.result is not Drain.EMPTY:
                text = "keeper: a login of the spool is %s %s"
                extra = {"codex_seed": drained.seed}
                logger.info(text, drained.result.value, drained.reason, extra=extra)
        if self._collect is not None:
            await self._collect()
        next_at = float("inf")
        for seed in await self._store.list():
            due_at = self._due_at(seed)
            if due_at is None:
                continue
            now = await self._store.now()
            if due_at <= now:
                margin = timedelta(seconds=self._margin_of(seed))
                self._note(seed, await self._verifier.verify_one(seed, min_left=margin), now)
                due_at = self._not_before.get(seed.id, next_at)
            next_at = min(next_at, due_at)
        pause = min(next_at - await self._store.now(), self._look_every)
        return max(pause, _SHORTEST_SLEEP)

    def _due_at(self, seed: Seed) -> float | None:
        """When it is to be refreshed, on the store's clock; None for never."""
        if seed.kind != "chatgpt" or seed.status not in (Status.ALIVE, Status.SUSPECT):
            return None
        if seed.lease is not None:
            return None
        not_before = self._not_before.get(seed.id, 0.0)
        if seed.status is Status.SUSPECT or seed.intent is not None:
            return not_before
        ends_at = _seconds(seed, "expires_at")
        if ends_at is not None:
            return max(not_before, ends_at - self._margin_of(seed))
        by = _seconds(seed, "refresh_by")
        return None if by is None else max(not_before, by)

    def _margin_of(self, seed: Seed) -> float:
        begins_at, ends_at = _seconds(seed, "issued_at"), _seconds(seed, "expires_at")
        margin = self._margin
        if begins_at is not None and ends_at is not None:
            margin = min(margin, (ends_at - begins_at) / 3)
        return margin

    def _note(self, seed: Seed, verdict: Verdict, now: float) -> None:
        extra = {"codex_seed": seed.id}
        if verdict.kind != "inconclusive":
            self._failures.pop(seed.id, None)
            self._not_before.pop(seed.id, None)
            logger.info("keeper: seed is %s %s", verdict.kind, verdict.reason, extra=extra)
            return
        failures = self._failures[seed.id] = self._failures.get(seed.id, 0) + 1
        pause = max(_pause_after(failures), verdict.retry_after or 0.0)
        self._not_before[seed.id] = now + pause
        logger.warning(
            "keeper: nothing was learnt: %s; again in %.0f s", verdict.reason, pause, extra=extra
        )


def _pause_after(failures: int) -> float:
    return float(min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE))


def _seconds(seed: Seed, name: str) -> float | None:
    value = seed.details.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


__all__ = ["LOOK_EVERY", "MARGIN", "Keeper"]
