"""A process of this machine and its pipes.

Bytes wait in a stream until they are read; beyond HIGH_WATER the pipe is left alone, so that the
process waits. The exit is known when the process itself ended, whoever still holds its pipes open:
asyncio's own Process waits for the pipes in some releases of Python 3.11 and 3.12.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from codex_nb.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HIGH_WATER = 256 * 1024
"""Bytes of unread output from which on the pipe is left alone."""

LINGER = 0.5
"""Seconds after the exit in which pipes that a descendant holds open may still deliver."""


class _Stream:
    """Output of a process on its way to one reader."""

    def __init__(self) -> None:
        self.size = 0
        self._chunks: list[bytes] = []
        self._transport: asyncio.ReadTransport | None = None
        self._is_paused = False
        self._is_ended = False
        self._changed = asyncio.Event()

    def connect(self, transport: asyncio.ReadTransport) -> None:
        self._transport = transport

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self.size += len(data)
        if self.size >= HIGH_WATER and self._transport is not None and not self._is_paused:
            self._transport.pause_reading()
            self._is_paused = True
        self._changed.set()

    def end(self) -> None:
        self._is_ended = True
        self._changed.set()

    async def read(self) -> bytes:
        while not self._chunks and not self._is_ended:
            self._changed.clear()
            await self._changed.wait()
        data, self._chunks, self.size = b"".join(self._chunks), [], 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return data


class LocalProcess(asyncio.SubprocessProtocol):
    """A `Process` of this machine. Made by `start`."""

    def __init__(self) -> None:
        self.stdout = _Stream()
        self.stderr = _Stream()
        self._transport: asyncio.SubprocessTransport | None = None
        self._pid = 0
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._stdin_is_open = True

    @classmethod
    async def start(
        cls, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], host: str
    ) -> LocalProcess:
        """Start a process in a session of its own.

        Raises:
            HostError: The program or the folder does not exist or cannot be used.
        """
        loop = asyncio.get_running_loop()
        try:
            _, process = await loop.subprocess_exec(
                cls,
                *argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
            )
        except OSError as exc:
            path = exc.filename or argv[0]
            raise HostError(f"could not start {argv[0]} on {host}: {path}: {exc.strerror}") from exc
        return process

    @property
    def pid(self) -> int:
        """See `Process.pid`."""
        return self._pid

    async def read_stdout(self) -> bytes:
        """See `Process.read_stdout`."""
        return await self.stdout.read()

    async def read_stderr(self) -> bytes:
        """See `Process.read_stderr`."""
        return await self.stderr.read()

    async def write_stdin(self, data: bytes) -> None:
        """See `Process.write_stdin`."""
        pipe = self._stdin
        if not self._stdin_is_open or pipe is None or pipe.is_closing():
            raise HostError(f"process {self.pid} takes no more input")
        pipe.write(data)
        await self._writable.wait()
        if not self._stdin_is_open:
            raise HostError(f"process {self.pid} takes no more input")

    async def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        if self._stdin is not None:
            self._stdin.close()

    async def wait(self) -> int:
        """See `Process.wait`."""
        await self._exited.wait()
        status = None if self._transport is None else self._transport.get_returncode()
        if status is None:
            raise RuntimeError("the process ended without an exit status")
        return status

    def signal(self, signum: int) -> None:
        """See `Process.signal`."""
        if not self._exited.is_set():
            self._signal_group(signum)

    async def kill(self) -> None:
        """End the group at once, throw unread output away, and return when nothing is left."""
        self.signal(signal.SIGKILL)
        await self._exited.wait()
        if self._transport is not None:
            self._transport.close()
        await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the pipes; called by asyncio."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._pid = self._transport.get_pid() or 0
        for fd, stream in ((1, self.stdout), (2, self.stderr)):
            stream.connect(cast("asyncio.ReadTransport", self._transport.get_pipe_transport(fd)))

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Keep output until it is read; called by asyncio."""
        stream = self.stdout if fd == 1 else self.stderr
        stream.feed(cast("bytes", data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note the end of a pipe; called by asyncio."""
        if fd == 0:
            self._stdin_is_open = False
            self._writable.set()
        else:
            (self.stdout if fd == 1 else self.stderr).end()

    def pause_writing(self) -> None:
        """Make writers wait; called by asyncio."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on; called by asyncio."""
        self._writable.set()

    def process_exited(self) -> None:
        """Kill what is left of the group, and note the exit; called by asyncio."""
        # The leader was waited for just now, so nobody else can have its group id yet.
        self._signal_group(signal.SIGKILL)
        if self._stdin is not None and not self._stdin.is_closing():
            # Nobody is to read on: what may still hold the other end is about to die.
            self._stdin.abort()
        self._exited.set()
        asyncio.get_running_loop().call_later(LINGER, self._release_pipes)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that process and pipes are gone; called by asyncio."""
        if self._transport is not None:
            # Without it the transport counts as forgotten, although nothing of it is open.
            self._transport.close()
        self._closed.set()

    @property
    def _stdin(self) -> asyncio.WriteTransport | None:
        pipe = None if self._transport is None else self._transport.get_pipe_transport(0)
        return cast("asyncio.WriteTransport | None", pipe)

    def _signal_group(self, signum: int) -> None:
        # macOS answers EPERM for a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signum)

    def _release_pipes(self) -> None:
        if self._transport is None:
            return
        if self.stdout.size or self.stderr.size:
            # A slow reader: what the pipes still hold comes after what it has not read.
            asyncio.get_running_loop().call_later(LINGER, self._release_pipes)
        else:
            self._transport.close()
