"""The clock that ends a session which nobody uses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta


class IdleClock:
    """Runs while a session is idle.

    Args:
        limit: Time after which it rings; zero means never.
        ring: Called then, once.
    """

    def __init__(self, limit: timedelta, ring: Callable[[], None]) -> None:
        self._limit = limit.total_seconds()
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def update(self, *, is_idle: bool) -> None:
        """Let it run, from the moment on at which the session became idle, or stop it."""
        if not is_idle:
            self.stop()
        elif self._timer is None and self._limit:
            self._timer = asyncio.get_running_loop().call_later(self._limit, self._ring)

    def stop(self) -> None:
        """Stop it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


__all__ = ["IdleClock"]
