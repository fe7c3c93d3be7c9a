"""A connection in use, and the opening of channels in it.

sshd allows a number of sessions at once (MaxSessions, 10 as it comes). One is the control shell,
one is SFTP, the others are processes. Who wants one more waits a while for another to end.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import TYPE_CHECKING, Any, TypeVar, cast

import asyncssh

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.connection import hang_up
from codex_nb.hosts.ssh.control import ControlShell
from codex_nb.hosts.ssh.duplex import Duplex
from codex_nb.hosts.ssh.launcher import COMMAND, control_line

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from codex_nb.hosts.ssh.client import Limits
    from codex_nb.hosts.ssh.duplex import CommandSession, SocketSession

T = TypeVar("T")

WINDOW = 1024 * 1024
"""Bytes that the host may send in a channel before some were read."""

_PAUSES = (0.05, 0.1, 0.2, 0.5)
"""Seconds between attempts to open a session; the last one again and again."""


class Link:
    """A connection to a host. Made by `open`.

    Attributes:
        name: What a person calls the host.
        limits: Seconds that a step may take.
        control: The control shell.
        control_pid: Its process id on the host; it lives as long as the connection.
    """

    def __init__(
        self, name: str, connections: Sequence[asyncssh.SSHClientConnection], limits: Limits
    ) -> None:
        self.name = name
        self.limits = limits
        self.control = ControlShell(new_mark())
        self.control_pid = 0
        self._connections = connections
        self._tasks: set[asyncio.Task[Any]] = set()
        self._errands: set[asyncio.Task[None]] = set()
        self._sftp: asyncio.Task[asyncssh.SFTPClient] | None = None

    @classmethod
    async def open(
        cls, name: str, connections: Sequence[asyncssh.SSHClientConnection], limits: Limits
    ) -> Link:
        """Take connections over, of which the last one leads to the host.

        Raises:
            HostError: The host gives no shell.
        """
        link = cls(name, connections, limits)
        try:
            # The first session also makes sshd send small packets at once, in all channels.
            mark = new_mark()
            link.control = ControlShell(mark)
            await link.session(link.control, COMMAND)
            link.control_pid = int(await link.begun(link.control, control_line(mark)))
        except BaseException:
            await link.close()
            raise
        return link

    @property
    def is_open(self) -> bool:
        """Whether the connection can still be used, as far as we know."""
        return not (self._connections[-1].is_closed() or self.control.is_closed.is_set())

    async def lost_connection(self) -> None:
        """Return as soon as the connection can no longer be used."""
        await self.control.is_closed.wait()

    async def close(self) -> None:
        """End the connection, and with it every process that was started in it."""
        for errand in self._errands:
            errand.cancel()
        await hang_up(self._connections)
        # What was still being done has failed by now.
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lost(self, doing: str) -> HostError:
        """The error of what cannot go on because the connection has gone."""
        return HostError(
            f"the connection to {self.name} was lost while {doing}",
            hint="Check the network and try again: a new connection is made then.",
        )

    async def whole(
        self, work: Coroutine[object, object, T], *, undo: Callable[[T], object] = lambda made: None
    ) -> T:
        """Do something that must not be left half-done; undo it when the caller is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        def take_back(done: asyncio.Task[T]) -> None:
            if not done.cancelled() and done.exception() is None:
                undo(done.result())

        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(take_back)
            raise

    def later(self, errand: Coroutine[object, object, None]) -> None:
        """Do something that nobody waits for; it ends with the connection."""
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def session(
        self,
        session: CommandSession,
        command: str,
        *,
        terminal: tuple[str, int, int] | None = None,
    ) -> None:
        """Open a session in which the host runs a command.

        Args:
            session: Takes what comes.
            command: For the login shell.
            terminal: The kind, the columns and the rows of a pty; None is none.

        Raises:
            HostError: The host has too many, refuses, or has gone.
        """
        await self._patiently(
            lambda: self._open_session(session, command, terminal), undo=Duplex.abort
        )

    async def begun(self, session: CommandSession, lines: bytes) -> str:
        """Hand `lines` to the shell of a session; what it says behind its mark.

        Raises:
            HostError: There is no such shell, or the connection has gone.
        """
        session.put(lines, refused=f"{self.name} runs no command")
        try:
            async with asyncio.timeout(self.limits.channel):
                return await session.out.wait_mark()
        except EOFError:
            if not self.is_open:
                raise self.lost("a command was started") from None
            words = (session.out.noise + session.err.noise).decode(errors="replace").split("\n")
            said = next((line.strip()[:200] for line in words if line.strip()), "nothing")
            raise HostError(
                f"{self.name} gives no shell that runs commands; it says: {said}",
                hint="Check the login shell of the user there, and what its start files write.",
            ) from None
        except TimeoutError:
            raise HostError(
                f"{self.name} ran no command within {self.limits.channel:g} s",
                hint="Check the start files of the login shell there; they may wait for something.",
            ) from None

    async def sftp(self) -> asyncssh.SFTPClient:
        """The one SFTP session of the connection.

        Raises:
            HostError: The host has none.
        """
        if self._sftp is None or (self._sftp.done() and self._sftp.exception() is not None):
            self._sftp = asyncio.create_task(self._start_sftp())
            self._tasks.add(self._sftp)
            self._sftp.add_done_callback(self._tasks.discard)
        return await asyncio.shield(self._sftp)

    async def unix_socket(self, session: SocketSession, path: str) -> None:
        """Connect to a unix socket of the host.

        Raises:
            HostError: Nobody listens there, the host forbids it, or has gone.
        """

        async def attempt() -> SocketSession:
            await self._connections[-1].create_unix_connection(
                # Without an encoding a session has bytes, which its type does not know.
                lambda: cast("asyncssh.SSHUNIXSession[str]", session),
                path,
                encoding=None,
                window=WINDOW,
            )
            return session

        try:
            async with asyncio.timeout(self.limits.channel):
                await self.whole(attempt(), undo=Duplex.abort)
        except TimeoutError:
            raise HostError(
                f"{self.name} did not connect to {path} within {self.limits.channel:g} s",
                hint="Check that what listens there is not overloaded.",
            ) from None
        except asyncssh.ChannelOpenError as exc:
            if not self.is_open:
                raise self.lost(f"connecting to {path}") from exc
            raise HostError(
                f"nobody listens at {path} on {self.name}: {exc.reason}",
                hint="If something does, its sshd_config lacks `AllowStreamLocalForwarding yes`.",
            ) from exc
        except (OSError, asyncssh.Error) as exc:
            raise self.lost(f"connecting to {path}") from exc

    async def lend_port(self, port: int, there: int) -> int:
        """Let the host reach a port of our loopback at a port of its own; 0 is any.

        Raises:
            HostError: The host forbids it, or the port is taken.
        """
        try:
            listener = await self._connections[-1].forward_remote_port(
                "127.0.0.1", there, "127.0.0.1", port
            )
        except (OSError, asyncssh.Error) as exc:
            raise HostError(
                f"{self.name} does not let a port of this machine be reached from there: {exc}",
                hint="Set `AllowTcpForwarding yes` in its sshd_config.",
            ) from exc
        return listener.get_port()

    async def _open_session(
        self, session: CommandSession, command: str, terminal: tuple[str, int, int] | None
    ) -> CommandSession:
        await self._connections[-1].create_session(
            lambda: session,
            command,
            env={},
            send_env=[],
            request_pty=terminal is not None,
            term_type=terminal[0] if terminal else None,
            term_size=terminal[1:] if terminal else (),
            x11_forwarding=False,
            encoding=None,
            window=WINDOW,
        )
        return session

    async def _start_sftp(self) -> asyncssh.SFTPClient:
        async def attempt() -> asyncssh.SFTPClient:
            # Names of files are bytes, whatever the encoding of a system is.
            return await self._connections[-1].start_sftp_client(path_encoding=None)

        try:
            return await self._patiently(attempt, undo=asyncssh.SFTPClient.exit)
        except asyncssh.SFTPError as exc:
            raise HostError(
                f"{self.name} gives no access to files by SFTP: {exc.reason}",
                hint="Turn on `Subsystem sftp internal-sftp` in its sshd_config, and let the start "
                "files of the login shell there write nothing.",
            ) from exc

    async def _patiently(
        self, attempt: Callable[[], Coroutine[object, object, T]], *, undo: Callable[[T], object]
    ) -> T:
        refusal: asyncssh.ChannelOpenError | None = None
        pauses = itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))
        try:
            async with asyncio.timeout(self.limits.channel):
                while True:
                    try:
                        return await self.whole(attempt(), undo=undo)
                    except asyncssh.ChannelOpenError as exc:
                        refusal = exc
                        if self._connections[-1].is_closed():
                            raise self.lost("a session was opened") from exc
                        if exc.code != asyncssh.OPEN_CONNECT_FAILED:
                            raise self._refused(exc) from exc
                    await asyncio.sleep(next(pauses))
        except TimeoutError:
            if refusal is not None:
                raise self._refused(refusal) from None
            raise HostError(
                f"{self.name} opened no session within {self.limits.channel:g} s",
                hint="Check that the host is not overloaded, and what the start files of the login "
                "shell there write.",
            ) from None
        except asyncssh.SFTPError:
            raise
        except (OSError, asyncssh.Error) as exc:
            raise self.lost("a session was opened") from exc

    def _refused(self, exc: asyncssh.ChannelOpenError) -> HostError:
        if exc.code == asyncssh.OPEN_CONNECT_FAILED:
            return HostError(
                f"{self.name} allows no more sessions in one connection: {exc.reason}",
                hint="End something there, or raise MaxSessions in its sshd_config.",
            )
        return HostError(
            f"{self.name} refuses to run commands or to serve files: {exc.reason}",
            hint="Ask its owner for a login that may, with `Subsystem sftp` in its sshd_config.",
        )


def new_mark() -> str:
    """A word that nobody else writes."""
    return f"codex-nb-{secrets.token_hex(8)}"
