"""A line to a session host, for one browser or for one request.

What the host says is passed on as the bytes that it sent. It is read no faster than it is taken,
and the host notices that: it then sends a snapshot instead of a backlog.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from codex_nb.errors import ProtocolError, SessionError
from codex_nb.sessions.channel import MAX_LINE, Decoder, connect, encode

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.protocol.messages import Json, JsonObject

_READ = 1 << 16


class HostLine:
    """A connection to a session host.

    Args:
        reader: From the session host.
        writer: To the session host.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._lines: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._size = 0

    @classmethod
    async def open(cls, socket: Path) -> HostLine:
        """Connect.

        Raises:
            OSError: Nobody listens there.
        """
        return cls(*await connect(socket))

    async def send(self, line: bytes) -> None:
        """Send a message as `encode` made it, and wait until the host takes it.

        Raises:
            ConnectionError: The host hung up.
        """
        self._writer.write(line)
        await self._writer.drain()

    async def next(self) -> bytes | None:
        """The next message without its line end; None when the host hung up.

        Raises:
            ProtocolError: A line is longer than any host sends.
        """
        while not self._lines:
            try:
                data = await self._reader.read(_READ)
            except ConnectionError:
                data = b""
            if not data:
                return None
            self._take(data)
        return self._lines.popleft()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    def _take(self, data: bytes) -> None:
        *ends, rest = data.split(b"\n")
        for end in ends:
            line = b"".join([*self._parts, end])
            self._parts.clear()
            self._size = 0
            if line:
                self._lines.append(line)
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > MAX_LINE:
                raise ProtocolError(f"A line on the channel is longer than {MAX_LINE} bytes.")


async def ask(socket: Path, op: str, *, limit: float, **values: Json) -> JsonObject:
    """Have a session host do one thing, and return its whole answer.

    Args:
        socket: Where it listens.
        op: The operation.
        limit: Seconds that it has.
        values: What the operation needs.

    Raises:
        SessionError: It cannot be reached, or did not answer.
    """
    try:
        async with asyncio.timeout(limit):
            line = await HostLine.open(socket)
            try:
                await line.send(encode({"id": 1, "op": op, **values}))
                answer = await line.next()
            finally:
                line.close()
    except OSError as exc:  # a timeout is one
        raise _silent(socket) from exc
    if answer is None:
        raise _silent(socket)
    return Decoder().feed(answer + b"\n")[0]


def _silent(socket: Path) -> SessionError:
    return SessionError(
        f"The session {socket.parent.name} does not answer.",
        hint="Try again in a moment, or look at host.log of its folder.",
    )
