"""Logging in through codex itself, in a home that is thrown away.

Codex knows the endpoints, the client and what they change to; we pass on what it says. Checked
against codex 0.142.5, 0.163.0 and 0.169.0: a device code is good for 15 minutes, codex asks for the
decision about once a second, and auth.json is written before it tells that the login is completed.
CODEX_APP_SERVER_LOGIN_ISSUER sends 0.163.0 and later to another issuer, but not 0.142.5.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from codex_nb.codex.scratch import PLAIN, errand
from codex_nb.codex.stderr_tail import redacted
from codex_nb.errors import AppServerError, LoginError, RemoteError
from codex_nb.protocol.messages import Notification
from codex_nb.protocol.values import obj, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.codex.scratch import Errand, Surroundings
    from codex_nb.hosts.base import Host
    from codex_nb.protocol.messages import JsonObject

DEVICE_CODE_LIFE = 15 * 60.0
"""Seconds that a device code is good."""

_ANSWER = 30.0
_CANCEL = 3.0
_SHOWN = 300

_TRY_AGAIN = "Try again; codex must be able to reach the internet for this."


class DeviceLogin:
    """A login that waits until a person typed a code into a web page. Made by `start`.

    Attributes:
        url: The web page.
        code: What to type there.
        expires_at: When the code ends, in Unix seconds.
    """

    def __init__(self, work: Errand, started: JsonObject) -> None:
        self.url = text_of(started.get("verificationUrl"))
        self.code = text_of(started.get("userCode"))
        self.expires_at = time.time() + DEVICE_CODE_LIFE
        self._id = text_of(started.get("loginId"))
        self._work = work
        self._is_over = False

    @classmethod
    @asynccontextmanager
    async def start(
        cls, host: Host, program: CodexProgram, surroundings: Surroundings = PLAIN
    ) -> AsyncIterator[DeviceLogin]:
        """Begin a login; leaving the block before it is finished cancels it, and leaves nothing.

        Args:
            host: Where codex runs.
            program: The codex program there.
            surroundings: What else codex is given.

        Raises:
            LoginError: The issuer gave no code.
            AppServerError: Codex did not start.
            HostError: The home of codex cannot be made.
        """
        async with errand(host, program, surroundings) as work:
            started, refusal = await _begin(work, {"type": "chatgptDeviceCode"})
            if refusal:
                raise _refused(refusal)
            login = cls(work, started)
            if not (login.url and login.code and login._id):
                raise LoginError("Codex started a login and told no code.", hint=_TRY_AGAIN)
            try:
                yield login
            finally:
                await login._cancel()

    async def finished(self) -> bytes:
        """The auth.json, as soon as the person is done.

        Raises:
            LoginError: The person said no, the code ended, or codex did.
        """
        try:
            # Some seconds more than the code is good, so that codex itself can say that it ended.
            async with asyncio.timeout(self.expires_at + _ANSWER - time.time()):
                await _wait_completed(self._work, self._id)
        except TimeoutError:
            raise LoginError("The device code ended unused.", hint="Start again.") from None
        self._is_over = True
        return await _read_auth(self._work)

    async def _cancel(self) -> None:
        if self._is_over:
            return
        try:
            await self._work.server.request(
                "account/login/cancel", {"loginId": self._id}, timeout=_CANCEL
            )
        except (AppServerError, RemoteError):
            return  # it is over already, or ends with codex in a moment


async def api_key_login(
    host: Host, program: CodexProgram, key: str, surroundings: Surroundings = PLAIN
) -> bytes:
    """The auth.json with which codex uses an API key. Nobody is asked whether it is good.

    Args:
        host: Where codex runs.
        program: The codex program there.
        key: The API key.
        surroundings: What else codex is given.

    Raises:
        LoginError: It is no key, or codex does not take it.
        AppServerError: Codex did not start.
        HostError: The home of codex cannot be made.
    """
    text = key.strip()
    is_key = text != "" and text.isascii() and text.isprintable()
    params: JsonObject = {"type": "apiKey", "apiKey": text}
    # A formatter that shows locals shows those of this frame.
    del key, text
    if not is_key:
        del params
        raise LoginError("This is no API key.", hint='A key begins with "sk-".')
    async with errand(host, program, surroundings) as work:
        _, refusal = await _begin(work, params)
        del params
        if refusal:
            raise _refused(refusal)
        return await _read_auth(work)


async def _begin(work: Errand, params: JsonObject) -> tuple[JsonObject, str]:
    """What codex answered, or why it did not; an error of it would hold the key."""
    try:
        answer = await work.server.request("account/login/start", params, timeout=_ANSWER)
    except (RemoteError, AppServerError) as exc:
        return {}, exc.message
    return obj(answer), ""


def _refused(why: str) -> LoginError:
    return LoginError(f"Codex could not start a login: {_told(why)}", hint=_TRY_AGAIN)


async def _wait_completed(work: Errand, login_id: str) -> None:
    async for message in work.server.messages():
        if not isinstance(message, Notification) or message.method != "account/login/completed":
            continue
        if message.params.get("loginId") != login_id:
            continue
        if message.params.get("success") is True:
            return
        told = text_of(message.params.get("error")) or "it gave no reason"
        raise LoginError(f"The login failed: {_told(told)}", hint="Start again.")
    raise LoginError(f"The login failed: {work.server.ended_error().message}", hint=_TRY_AGAIN)


async def _read_auth(work: Errand) -> bytes:
    data = await work.read_auth()
    if not data:
        raise LoginError(
            "Codex logged in and left no auth.json.",
            hint="Look whether an administrator's settings keep logins in a keyring.",
        )
    return data


def _told(text: str) -> str:
    """What codex said, on one line and without what looks like a secret."""
    return redacted(" ".join(text.split()))[:_SHOWN]


__all__ = ["DEVICE_CODE_LIFE", "DeviceLogin", "api_key_login"]
