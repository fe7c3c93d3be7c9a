"""The spool, for an event loop: nothing here waits for the disk in it.

What several refreshes want of the disk at the same time is done together. A login that arrived does
not wait for any of that: it has a thread of its own, as it is nowhere else yet.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

from codex_nb.seeds.lane import Job, Lane, tell
from codex_nb.seeds.spool_files import Spooled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from codex_nb.seeds.spool import Entry, Spool

T = TypeVar("T")


class Spooling:
    """Does what the spool of a store is asked for, in threads of the event loop that asks.

    Args:
        spool: Of the store on this machine.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._host = ""
        self._usual: Lane[_Call | _Reservation] = Lane(self._do, _start)
        self._urgent: Lane[_Call] = Lane(_call, _start)

    async def host(self) -> str:
        """This machine and this spool, as `Spool.host` names them.

        Raises:
            HostError: The folder cannot be used.
        """
        if not self._host:
            self._host = await self.do(lambda: self._spool.host)
        return self._host

    async def names(self, seed: str = "") -> Sequence[str]:
        """The files that wait; see `Spool.names`."""
        return await self.do(lambda: self._spool.names(seed))

    async def claim(self, name: str) -> Spooled | None:
        """A file that nobody works on; see `Spool.claim`."""
        return await self.do(lambda: self._spool.claim(name))

    async def is_busy(self, name: str) -> bool:
        """Whether a living process works on a file; see `Spool.is_busy`."""
        return await self.do(lambda: self._spool.is_busy(name))

    async def is_abandoned(self, spooled: Spooled) -> bool:
        """Whether a file that was only reserved may go; see `Spool.is_abandoned`."""
        return await self.do(lambda: self._spool.is_abandoned(spooled))

    async def reserve(self, entry: Entry, *, room: int) -> Spooled:
        """The file of a refresh that is about to begin; see `Spool.reserve`.

        Cancelling leaves none, or an empty one that whoever drains the spool removes.
        """
        job = _Reservation(entry, room)
        self._usual.put(job)
        return cast("Spooled", await job.wait())

    async def keep(self, spooled: Spooled, payload: bytes) -> None:
        """Keep what arrived, before anything else; see `Spooled.keep`."""
        job = _Call(lambda: spooled.keep(payload))
        self._urgent.put(job)
        await job.wait()

    async def do(self, work: Callable[[], T]) -> T:
        """What comes of something that waits for the disk."""
        job = _Call(work)
        self._usual.put(job)
        return cast("T", await job.wait())

    # In a thread

    def _do(self, jobs: Sequence[_Call | _Reservation]) -> None:
        calls = [job for job in jobs if isinstance(job, _Call)]
        reservations = [job for job in jobs if isinstance(job, _Reservation)]
        _call(calls)
        if not reservations:
            return
        tell(calls)
        try:
            made = self._spool.reserve_all([(job.entry, job.room) for job in reservations])
        except BaseException as exc:  # noqa: BLE001 - whoever waits for one of them raises it
            for job in reservations:
                job.error = exc
            return
        for job, each in zip(reservations, made, strict=True):
            if isinstance(each, Exception):
                job.error = each
            else:
                job.result = each


class _Call(Job):
    __slots__ = ("work",)

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self.work = work


class _Reservation(Job):
    __slots__ = ("entry", "room")

    def __init__(self, entry: Entry, room: int) -> None:
        super().__init__()
        self.entry = entry
        self.room = room

    def settle(self) -> None:
        if self.is_given_up and isinstance(self.result, Spooled):
            # Else the lock on it would tell others that somebody works on it.
            self.result.close()
        super().settle()


def _call(jobs: Sequence[_Call]) -> None:
    for job in jobs:
        try:
            job.result = job.work()
        except BaseException as exc:  # noqa: BLE001 - whoever waits for it raises it
            job.error = exc


def _start(work: Callable[[], None]) -> object:
    return asyncio.get_running_loop().run_in_executor(None, work)


__all__ = ["Spooling"]
