"""One running `codex app-server`, spoken to over its stdin and stdout, or over a unix socket.

The object owns one task, which holds everything else in a TaskGroup: it reads both outputs, waits
for the process, and ends last. It is made by `start` and ended by `close`, which may be called from
different tasks; whoever started it must close it.

* Responses go to the callers of `request`, everything else to `messages`, in order.
* When the process ends, by itself or not, requests fail, `messages` ends, and nothing is left.
* End of the process: close stdin, wait, TERM, wait, KILL, and say so when KILL was needed.
* One that listens at a socket does not care for its stdin, and is tethered to ours instead.

Checked against codex 0.142.5, 0.163.0 and 0.169.0: the end of stdin makes codex end in 20 to 70 ms,
and TERM makes one at a socket end in 10 to 20 ms.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.codex.inbox import Inbox
from codex_nb.codex.stderr_tail import StderrTail
from codex_nb.codex.transport import StdioTransport, start_codex
from codex_nb.errors import AppServerError, HostError, RemoteError
from codex_nb.protocol.connection import Connection
from codex_nb.protocol.messages import ErrorResponse, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.codex.transport import Transport
    from codex_nb.hosts.base import Host, Process
    from codex_nb.protocol.messages import Json, JsonObject, Message, RequestId

logger = logging.getLogger(__name__)

_CLIENT = "codex_nb"
_END_GRACE = 5.0
_REPLY_LIMIT = 60.0
_SHOWN = 500


class AppServer:
    """One running `codex app-server`. Made by `start`."""

    def __init__(self, host: Host, process: Process, transport: Transport) -> None:
        self._host = host
        self._process = process
        self._transport = transport
        self._connection = Connection()
        self._inbox = Inbox()
        self._stderr = StderrTail()
        self._answers: dict[RequestId, asyncio.Future[Response | ErrorResponse | None]] = {}
        self._sending = asyncio.Lock()
        self._exit_status: int | None = None
        self._trouble: HostError | None = None  # why nobody knows how it ended
        self._info: JsonObject = {}
        # The one task that no TaskGroup holds: it is the owner of one, and `close` awaits it.
        self._owner = asyncio.create_task(self._serve(), name=f"codex app-server {process.pid}")

    @classmethod
    async def start(
        cls,
        host: Host,
        program: CodexProgram,
        *,
        cwd: str,
        env: Mapping[str, str],
        start_timeout: float,
        client_version: str,
        listen: str = "",
        mark: str = "",
    ) -> AppServer:
        """Start codex and shake hands with it. Nothing is left running when that fails.

        Args:
            host: Where it runs.
            program: The codex program there.
            cwd: Its working folder.
            env: Its whole environment.
            start_timeout: Seconds that it has to answer the handshake.
            client_version: The version of codex_nb, for codex's user agent.
            listen: Path of a unix socket that it listens at, so that a terminal can join; "" for
                its stdin and stdout.
            mark: NAME=value in the environment of everything that must end with it when this
                process is killed; only for a socket.

        Raises:
            AppServerError: It did not start, did not answer in time, refused the handshake, or
                cannot use its settings.
        """
        process, transport = await start_codex(
            host, program, cwd=cwd, env=env, limit=start_timeout, listen=listen, mark=mark
        )
        server = cls(host, process, transport)
        try:
            await server._shake_hands(start_timeout, client_version)
        except BaseException:
            await server.close(grace=1)
            raise
        return server

    @property
    def pid(self) -> int:
        """The process id on its host."""
        return self._process.pid

    @property
    def user_agent(self) -> str:
        """What codex calls itself towards the model, with its version and system."""
        return str(self._info.get("userAgent", ""))

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._exit_status

    @property
    def stderr_tail(self) -> str:
        """The last lines on stderr, without secrets."""
        return self._stderr.text

    async def request(
        self, method: str, params: JsonObject | None = None, *, timeout: float
    ) -> Json:
        """Ask codex something and return its answer.

        Cancelling, like running out of time, forgets the answer; codex may act on the request all
        the same.

        Args:
            method: The method.
            params: Its parameters.
            timeout: Seconds until the answer must have come.

        Raises:
            RemoteError: Codex refused.
            AppServerError: Codex ended, or did not answer in time.
        """
        answer = asyncio.get_running_loop().create_future()
        request_id: RequestId = -1
        try:
            async with self._host.patience(timeout):
                with self._inbox.hurried():
                    async with self._sending:
                        self._check_running()
                        request_id = self._connection.request(method, params)
                        self._answers[request_id] = answer
                        await self._send()
                    response = await answer
        except TimeoutError:
            raise AppServerError(
                f"codex app-server did not answer `{method}` within {timeout:g} s.",
                hint=self._stderr.hint,
            ) from None
        finally:
            self._answers.pop(request_id, None)
        match response:
            case Response(result=result):
                return result
            case ErrorResponse(code=code, message=message):
                # Codex lists all methods it knows when one is wrong.
                raise RemoteError(f"codex refused `{method}`: {message[:_SHOWN]}", code=code)
        raise self.ended_error()

    async def answer(self, request_id: RequestId, result: Json) -> None:
        """Answer a request of codex.

        Raises:
            ProtocolError: No such request is open.
            AppServerError: Codex ended.
        """
        await self._reply(lambda: self._connection.answer(request_id, result))

    async def refuse(self, request_id: RequestId, code: int, message: str) -> None:
        """Answer a request of codex with an error.

        Raises:
            ProtocolError: No such request is open.
            AppServerError: Codex ended.
        """
        await self._reply(lambda: self._connection.refuse(request_id, code, message))

    def messages(self) -> AsyncIterator[Message]:
        """Notifications, requests of codex and malformed lines, in order, until codex ended.

        For one consumer at a time. One that falls far behind makes codex wait.
        """
        return self._inbox.messages()

    async def close(self, *, grace: float = _END_GRACE) -> int:
        """End codex and everything that it started, and return its exit status.

        On a host that is out of reach for good, this tells of a kill: codex is ended there.
        Calling it again, or from several tasks, is fine. Cancelling kills codex at once.

        Args:
            grace: Seconds to wait after closing stdin, and again after TERM.
        """
        # Perhaps nobody reads the rest, and codex must not wait for a reader.
        self._inbox.lift_limit()
        try:
            await self._end_process(grace)
            await asyncio.shield(self._owner)
        except asyncio.CancelledError:
            self._process.signal(signal.SIGKILL)
            raise
        return -signal.SIGKILL if self._exit_status is None else self._exit_status

    async def _shake_hands(self, timeout: float, client_version: str) -> None:
        client: JsonObject = {"name": _CLIENT, "title": "codex-nb", "version": client_version}
        hello: JsonObject = {"clientInfo": client, "capabilities": {"experimentalApi": True}}
        try:
            info = await self.request("initialize", hello, timeout=timeout)
        except RemoteError as exc:
            raise AppServerError(f"codex app-server did not start: {exc.message}") from exc
        self._info = info if isinstance(info, dict) else {}
        await self._reply(lambda: self._connection.notify("initialized"))
        try:
            await self.request("config/read", {}, timeout=timeout)
        except RemoteError as exc:
            # Codex itself goes on without any of its settings, ours about privacy included.
            raise AppServerError(
                f"codex cannot use its settings: {' '.join(exc.message.split())}",
                hint="Look at the -c options; codex names the setting that it does not take.",
            ) from exc

    async def _reply(self, queue: Callable[[], None]) -> None:
        try:
            async with self._host.patience(_REPLY_LIMIT), self._sending:
                self._check_running()
                queue()
                await self._send()
        except TimeoutError:
            raise AppServerError(
                f"codex app-server did not take an answer within {_REPLY_LIMIT:g} s.",
                hint=self._stderr.hint,
            ) from None

    async def _send(self) -> None:
        try:
            await self._transport.write(self._connection.data_to_send())
        except HostError:
            # Without stdin it is of no use, and its exit status says more than the broken pipe.
            await self._end_process(_END_GRACE)
            await asyncio.shield(self._owner)
            raise self.ended_error() from None

    def _check_running(self) -> None:
        if self._owner.done():
            raise self.ended_error()

    def ended_error(self) -> AppServerError:
        """What to raise when codex ended by itself: how it ended, and its last words."""
        if self._trouble is not None:
            return AppServerError(self._trouble.message, hint=self._trouble.hint)
        how = f"exit status {self._exit_status}"
        if self._exit_status is not None and self._exit_status < 0:
            how = f"signal {-self._exit_status}"
        last = self._stderr.last_line
        return AppServerError(
            f"codex app-server ended with {how}{f': {last}' if last else '.'}",
            hint=self._stderr.hint,
        )

    async def _serve(self) -> None:
        """Own the process until it ended: the only task, with all others inside."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_lines(), name="lines")
                if not isinstance(self._transport, StdioTransport):
                    tasks.create_task(self._drain_stdout(), name="stdout")
                tasks.create_task(self._read_stderr(), name="stderr")
                try:
                    self._exit_status = await self._process.wait()
                except HostError as exc:
                    self._trouble = exc
                self._inbox.lift_limit()
                await self._transport.finish()
        finally:
            if self._exit_status is None:
                self._process.signal(signal.SIGKILL)
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_result(None)
            self._inbox.end()
            logger.info(
                "codex app-server ended",
                extra={"codex_exit": self._exit_status, "codex_pid": self._process.pid},
            )

    async def _read_lines(self) -> None:
        size = 0
        while data := await self._transport.read():
            self._connection.receive_data(data)
            size += len(data)
            if self._deliver(size):
                size = 0
            await self._inbox.wait_for_room()
        self._connection.receive_eof()
        self._deliver(size)
        # Without its voice it is of no use, even if it is still there.
        await self._end_process(_END_GRACE)

    async def _drain_stdout(self) -> None:
        """What codex prints beside a socket is for nobody, and must not make it wait."""
        while await self._process.read_stdout():
            pass

    async def _read_stderr(self) -> None:
        while data := await self._process.read_stderr():
            self._stderr.feed(data)

    def _deliver(self, size: int) -> bool:
        """Hand on what has come; whether that was anything."""
        events = self._connection.events_received()
        messages: list[Message] = []
        for event in events:
            if isinstance(event, Response | ErrorResponse):
                answer = self._answers.pop(event.id, None)
                if answer is not None and not answer.done():
                    answer.set_result(event)
            else:
                messages.append(event)
        if messages:
            self._inbox.put(messages, size)
        return bool(events)

    async def _end_process(self, grace: float) -> None:
        await self._transport.close()
        await self._process.close_stdin()
        with suppress(HostError):  # out of reach for good
            for signum in (signal.SIGTERM, signal.SIGKILL):
                try:
                    async with asyncio.timeout(grace):
                        await self._process.wait()
                except TimeoutError:
                    if signum == signal.SIGKILL:
                        logger.warning(
                            "codex app-server had to be killed", extra={"codex_pid": self.pid}
                        )
                    self._process.signal(signum)
                else:
                    return
            await self._process.wait()
