"""Questions of the way to a host, answered in the cell that waits for it.

A secret goes from the hidden prompt of the kernel to the session host and is kept nowhere.
"""

from __future__ import annotations

import time
from contextlib import suppress
from getpass import getpass
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, SessionError
from codex_nb.kernel.loop import submit

if TYPE_CHECKING:
    from concurrent.futures import Future

    from codex_nb.kernel.follower import Follower
    from codex_nb.protocol.messages import JsonObject

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
    except (EOFError, KeyboardInterrupt):
        return None


def _ask_key(question: JsonObject) -> str:
    print(f"{question.get('text')}")  # noqa: T201 - talks to the person
    while True:
        try:
            said = input("Is this the right host? yes (and remember it), once, or no: ")
        except (EOFError, KeyboardInterrupt):
            return "refuse"
        if (answer := _KEY_ANSWERS.get(said.strip().lower())) is not None:
            return answer


def _session(follower: Follower) -> JsonObject:
    session = follower.transcript.get("session")
    return session if isinstance(session, dict) else {}


__all__ = ["answer_while_starting", "retry_host"]
