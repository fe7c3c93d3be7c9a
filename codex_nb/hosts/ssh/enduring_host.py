"""Another machine as the host of a session, whose processes outlive the connection.

A connection that is lost is made again, with growing pauses, for as long as the warden there waits.
Whoever reads from a process meanwhile just waits. What only takes a moment (`run`, files) fails at
once, as with any `SshHost`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncssh

from codex_nb.errors import HostError
from codex_nb.hosts.ssh import enduring_scripts, scripts
from codex_nb.hosts.ssh.enduring import EnduringProcess
from codex_nb.hosts.ssh.host import SshHost
from codex_nb.hosts.ssh.pty import SshPty

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from codex_nb.hosts.base import Completed
    from codex_nb.hosts.ssh.asking import Asker
    from codex_nb.hosts.ssh.client import Limits
    from codex_nb.hosts.ssh.link import Link

logger = logging.getLogger(__name__)

_PAUSES = (0.2, 0.5, 1, 2, 4, 8, 15)
"""Seconds between attempts to connect again; the last one again and again."""

_SCRIPT_LIMIT = 60.0
_BEATS = 6
"""How many signs of life there are in the time after which a warden ends everything."""

_LONGEST_BEAT = 10.0


class EnduringHost(SshHost):
    """An `SshHost` for one session. `open` it first, and `close` it at last.

    Args:
        address: See `SshHost`.
        session: The session id, which names its folder on the host.
        mark: "NAME=value", in the environment of every process of the session.
        patience: Seconds without a connection after which the session is ended, on both sides.
        changed: Called when the host is out of reach, and when it is back.
        asker: See `SshHost`.
        config: See `SshHost`.
        limits: See `SshHost`.

    Attributes:
        place: The folder of the session on the host; "" until it is open.
        lost_at: Since when the host is out of reach, in Unix seconds; None while it is not.
        trouble: Why it was out of reach at the last attempt; None when it is not.
    """

    def __init__(
        self,
        address: str,
        *,
        session: str,
        mark: str,
        patience: float,
        name: str = "",
        changed: Callable[[], None] = lambda: None,
        asker: Asker | None = None,
        config: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(address, name=name, asker=asker, config=config, limits=limits)
        self.place = ""
        self.lost_at: float | None = None
        self.trouble: HostError | None = None
        self._session = session
        self._mark = mark
        self._patience = patience
        self._changed = changed
        self._identity = ""
        self._numbers = itertools.count(1)
        self._processes: list[EnduringProcess] = []
        self._live: asyncio.Future[Link] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._at_once = asyncio.Event()
        self._is_parting = False
        self._is_lost = asyncio.Event()
        self._lent: dict[int, int] = {}
        self._limits_of_time: dict[asyncio.Timeout, float] = {}

    @property
    def endures(self) -> bool:
        """See `Host.endures`."""
        return True

    @asynccontextmanager
    async def patience(self, seconds: float) -> AsyncIterator[None]:
        """See `Host.patience`."""
        async with asyncio.timeout(seconds if self.lost_at is None else None) as limit:
            self._limits_of_time[limit] = seconds
            try:
                yield
            finally:
                del self._limits_of_time[limit]

    async def open(self) -> None:
        """Connect, and make the folder of the session with its warden.

        Raises:
            HostError: What failed, and what to do.
        """
        link = await self.connected()
        home = await self.environment()
        period = max(1, round(min(self._patience / _BEATS, _LONGEST_BEAT)))
        env = {name: home[name] for name in ("HOME", "XDG_STATE_HOME") if name in home}
        done = await super().run(
            [
                *("/bin/sh", "-c", enduring_scripts.PLACE, "sh", self._session, self._mark),
                *(str(period), str(max(2, round(self._patience))), enduring_scripts.WARDEN),
            ],
            cwd="/",
            env=env | scripts.ENVIRONMENT,
            timeout=_SCRIPT_LIMIT,
        )
        if done.exit_status != 0:
            words = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise HostError(
                f"{self.name} has no room for a session: {words or done.exit_status}",
                hint="Make /var/tmp or the home folder there writable.",
            )
        self.place = done.stdout.decode(errors="surrogateescape").strip()
        self._identity = await self.identity()
        self._live = asyncio.get_running_loop().create_future()
        self._live.set_result(link)
        self._keeping = asyncio.create_task(self._keep(link), name="connection")
        self._beating = asyncio.create_task(self._beat(period), name="sign of life")

    async def start(
        self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]
    ) -> EnduringProcess:
        """Start a process that goes on while the connection is cut; else as `Host.start`."""
        folder = f"{self.place}/p/{next(self._numbers)}"
        process = await EnduringProcess.start(self, folder, argv, cwd=cwd, env=env)
        self._processes.append(process)
        return process

    async def open_pty(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        columns: int,
        rows: int,
    ) -> SshPty:
        """Start a program in a pty, which ends with the connection.

        Raises:
            HostError: It cannot start, or the host refuses or is out of reach.
        """
        if self.lost_at is not None:
            raise HostError(f"{self.name} is out of reach")
        folder = f"{self.place}/pty-{secrets.token_hex(8)}"
        return await SshPty.open(
            self, await self.live(), folder, argv, cwd=cwd, env=env, columns=columns, rows=rows
        )

    async def live(self) -> Link:
        """See `Way.live`."""
        while True:
            if self._live is None:
                raise HostError(f"{self.name} is not connected")
            link = await asyncio.shield(self._live)
            if link.is_open:
                return link
            self._note_lost()

    async def shell(self, script: str, *args: str, stdin: bytes = b"") -> Completed:
        """See `Way.shell`."""
        argv = ["/bin/sh", "-c", script, "sh", *args]
        return await self.run(argv, cwd="/", env={}, timeout=_SCRIPT_LIMIT, stdin=stdin)

    async def lend_port(self, port: int) -> int:
        """See `SshHost.lend_port`; it is lent again after a cut."""
        there = await super().lend_port(port)
        self._lent[there] = port
        return there

    async def lost_for_good(self) -> HostError:
        """Why there is no connection any more, as soon as none is made again."""
        await self._is_lost.wait()
        return self.trouble or HostError(f"{self.name} is out of reach")

    def try_now(self) -> None:
        """Connect again at once instead of after the current pause."""
        self._at_once.set()

    async def note_leftovers(self, paths: Sequence[str]) -> None:
        """Tell the warden of folders to remove at the end, if they are empty then.

        Raises:
            HostError: It cannot be told.
        """
        lines = "".join(f"{path}\n" for path in paths if "\n" not in path)
        await self.write_file(f"{self.place}/leftovers", lines.encode())

    def part(self) -> None:
        """From now on, a connection that is lost is not made again."""
        self._is_parting = True
        if self._live is not None and not self._live.done():
            self._give_up(HostError(f"{self.name} is out of reach"))

    async def close(self) -> None:
        """End what runs there, remove the folder and hang up. Doing it again is fine.

        Out of reach, the host is left to its warden.
        """
        for task in (self._keeping, self._beating):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for process in self._processes:
            await process.forget()
        self._processes.clear()
        live, self._live = self._live, None
        if self.place and live is not None and live.done() and not live.exception():
            link = live.result()
            if link.is_open:
                with suppress(HostError):
                    await self.shell(enduring_scripts.CLOSE, self.place, self._mark)
        elif live is not None and not live.done():
            live.cancel()
        self.place = ""
        await super().close()

    # The connection

    def _note_lost(self) -> None:
        if self._live is None or not self._live.done() or self._live.exception():
            return
        self._live = asyncio.get_running_loop().create_future()
        self.lost_at = time.time()
        for limit in self._limits_of_time:
            limit.reschedule(None)
        if self._is_parting:
            self._give_up(HostError(f"the connection to {self.name} was lost"))
        self._changed()

    def _note_back(self, link: Link) -> None:
        self.lost_at = self.trouble = None
        now = asyncio.get_running_loop().time()
        for limit, seconds in self._limits_of_time.items():
            limit.reschedule(now + seconds)
        if self._live is not None and not self._live.done():
            self._live.set_result(link)
        self._changed()

    def _give_up(self, error: HostError) -> None:
        self.trouble = error
        if self._live is not None and not self._live.done():
            self._live.set_exception(error)
            self._live.exception()  # nobody need wait for it
        self._is_lost.set()

    async def _keep(self, link: Link) -> None:
        """Notice the loss of the connection, and make it again, until there is no use in it."""
        while True:
            await link.lost_connection()
            self._note_lost()
            try:
                link = await self._again()
            except HostError as exc:
                self._give_up(exc)
                self._changed()
                return
            self._note_back(link)

    async def _again(self) -> Link:
        began = time.monotonic()
        pauses = itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))
        while True:
            try:
                link = await self.connected()
                identity, is_there = await self.identity(), await self.is_folder(self.place)
            except HostError as exc:
                self.trouble = exc
                self._changed()
            else:
                if identity != self._identity:
                    # Numbers of processes mean others by now: only the files are ours.
                    with suppress(HostError):
                        await self.remove_tree(self.place)
                    raise HostError(
                        f"{self.name} was started anew, and what ran there has ended",
                        hint="Send again to go on with the same thread.",
                    )
                if not is_there:
                    raise self._too_long()
                for there, port in self._lent.items():
                    with suppress(HostError):
                        await link.lend_port(port, there)
                return link
            if time.monotonic() - began > self._patience:
                raise self._too_long()
            self._at_once.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(next(pauses)):
                    await self._at_once.wait()

    def _too_long(self) -> HostError:
        why = f": {self.trouble.message}" if self.trouble is not None else ""
        return HostError(
            f"{self.name} was out of reach for more than {self._patience:g} s{why}",
            hint="What ran there was ended. Send again to go on with the same thread.",
        )

    async def _beat(self, period: float) -> None:
        """Tell the warden that somebody is here."""
        for number in itertools.count(1):
            with suppress(HostError, asyncssh.Error, OSError):
                sftp = await (await self.live()).sftp()
                async with sftp.open(f"{self.place}/beat".encode(), "r+b") as file:
                    await file.write(f"{number:012}\n".encode(), 0)
            await asyncio.sleep(period / 2)
