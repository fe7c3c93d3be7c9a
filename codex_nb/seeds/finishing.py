"""Running something to its end although who waits for it is cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


async def finished(work: Coroutine[object, object, T]) -> T:
    """The result of `work`, which is bounded in time and must not be left halfway.

    A cancellation of the caller takes effect when the work is done. Its result, or its error, is
    lost then; what it wrote is not.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            # `wait` cancels nothing that it waits for.
            await asyncio.wait([task])
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # so that nobody reports it as forgotten
        raise cancelled
    return task.result()


__all__ = ["finished"]
