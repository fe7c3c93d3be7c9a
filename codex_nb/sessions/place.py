"""Where a session lives: its host, and its folder there.

Everything that differs between this machine and another one is behind this, so that the session
itself does not know where it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from codex_nb.codex.binary import find_codex
from codex_nb.hosts import marks
from codex_nb.hosts.local import LocalHost
from codex_nb.sessions.processes import kill_marked_processes, mark_of
from codex_nb.sessions.sockets import remove_sockets, socket_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.hosts.base import Host
    from codex_nb.sessions.spec import SessionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A host that is out of reach.

    Attributes:
        since: Unix seconds.
        why: Why the last attempt to connect failed; "" before the first.
    """

    since: float
    why: str


class Place(Protocol):
    """Where a session lives. Nothing but `host` and `spec` is to be used before `open`."""

    @property
    def host(self) -> Host:
        """The host."""

    @property
    def spec(self) -> SessionSpec:
        """What the session is to be; once it is open, with paths as they are on the host."""

    @property
    def folder(self) -> str:
        """The folder of the session on the host."""

    @property
    def kept(self) -> str:
        """The folder of the session on this machine."""

    async def open(self, progress: Callable[[str], None]) -> None:
        """Go there, and end what an earlier start of the session may have left running.

        Args:
            progress: Takes what happens now, in a few words.

        Raises:
            CodexNBError: The host or a folder cannot be used.
        """

    async def program(self, progress: Callable[[str], None]) -> CodexProgram:
        """The codex program there.

        Raises:
            CodexNBError: There is none that can be used.
        """

    async def variables(self) -> Mapping[str, str]:
        """The user's environment there, in which codex is to be started."""

    async def sockets(self) -> str:
        """The folder for sockets, whose path is short enough."""

    async def url(self, here: str) -> str:
        """The address by which the host reaches a server that listens on this machine's loopback.

        Raises:
            HostError: The host forbids it.
        """

    def moment(self) -> float:
        """Now, on the host, as `Host.moment` tells it."""

    async def end_commands(self, since: float) -> int:
        """End processes of the session that were born since a moment; how many there were.

        Raises:
            HostError: The host could not be asked.
        """

    async def note_leftovers(self, paths: Sequence[str]) -> None:
        """Remember folders that are to be removed at the end, if they are empty then."""

    async def keep_threads(self) -> None:
        """Keep what codex wrote down of its threads so far, to take them up again."""

    def outage(self) -> Outage | None:
        """Since when and why the host is out of reach; None while it is not."""

    def retry(self) -> None:
        """Try at once to reach a host that is out of reach."""

    async def guard(self) -> None:
        """Never return.

        Raises:
            HostError: The host is out of reach for good.
        """

    def part(self) -> None:
        """The session ends: nothing is waited for any longer that is out of reach."""

    async def clear(self) -> None:
        """End every process of the session and remove its sockets, after codex ended."""

    async def close(self) -> None:
        """Leave. Doing it again is fine."""


class LocalPlace:
    """A `Place` on this machine.

    Args:
        spec: What the session is to be.
        folder: The session folder, made already.
    """

    def __init__(self, spec: SessionSpec, folder: str) -> None:
        self.spec = spec
        self.folder = self.kept = folder
        self.host: Host = LocalHost()

    async def open(self, progress: Callable[[str], None]) -> None:
        """See `Place.open`."""
        if self.spec.resume:
            # The codex of a session host that was killed may be about to end; it must not be met.
            await self.clear()

    async def program(self, progress: Callable[[str], None]) -> CodexProgram:
        """See `Place.program`."""
        return find_codex(self.spec.codex)

    async def variables(self) -> Mapping[str, str]:
        """See `Place.variables`; `python` is the notebook's, also where that is not activated."""
        # Not resolved: the folder of the environment is meant, not that of the Python it links to.
        folder = str(Path(sys.executable).parent)
        path = os.environ.get("PATH", os.defpath)
        if folder in path.split(os.pathsep):
            return dict(os.environ)
        return {**os.environ, "PATH": f"{folder}{os.pathsep}{path}"}

    async def sockets(self) -> str:
        """See `Place.sockets`."""
        return str(socket_folder(self.folder))

    async def url(self, here: str) -> str:
        """See `Place.url`."""
        return here

    def moment(self) -> float:
        """See `Place.moment`."""
        return marks.uptime()

    async def end_commands(self, since: float) -> int:
        """See `Place.end_commands`."""
        return await self.host.end_marked(mark_of(self.spec.id), since=since)

    async def note_leftovers(self, paths: Sequence[str]) -> None:
        """See `Place.note_leftovers`; the registry's entry of the session has them."""

    async def keep_threads(self) -> None:
        """See `Place.keep_threads`; they are here."""

    def outage(self) -> Outage | None:
        """See `Place.outage`."""
        return None

    def retry(self) -> None:
        """See `Place.retry`."""

    async def guard(self) -> None:
        """See `Place.guard`."""
        await asyncio.Event().wait()

    def part(self) -> None:
        """See `Place.part`."""

    async def clear(self) -> None:
        """See `Place.clear`."""
        kill_marked_processes(self.spec.id)
        remove_sockets(self.folder)

    async def close(self) -> None:
        """See `Place.close`."""
