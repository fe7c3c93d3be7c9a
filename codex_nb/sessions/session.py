"""One session: a thread of a codex app-server and its turns, as changes of a transcript.

No sockets and no log here: changes go out through `emit`, operations come in through `operations`,
all on one event loop.

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
    first_error,
)
from codex_nb.protocol.grants import Bounds
from codex_nb.protocol.messages import Notification, ServerRequest
from codex_nb.protocol.transcript import TranscriptReducer
from codex_nb.protocol.values import obj, objects_of, text_of
from codex_nb.sessions.desk import ApprovalDesk, span_of
from codex_nb.sessions.launch import REFRESH_METHOD, Launch
from codex_nb.sessions.models import Models
from codex_nb.sessions.operations import Operations
from codex_nb.sessions.registry import HOST_IS_GONE
from codex_nb.sessions.turns import Turns
from codex_nb.sessions.uploads import Uploads

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

    Attributes:
        spec: What the session is to be.
        operations: What clients ask of it.
        turns: Its turns, and the messages that wait.
        desk: Its open approvals.
        models: What it can use, and what was chosen.
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
        self._host = host
        self._emit = emit
        self._reducer = TranscriptReducer(transcript)
        self._launch = Launch(spec, folder, host)
        self.desk = ApprovalDesk(
            self._reducer,
            emit,
            host=host.name,
            bounds=_bounds_of(spec),
            limit=spec.approval_timeout,
            unattended=spec.unattended,
            on_expiry=self._spawn,
        )
        self.models = Models(spec.model, spec.effort, request=self._request)
        self.turns = Turns(
            spec, self._reducer, emit,
            models=self.models, request=self._request, spawn=self._spawn,
        )  # fmt: skip
        self.operations = Operations(self, Uploads(folder, host))
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
        self._emit(self._reducer.close_open(status="failed", error=HOST_IS_GONE, at=time.time()))
        stale = objects_of(self._reducer.transcript["queue"])
        self._emit(self._reducer.queue([]))
        for message in stale:
            self.turns.put_over("failed", HOST_IS_GONE, text_of(message.get("text")))
        self._session(
            **self.spec.described(),
            host=self._host.name,
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
        self.desk.close()
        self._stop_clocks()
        self._server = None
        failed = self.ended == "failed"
        session = obj(self._reducer.transcript["session"])
        why: JsonObject = {
            "kind": "ended",
            "message": session.get("detail"),
            "hint": session.get("hint"),
        }
        over: tuple[str, JsonObject | None] = ("failed", why) if failed else ("interrupted", None)
        self._emit(self._reducer.close_open(status=over[0], error=over[1], at=time.time()))
        self.turns.abandon(*over)
        self._session(
            status="failed" if failed else "closed", ended=self.ended or "closed",
            ended_at=time.time(), **({"detail": self._why_idle()} if self.ended == "idle" else {}),
        )  # fmt: skip

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
            works = [
                tasks.create_task(self._pump(server), name="messages"),
                tasks.create_task(self.turns.play(self.refresh), name="turns"),
            ]
            if self._launch.login is not None:
                works.append(tasks.create_task(self._launch.login.guard(), name="login"))
            self.refresh()
            await self._closing.wait()
            with suppress(AppServerError):  # it is ended in any case
                await self.turns.stop()
            for work in works:
                work.cancel()
        self._tasks = None

    async def _start(self, stack: AsyncExitStack) -> AppServer:
        server = await self._launch.start(
            stack, progress=lambda text: self._session(detail=text), tell=self._notice
        )
        self._server = server
        if self._launch.login is not None:
            self._session(seed=self._launch.login.name)
        params = self._launch.thread_params()
        if self.spec.resume:
            params["threadId"] = self.spec.resume
            params["excludeTurns"] = True
        method = "thread/resume" if self.spec.resume else "thread/start"
        result = obj(await self._request(method, params))
        self.turns.thread = str(obj(result.get("thread")).get("id", ""))
        self._session(
            detail="", thread_id=self.turns.thread, codex_version=self._launch.version,
            model=self.models.model or result.get("model"),
            effort=self.models.effort or result.get("reasoningEffort"),
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
            login = self._launch.login
            if message.method == REFRESH_METHOD and login is not None:
                # The conversation goes on meanwhile: this may take as long as a token endpoint.
                self._spawn(login.answer(server, message))
                return
            await self.desk.take(server, message)
            self.refresh()
            return
        changes = self._reducer.apply(message, at=time.time())
        self._emit(changes)
        if self._launch.login is not None:
            self._launch.login.note_usage(self._reducer.transcript["rate_limits"])
        thread = self.turns.thread
        if isinstance(message, Notification) and message.params.get("threadId") == thread:
            self.turns.take(message)
            if message.method in ("turn/started", "turn/completed", "serverRequest/resolved"):
                self.desk.tidy()
                self.refresh()

    # State

    def refresh(self) -> None:
        """Bring the session's status in line, and start or stop the idle clock."""
        if self._closing.is_set() or self._tasks is None:
            return
        if self.desk.is_waiting():
            status = "waiting"
        elif self.turns.are_under_way():
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
        return f"Ended after {span_of(self.spec.idle_timeout)} without a turn; send again to go on."

    def show_model(self) -> None:
        """Say in the transcript which model and effort were chosen."""
        chosen = {"model": self.models.model, "effort": self.models.effort}
        self._session(**{key: value for key, value in chosen.items() if value})

    def warn(self, text: str) -> None:
        """Tell the person something that is part of no turn."""
        self._notice("warning", text)

    def _session(self, **values: Json) -> None:
        self._emit(self._reducer.session(**values))

    def _notice(self, level: str, text: str, hint: str = "") -> None:
        self._emit(self._reducer.notice(level, text, hint=hint, at=time.time()))

    def _spawn(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            await work
            self.refresh()

        if self._tasks is not None:
            self._tasks.create_task(guarded())

    def _stop_clocks(self) -> None:
        self.turns.stop_clock()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def check_open(self) -> None:
        """Refuse what comes too late.

        Raises:
            SessionClosedError: The session ended, or is about to.
        """
        if self.ended or self._closing.is_set():
            raise SessionClosedError(
                f"The session {self.spec.name!r} has ended.", hint="Start it again with %codex_run."
            )

    def running_server(self) -> AppServer:
        """The codex of this session.

        Raises:
            SessionError: It does not run yet.
        """
        if self._server is None:
            raise SessionError("Codex is still starting.", hint="Wait until run.status is idle.")
        return self._server

    async def _request(self, method: str, params: JsonObject) -> Json:
        limit = self.spec.start_timeout.total_seconds()
        return await self.running_server().request(method, params, timeout=limit)


def _bounds_of(spec: SessionSpec) -> Bounds:
    """What commands may do unasked, for the sentences of an approval."""
    writable = (spec.cwd, *spec.allow) if spec.sandbox == "workspace-write" else ()
    return Bounds(sandbox=spec.sandbox, ask=spec.ask, writable=writable)
