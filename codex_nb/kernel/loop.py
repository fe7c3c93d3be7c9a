"""The one background thread of a kernel: its event loop serves all runs.

A kernel's own loop stands still while a cell runs; this one does not.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

T = TypeVar("T")

_END_LIMIT = 5.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def submit(work: Coroutine[object, object, T]) -> Future[T]:
    """Run a coroutine on the background loop. Callable from every thread but the loop's own."""
    return asyncio.run_coroutine_threadsafe(work, _background_loop())


def end() -> None:
    """Cancel what is under way and stop the loop; the next `submit` would start another one."""
    global _loop
    with _lock:
        loop, _loop = _loop, None
    if loop is not None:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(_END_LIMIT)
        loop.call_soon_threadsafe(loop.stop)


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_serve, args=(_loop,), name="codex-nb", daemon=True).start()
        return _loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
