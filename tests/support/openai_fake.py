"""A fake of OpenAI's login and back-end on the loopback address, for bare HTTP and the real codex.

It runs in a thread of its own, so that tests with and without an event loop, and processes that
know its URL, can use it at the same time. tests/seeds/test_openai_fake.py is the contract that it
keeps towards codex 0.142.5, 0.163.0 and 0.169.0.

    with FakeOpenAI(strict=True) as fake:
        auth_json = fake.new_login(expires_in=60)
        fake.fail(LOST_AFTER)            # the next refresh takes place and nobody learns of it
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from codex_nb.protocol.values import obj
from codex_nb.replay.loopback import Answer, ConnectionCut, LoopbackServer, Request
from tests.support.openai_endpoints import Endpoints
from tests.support.openai_faults import (
    BROKEN_AFTER,
    EMPTY_SUCCESS,
    GARBLED,
    HANG_AFTER,
    HANG_BEFORE,
    HTML_403,
    LOST_AFTER,
    LOST_BEFORE,
    Fault,
    refusal,
)
from tests.support.openai_state import MARKER, OpenAIState
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from types import TracebackType

    from codex_nb.protocol.messages import JsonObject

TOKEN_PATH = "/oauth/token"
_LIMIT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request that came.

    Attributes:
        method: Of the request.
        path: Without the query.
        headers: Names in lower case.
        body: As it came.
        status: Of the answer; 0 when there was none.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def json(self) -> JsonObject:
        """The body; {} when it is no JSON object."""
        try:
            return obj(json.loads(self.body))
        except ValueError:
            return {}


class FakeOpenAI:
    """The server, its state and its faults. Every method may be called from any thread.

    Args:
        strict: Whether a spent refresh token that comes again revokes its whole family.
        says: What its model answers.
    """

    def __init__(self, *, strict: bool = True, says: str = "pong") -> None:
        self.state = OpenAIState(strict=strict)
        self.url = ""
        self._endpoints = Endpoints(self.state, says=says)
        self._faults: dict[str, deque[Fault]] = {}
        self._seen: list[Seen] = []
        self._news = threading.Condition()
        self._is_answering = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._resumed: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="fake OpenAI", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        with self._news:
            if not self._news.wait_for(lambda: self.url != "", scaled(_LIMIT)):
                raise TimeoutError("the fake did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(scaled(_LIMIT))

    # What a test sets up

    def environment(self) -> dict[str, str]:
        """The variables that make codex, and our own code, come here for tokens."""
        return {
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{self.url}{TOKEN_PATH}",
            "CODEX_REVOKE_TOKEN_URL_OVERRIDE": f"{self.url}/oauth/revoke",
            "CODEX_APP_SERVER_LOGIN_ISSUER": self.url,
        }

    def codex_config(self) -> JsonObject:
        """The settings that make codex come here for everything else, with its login."""
        return {
            "chatgpt_base_url": f"{self.url}/backend-api",
            "cli_auth_credentials_store": "file",
            "model": "replay",
            "model_provider": "fake",
            "model_providers": {
                "fake": {
                    "name": "Fake OpenAI",
                    "base_url": f"{self.url}/v1",
                    "wire_api": "responses",
                    "requires_openai_auth": True,
                    "request_max_retries": 0,
                    "stream_max_retries": 0,
                }
            },
        }

    def new_login(
        self, account: str = "acct-1", *, expires_in: float = 3600, plan: str = "pro"
    ) -> bytes:
        """A new login, with a family of its own, as an auth.json.

        Args:
            account: Whose.
            expires_in: Seconds that its access token is good; later ones are for an hour.
            plan: Of the account.
        """
        return self.state.auth_json(account, expires_in=expires_in, plan=plan)

    def new_api_key(self) -> str:
        """A key that the API takes."""
        return self.state.api_key()

    def is_live(self, refresh_token: str) -> bool:
        """Whether a refresh token would be accepted now."""
        return self.state.is_live(refresh_token)

    def approve(self, code: str, account: str = "acct-1", *, expires_in: float = 3600) -> None:
        """Do what a person does in the browser with a device code."""
        self.state.decide_device(code, "approved", account, expires_in)

    def deny(self, code: str) -> None:
        """Say no to a device code."""
        self.state.decide_device(code, "denied", "", 0)

    def fail(self, fault: Fault, *, times: int = 1, path: str = TOKEN_PATH) -> None:
        """Let the next requests for a path go wrong, after those that were set up before.

        Raises:
            ValueError: Two answers in a row would make codex ask thousands of times a minute.
        """
        with self._news:
            queue = self._faults.setdefault(path, deque())
            if fault.heats_codex and (times > 1 or (queue and queue[-1].heats_codex)):
                raise ValueError("codex would ask without a pause: set it up once in a row")
            queue.extend([fault] * times)

    def stop_answering(self) -> None:
        """Take connections from now on and answer nothing, do nothing."""
        with self._news:
            self._is_answering = False

    def answer_again(self) -> None:
        """End that; who still waits is answered, and nothing is done for who hung up."""
        with self._news:
            self._is_answering = True
        if self._loop is not None and self._resumed is not None:
            self._loop.call_soon_threadsafe(self._resumed.set)

    # What a test looks at

    @property
    def seen(self) -> list[Seen]:
        """Every request that was answered or dropped, in this order."""
        with self._news:
            return list(self._seen)

    def requests(self, path: str = TOKEN_PATH) -> list[Seen]:
        """Those for one path."""
        return [request for request in self.seen if request.path == path]

    def wait_seen(self, path: str = TOKEN_PATH, *, count: int = 1) -> list[Seen]:
        """Wait until so many requests for a path came; blocks, so call it in a thread.

        Raises:
            TimeoutError: They did not come within some seconds.
        """
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests(path)) >= count, scaled(_LIMIT)):
                raise TimeoutError(f"{path} was not asked {count} times")
        return self.requests(path)

    # The server

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._resumed = asyncio.Event()
        async with LoopbackServer(self._handle) as server:
            with self._news:
                self.url = server.url
                self._news.notify_all()
            await self._end.wait()

    async def _handle(self, request: Request) -> Answer:
        while not self._is_answering and self._resumed is not None:
            self._resumed.clear()
            await self._resumed.wait()
            # Who hung up meanwhile gets nothing done: some turns of the loop until that is noticed,
            # which cancels this.
            for _ in range(10):
                await asyncio.sleep(0)
        fault = self._next_fault(request.path)
        if fault is None:
            answer = self._endpoints.answer(request)
            self._note(request, answer.status)
            return answer
        await asyncio.sleep(fault.delay)
        if fault.commit:
            self._endpoints.answer(request)
        self._note(request, fault.status)
        if fault.status:
            return Answer(status=fault.status, headers=fault.headers, body=fault.body)
        if fault.hang:
            await asyncio.Event().wait()
        raise ConnectionCut

    def _next_fault(self, path: str) -> Fault | None:
        with self._news:
            queue = self._faults.get(path)
            return queue.popleft() if queue else None

    def _note(self, request: Request, status: int) -> None:
        seen = Seen(
            method=request.method,
            path=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.body,
            status=status,
        )
        with self._news:
            self._seen.append(seen)
            self._news.notify_all()


__all__ = [
    "BROKEN_AFTER",
    "EMPTY_SUCCESS",
    "GARBLED",
    "HANG_AFTER",
    "HANG_BEFORE",
    "HTML_403",
    "LOST_AFTER",
    "LOST_BEFORE",
    "MARKER",
    "TOKEN_PATH",
    "FakeOpenAI",
    "Fault",
    "Seen",
    "refusal",
]
