"""One session: a thread of a codex app-server and its turns, as changes of a transcript.

No sockets and no log here: changes go out through `emit`, operations come in as method calls, all
on one event loop.

* The sandbox and the approval policy are sent with every start and resume, because codex forgets
  them.
* When codex ends by itself, the session has failed and says so with the tail of its stderr.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from codex_nb.errors import (
    AppServerError,
    CodexNBError,
    SessionClosedError,
    SessionError,
    UsageError,
    first_error,
)
from codex_nb.protocol.approvals import Decision
from codex_nb.protocol.messages import Notification, ServerRequest
from codex_nb.protocol.transcript import TranscriptReducer
from codex_nb.sessions.desk import ApprovalDesk
from codex_nb.sessions.launch import Launch
from codex_nb.sessions.registry import HOST_IS_GONE
from codex_nb.sessions.turns import Prompt, Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codex_nb.codex.app_server import AppServer
    from codex_nb.hosts.base import Host
    from codex_nb.protocol.messages import Json, JsonObject, Message
    from codex_nb.sessions.spec import SessionSpec

logger = logging.getLogger(__name__)


class Session:
    """One thread of codex, from its start to its end.

    Args:
        spec: What the session is to be; checked already.
        folder: The session folder, made already.
        host: Where codex runs.
        emit: Takes the changes of the transcript, in order.
        transcript: What an earlier session host of this session left, to go on from.
    """

    def __init__(
        self,
        spec: SessionSpec,
        folder: str,
        *,
        host: Host,
        emit: Callable[[list[JsonObject]], None],
        transcript: JsonObject | None = None,
    ) -> None:
        self.spec = spec
        self._emit = emit
        self._reducer = TranscriptReducer(transcript)
        self._launch = Launch(spec, folder, host)
        self._desk = ApprovalDesk(
            self._reducer,
            emit,
            host=host.name,
            limit=spec.approval_timeout,
            unattended=spec.unattended,
            on_expiry=self._spawn,
        )
        self._turns = Turns(spec, self._reducer, emit, request=self._request, spawn=self._spawn)
        self._server: AppServer | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        self.ended = ""
        """Why the session ended: "closed", "idle" or "failed"; "" while it runs."""

    @property
    def transcript(self) -> JsonObject:
        """The state that all emitted changes add up to. Not to be changed."""
        return self._reducer.transcript

    @property
    def leftovers(self) -> str:
        """What the sandbox may leave behind, for whoever has to sweep after a crash."""
        return self._launch.leftovers

    async def run(self) -> None:
        """Start codex and serve the session until it is closed, idles out or fails.

        A failure ends up in the transcript and not in an exception; any exception is a bug.
        """
        # What a session host that was killed had under way is not under way any more.
        gone = self._reducer.close_open(status="failed", error=HOST_IS_GONE, at=time.time())
        self._emit(gone)
        self._session(
            **self.spec.described(),
            status="starting",
            detail="Starting Codex",
            hint="",
            ended=None,
            ended_at=None,
            created_at=time.time(),
            pid=os.getpid(),
        )
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self._launch.clean_up)
                await self._serve(stack)
        except* CodexNBError as group:
            self._fail(first_error(group))
        except* Exception:
            self._fail(
                SessionError(
                    "The session ended by a fault of codex_nb.",
                    hint="Please report it with host.log of the session folder.",
                )
            )
            logger.exception("a bug ended the session", extra={"codex_session": self.spec.id})
        self._desk.close()
        self._stop_clocks()
        self._server = None
        failed = self.ended == "failed"
        session = _object(self._reducer.transcript["session"])
        why = {"kind": "ended", "message": session.get("detail"), "hint": session.get("hint")}
        self._emit(
            self._reducer.close_open(
                status="failed" if failed else "interrupted",
                error=why if failed else None,
                at=time.time(),
            )
        )
        self._session(
            status="failed" if failed else "closed", ended=self.ended or "closed",
            ended_at=time.time(), **({"detail": self._why_idle()} if self.ended == "idle" else {}),
        )  # fmt: skip

    # Operations of clients

    def send(self, text: str, *, model: str = "", effort: str = "", timeout: float = 0) -> int:
        """Start a turn with this message, now or when the turns before it are over.

        Args:
            text: What to tell codex.
            model: Model from this turn on; "" leaves it.
            effort: Reasoning effort from this turn on; "" leaves it.
            timeout: Seconds after which the turn is interrupted; 0 takes the session's.

        Returns:
            The place that the turn will have in the transcript's turns.

        Raises:
            UsageError: The message is empty.
            SessionClosedError: The session ended.
        """
        self._check_open()
        limit = timeout or self.spec.turn_timeout.total_seconds()
        model, effort = model or self.spec.model, effort or self.spec.effort
        place = self._turns.put(Prompt(text=text, model=model, effort=effort, timeout=limit))
        self._refresh()
        return place

    async def steer(self, text: str) -> None:
        """Tell the running turn something.

        Raises:
            SessionError: No turn runs.
        """
        self._check_open()
        await self._turns.steer(text)

    async def interrupt(self) -> None:
        """End the running turn with its commands, and drop what waits in line. Idle: nothing."""
        self._check_open()
        await self._turns.stop()
        self._refresh()

    async def answer(self, key: str, decision: str, reason: str = "") -> None:
        """Answer an approval; a reason for a refusal is told to codex.

        Raises:
            UsageError: There is no such decision, or it is not legal here.
            SessionError: The approval is not open, or no longer.
        """
        self._check_open()
        try:
            choice = Decision(decision)
        except ValueError:
            raise UsageError(
                f"{decision!r} is no decision.", hint=f"It is one of: {', '.join(Decision)}."
            ) from None
        await self._desk.decide(self._running_server(), key, choice, note=reason)
        self._refresh()
        if reason.strip() and choice is Decision.DECLINE:
            try:
                await self.steer(f"I declined this: {reason.strip()}")
            except CodexNBError:
                # The turn ended in between. What was said must not be lost.
                self._notice("warning", "The reason did not reach Codex: its turn had ended.")

    def close(self, ended: str = "closed") -> None:
        """End the session; `run` returns when everything is cleaned up. Idempotent."""
        self.ended = self.ended or ended
        self._closing.set()

    # Start and end

    async def _serve(self, stack: AsyncExitStack) -> None:
        closing = asyncio.create_task(self._closing.wait(), name="closing")
        starting = asyncio.create_task(self._start(stack), name="start")
        try:
            await asyncio.wait({closing, starting}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return
            server = starting.result()
        finally:
            for task in (closing, starting):
                task.cancel()
            await asyncio.gather(closing, starting, return_exceptions=True)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            pump = tasks.create_task(self._pump(server), name="messages")
            play = tasks.create_task(self._turns.play(self._refresh), name="turns")
            self._refresh()
            await self._closing.wait()
            with suppress(AppServerError):  # it is ended in any case
                await self._turns.stop()
            pump.cancel()
            play.cancel()
        self._tasks = None

    async def _start(self, stack: AsyncExitStack) -> AppServer:
        server = await self._launch.start(stack, progress=lambda text: self._session(detail=text))
        self._server = server
        params = self._launch.thread_params()
        if self.spec.resume:
            params["threadId"] = self.spec.resume
            params["excludeTurns"] = True
        method = "thread/resume" if self.spec.resume else "thread/start"
        result = _object(await self._request(method, params))
        self._turns.thread = str(_object(result.get("thread")).get("id", ""))
        model, effort = result.get("model"), result.get("reasoningEffort")
        self._session(
            detail="", thread_id=self._turns.thread, model=model, effort=effort,
            codex_version=self._launch.version,
        )  # fmt: skip
        text, hint = self._launch.warning
        if text:
            self._notice("warning", text, hint)
        return server

    async def _pump(self, server: AppServer) -> None:
        async for message in server.messages():
            await self._handle(server, message)
        error = server.ended_error()
        raise AppServerError(
            error.message, hint=f"Send again to go on with the same thread. {error.hint}"
        )

    async def _handle(self, server: AppServer, message: Message) -> None:
        if isinstance(message, ServerRequest):
            await self._desk.take(server, message)
            self._refresh()
            return
        changes = self._reducer.apply(message, at=time.time())
        self._emit(changes)
        thread = self._turns.thread
        if isinstance(message, Notification) and message.params.get("threadId") == thread:
            self._turns.take(message)
            if message.method in ("turn/started", "turn/completed", "serverRequest/resolved"):
                self._desk.tidy()
                self._refresh()

    # State

    def _refresh(self) -> None:
        """Bring the session's status in line, and start or stop the idle clock."""
        if self._closing.is_set() or self._tasks is None:
            return
        if self._desk.is_waiting():
            status = "waiting"
        elif self._turns.are_under_way():
            status = "running"
        else:
            status = "idle"
        self._session(status=status)
        limit = self.spec.idle_timeout.total_seconds()
        if status != "idle" and self._idle is not None:
            self._idle.cancel()
            self._idle = None
        elif status == "idle" and self._idle is None and limit:
            self._idle = asyncio.get_running_loop().call_later(limit, self.close, "idle")

    def _fail(self, error: CodexNBError) -> None:
        logger.warning("session failed", extra={"codex_session": self.spec.id})
        self.ended = "failed"
        self._session(detail=error.message, hint=error.hint)

    def _why_idle(self) -> str:
        seconds = self.spec.idle_timeout.total_seconds()
        span = f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"
        return f"Ended after {span} without a turn; send again to go on."

    def _session(self, **values: Json) -> None:
        self._emit(self._reducer.session(**values))

    def _notice(self, level: str, text: str, hint: str = "") -> None:
        self._emit(self._reducer.notice(level, text, hint=hint, at=time.time()))

    def _spawn(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            await work
            self._refresh()

        if self._tasks is not None:
            self._tasks.create_task(guarded())

    def _stop_clocks(self) -> None:
        self._turns.stop_clock()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _check_open(self) -> None:
        if self.ended or self._closing.is_set():
            raise SessionClosedError(
                f"The session {self.spec.name!r} has ended.", hint="Start it again with %codex_run."
            )

    def _running_server(self) -> AppServer:
        if self._server is None:
            raise SessionError("Codex is still starting.", hint="Wait until run.status is idle.")
        return self._server

    async def _request(self, method: str, params: JsonObject) -> Json:
        limit = self.spec.start_timeout.total_seconds()
        return await self._running_server().request(method, params, timeout=limit)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
