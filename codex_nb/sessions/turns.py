"""The turns of a session: what waits in line, what runs, and why a turn was ended by us.

* One turn at a time; what is sent meanwhile waits in line.
* Every message that was sent gets a turn in the transcript, also one that codex never began, and
  in the place that was told when it was sent. So one that was dropped or taken back stays in line
  until its place comes.
* An interrupt ends the turn's commands too; codex alone would let them run on.
* A model that stays out of reach fails the turn; codex 0.163 and later would try for ever.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.errors import AppServerError, RemoteError, SessionError
from codex_nb.sessions.line import Line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from codex_nb.protocol.messages import Json, JsonObject, Notification
    from codex_nb.protocol.transcript import TranscriptReducer
    from codex_nb.sessions.line import Prompt
    from codex_nb.sessions.models import Models
    from codex_nb.sessions.spec import SessionSpec

INTERRUPT_LIMIT = 15.0
"""Seconds that codex has to end a turn that was interrupted; it needs some 10 ms."""

_INTERRUPT_AGAIN = 1.0
_LOOKS = 10
_BETWEEN_LOOKS = 0.05


class Turns:
    """The turns of one thread.

    Args:
        spec: The session.
        reducer: Holds the transcript that the turns are part of.
        emit: Takes the changes.
        models: Knows model and effort of a turn that does not say them.
        request: Asks codex something and returns its answer.
        spawn: Runs a coroutine beside everything else, for as long as the session serves.
        moment: The moment on the host of codex, as `Host.moment` tells it.
        end_commands: Ends the commands that were born since a moment; tells how many there were.

    Attributes:
        thread: Codex's id of the thread; set as soon as it is known.
    """

    def __init__(
        self,
        spec: SessionSpec,
        reducer: TranscriptReducer,
        emit: Callable[[list[JsonObject]], None],
        *,
        models: Models,
        request: Callable[[str, JsonObject], Awaitable[Json]],
        spawn: Callable[[Coroutine[None, None, None]], None],
        moment: Callable[[], float],
        end_commands: Callable[[float], Awaitable[int]],
    ) -> None:
        self.thread = ""
        self._spec = spec
        self._reducer = reducer
        self._emit = emit
        self._models = models
        self._request = request
        self._spawn = spawn
        self._moment = moment
        self._end_born_since = end_commands
        self._turn = ""
        self._is_over = asyncio.Event()
        self._is_starting = False
        self._is_playing = False
        self._place = 0  # of the turn that was started last
        self._began = 0.0  # when, as a moment on the host
        self._beginning = ""  # what that turn was started with, until codex took it
        self._is_stopped = False
        self._verdict: tuple[str, JsonObject] | None = None
        self._unreachable: asyncio.TimerHandle | None = None
        self._line = Line(lambda waiting: emit(reducer.queue(waiting)))

    def are_under_way(self) -> bool:
        """Whether a turn runs, starts or waits."""
        return bool(self._turn or self._is_starting or self._line)

    def put(self, prompt: Prompt) -> int:
        """Put a message in line and return the place that its turn will have in the transcript."""
        # A turn that starts may be known already, when codex's notice came before its answer.
        begun = len(self._known())
        if self._is_starting:
            begun = max(begun, self._place + 1)
        place = begun + len(self._line)
        self._line.put(prompt, is_next=self._is_playing and not self.are_under_way())
        return place

    def withdraw(self, key: str) -> str:
        """Take a message back that waits in line, and return what the person wrote.

        Raises:
            SessionError: It does not wait, or no longer.
        """
        said = self._line.withdraw(key)
        self._pass_over()
        return said

    async def play(self, on_change: Callable[[], None]) -> None:
        """Play what is in line, for ever; tell after each turn."""
        self._is_playing = True
        while True:
            await self._line.wait_filled()
            self._pass_over()
            if not self._line:
                on_change()
            elif self._turn:  # a turn that somebody else started, such as a terminal
                await self._is_over.wait()
            else:
                await self._play(self._line.pop())
                on_change()

    def check_running(self) -> None:
        """Refuse when there is nothing to steer.

        Raises:
            SessionError: No turn runs.
        """
        if not self._turn:
            raise SessionError("No turn is running.", hint="Use run.send() to start one.")

    async def steer(self, text: str, images: tuple[JsonObject, ...] = ()) -> None:
        """Tell the running turn something.

        Raises:
            SessionError: No turn runs.
        """
        self.check_running()
        told: JsonObject = {"expectedTurnId": self._turn, "input": _input(text, images)}
        await self._request("turn/steer", {"threadId": self.thread, **told})

    async def stop(self) -> None:
        """End the running turn with its commands, and drop what waits in line. Idle: nothing."""
        self._line.drop("interrupted", None)
        self._is_stopped = self._is_starting
        if self._turn:
            await self._interrupt()
        self._pass_over()

    def abandon(self, status: str, error: JsonObject | None) -> None:
        """Give what still waits its turns, because codex is gone."""
        self._turn, self._is_starting = "", False
        if self._beginning and len(self._known()) <= self._place:
            self.put_over(status, error, self._beginning)
        self._line.drop(status, error)
        self._pass_over()

    def take(self, message: Notification) -> None:
        """Follow what codex says of this thread; the reducer took it before."""
        match message.method:
            case "turn/started":
                self._turn = _id_of(message.params.get("turn"))
                if not self._is_starting:
                    self._began = self._moment()
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
        params: JsonObject = {
            "threadId": self.thread,
            "input": _input(prompt.text, prompt.images),
            **self._models.turn_params(prompt.model, prompt.effort),
        }
        self._is_starting, self._is_stopped, self._verdict = True, False, None
        self._place, self._beginning = len(self._known()), prompt.text
        self._began = self._moment()
        self._is_over.clear()
        try:
            result = await self._request("turn/start", params)
        except RemoteError as exc:
            error: JsonObject = {"message": exc.message, "hint": exc.hint, "kind": "refused"}
            self._beginning = ""
            self.put_over("failed", error, prompt.text)
            return
        finally:
            self._is_starting = False
        self._beginning = ""
        self._models.use(prompt.model, prompt.effort)
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
        deadline = time.monotonic() + INTERRUPT_LIMIT
        while not self._is_over.is_set():
            if time.monotonic() > deadline:
                raise AppServerError(
                    f"Codex did not end an interrupted turn within {INTERRUPT_LIMIT:g} s.",
                    hint="Send again to go on with the same thread in a new process.",
                )
            with suppress(RemoteError):  # the turn ended in between
                await self._request("turn/interrupt", turn)
            with suppress(RemoteError):
                await self._request("thread/backgroundTerminals/clean", {"threadId": self.thread})
            # Codex may lose an interrupt that comes while it starts the turn.
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERRUPT_AGAIN):
                    await self._is_over.wait()
        await self._end_commands()

    async def _end_commands(self) -> None:
        """End what the turn started and codex lost sight of: a command whose sandbox was made."""
        looks_in_vain = 0
        for _ in range(_LOOKS):
            ended = await self._end_born_since(self._began)
            looks_in_vain = 0 if ended else looks_in_vain + 1
            if looks_in_vain == 2:
                return
            await asyncio.sleep(_BETWEEN_LOOKS)

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

    def _pass_over(self) -> None:
        """Give what never begins its turn, as far as its place has come."""
        while not (self._turn or self._is_starting) and (never := self._line.pop_never()):
            self.put_over(*never)

    def put_over(self, status: str, error: JsonObject | None, message: str) -> None:
        """Put a turn that codex never began, with what was said to start it."""
        now = time.time()
        turn: JsonObject = {
            "id": f"turn-{len(self._known())}",
            "status": status,
            "started_at": now,
            "completed_at": now,
            "error": error,
        }
        self._emit(self._reducer.turn(turn, message=message, at=now))

    def _known(self) -> list[Json]:
        turns = self._reducer.transcript["turns"]
        return turns if isinstance(turns, list) else []


def _input(text: str, images: tuple[JsonObject, ...]) -> Json:
    said: list[Json] = [{"type": "text", "text": text, "text_elements": []}] if text else []
    return [*said, *images]


def _id_of(turn: Json) -> str:
    return str(turn.get("id") or "") if isinstance(turn, dict) else ""
