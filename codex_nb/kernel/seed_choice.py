"""Which seed a session asks for: as text, or as the answer of a function of the notebook."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from codex_nb.errors import UsageError
from codex_nb.kernel.loop import submit

if TYPE_CHECKING:
    from datetime import timedelta

SeedProvider: TypeAlias = Callable[[str], str | Awaitable[str]]
"""Given the id of a session, the name of its seed, or "pool:NAME"; may be a coroutine function."""


def seed_from(value: object, *, session: str, limit: timedelta) -> str:
    """The seed that a value of `--seed` names.

    Args:
        value: A name, "pool:NAME", "" or a SeedProvider.
        session: Id of the session that will use it.
        limit: How long a coroutine function may take.

    Raises:
        UsageError: It is no name, or the function gave none in time.
    """
    if callable(value):
        value = value(session)
        if inspect.isawaitable(value):
            value = _awaited(value, limit.total_seconds())
    name = value.removeprefix("pool:") if isinstance(value, str) else ""
    if value != "" and (not name or name != name.strip()):
        raise UsageError(
            f"--seed cannot be {value!r}.",
            hint="Give the name of a seed, pool:NAME, or {function} that returns one.",
        )
    return str(value)


def _awaited(value: Awaitable[str], seconds: float) -> str:
    async def wait() -> str:
        return await asyncio.wait_for(value, seconds)

    try:
        return submit(wait()).result()
    except TimeoutError:
        raise UsageError(
            f"The function of --seed gave no name within {seconds:g} s.",
            hint="Raise CodexNB.start_timeout, or name a seed.",
        ) from None


__all__ = ["SeedProvider", "seed_from"]
