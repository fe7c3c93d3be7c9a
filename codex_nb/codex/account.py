"""Having codex itself judge a login: by a refresh, or by one real turn.

Codex may refresh the login on the way, and a refresh token is good once. So what it left in its
home is handed to the caller before that home goes, also when the errand failed or was cancelled; if
the caller cannot save it, the home stays, for `scratch.left_behind`. Checked against codex 0.142.5,
0.163.0 and 0.169.0.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_nb.codex.scratch import PLAIN, errand
from codex_nb.codex.stderr_tail import redacted
from codex_nb.errors import AppServerError, RemoteError
from codex_nb.protocol.messages import Notification
from codex_nb.protocol.values import obj, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.codex.scratch import Errand, Surroundings
    from codex_nb.hosts.base import Host
    from codex_nb.protocol.messages import JsonObject

_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What codex made of a login.

    Attributes:
        auth: The auth.json as codex left it.
        account: As codex tells of it; None when it holds the login for worthless, or did not say.
        error: Why it did not say; "" if it did.
    """

    auth: bytes = field(repr=False)
    account: JsonObject | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """How a turn went.

    Attributes:
        auth: The auth.json as codex left it.
        answer: What the model said.
        error: Why there is no answer; "" if there is one.
        kind: Codex's word for the error, such as "unauthorized" or "usageLimitExceeded"; or "".
    """

    auth: bytes = field(repr=False)
    answer: str = ""
    error: str = ""
    kind: str = ""


async def check_with_codex(
    host: Host,
    program: CodexProgram,
    auth: bytes,
    *,
    keep: Callable[[bytes], Awaitable[object]],
    label: str,
    surroundings: Surroundings = PLAIN,
    timeout: float = 60.0,
) -> Checked:
    """Have codex refresh a login. No model is asked, and nothing is billed.

    Args:
        host: Where codex runs.
        program: The codex program there.
        auth: The auth.json.
        keep: Called with the auth.json that codex left, if it is another one.
        label: What to call the login if this process is killed: the id of the seed.
        surroundings: What else codex is given.
        timeout: Seconds that codex has to answer.

    Raises:
        AppServerError: Codex did not start.
        HostError: The home of codex cannot be made or read.
    """
    account: JsonObject | None = None
    error = ""
    running = errand(host, program, surroundings, label=_label(label), auth=auth)
    async with _borrowed(running, auth, keep) as work:
        try:
            params: JsonObject = {"refreshToken": True}
            answer = obj(await work.server.request("account/read", params, timeout=timeout))
            found = answer.get("account")
            account = found if isinstance(found, dict) else None
        except (RemoteError, AppServerError) as exc:
            error = _told(exc.message)
        await work.server.close()
        after = await work.read_auth()
    return Checked(auth=after, account=account, error=error)


async def probe_turn(
    host: Host,
    program: CodexProgram,
    auth: bytes,
    *,
    keep: Callable[[bytes], Awaitable[object]],
    label: str,
    surroundings: Surroundings = PLAIN,
    prompt: str = "Answer with the one word: pong",
    timeout: float = 120.0,
) -> Probed:
    """Run one real turn with a login. It is billed, or counts towards the limits of the plan.

    Args:
        host: Where codex runs.
        program: The codex program there.
        auth: The auth.json.
        keep: Called with the auth.json that codex left, if it is another one.
        label: What to call the login if this process is killed: the id of the seed.
        surroundings: What else codex is given.
        prompt: What to ask.
        timeout: Seconds for the whole turn.

    Raises:
        AppServerError: Codex did not start.
        HostError: The home of codex cannot be made or read.
    """
    answer = error = kind = ""
    running = errand(host, program, surroundings, label=_label(label), auth=auth)
    async with _borrowed(running, auth, keep) as work:
        try:
            async with asyncio.timeout(timeout):
                answer, error, kind = await _turn(work, prompt, timeout)
        except TimeoutError:
            error = f"the turn did not end within {timeout:g} s"
        except (RemoteError, AppServerError) as exc:
            error = _told(exc.message)
        await work.server.close()
        after = await work.read_auth()
    return Probed(auth=after, answer=answer, error=error, kind=kind)


@asynccontextmanager
async def _borrowed(
    running: AbstractAsyncContextManager[Errand],
    auth: bytes,
    keep: Callable[[bytes], Awaitable[object]],
) -> AsyncIterator[Errand]:
    """Codex with a login that is not its own; what it made of that is kept in every case."""
    async with running as work:
        # Only a home whose login is saved may go.
        work.keep_home = True
        try:
            yield work
        finally:
            await work.server.close()
            after = await work.read_auth()
            if after not in (auth, b""):
                await keep(after)
            work.keep_home = False


def _label(text: str) -> str:
    if not text or "/" in text:
        raise ValueError("the label becomes part of a file name, and must not be empty")
    return text


async def _turn(work: Errand, prompt: str, timeout: float) -> tuple[str, str, str]:
    settings: JsonObject = {
        "cwd": work.home.tmp,
        "approvalPolicy": "never",
        "sandbox": "read-only",
        "ephemeral": True,
    }
    server = work.server
    started = obj(await server.request("thread/start", settings, timeout=timeout))
    thread = text_of(obj(started.get("thread")).get("id"))
    asked: JsonObject = {"threadId": thread, "input": [{"type": "text", "text": prompt}]}
    await server.request("turn/start", asked, timeout=timeout)
    answer = ""
    async for message in server.messages():
        if not isinstance(message, Notification):
            continue
        if message.method == "item/completed":
            item = obj(message.params.get("item"))
            if item.get("type") == "agentMessage":
                answer = text_of(item.get("text")) or answer
        elif message.method == "turn/completed":
            error = obj(obj(message.params.get("turn")).get("error"))
            info = error.get("codexErrorInfo")
            kind = info if isinstance(info, str) else next(iter(obj(info)), "")
            return answer, _told(text_of(error.get("message"))), kind
    raise server.ended_error()


def _told(text: str) -> str:
    return redacted(" ".join(text.split()))[:_SHOWN]


__all__ = ["Checked", "Probed", "check_with_codex", "probe_turn"]
