"""The bytes of one SSH channel in both directions, where each side waits for the other.

The host may send as many bytes as the window of the channel; more only when some were read. stdout
and stderr of a session share the window: while one is full the other does not move either. What
comes before a mark is dropped, up to NOISE_LIMIT.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeAlias

import asyncssh

from codex_nb.errors import HostError

HIGH_WATER = 256 * 1024
"""Bytes that wait on either side from which on the other one is made to wait."""

NOISE_LIMIT = 64 * 1024
"""Bytes that start files of a login shell may write before the mark."""


_Channel: TypeAlias = "asyncssh.SSHClientChannel[bytes] | asyncssh.SSHUNIXChannel[bytes]"


class Output:
    """Bytes on their way to one reader."""

    def __init__(self, mark: str = "") -> None:
        self.size = 0
        self.answer: str | None = None if mark else ""
        self.noise = b""
        self._mark = f"\n{mark} ".encode()
        self._chunks: list[bytes] = []
        self._is_ended = False
        self._changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Take bytes of the host."""
        if self.answer is None:
            self.noise += data
            before, _, rest = self.noise.partition(self._mark)
            line, newline, data = rest.partition(b"\n")
            if not newline:
                if len(before) > NOISE_LIMIT:
                    self.end()
                return
            self.noise, self.answer = before, line.decode(errors="replace")
        if data and not self._is_ended:
            self._chunks.append(data)
            self.size += len(data)
        self._changed.set()

    def end(self) -> None:
        """No more bytes come."""
        self._is_ended = True
        self._changed.set()

    async def wait_mark(self) -> str:
        """What stands behind the mark.

        Raises:
            EOFError: The output ended, or the noise did not.
        """
        while self.answer is None:
            if self._is_ended:
                raise EOFError
            self._changed.clear()
            await self._changed.wait()
        return self.answer

    async def read(self) -> bytes:
        """Some bytes as soon as there are any; empty at the end."""
        while not self._chunks and not self._is_ended:
            self._changed.clear()
            await self._changed.wait()
        data, self._chunks, self.size = b"".join(self._chunks), [], 0
        return data


class Duplex:
    """The session of a channel, as asyncssh calls it, with a reader and a writer."""

    def __init__(self, mark: str = "") -> None:
        self.out = Output(mark)
        self.err = Output(mark)
        self.received = 0
        self.is_closed = asyncio.Event()
        self._chan: _Channel | None = None
        self._is_paused = False
        self._takes_input = True
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, chan: _Channel) -> None:
        """Take the channel; called by asyncssh."""
        self._chan = chan
        chan.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Keep bytes until they are read; called by asyncssh."""
        self.received += len(data)
        (self.err if datatype == asyncssh.EXTENDED_DATA_STDERR else self.out).feed(data)
        if self._chan is not None and not self._is_paused and self.unread >= HIGH_WATER:
            self._is_paused = True
            self._chan.pause_reading()

    def eof_received(self) -> bool:
        """Note the end of what comes; called by asyncssh."""
        self.out.end()
        self.err.end()
        return True  # what goes has an end of its own

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the channel; called by asyncssh."""
        self.eof_received()
        self.end_input()
        self.is_closed.set()

    def pause_writing(self) -> None:
        """Make writers wait; called by asyncssh."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on; called by asyncssh."""
        self._writable.set()

    @property
    def unread(self) -> int:
        """Bytes that wait for a reader."""
        return self.out.size + self.err.size

    async def receive(self, output: Output) -> bytes:
        """Some bytes as soon as there are any; empty at the end."""
        data = await output.read()
        if self._is_paused and self.unread < HIGH_WATER:
            self._is_paused = False
            if self._chan is not None:
                self._chan.resume_reading()
        return data

    async def send(self, data: bytes, *, refused: str) -> None:
        """Hand bytes over before the first wait, then wait while the other side is far behind.

        Raises:
            HostError: Nobody takes them; with `refused` as its message.
        """
        self.put(data, refused=refused)
        await self._writable.wait()
        if not self._takes_input:
            raise HostError(refused)

    def put(self, data: bytes, *, refused: str) -> None:
        """The same without any waiting."""
        if not self._takes_input or self._chan is None:
            raise HostError(refused)
        try:
            self._chan.write(data)
        except OSError as exc:
            raise HostError(refused) from exc

    def write_eof(self) -> None:
        """Tell the other side that no more comes, after what was written."""
        self._takes_input = False
        if self._chan is not None:
            with suppress(OSError):
                self._chan.write_eof()

    def end_input(self) -> None:
        """Nobody takes input any more; whoever waits to write learns it."""
        self._takes_input = False
        self._writable.set()

    def abort(self) -> None:
        """Give the channel up, with all that was not written or read."""
        self.end_input()
        if self._chan is not None:
            self._chan.abort()


class CommandSession(Duplex, asyncssh.SSHClientSession[bytes]):
    """What a command reads and writes."""


class SocketSession(Duplex, asyncssh.SSHUNIXSession[bytes]):
    """What goes through a unix socket."""
