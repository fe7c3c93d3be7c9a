"""Waiting in tests: for conditions, never for time to pass, and never without a limit.

CODEX_NB_TEST_SCALE multiplies every limit, for slow machines.
"""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

_SCALE = float(os.environ.get("CODEX_NB_TEST_SCALE", "1"))


def scaled(seconds: float) -> float:
    """A limit in seconds, for this machine."""
    return seconds * _SCALE


def run(coroutine: Coroutine[object, object, T], *, seconds: float = 60) -> T:
    """Run a test's coroutine in an event loop of its own, within a limit."""

    # A browser that an earlier test of this process opened keeps a loop running in this thread, so
    # a thread of its own makes the order of the tests indifferent.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _limited(coroutine, seconds)).result()


async def _limited(coroutine: Coroutine[object, object, T], seconds: float) -> T:
    async with asyncio.timeout(scaled(seconds)):
        return await coroutine


class Run(Protocol):
    """Runs coroutines of a test, one after the other."""

    def __call__(self, coroutine: Coroutine[object, object, T], *, seconds: float = 60) -> T:
        """What the coroutine returns."""


@contextmanager
def one_loop() -> Iterator[Run]:
    """A `run` that has one event loop for all calls, for what lives longer than one of them."""
    with ThreadPoolExecutor(1) as pool:
        runner = asyncio.Runner()

        def run_there(coroutine: Coroutine[object, object, T], *, seconds: float = 60) -> T:
            return pool.submit(runner.run, _limited(coroutine, seconds)).result()

        try:
            yield run_there
        finally:
            pool.submit(runner.close).result()


async def wait_until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait for something outside of this event loop, which can only be looked at again and again.

    Raises:
        TimeoutError: It did not happen within the limit.
    """
    async with asyncio.timeout(scaled(seconds)):
        while not condition():  # noqa: ASYNC110 - no event of this loop tells
            await asyncio.sleep(0.01)


def wait_until_now(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """The same for tests without an event loop.

    Raises:
        TimeoutError: It did not happen within the limit.
    """
    end = time.monotonic() + scaled(seconds)
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)
