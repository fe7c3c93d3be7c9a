"""What the way to a host asks a person: secrets, and whether an unknown key is the right one.

A question is part of the transcript's session; its answer comes by the operation `reply` and is
kept nowhere. One question is open at a time.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.errors import SessionError, UsageError
from codex_nb.hosts.ssh.asking import KeyAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from codex_nb.hosts.ssh.asking import UnknownKey
    from codex_nb.protocol.messages import Json, JsonObject


class Questions:
    """An `Asker` that asks through the transcript.

    Args:
        show: Takes the open question for the transcript, or None.
        limit: A question that nobody answered is refused after this time.
        unattended: Nobody can be asked.
    """

    def __init__(self, *, show: Callable[[Json], None], limit: timedelta, unattended: bool) -> None:
        self._show = show
        self._limit = limit.total_seconds()
        self._unattended = unattended
        self._open = ""
        self._answer: asyncio.Future[str | None] | None = None
        self._one = asyncio.Lock()

    async def secret(self, prompt: str) -> str | None:
        """See `Asker.secret`."""
        return await self._ask({"kind": "secret", "text": prompt})

    async def host_key(self, question: UnknownKey) -> KeyAnswer:
        """See `Asker.host_key`."""
        answer = await self._ask(
            {
                "kind": "host_key",
                "text": question.sentence,
                "host": question.host,
                "key_type": question.key_type,
                "fingerprint": question.fingerprint,
            }
        )
        with suppress(ValueError):
            return KeyAnswer(answer or "")
        return KeyAnswer.REFUSE

    def reply(self, question: str, answer: str | None) -> None:
        """Answer the open question; None gives up.

        Raises:
            SessionError: It is not open, or no longer.
            UsageError: It is no answer.
        """
        if self._answer is None or self._answer.done() or question != self._open:
            raise SessionError("This question is not open any more.")
        if answer is not None and len(answer) > 4096:
            raise UsageError("The answer is too long.", hint="Give at most 4096 characters.")
        self._answer.set_result(answer)

    async def _ask(self, question: JsonObject) -> str | None:
        if self._unattended:
            return None
        async with self._one:
            self._open = secrets.token_hex(8)
            self._answer = asyncio.get_running_loop().create_future()
            self._show({"id": self._open, **question})
            try:
                async with asyncio.timeout(self._limit):
                    return await self._answer
            except TimeoutError:
                return None
            finally:
                self._answer = None
                self._show(None)


__all__ = ["Questions"]
