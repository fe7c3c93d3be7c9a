"""A way to a thread on which all that waits is taken at once.

Each trip from an event loop to a thread and back wakes both, which then wait for each other. What
comes while the thread works goes there in one trip, and its results come back in one; so the disk
can be waited for together as well.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Job:
    """Something to be done in a thread, for one who waits for it in the event loop of now.

    Attributes:
        result: What came of it; set by whoever does it.
        error: Why it failed, set likewise; None if it did not.
        loop: In which somebody waits.
    """

    __slots__ = ("_done", "error", "loop", "result")

    def __init__(self) -> None:
        self.result: object = None
        self.error: BaseException | None = None
        self.loop = asyncio.get_running_loop()
        self._done: asyncio.Future[object] = self.loop.create_future()

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._done.cancelled()

    async def wait(self) -> object:
        """What came of it; its error is raised. Cancelling gives it up if it has not begun."""
        return await self._done

    def settle(self) -> None:
        """Wake the one who waits; in the event loop."""
        if self._done.done():
            return
        if self.error is None:
            self._done.set_result(self.result)
        else:
            self._done.set_exception(self.error)


J = TypeVar("J", bound=Job)


class Lane(Generic[J]):
    """Takes jobs to a thread, where they are done in their order, many at a time.

    Args:
        do: Does jobs, in the thread; it notes on each what came of it, and raises nothing.
        start: Has some thread call a function soon.
        limit: So many jobs are done together at most.
    """

    def __init__(
        self,
        do: Callable[[Sequence[J]], None],
        start: Callable[[Callable[[], None]], object],
        *,
        limit: int = 64,
    ) -> None:
        self._do = do
        self._start = start
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[J] = deque()
        self._is_busy = False

    def put(self, job: J) -> None:
        """Have a job done. One that is given up before its turn comes is left out."""
        with self._lock:
            self._waiting.append(job)
            is_busy, self._is_busy = self._is_busy, True
        if not is_busy:
            try:
                self._start(self._work)
            except BaseException:
                with self._lock:
                    self._is_busy = False
                    self._waiting.remove(job)
                raise

    def _work(self) -> None:
        while jobs := self._next():
            if wanted := [job for job in jobs if not job.is_given_up]:
                self._do(wanted)
                tell(wanted)

    def _next(self) -> Sequence[J]:
        with self._lock:
            count = min(len(self._waiting), self._limit)
            self._is_busy = count > 0
            return [self._waiting.popleft() for _ in range(count)]


def tell(jobs: Sequence[Job]) -> None:
    """Wake all who wait for these jobs; in any thread. What is told already is not told again."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, done in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed, and nobody waits there
            loop.call_soon_threadsafe(_settle, done)


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.settle()


__all__ = ["Job", "Lane", "tell"]
