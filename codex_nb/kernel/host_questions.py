"""Questions of the way to a host, answered in the cell that waits for it.

A secret goes from the hidden prompt of the kernel to the session host and is kept nowhere.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from contextlib import suppress
from getpass import getpass
from typing import TYPE_CHECKING, TypeVar

from IPython.core.error import StdinNotImplementedError

from codex_nb.errors import CodexNBError, SessionError
from codex_nb.hosts.ssh.asking import KeyAnswer
from codex_nb.kernel.loop import submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.hosts.ssh.asking import UnknownKey
    from codex_nb.kernel.follower import Follower
    from codex_nb.protocol.messages import JsonObject

T = TypeVar("T")

_LOOK = 0.05
_KEY_ANSWERS = {
    "yes": "accept",
    "y": "accept",
    "once": "accept once",
    "no": "refuse",
    "n": "refuse",
}

CONNECT_LIMIT = 60.0
"""Seconds that `run.retry()` waits for a host to be back."""


def answer_while_starting(follower: Follower, begun: Future[None]) -> None:
    """Ask the person until codex has started on the host, or could not."""
    while not (begun.done() and begun.exception()) and _session(follower).get("status") in (
        None,
        "starting",
    ):
        _answer(follower)
        time.sleep(_LOOK)


def retry_host(follower: Follower) -> None:
    """Try at once to reach the host of a session, and ask the person what that needs.

    Raises:
        SessionError: The host is still out of reach.
        CodexNBError: The session does not run.
    """
    submit(follower.request("retry_host")).result(CONNECT_LIMIT)
    end = time.monotonic() + CONNECT_LIMIT
    while _session(follower).get("lost_at") is not None:
        if _answer(follower):
            end = time.monotonic() + CONNECT_LIMIT
        if time.monotonic() > end:
            raise SessionError(
                f"{_session(follower).get('host')} is still out of reach.",
                hint="It is tried again by itself; run.close() gives up.",
            )
        time.sleep(_LOOK)


def _answer(follower: Follower) -> bool:
    """Put the open question to the person, if there is one; whether there was."""
    question = _session(follower).get("asks")
    if not isinstance(question, dict):
        return False
    answer = _ask_key(question) if question.get("kind") == "host_key" else _ask_secret(question)
    with suppress(CodexNBError):  # nobody waits for it any more
        submit(follower.request("reply", question=question.get("id"), answer=answer)).result(
            CONNECT_LIMIT
        )
    # The answer has been taken; the transcript says so in a moment.
    end = time.monotonic() + CONNECT_LIMIT
    while _session(follower).get("asks") == question and time.monotonic() < end:
        time.sleep(_LOOK)
    return True


def _ask_secret(question: JsonObject) -> str | None:
    try:
        return getpass(f"{question.get('text')}: ") or None
    except (EOFError, KeyboardInterrupt, StdinNotImplementedError):
        return None


def _ask_key(question: JsonObject) -> str:
    print(f"{question.get('text')}")  # noqa: T201 - talks to the person
    while True:
        try:
            said = input("Is this the right host? yes (and remember it), once, or no: ")
        except (EOFError, KeyboardInterrupt, StdinNotImplementedError):
            return "refuse"
        if (answer := _KEY_ANSWERS.get(said.strip().lower())) is not None:
            return answer


class CellAsker:
    """An `Asker` whose person is in front of the running cell.

    Args:
        call: Has a function called in the thread of the cell, where alone the kernel can ask.
    """

    def __init__(self, call: Callable[[Callable[[], None]], None]) -> None:
        self._call = call

    async def secret(self, prompt: str) -> str | None:
        """See `Asker.secret`."""
        return await self._asked(lambda: _ask_secret({"text": prompt}))

    async def host_key(self, question: UnknownKey) -> KeyAnswer:
        """See `Asker.host_key`."""
        return KeyAnswer(await self._asked(lambda: _ask_key({"text": question.sentence})))

    async def _asked(self, ask: Callable[[], T]) -> T:
        answered: Future[T] = Future()
        self._call(lambda: answered.set_result(ask()))
        return await asyncio.wrap_future(answered)


def _session(follower: Follower) -> JsonObject:
    session = follower.transcript.get("session")
    return session if isinstance(session, dict) else {}


__all__ = ["CellAsker", "answer_while_starting", "retry_host"]
