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
from codex_nb.protocol.messages import Notification, ServerRequest
from codex_nb.protocol.transcript import TranscriptReducer
from codex_nb.protocol.values import obj, text_of
from codex_nb.sessions.desk import ApprovalDesk
from codex_nb.sessions.idle import IdleClock
from codex_nb.sessions.launch import REFRESH_METHOD, Launch
from codex_nb.sessions.models import Models
from codex_nb.sessions.operations import Operations
from codex_nb.sessions.outage import OutageTeller
from codex_nb.sessions.questions import Questions
from codex_nb.sessions.record import Record
from codex_nb.sessions.terminal import SessionTerminal
from codex_nb.sessions.turns import Turns
from codex_nb.sessions.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codex_nb.codex.app_server import AppServer
    from codex_nb.protocol.messages import Json, JsonObject, Message
    from codex_nb.sessions.launch import Started
    from codex_nb.sessions.place import Place
    from codex_nb.sessions.spec import SessionSpec

logger = logging.getLogger(__name__)


class Session:
    """One thread of codex, from its start to its end.

    Args:
        spec: What the session is to be; checked already.
        place: Makes the place where it lives.
        emit: Takes the changes of the transcript, in order.
        transcript: What an earlier session host of this session left, to go on from.

    Attributes:
        spec: What the session is to be.
        record: What its transcript says of the session itself.
        operations: What clients ask of it.
        turns: Its turns, and the messages that wait.
        desk: Its open approvals.
        models: What it can use, and what was chosen.
        place: Where it lives.
        outage: Tells when its host is out of reach.
        questions: What the way to the host asks a person.
        terminal: What shows codex's own program on its thread, when somebody asks for it.
    """

    def __init__(
        self,
        spec: SessionSpec,
        place: Callable[[Session], Place],
        *,
        emit: Callable[[list[JsonObject]], None],
        transcript: JsonObject | None = None,
    ) -> None:
        self.spec = spec
        self._emit = emit
        self._reducer = TranscriptReducer(transcript)
        self.record = Record(spec, self._reducer, emit)
        self.questions = Questions(
            show=lambda question: self.record.put(asks=question),
            limit=spec.approval_timeout,
            unattended=spec.unattended,
        )
        self.place = place(self)
        self.outage = OutageTeller(self.place, self.record)
        self._launch = Launch(self.place)
        self.desk = ApprovalDesk(
            self._reducer,
            emit,
            host=self.place.host.name,
            bounds=spec.bounds,
            limit=spec.approval_timeout,
            unattended=spec.unattended,
            on_expiry=self._spawn,
        )
        self.models = Models(spec.model, spec.effort, request=self._request)
        self.turns = Turns(
            spec, self._reducer, emit,
            models=self.models, request=self._request, spawn=self._spawn,
            moment=self.place.moment, end_commands=self.place.end_commands,
        )  # fmt: skip
        self.operations = Operations(self, Uploads(self.place))
        self._server: AppServer | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._idle = IdleClock(spec.idle_timeout, lambda: self.close("idle"))
        self.terminal = SessionTerminal(
            self.place,
            show=self._show_terminal,
            codex=self._codex,
            request=self._request,
            thread=lambda: self.turns.thread,
        )
        self._closing = asyncio.Event()
        self._is_decided = asyncio.Event()  # codex has a thread, or never will
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
        self.record.begin(self.turns)
        if self.spec.plain:
            self.terminal.announce()
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self.place.close)
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
        self._is_decided.set()
        self.desk.close()
        self.turns.stop_clock()
        self._idle.stop()
        self._server = None
        self.record.end(self.ended or "closed", self.turns)

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
            if self._closing.is_set():
                self.place.part()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            works = []
            if server is not None:
                works.append(tasks.create_task(self._pump(server), name="messages"))
                works.append(tasks.create_task(self.turns.play(self.refresh), name="turns"))
            works.append(tasks.create_task(self.place.guard(), name="place"))
            if self._launch.login is not None:
                works.append(tasks.create_task(self._launch.login.guard(), name="login"))
            self.refresh()
            stack.callback(self.place.part)
            await self._closing.wait()
            self.place.part()
            with suppress(AppServerError):  # it is ended in any case
                await self.turns.stop()
            for work in works:
                work.cancel()
        self._tasks = None

    async def _start(self, stack: AsyncExitStack) -> AppServer | None:
        server = await self._launch.start(
            stack, progress=lambda text: self.record.put(detail=text), tell=self.record.notice
        )
        stack.push_async_callback(self.terminal.close)
        self._server = server
        # On another host its paths are known only now.
        self.desk.bounds = self.place.spec.bounds
        self.record.put(cwd=self.place.spec.cwd)
        if self._launch.login is not None:
            self.record.put(seed=self._launch.login.name)
        if server is not None:
            await self._open_thread()
        self.record.put(detail="", codex_version=self._launch.version)
        self._is_decided.set()
        text, hint = self._launch.warning
        if text:
            self.record.notice("warning", text, hint)
        return server

    async def _open_thread(self) -> None:
        params = self._launch.thread_params()
        if self.spec.resume:
            params["threadId"] = self.spec.resume
            params["excludeTurns"] = True
        method = "thread/resume" if self.spec.resume else "thread/start"
        result = obj(await self._request(method, params))
        self.turns.thread = str(obj(result.get("thread")).get("id", ""))
        self.models.used = text_of(result.get("model")), text_of(result.get("reasoningEffort"))
        self.record.put(
            thread_id=self.turns.thread,
            model=self.models.model or result.get("model"),
            effort=self.models.effort or result.get("reasoningEffort"),
        )

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
            self.models.follow(message)
            if message.method in ("turn/started", "turn/completed", "serverRequest/resolved"):
                self.desk.tidy()
                self.refresh()
            if message.method == "turn/completed":
                self._spawn(self.place.keep_threads())

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
        self.record.put(status=status)
        # What happens in a plain terminal is not told: it counts as busy while it is open.
        is_busy = self.spec.plain and self.terminal.is_open
        self._idle.update(is_idle=status == "idle" and not is_busy)

    def _fail(self, error: CodexNBError) -> None:
        logger.warning("session failed", extra={"codex_session": self.spec.id})
        self.ended = "failed"
        self.record.put(detail=error.message, hint=error.hint)

    def show_model(self) -> None:
        """Say in the transcript which model and effort were chosen."""
        chosen = {"model": self.models.model, "effort": self.models.effort}
        self.record.put(**{key: value for key, value in chosen.items() if value})

    def _show_terminal(self, terminal: JsonObject) -> None:
        self.record.put(terminal=terminal)
        self.refresh()
        if terminal["status"] == "ended":
            self._spawn(self._tell_of_login())

    async def _tell_of_login(self) -> None:
        if await self._launch.has_own_login():
            hint = f"Keep it as a seed with `%codex_seed capture {self.spec.name}`."
            self.record.notice(
                "info", "You logged in to Codex in this session.", hint, key="own login"
            )

    def _spawn(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            await work
            self.refresh()

        if self._tasks is not None:
            self._tasks.create_task(guarded())

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

    async def _codex(self) -> Started:
        """The codex that runs, as soon as it has a thread."""
        await self._is_decided.wait()
        self.check_open()
        if self._launch.started is None:
            raise SessionError("Codex did not start.", hint="Look at run.error.")
        return self._launch.started

    async def _request(self, method: str, params: JsonObject) -> Json:
        limit = self.spec.start_timeout.total_seconds()
        return await self.running_server().request(method, params, timeout=limit)
