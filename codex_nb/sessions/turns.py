"""The turns of a session: what waits in line, what runs, and why a turn was ended by us.

* One turn at a time; what is sent meanwhile waits in line.
* Every message that was sent gets a turn in the transcript, also one that codex never began.
* An interrupt ends the turn's commands too; codex alone would let them run on.
* A model that stays out of reach fails the turn; codex 0.163 and later would try for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_nb.errors import AppServerError, RemoteError, SessionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from codex_nb.protocol.messages import Json, JsonObject, Notification
    from codex_nb.protocol.transcript import TranscriptReducer
    from codex_nb.sessions.spec import SessionSpec

INTERRUPT_LIMIT = 15.0
"""Seconds that codex has to end a turn that was interrupted; it needs some 10 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A message that waits for its turn.

    Attributes:
        text: What to tell codex.
        model: Model from this turn on; "" leaves it.
        effort: Reasoning effort from this turn on; "" leaves it.
        timeout: Seconds after which the turn is interrupted; 0 means no limit.
    """

    text: str
    model: str
    effort: str
    timeout: float


class Turns:
    """The turns of one thread.

    Args:
        spec: The session.
        reducer: Holds the transcript that the turns are part of.
        emit: Takes the changes.
        request: Asks codex something and returns its answer.
        spawn: Runs a coroutine beside everything else, for as long as the session serves.

    Attributes:
        thread: Codex's id of the thread; set as soon as it is known.
    """

    def __init__(
        self,
        spec: SessionSpec,
        reducer: TranscriptReducer,
        emit: Callable[[list[JsonObject]], None],
        *,
        request: Callable[[str, JsonObject], Awaitable[Json]],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self.thread = ""
        self._spec = spec
        self._reducer = reducer
        self._emit = emit
        self._request = request
        self._spawn = spawn
        self._turn = ""
        self._is_over = asyncio.Event()
        self._is_starting = False
        self._place = 0  # of the turn that was started last
        self._is_stopped = False
        self._verdict: tuple[str, JsonObject] | None = None
        self._unreachable: asyncio.TimerHandle | None = None
        self._prompts: deque[Prompt] = deque()
        self._has_prompts = asyncio.Event()

    def are_under_way(self) -> bool:
        """Whether a turn runs, starts or waits."""
        return bool(self._turn or self._is_starting or self._prompts)

    def put(self, prompt: Prompt) -> int:
        """Put a message in line and return the place that its turn will have in the transcript.

        Raises:
            UsageError: The message is empty.
        """
        if not prompt.text.strip():
            raise UsageError("The prompt is empty.", hint="Say what Codex is to do.")
        # A turn that starts may be known already, when codex's notice came before its answer.
        begun = len(self._known())
        if self._is_starting:
            begun = max(begun, self._place + 1)
        place = begun + len(self._prompts)
        self._prompts.append(prompt)
        self._has_prompts.set()
        return place

    async def play(self, on_change: Callable[[], None]) -> None:
        """Play what is in line, for ever; tell after each turn."""
        while True:
            await self._has_prompts.wait()
            if not self._prompts:
                self._has_prompts.clear()
            elif self._turn:  # a turn that somebody else started, such as a terminal
                await self._is_over.wait()
            else:
                await self._play(self._prompts.popleft())
                on_change()

    async def steer(self, text: str) -> None:
        """Tell the running turn something.

        Raises:
            UsageError: The message is empty.
            SessionError: No turn runs.
        """
        if not text.strip():
            raise UsageError("The message is empty.", hint="Say what Codex is to do.")
        if not self._turn:
            raise SessionError("No turn is running.", hint="Use run.send() to start one.")
        await self._request(
            "turn/steer",
            {"threadId": self.thread, "expectedTurnId": self._turn, "input": _input(text)},
        )

    async def stop(self) -> None:
        """End the running turn with its commands, and drop what waits in line. Idle: nothing."""
        while self._prompts:
            self._prompts.popleft()
            self._add("interrupted", None)
        self._is_stopped = self._is_starting
        if self._turn:
            await self._interrupt()

    def take(self, message: Notification) -> None:
        """Follow what codex says of this thread; the reducer took it before."""
        match message.method:
            case "turn/started":
                self._turn = _id_of(message.params.get("turn"))
                self._is_over.clear()
            case "turn/completed":
                self._turn = ""
                self.stop_clock()
                self._pass_verdict()
                self._is_over.set()
            case "error":
                self._watch_reconnecting(message.params)
            case method if method.startswith("item/"):
                self.stop_clock()

    def stop_clock(self) -> None:
        """Stop waiting for a model that was out of reach."""
        if self._unreachable is not None:
            self._unreachable.cancel()
            self._unreachable = None

    async def _play(self, prompt: Prompt) -> None:
        params: JsonObject = {"threadId": self.thread, "input": _input(prompt.text)}
        params |= {k: v for k, v in (("model", prompt.model), ("effort", prompt.effort)) if v}
        self._is_starting, self._is_stopped, self._verdict = True, False, None
        self._place = len(self._known())
        self._is_over.clear()
        try:
            result = await self._request("turn/start", params)
        except RemoteError as exc:
            self._add("failed", {"message": exc.message, "hint": exc.hint, "kind": "refused"})
            return
        finally:
            self._is_starting = False
        # The answer and what codex tells meanwhile are taken by different tasks, in any order.
        if not self._is_over.is_set():
            self._turn = _id_of(result.get("turn") if isinstance(result, dict) else None)
        if self._is_stopped:
            await self._interrupt()
        try:
            async with asyncio.timeout(prompt.timeout or None):
                await self._is_over.wait()
        except TimeoutError:
            message = f"The turn took longer than {prompt.timeout:g} s and was interrupted."
            hint = "Give it more time with --timeout, or ask for less at once."
            self._verdict = "interrupted", {"message": message, "hint": hint, "kind": "timeout"}
            await self._interrupt()

    async def _interrupt(self) -> None:
        """Interrupt the turn, end its commands and wait until codex has said that it is over."""
        turn: JsonObject = {"threadId": self.thread, "turnId": self._turn}
        with suppress(RemoteError):  # the turn ended in between
            await self._request("turn/interrupt", turn)
        with suppress(RemoteError):
            await self._request("thread/backgroundTerminals/clean", {"threadId": self.thread})
        try:
            async with asyncio.timeout(INTERRUPT_LIMIT):
                await self._is_over.wait()
        except TimeoutError:
            raise AppServerError(
                f"Codex did not end an interrupted turn within {INTERRUPT_LIMIT:g} s.",
                hint="Send again to go on with the same thread in a new process.",
            ) from None

    def _watch_reconnecting(self, params: JsonObject) -> None:
        limit = self._spec.reconnect_timeout.total_seconds()
        if not params.get("willRetry") or self._unreachable is not None or not limit:
            return
        error = params.get("error")
        said = str(error.get("message") or "").strip() if isinstance(error, dict) else ""

        def give_up() -> None:
            self._unreachable = None
            message = f"The model could not be reached for {limit:g} s: {said}"
            hint = "Check the network and the provider, then send again."
            self._verdict = "failed", {"message": message, "hint": hint, "kind": "unreachable"}
            self._spawn(self._interrupt())

        self._unreachable = asyncio.get_running_loop().call_later(limit, give_up)

    def _pass_verdict(self) -> None:
        """Say of the turn that just ended why we ended it."""
        if self._verdict is None:
            return
        (status, error), self._verdict = self._verdict, None
        turn = self._known()[-1]
        if isinstance(turn, dict) and turn.get("status") == "interrupted":
            self._emit(self._reducer.turn({**turn, "status": status, "error": error}))

    def _add(self, status: str, error: JsonObject | None) -> None:
        """A turn that codex never began."""
        now = time.time()
        turn: JsonObject = {
            "id": f"turn-{len(self._known())}",
            "status": status,
            "started_at": now,
            "completed_at": now,
            "error": error,
        }
        self._emit(self._reducer.turn(turn))

    def _known(self) -> list[Json]:
        turns = self._reducer.transcript["turns"]
        return turns if isinstance(turns, list) else []


def _input(text: str) -> Json:
    return [{"type": "text", "text": text, "text_elements": []}]


def _id_of(turn: Json) -> str:
    return str(turn.get("id") or "") if isinstance(turn, dict) else ""
