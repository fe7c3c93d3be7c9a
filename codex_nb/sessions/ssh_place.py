"""A session on another machine: its folder there, and what of it is kept here.

The folder there holds nothing of value and goes with the session. What codex wrote down of its
threads is brought here after every turn and at the end, into the session folder of this machine,
and is taken there again when a thread goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit, urlunsplit

from codex_nb.codex.home import AUTH_FILE
from codex_nb.errors import HostError, SessionError, UsageError
from codex_nb.hosts.ssh.enduring_host import EnduringHost
from codex_nb.sessions.place import Outage
from codex_nb.sessions.processes import mark_of
from codex_nb.sessions.roots import is_within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.hosts.ssh.asking import Asker
    from codex_nb.sessions.spec import SessionSpec

logger = logging.getLogger(__name__)
# It tells of every channel.
logging.getLogger("asyncssh").setLevel(logging.WARNING)

_THREADS = "codex/sessions"
_MAX_AUTH = 1024 * 1024
_DEEPEST = 8
_MOST = 512 * 1024 * 1024
"""Bytes of one thread that are kept: a host that was taken over shall not fill this disk."""

_MOST_FILES = 1000


class SshPlace:
    """A `Place` on a host that is reached by SSH.

    Args:
        spec: What the session is to be.
        folder: The session folder on this machine, for what is kept.
        asker: Who is asked for secrets and about unknown keys.
        changed: Called when the host is out of reach, and when it is back.
    """

    def __init__(
        self,
        spec: SessionSpec,
        folder: str,
        *,
        asker: Asker,
        changed: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.host = EnduringHost(
            spec.address or spec.host,
            name=spec.host,
            session=spec.id,
            mark=mark_of(spec.id),
            patience=spec.host_timeout.total_seconds(),
            asker=asker,
            changed=changed,
            config=spec.ssh_config or None,
        )
        self.kept = folder
        self._ahead = 0.0  # how far the clock of moments there is ahead of ours
        self._keeping = asyncio.Lock()
        self._is_parting = False

    @property
    def folder(self) -> str:
        """See `Place.folder`."""
        return self.host.place

    async def open(self, progress: Callable[[str], None]) -> None:
        """See `Place.open`."""
        progress(f"Connecting to {self.host.name}")
        await self.host.open()
        spec = self.spec
        cwd, *allow = await asyncio.gather(
            *(self._folder_there(path) for path in (spec.cwd, *spec.allow))
        )
        self.spec = replace(spec, cwd=cwd, allow=tuple(allow))
        if spec.sandbox == "workspace-write":
            for root in (cwd, *allow):
                if is_within(self.folder, root):
                    raise UsageError(
                        f"Codex would be allowed to write everywhere below {root} on "
                        f"{self.host.name}, its own configuration included.",
                        hint="Give a smaller folder with --cwd.",
                    )
                if not await self.host.is_writable(root):
                    raise UsageError(
                        f"You may not write {root} on {self.host.name}.",
                        hint="Give another folder, or --sandbox read-only if Codex is only to "
                        "look.",
                    )
        self._ahead = await self.host.moment() - time.monotonic()
        if spec.resume:
            await self._take_threads()

    async def program(self, progress: Callable[[str], None]) -> CodexProgram:
        """See `Place.program`."""
        from codex_nb.codex.provision import provide_codex

        return await provide_codex(self.host, configured=self.spec.codex, progress=progress)

    async def variables(self) -> Mapping[str, str]:
        """See `Place.variables`."""
        return await self.host.environment()

    async def sockets(self) -> str:
        """See `Place.sockets`."""
        return self.folder

    async def url(self, here: str) -> str:
        """See `Place.url`."""
        parts = urlsplit(here)
        port = await self.host.lend_port(parts.port or 80)
        return urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}"))

    def moment(self) -> float:
        """See `Place.moment`."""
        return time.monotonic() + self._ahead

    async def end_commands(self, since: float) -> int:
        """See `Place.end_commands`."""
        return await self.host.end_marked(mark_of(self.spec.id), since=since)

    async def note_leftovers(self, paths: Sequence[str]) -> None:
        """See `Place.note_leftovers`."""
        await self.host.note_leftovers(paths)

    async def keep_threads(self) -> None:
        """See `Place.keep_threads`; a login that a person made in a plain terminal as well."""
        try:
            async with self._keeping:
                await self._keep()
        except HostError as exc:
            # The next turn's end keeps them as well; without that, what is there is lost.
            logger.info("threads were not kept: %s", exc.message)

    async def _keep(self) -> None:
        if self.folder:
            for name in await self._files(_THREADS):
                await self._keep_lines(name)
            if self.spec.plain and await self.host.exists(f"{self.folder}/codex/{AUTH_FILE}"):
                path = f"{self.folder}/codex/{AUTH_FILE}"
                data = await self.host.read_file(path, limit=_MAX_AUTH)
                target = Path(self.kept) / "codex" / AUTH_FILE
                target.unlink(missing_ok=True)
                with _private(target) as file:
                    file.write(data)

    def outage(self) -> Outage | None:
        """See `Place.outage`."""
        since, trouble = self.host.lost_at, self.host.trouble
        if since is None:
            return None
        return Outage(since=since, why=trouble.message if trouble is not None else "")

    def retry(self) -> None:
        """See `Place.retry`."""
        self.host.try_now()

    async def _keep_lines(self, name: str) -> None:
        """Bring what is new of a thread: whole lines only, for this process may be killed."""
        target, rest = Path(self.kept) / name, b""
        size = target.stat().st_size if target.exists() else 0
        async for piece in self.host.download(f"{self.folder}/{name}", start=size):
            lines, newline, rest = (rest + piece).rpartition(b"\n")
            size += len(piece)
            if size > _MOST:
                raise HostError(f"{name} on {self.host.name} is larger than it can be")
            if newline:
                with _private(target) as file:
                    file.write(lines + newline)

    async def guard(self) -> None:
        """See `Place.guard`."""
        error = await self.host.lost_for_good()
        if self._is_parting:  # it is over, and not by this
            await asyncio.Event().wait()
        raise SessionError(error.message, hint=error.hint)

    def part(self) -> None:
        """See `Place.part`."""
        self._is_parting = True
        self.host.part()

    async def clear(self) -> None:
        """See `Place.clear`; all but the threads goes with `close`."""
        await self.keep_threads()

    async def close(self) -> None:
        """See `Place.close`."""
        await self.host.close()

    async def _folder_there(self, path: str) -> str:
        found = await self.host.real_path(path)
        if not await self.host.is_folder(found):
            raise UsageError(
                f"{found} on {self.host.name} is not a folder.",
                hint="Make it there, or give another one.",
            )
        return found

    async def _files(self, folder: str) -> list[str]:
        """The files below a folder of the session there, by their paths in it."""
        found, folders = list[str](), [folder]
        for _ in range(_DEEPEST):
            deeper = []
            for each in folders:
                with suppress(HostError):
                    for name in await self.host.list_folder(f"{self.folder}/{each}"):
                        # What the host says must not lead out of the folder here.
                        if name in ("", ".", "..") or "/" in name or "\0" in name:
                            continue
                        deeper.append(f"{each}/{name}")
            kinds = await asyncio.gather(
                *(self.host.is_folder(f"{self.folder}/{path}") for path in deeper)
            )
            found += [path for path, is_folder in zip(deeper, kinds, strict=True) if not is_folder]
            folders = [path for path, is_folder in zip(deeper, kinds, strict=True) if is_folder]
        return found[:_MOST_FILES]

    async def _take_threads(self) -> None:
        """Put there what is kept here, unless the folder there outlived its session host."""
        for path in sorted(Path(self.kept).joinpath(_THREADS).rglob("*")):
            name = path.relative_to(self.kept)
            target = f"{self.folder}/{name}"
            if path.is_file() and not await self.host.exists(target):
                await self.host.make_folder(f"{self.folder}/{name.parent}")
                await self.host.write_file(target, path.read_bytes())


def _private(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "ab")
