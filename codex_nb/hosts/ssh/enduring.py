"""A process of the other machine that goes on while no connection leads there.

Its input and its outputs are files there (see `enduring_scripts`), of which both sides know every
byte by its offset. So nothing is lost or doubled by a cut: what was not acknowledged is written
again to the same place, and reading goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, cast

import asyncssh

from codex_nb.errors import HostError
from codex_nb.hosts.ssh import enduring_scripts as scripts
from codex_nb.hosts.ssh.duplex import HIGH_WATER, Output
from codex_nb.hosts.ssh.launcher import Launch
from codex_nb.hosts.ssh.link import new_mark
from codex_nb.hosts.ssh.process import SshProcess

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from codex_nb.hosts.base import Completed
    from codex_nb.hosts.ssh.link import Link

logger = logging.getLogger(__name__)

_PIECE = 128 * 1024
_LOOK = 1.0
"""Seconds between two looks whether a process ended that nobody reads from."""

_PAUSE = 0.5
"""Seconds until the next try, when the host refused something although it is connected."""

_KILL_LIMIT = 10.0
_SIGNALLED = 128
"""What a shell adds to the number of a signal to make an exit status."""


class Way(Protocol):
    """The way to the host, as far as an enduring process needs it."""

    @property
    def name(self) -> str:
        """What a person calls the host."""

    async def live(self) -> Link:
        """A connection, as soon as there is one.

        Raises:
            HostError: There will be none any more.
        """

    async def exists(self, path: str) -> bool:
        """See `Host.exists`."""

    async def shell(self, script: str, *args: str, stdin: bytes = b"") -> Completed:
        """Run a script of ours to its end.

        Raises:
            HostError: The connection was lost, or the script took too long.
        """


class EnduringProcess:
    """A `Process` that outlives connections. Made by `start`.

    What nobody reads waits in a file of the host, and does not make the process wait.
    """

    def __init__(self, way: Way, folder: str, pid: int) -> None:
        self._way = way
        self._folder = folder
        self._pid = pid
        self._out, self._err = Output(), Output()
        self._taken = {False: 0, True: 0}  # bytes of stdout and of stderr that arrived
        self._drained = asyncio.Event()
        self._input = bytearray()  # what the host did not acknowledge
        self._acknowledged = 0
        self._fed = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._is_closed = False
        self._status: int | None = None
        self._error: HostError | None = None
        self._ended = asyncio.Event()
        self._wanted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(
        cls,
        way: Way,
        folder: str,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
    ) -> EnduringProcess:
        """Start a process whose files are in a new folder.

        Raises:
            HostError: The program or the folder does not exist or cannot be used, or the host
                refuses or has gone.
        """
        mark = new_mark()
        launch = Launch(argv, cwd, env, mark, 0)
        done = await way.shell(scripts.START, folder, scripts.SUPERVISE, stdin=launch.file)
        said = done.stdout.decode(errors="replace").partition(f"\n{mark} ")[2].strip()
        if said.startswith("- "):
            raise HostError(f"could not start {argv[0]} on {way.name}: {said[2:]}")
        if not said.isdigit():
            words = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise HostError(
                f"could not start {argv[0]} on {way.name}: {words or 'it said nothing'}"
            )
        process = cls(way, folder, int(said))
        process._spawn(process._feed())
        process._spawn(process._watch())
        return process

    @property
    def pid(self) -> int:
        """See `Process.pid`."""
        return self._pid

    async def read_stdout(self) -> bytes:
        """See `Process.read_stdout`."""
        return await self._read(self._out)

    async def read_stderr(self) -> bytes:
        """See `Process.read_stderr`."""
        return await self._read(self._err)

    async def write_stdin(self, data: bytes) -> None:
        """See `Process.write_stdin`."""
        if self._is_closed or self._ended.is_set():
            raise HostError(f"process {self._pid} takes no more input")
        self._input += data
        self._fed.set()
        self._written.clear()
        while len(self._input) > HIGH_WATER and not self._ended.is_set():
            await self._written.wait()
            self._written.clear()

    async def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        self._is_closed = True
        self._fed.set()

    async def wait(self) -> int:
        """See `Process.wait`.

        Raises:
            HostError: The host is out of reach for good, or does not say how it ended.
        """
        await self._ended.wait()
        if self._status is None:
            raise self._error or HostError(f"process {self._pid} was given up")
        return self._status

    def signal(self, signum: int) -> None:
        """See `Process.signal`; it is sent as soon as the host can be reached."""
        if not self._ended.is_set():
            self._spawn(self._send(signum))

    async def kill(self) -> None:
        """End the group at once, and return when nothing is left."""
        self.signal(signal.SIGKILL)
        try:
            async with asyncio.timeout(_KILL_LIMIT):
                await self._ended.wait()
        except TimeoutError:
            logger.warning("process %s on %s did not end in time", self._pid, self._way.name)

    async def forget(self) -> None:
        """Stop following it; whoever waits or reads learns that."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._end(None, HostError(f"process {self._pid} is not followed any more"))

    # Its end

    async def _watch(self) -> None:
        """Follow its outputs, when somebody wants them, and its end."""
        try:
            while True:
                await self._way.live()
                with suppress(HostError):
                    if await (self._follow() if self._wanted.is_set() else self._look()):
                        return
                    continue
                await asyncio.sleep(_PAUSE)
        except HostError as exc:
            self._end(None, exc)

    async def _look(self) -> bool:
        """Wait a moment, and tell whether it ended meanwhile."""
        if await self._way.exists(f"{self._folder}/exit"):
            self._end(int((await self._way.shell(scripts.STATUS, self._folder)).stdout))
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await self._wanted.wait()
        return False

    async def _follow(self) -> bool:
        """Read until it ended, or the connection; whether it ended."""
        link = await self._way.live()
        places = str(self._taken[False] + 1), str(self._taken[True] + 1)
        argv = ["/bin/sh", "-c", scripts.READ, "sh", self._folder, *places]
        reader = await SshProcess.start(link, argv, cwd="/", env={})
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, is_err=False))
                tasks.create_task(self._pump(reader, is_err=True))
            await reader.wait()
        finally:
            reader.abort()
        done = await self._way.shell(scripts.STATUS, self._folder)
        await self._take_rest(link)
        if done.exit_status != 0:
            self._end(
                None, HostError(f"{self._way.name} does not say how process {self._pid} ended")
            )
        else:
            self._end(int(done.stdout))
        return True

    async def _pump(self, reader: SshProcess, *, is_err: bool) -> None:
        read = reader.read_stderr if is_err else reader.read_stdout
        while data := await read():
            self._take(data, is_err=is_err)
            while self._out.size + self._err.size > HIGH_WATER:
                self._drained.clear()
                await self._drained.wait()

    def _take(self, data: bytes, *, is_err: bool) -> None:
        self._taken[is_err] += len(data)
        (self._err if is_err else self._out).feed(data)

    async def _take_rest(self, link: Link) -> None:
        """Read what the reader did not, which is nothing where it knows when to end."""
        sftp = await link.sftp()
        for is_err, name in ((False, "out"), (True, "err")):
            try:
                async with sftp.open(f"{self._folder}/{name}".encode(), "rb") as file:
                    while data := await file.read(_PIECE, self._taken[is_err]):
                        self._take(cast("bytes", data), is_err=is_err)
            except (asyncssh.Error, OSError) as exc:
                raise HostError(f"could not read the output of process {self._pid}: {exc}") from exc

    def _end(self, status: int | None, error: HostError | None = None) -> None:
        if self._ended.is_set():
            return
        signalled = status is not None and status > _SIGNALLED
        self._status = _SIGNALLED - status if signalled and status is not None else status
        self._error = error
        for output in (self._out, self._err):
            output.end()
        self._ended.set()
        self._written.set()

    # Its input

    async def _feed(self) -> None:
        while not self._ended.is_set():
            await self._fed.wait()
            try:
                link = await self._way.live()
                if await self._feed_by(link):
                    return
            except HostError:
                with suppress(HostError):
                    await self._way.live()
                    await asyncio.sleep(_PAUSE)
                    continue
                return  # `_watch` says why

    async def _feed_by(self, link: Link) -> bool:
        """Write by one connection, as long as it holds; whether the input has ended."""
        sftp = await link.sftp()
        try:
            async with sftp.open(f"{self._folder}/in".encode(), "r+b") as file:
                while True:
                    while piece := bytes(self._input[:_PIECE]):
                        await file.write(piece, self._acknowledged)
                        self._acknowledged += len(piece)
                        del self._input[: len(piece)]
                        self._written.set()
                    if self._is_closed:
                        break
                    self._fed.clear()
                    await self._fed.wait()
        except (asyncssh.Error, OSError) as exc:
            raise HostError(f"{self._way.name} does not take input: {exc}") from exc
        await self._way.shell(scripts.END_INPUT, self._folder)
        return True

    # Small things

    async def _send(self, signum: int) -> None:
        with suppress(HostError):
            link = await self._way.live()
            link.control.signal(signum, self._pid, unless=f"{self._folder}/exit")

    async def _read(self, output: Output) -> bytes:
        self._wanted.set()
        data = await output.read()
        self._drained.set()
        return data

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
