"""HTTP on the loopback address, for one caller that knows a secret.

Rules: nothing before the secret path prefix was seen is read into memory; a caller that hangs up
ends the work on its answer at once; every wait ends with the server. h11 keeps the rules of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from codex_nb.protocol.messages import Json

logger = logging.getLogger(__name__)

MAX_BODY = 128 * 1024 * 1024
_MAX_HEADERS = 64 * 1024
_MAX_CONNECTIONS = 128
_CHUNK = 64 * 1024


class ConnectionCut(Exception):  # noqa: N818 - not an error: the answer of a replayed failure
    """Raised by the body of an answer in order to break the connection."""


class _HungUp(Exception):  # noqa: N818 - not an error: the caller has what it wanted
    """The caller closed the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of the caller; the path is without the secret and the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a request; a body in pieces is sent as each piece comes."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncGenerator[bytes, None] = b""


Handler: TypeAlias = "Callable[[Request], Awaitable[Answer]]"


def json_answer(value: Json, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Answer with JSON."""
    fields = {"content-type": "application/json", **(headers or {})}
    return Answer(status=status, headers=fields, body=json.dumps(value).encode())


def error_answer(status: int, message: str) -> Answer:
    """Answer with an error in the form of the Responses API."""
    return json_answer(
        {"error": {"type": "invalid_request_error", "message": message}}, status=status
    )


class LoopbackServer:
    """An HTTP server on 127.0.0.1, at a port and under a path prefix that nobody can guess.

    Use it as an asynchronous context manager; leaving the block ends every connection.

    Args:
        handler: Answers a request. Its cancellation means that the caller hung up or the server
            ends.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._prefix = f"/{secrets.token_urlsafe(24)}"
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> LoopbackServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_CHUNK)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    @property
    def url(self) -> str:
        """The address with the secret prefix, without a slash at its end.

        Raises:
            RuntimeError: The server is not running.
        """
        if self._server is None:
            raise RuntimeError("the loopback server is not running")
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}{self._prefix}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            await _Connection(reader, writer, self._prefix, self._handler).run()
        except ConnectionError:
            logger.debug("a caller of the loopback server was gone")
        except asyncio.CancelledError:
            # Cancelled only by __aexit__, which waits for this task; asyncio 3.11 would log it as
            # failed if it ended cancelled. A caller that reads no more must not hold up the end.
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()


class _Connection:
    """One connection: its requests in their order, each answered before the next is read."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        prefix: str,
        handler: Handler,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._prefix = prefix
        self._handler = handler
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEADERS)

    async def run(self) -> None:
        while True:
            try:
                head = await self._next_event()
                if not isinstance(head, h11.Request):
                    return
                refusal = self._refuse(head)
                body = b"" if refusal else await self._read_body()
            except h11.RemoteProtocolError as exc:
                await self._refuse_protocol(exc)
                return
            if refusal is not None:
                await self._send(refusal, close=True)
                return
            if body is None:
                await self._send(error_answer(413, "the request is too large"), close=True)
                return
            try:
                await self._answer(self._request(head, body))
            except ConnectionCut:
                self._writer.transport.abort()
                return
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    def _refuse(self, head: h11.Request) -> Answer | None:
        """Turn away who does not know the secret, before its body is read."""
        prefix = head.target[: len(self._prefix) + 1]
        if not hmac.compare_digest(prefix, f"{self._prefix}/".encode()):
            return error_answer(404, "no such path")
        if dict(head.headers).get(b"content-encoding", b"identity") != b"identity":
            return error_answer(415, "the body is compressed")
        return None

    def _request(self, head: h11.Request, body: bytes) -> Request:
        path = head.target.decode("ascii").partition("?")[0]
        return Request(
            method=head.method.decode("ascii"),
            path=path.removeprefix(self._prefix),
            headers={
                name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers
            },
            body=body,
        )

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(_CHUNK))

    async def _read_body(self) -> bytes | None:
        """Read the body of a request; None when it is too large."""
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                return None
        return bytes(body)

    async def _refuse_protocol(self, exc: h11.RemoteProtocolError) -> None:
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            answer = error_answer(exc.error_status_hint, "this is not HTTP as we understand it")
            await self._send(answer, close=True)

    async def _answer(self, request: Request) -> None:
        """Answer, unless the caller hangs up first: nobody waits for an interrupted turn."""
        cut = False
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._watch_hang_up(), name="replay hang-up")
                await self._send(await self._handler(request), close=False)
                watch.cancel()
        except* ConnectionCut:
            cut = True
        except* (_HungUp, ConnectionError):
            logger.debug("the caller of a replayed answer hung up")
            self._http.send_failed()
        if cut:
            # Raised out here, because an except* block would wrap it into a group.
            raise ConnectionCut

    async def _watch_hang_up(self) -> None:
        """Read ahead until the caller closes the connection."""
        ahead = 0
        while data := await self._reader.read(_CHUNK):
            ahead += len(data)
            if ahead > MAX_BODY:
                break
            self._http.receive_data(data)
        raise _HungUp

    async def _send(self, answer: Answer, *, close: bool) -> None:
        headers = list(answer.headers.items())
        if isinstance(answer.body, bytes):
            headers.append(("content-length", str(len(answer.body))))
        if close:
            headers.append(("connection", "close"))
        self._write(h11.Response(status_code=answer.status, headers=headers))
        if isinstance(answer.body, bytes):
            self._write(h11.Data(data=answer.body))
        else:
            await self._writer.drain()
            async with contextlib.aclosing(answer.body) as pieces:
                async for piece in pieces:
                    self._write(h11.Data(data=piece))
                    await self._writer.drain()
        self._write(h11.EndOfMessage())
        await self._writer.drain()

    def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
