"""A terminal of another machine for a browser: the bytes of a pty there, ttyd's protocol here.

No ttyd runs on the other machine, so whoever took it over can send bytes of a terminal and nothing
else: no page, no setting, no frame of their own. What ttyd 1.7.7 says to its page is said here, on
a unix socket of this machine. Each viewer gets a pty of its own.

    from the page   JSON with "columns" and "rows" first; then "0" and input, "1" and a JSON of the
                    size, "2" to pause, "3" to go on
    to the page     "0" and output; "2" and a JSON of its settings
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from codex_nb.errors import HostError
from codex_nb.terminal.ttyd import LONGEST_SOCKET, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_nb.hosts.base import Pty

logger = logging.getLogger(__name__)

PROTOCOL = "tty"
_PATH = "/ws"
_HELLO_LIMIT = 10.0
_LARGEST = 4 * 1024 * 1024
"""Bytes of one frame of a viewer; the page cuts what is pasted into pieces."""

_PIECE = 1 << 16
_HIGH_WATER = 1 << 18
_SIZE = range(1, 2001)
_DONE = 1000


@runtime_checkable
class PtyHost(Protocol):
    """A host that gives a pty by its connection."""

    async def open_pty(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        columns: int,
        rows: int,
    ) -> Pty:
        """Start a program in a pty, which ends with the connection.

        Raises:
            HostError: It cannot start, or the host refuses or has gone.
        """


class PtyServer:
    """Shows a program of another machine to viewers. Made by `start`, ended by `close`.

    Attributes:
        socket: The unix socket at which it listens.
    """

    def __init__(
        self,
        host: PtyHost,
        socket: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        writable: bool,
    ) -> None:
        self.socket = socket
        self._host = host
        self._argv = argv
        self._env = env
        self._writable = writable
        self._server: asyncio.Server | None = None
        self._viewers: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(
        cls,
        host: PtyHost,
        *,
        socket: str,
        argv: Sequence[str],
        writable: bool,
        env: Mapping[str, str],
    ) -> PtyServer:
        """Listen.

        Args:
            host: Where the program runs.
            socket: A path of this machine in a private folder.
            argv: What each viewer gets.
            writable: Whether viewers can type.
            env: The environment of that.

        Raises:
            HostError: The socket cannot be made.
        """
        if len(os.fsencode(socket)) > LONGEST_SOCKET:
            raise HostError(f"{socket} is too long for a socket: at most {LONGEST_SOCKET} bytes.")
        self = cls(host, socket, argv, env, writable=writable)
        umask = os.umask(0o177)
        try:
            _remove(socket)
            self._server = await asyncio.start_unix_server(self._welcome, socket)
        except OSError as exc:
            raise HostError(f"could not listen at {socket}: {exc.strerror or exc}") from exc
        finally:
            os.umask(umask)
        return self

    @property
    def is_listening(self) -> bool:
        """Whether viewers can come."""
        return self._server is not None

    async def close(self) -> None:
        """End it and what its viewers run. Calling it again is fine."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            _remove(self.socket)
        viewers = list(self._viewers)
        for viewer in viewers:
            viewer.cancel()
        await asyncio.gather(*viewers, return_exceptions=True)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._viewers.add(task)
        try:
            await _Viewer(reader, writer).serve(
                self._host, self._argv, self._env, writable=self._writable
            )
        except (OSError, HostError) as exc:
            logger.info("a viewer of a terminal went: %s", exc)
        except asyncio.CancelledError:
            if self._server is not None:
                raise
            # It was `close`; asyncio would log it as an error of the connection.
        finally:
            self._viewers.discard(task)
            writer.close()


class _EndError(Exception):
    """The talk with a viewer is over."""


class _Viewer:
    """One connection, as a WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from websockets.server import ServerProtocol

        self._reader = reader
        self._writer = writer
        self._protocol = ServerProtocol(
            subprotocols=[PROTOCOL],  # type: ignore[list-item]  # a NewType of str
            max_size=_LARGEST,
        )
        self._events: deque[object] = deque()
        self._goes = asyncio.Event()
        self._goes.set()
        writer.transport.set_write_buffer_limits(high=_HIGH_WATER)

    async def serve(
        self, host: PtyHost, argv: Sequence[str], env: Mapping[str, str], *, writable: bool
    ) -> None:
        """Talk until either side ends."""
        with suppress(_EndError):
            async with asyncio.timeout(_HELLO_LIMIT):
                await self._shake_hands()
                first = await self._frame()
            columns, rows = _size_of(first)
            pty = await host.open_pty(argv, cwd="/", env=env, columns=columns, rows=rows)
            try:
                await self._join(pty, writable=writable)
            finally:
                await pty.close()

    async def _join(self, pty: Pty, *, writable: bool) -> None:
        from websockets.protocol import State

        self._protocol.send_binary(b"2" + json.dumps(OPTIONS).encode())
        await self._flush()
        showing = asyncio.create_task(self._show(pty))
        hearing = asyncio.create_task(self._hear(pty, writable=writable))
        try:
            await asyncio.wait({showing, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (showing, hearing):
                task.cancel()
            await asyncio.gather(showing, hearing, return_exceptions=True)
        with suppress(OSError):
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(_DONE)
            await self._flush()

    async def _show(self, pty: Pty) -> None:
        while data := await pty.read():
            for start in range(0, len(data), _PIECE):
                await self._goes.wait()
                self._protocol.send_binary(b"0" + data[start : start + _PIECE])
                await self._flush()

    async def _hear(self, pty: Pty, *, writable: bool) -> None:
        while True:
            frame = await self._frame()
            kind, data = frame[:1], frame[1:]
            if kind == b"0" and writable:
                await pty.write(data)
            elif kind == b"1":
                pty.resize(*_size_of(data))
            elif kind == b"2":
                self._goes.clear()
            elif kind == b"3":
                self._goes.set()

    async def _shake_hands(self) -> None:
        from websockets.http11 import Request

        while True:
            await self._receive()
            while self._events:
                event = self._events.popleft()
                if isinstance(event, Request):
                    if event.path == _PATH:
                        answer = self._protocol.accept(event)
                    else:
                        answer = self._protocol.reject(404, "Terminals are at /ws.\n")
                    self._protocol.send_response(answer)
                    await self._flush()
                    if answer.status_code != 101:
                        raise _EndError
                    return

    async def _frame(self) -> bytes:
        """The next whole message."""
        from websockets.frames import Frame, Opcode

        message = b""
        while True:
            while self._events:
                event = self._events.popleft()
                if not isinstance(event, Frame):
                    continue
                if event.opcode is Opcode.CLOSE:
                    raise _EndError
                if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    message += event.data
                    if event.fin:
                        return message
            await self._receive()

    async def _receive(self) -> None:
        data = await self._reader.read(_PIECE)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        self._events.extend(self._protocol.events_received())
        await self._flush()
        if not data or self._protocol.close_expected():
            raise _EndError

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
        await self._writer.drain()


def _size_of(message: bytes) -> tuple[int, int]:
    try:
        told = json.loads(message)
        columns, rows = int(told["columns"]), int(told["rows"])
    except (ValueError, KeyError, TypeError):
        raise _EndError from None
    if columns not in _SIZE or rows not in _SIZE:
        raise _EndError
    return columns, rows


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


__all__ = ["PtyHost", "PtyServer"]
