"""How the lines of an app-server travel: over its stdin and stdout, or over a unix socket.

Codex speaks WebSocket on a socket, with one message for each line. A socket takes several clients
at once, such as the terminal of a session beside the session itself.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from codex_nb.codex.stderr_tail import StderrTail
from codex_nb.errors import AppServerError, HostError
from codex_nb.hosts.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from websockets.client import ClientProtocol

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.hosts.base import Channel, Host, Process

_TETHER_GRACE = 1.0
"""Seconds that codex has to end when we were killed; in mid-turn it would take all that it gets."""

_PACE = 0.002
"""Seconds between two tries to connect; codex needs some 50 ms until it listens."""


class Transport(Protocol):
    """Lines of JSON, each with its newline, in both directions."""

    async def read(self) -> bytes:
        """Some bytes as soon as there are any; empty at the end."""

    async def write(self, data: bytes) -> None:
        """Send whole lines, and wait while codex is far behind with reading.

        Raises:
            HostError: Codex does not read any more.
        """

    async def close(self) -> None:
        """Tell codex that nothing more comes."""

    async def finish(self) -> None:
        """Codex has ended: what it said still comes, and then the end."""


class StdioTransport:
    """The pipes of the process.

    Args:
        process: A running `codex app-server`.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    async def read(self) -> bytes:
        """See `Transport.read`."""
        return await self._process.read_stdout()

    async def write(self, data: bytes) -> None:
        """See `Transport.write`."""
        await self._process.write_stdin(data)

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._process.close_stdin()

    async def finish(self) -> None:
        """See `Transport.finish`; the pipes end with the process."""


class SocketTransport:
    """One connection to the socket of an app-server. Made by `open`."""

    def __init__(self, channel: Channel, protocol: ClientProtocol) -> None:
        self._channel = channel
        self._protocol = protocol
        self._lines: list[bytes] = []

    @classmethod
    async def open(
        cls,
        host: Host,
        program: CodexProgram,
        path: str,
        process: Process,
        *,
        env: Mapping[str, str],
        limit: float,
    ) -> SocketTransport:
        """Connect as soon as codex listens.

        Args:
            host: Where it runs.
            program: The codex program there.
            path: Of the socket.
            process: The app-server; once it ended, nobody waits any longer.
            env: Its environment.
            limit: Seconds that it has.

        Raises:
            AppServerError: It ended, does not listen in time, or does not speak WebSocket.
        """
        ended = asyncio.ensure_future(process.wait())
        try:
            async with host.patience(limit):
                # Codex starts meanwhile, so that the time of this import is not on top.
                from websockets.client import ClientProtocol
                from websockets.uri import parse_uri

                while True:
                    channel = await _connect(host, program, path, env, ended)
                    self = cls(channel, ClientProtocol(parse_uri("ws://localhost/"), max_size=None))
                    try:
                        if await self._shake_hands():
                            return self
                    except BaseException:
                        await channel.close()
                        raise
                    # A relay was there before codex listened.
                    await channel.close()
                    await asyncio.wait({ended}, timeout=_PACE)
        except TimeoutError:
            raise AppServerError(
                f"codex app-server did not listen at its socket within {limit:g} s.",
                hint="Raise CodexNB.start_timeout, or look at the load of this machine.",
            ) from None
        finally:
            ended.cancel()

    async def read(self) -> bytes:
        """See `Transport.read`."""
        while not self._lines:
            data = await self._channel.read()
            if not data:
                return b""
            self._protocol.receive_data(data)
            self._take()
            with suppress(HostError):  # what it said still counts
                await self._flush()
        lines = b"".join(self._lines)
        self._lines.clear()
        return lines

    async def write(self, data: bytes) -> None:
        """See `Transport.write`."""
        for line in data.split(b"\n"):
            if line:
                self._protocol.send_text(line)
        await self._flush()

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._channel.close()

    async def finish(self) -> None:
        """See `Transport.finish`."""
        if isinstance(self._channel, _Relay):
            await self._channel.end_input()

    async def _shake_hands(self) -> bool:
        """Agree on WebSocket; False if nobody was there."""
        from websockets.protocol import State

        heard = False
        self._protocol.send_request(self._protocol.connect())
        await self._flush()
        while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
            data = await self._channel.read()
            if not data and not heard:
                return False
            heard = True
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
        if self._protocol.handshake_exc is not None:
            raise AppServerError(
                "codex app-server does not speak WebSocket at its socket: "
                f"{self._protocol.handshake_exc}"
            )
        self._take()
        return True

    def _take(self) -> None:
        from websockets.frames import Frame, Opcode

        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._lines.append(bytes(event.data))
                if event.fin:
                    self._lines.append(b"\n")

    async def _flush(self) -> None:
        if data := b"".join(self._protocol.data_to_send()):
            await self._channel.write(data)


async def start_codex(
    host: Host,
    program: CodexProgram,
    *,
    cwd: str,
    env: Mapping[str, str],
    limit: float,
    listen: str,
    mark: str,
) -> tuple[Process, Transport]:
    """Start an app-server, and the way to it. The arguments are those of `AppServer.start`.

    Raises:
        AppServerError: It did not start; nothing of it is left.
    """
    argv = [program.path, "app-server"]
    if listen:
        argv = tethered([*argv, "--listen", f"unix://{listen}"], mark=mark, grace=_TETHER_GRACE)
    try:
        process = await host.start(argv, cwd=cwd, env=env)
    except HostError as exc:
        raise AppServerError(f"codex app-server did not start: {exc.message}") from exc
    if not listen:
        return process, StdioTransport(process)
    try:
        return process, await SocketTransport.open(
            host, program, listen, process, env=env, limit=limit
        )
    except AppServerError as exc:
        process.signal(signal.SIGKILL)
        words = StderrTail()
        while data := await process.read_stderr():
            words.feed(data)
        raise AppServerError(exc.message, hint=words.hint) from exc
    except BaseException:
        process.signal(signal.SIGKILL)
        raise


class _Relay:
    """A `Channel` through a process that passes its stdin and stdout on to a socket."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def read(self) -> bytes:
        """See `Channel.read`."""
        return await self._process.read_stdout()

    async def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        await self._process.write_stdin(data)

    async def end_input(self) -> None:
        """Without this it would wait for more to pass on, also when the socket has ended."""
        await self._process.close_stdin()

    async def close(self) -> None:
        """See `Channel.close`."""
        self._process.signal(signal.SIGKILL)


async def _connect(
    host: Host,
    program: CodexProgram,
    path: str,
    env: Mapping[str, str],
    ended: asyncio.Future[int],
) -> Channel:
    # A connection would be lost with the one to the host; a process there goes on.
    relay = [program.path, "stdio-to-uds", path]
    while True:
        with suppress(HostError):
            if not host.endures:
                return await host.connect(path)
            if await host.exists(path):
                return _Relay(await host.start(relay, cwd="/", env=env))
        if ended.done():
            raise AppServerError(
                f"codex app-server ended with exit status {ended.result()} at its start."
            )
        # A file that is not there yet tells nobody when it comes.
        await asyncio.wait({ended}, timeout=_PACE)


__all__ = ["SocketTransport", "StdioTransport", "Transport", "start_codex"]
