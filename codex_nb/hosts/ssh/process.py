"""A process of the other machine; how it is started is in `launcher`."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.duplex import CommandSession
from codex_nb.hosts.ssh.launcher import COMMAND, Launch
from codex_nb.hosts.ssh.link import new_mark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_nb.hosts.ssh.link import Link

logger = logging.getLogger(__name__)

LINGER = 0.5
"""Seconds without output, after the exit, from which on nobody is expected to write any more."""

OTHER_SIGNAL = 99
"""The number of a signal for which SSH has no name; sshd names only a dozen."""


class SshProcess(CommandSession):
    """A `Process` of another machine. Made by `start`.

    When the connection is lost its outputs end, `wait` raises a `HostError`, and the keeper on the
    host ends the group.
    """

    def __init__(self, link: Link, mark: str) -> None:
        super().__init__(mark)
        self._link = link
        self._pid = 0
        self._status: int | None = None
        self._swept = 0
        self._exited = asyncio.Event()

    @classmethod
    async def start(
        cls, link: Link, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]
    ) -> SshProcess:
        """Start a process; one that a cancelled call started is ended.

        Raises:
            HostError: The program or the folder does not exist or cannot be used, or the host
                refuses or has gone.
        """
        mark = new_mark()
        launch = Launch(argv, cwd, env, mark, link.control_pid)
        process = cls(link, mark)
        return await link.whole(process._start(launch), undo=cls._end)

    async def _start(self, launch: Launch) -> SshProcess:
        name = self._link.name
        await self._link.session(self, COMMAND)
        try:
            answer = await self._link.begun(self, launch.lines)
        except BaseException:
            self.abort()
            raise
        if answer.startswith("- "):
            self.abort()
            raise HostError(f"could not start {launch.argv[0]} on {name}: {answer[2:]}")
        self._pid = int(answer)
        if self._exited.is_set():
            self._sweep()
        return self

    @property
    def pid(self) -> int:
        """See `Process.pid`."""
        return self._pid

    async def read_stdout(self) -> bytes:
        """See `Process.read_stdout`."""
        return await self.receive(self.out)

    async def read_stderr(self) -> bytes:
        """See `Process.read_stderr`."""
        return await self.receive(self.err)

    async def write_stdin(self, data: bytes) -> None:
        """See `Process.write_stdin`."""
        await self.send(data, refused=f"process {self._pid} takes no more input")

    async def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        self.write_eof()

    async def wait(self) -> int:
        """See `Process.wait`.

        Raises:
            HostError: The connection was lost, or the host does not say how it ended.
        """
        await self._exited.wait()
        if self._status is not None:
            return self._status
        if self._link.is_open:
            raise HostError(f"{self._link.name} does not say how process {self._pid} ended")
        raise self._link.lost(f"process {self._pid} ran")

    def signal(self, signum: int) -> None:
        """See `Process.signal`."""
        if not self._exited.is_set():
            self._link.control.signal(signum, self._pid)

    async def kill(self) -> None:
        """End the group at once, throw unread output away, and return when nothing is left."""
        self._end()
        try:
            async with asyncio.timeout(self._link.limits.channel):
                await self._link.control.wait_done(self._swept)
                await self._exited.wait()
                self.abort()
                await self.is_closed.wait()
        except TimeoutError:
            logger.warning("process %s on %s did not end in time", self._pid, self._link.name)
            self.abort()

    def exit_status_received(self, status: int) -> None:
        """Note the exit; called by asyncssh."""
        self._exit(status)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """Note the exit; called by asyncssh."""
        self._exit(-_signal_number(signal))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the channel has gone; called by asyncssh."""
        super().connection_lost(exc)
        self._exited.set()

    def _exit(self, status: int) -> None:
        self._status = status
        self.end_input()
        self._exited.set()
        if self._pid:
            self._sweep()

    def _sweep(self) -> None:
        """Kill what is left of the group, with the keeper, and then let the channel go."""
        self._end()
        self._link.later(self._release())

    def _end(self) -> None:
        # The keeper holds the number of the group until the first of these arrives.
        if not self._swept:
            self._swept = self._link.control.signal(signal.SIGKILL, self._pid)

    async def _release(self) -> None:
        # A descendant in a group of its own may hold the output open for ever.
        await self._link.control.wait_done(self._swept)
        while not self.is_closed.is_set():
            received = self.received
            await asyncio.sleep(LINGER)
            await self._link.control.wait_done(self._link.control.ping())
            if not self.unread and received == self.received:
                self.abort()


def _signal_number(name: str) -> int:
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        return OTHER_SIGNAL
