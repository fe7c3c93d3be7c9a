"""Another machine as a host, over one SSH connection.

The connection is made when it is needed first, and again when it is needed after it was lost; what
ran in the lost one is gone, and says so. Files go by SFTP, processes are started by `launcher`.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Self

from codex_nb.errors import HostError
from codex_nb.hosts.base import Completed, Platform, Process
from codex_nb.hosts.running import run_to_end
from codex_nb.hosts.ssh import scripts
from codex_nb.hosts.ssh.address import Address
from codex_nb.hosts.ssh.asking import Asker, Nobody
from codex_nb.hosts.ssh.channel import SshChannel
from codex_nb.hosts.ssh.client import Limits
from codex_nb.hosts.ssh.connection import CONFIG_FILES, Connector
from codex_nb.hosts.ssh.environment import ask_environment
from codex_nb.hosts.ssh.files import SshFiles
from codex_nb.hosts.ssh.link import Link
from codex_nb.hosts.ssh.process import SshProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

_SCRIPT_TIMEOUT = 60
_LONG_TIMEOUT = 900
"""Seconds for what depends on the size of a file or a tree."""

_PIECE = 1024 * 1024
_DISK = re.compile(r"\s\d+\s+-?\d+\s+(-?\d+)\s+-?\d+%\s")


class SshHost:
    """A `Host` on another machine, for one event loop. Used as a block, or ended with `close`.

    Args:
        address: A name from ~/.ssh/config, or "user@host:port".
        name: What a person calls the host; "" is the address.
        asker: Who is asked for secrets and about unknown keys; nobody means that both are refused.
        config: OpenSSH's configuration files, the most important first.
        limits: Seconds that the steps of a connection may take.

    Raises:
        UsageError: The address cannot be meant.
    """

    def __init__(
        self,
        address: str,
        *,
        name: str = "",
        asker: Asker | None = None,
        config: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._name = name or address
        self._address = Address.parse(address)
        self._limits = limits or Limits()
        self._connector = Connector(
            asker=asker or Nobody(), limits=self._limits, config=config or CONFIG_FILES
        )
        self._link: Link | None = None
        self._environment: dict[str, str] | None = None
        self._connecting = asyncio.Lock()

    @property
    def name(self) -> str:
        """See `Host.name`."""
        return self._name

    @property
    def endures(self) -> bool:
        """See `Host.endures`."""
        return False

    def patience(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """See `Host.patience`."""
        return asyncio.timeout(seconds)

    async def __aenter__(self) -> Self:
        await self.connected()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def connected(self) -> Link:
        """Connect unless that was done, and the connection is still there.

        Raises:
            HostError: What failed, and what to do.
        """
        async with self._connecting:
            if self._link is not None and not self._link.is_open:
                await self._link.close()
                self._link = None
            if self._link is None:
                connections = await self._connector.connect(self._address)
                self._link = await Link.open(self._name, connections, self._limits)
            return self._link

    async def close(self) -> None:
        """End the connection and, within seconds, what runs in it. Doing it again is fine."""
        async with self._connecting:
            link, self._link = self._link, None
            if link is not None:
                await link.close()

    async def start(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]) -> Process:
        """See `Host.start`.

        A program that cannot be run because of its format shows as exit status 126 or 127.
        """
        return await SshProcess.start(await self.connected(), argv, cwd=cwd, env=env)

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        timeout: float,
        stdin: bytes = b"",
    ) -> Completed:
        """See `Host.run`."""
        process = await SshProcess.start(await self.connected(), argv, cwd=cwd, env=env)
        what = f"{argv[0]} on {self.name}"
        return await run_to_end(process, what=what, timeout=timeout, stdin=stdin)

    async def connect(self, path: str) -> SshChannel:
        """See `Host.connect`."""
        return await SshChannel.open(await self.connected(), path)

    async def make_folder(self, path: str, *, mode: int = 0o700) -> None:
        """See `Host.make_folder`."""
        await (await self._files()).make_folder(path, mode=mode)

    async def write_file(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """See `Host.write_file`."""
        await self.upload(path, _pieces(data), mode=mode)

    async def upload(self, path: str, pieces: AsyncIterable[bytes], *, mode: int = 0o600) -> None:
        """Write a file as `write_file` does, from pieces that are taken as they can be sent.

        Pieces of a megabyte are the fastest.
        """
        await (await self._files()).write(path, pieces, mode=mode)

    async def pour(
        self, argv: Sequence[str], pieces: AsyncIterable[bytes], *, env: Mapping[str, str]
    ) -> None:
        """Run a process that takes these pieces as its stdin; the fastest way for a large file.

        Raises:
            HostError: It could not start, or did not end well, or the connection was lost.
        """
        process = await SshProcess.start(await self.connected(), argv, cwd="/", env=env)
        try:
            async for piece in pieces:
                await process.write_stdin(piece)
            await process.close_stdin()
            said = b""
            while data := await process.read_stderr():
                said = (said + data)[-1000:]
            if await process.wait() != 0:
                words = said.decode(errors="replace").strip().rpartition("\n")[2]
                raise HostError(f"{argv[0]} on {self.name} failed: {words or 'it said nothing'}")
        finally:
            await process.kill()

    async def file_size(self, path: str) -> int:
        """The length of a file in bytes.

        Raises:
            HostError: It cannot be looked at.
        """
        return await (await self._files()).size(path)

    async def read_file(self, path: str, *, limit: int) -> bytes:
        """See `Host.read_file`."""
        return await (await self._files()).read(path, limit=limit)

    async def download(self, path: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """The content of a file, piece by piece, from a byte on.

        Raises:
            HostError: It cannot be read.
        """
        files = await self._files()
        async for piece in files.pieces(path, start=start):
            yield piece

    async def lend_port(self, port: int) -> int:
        """Let the host reach a port of this machine's loopback, and tell its number there.

        It listens on the loopback of the host, as long as the connection lasts.

        Raises:
            HostError: The host forbids it.
        """
        return await (await self.connected()).lend_port(port, 0)

    async def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        return await (await self._files()).exists(path)

    async def is_folder(self, path: str) -> bool:
        """See `Host.is_folder`."""
        return await (await self._files()).is_folder(path)

    async def is_writable(self, path: str) -> bool:
        """See `Host.is_writable`."""
        return (await self._script(scripts.IS_WRITABLE, path)).exit_status == 0

    async def real_path(self, path: str) -> str:
        """See `Host.real_path`."""
        user, slash, rest = path.partition("/")
        if user == "~":
            path = (await self.environment()).get("HOME", "/") + slash + rest
        elif user.startswith("~"):
            raise HostError(f"could not resolve {path}: write the home of another user in full")
        return await (await self._files()).real_path(path)

    async def remove_tree(self, path: str) -> None:
        """See `Host.remove_tree`."""
        await self._answer(scripts.REMOVE, path, what="remove", timeout=_LONG_TIMEOUT)

    async def remove_folder_if_empty(self, path: str) -> bool:
        """See `Host.remove_folder_if_empty`."""
        return await (await self._files()).remove_folder_if_empty(path)

    async def list_folder(self, path: str) -> list[str]:
        """See `Host.list_folder`."""
        return await (await self._files()).list_folder(path)

    async def environment(self) -> dict[str, str]:
        """See `Host.environment`; it is that of a command, without what only a login sets."""
        if self._environment is None:
            self._environment = await ask_environment(await self.connected())
        return dict(self._environment)

    async def file_digest(self, path: str) -> str:
        """See `Host.file_digest`."""
        answer = await self._answer(scripts.DIGEST, path, what="read", timeout=_LONG_TIMEOUT)
        found = re.search(r"^[0-9a-f]{64}\b", answer, re.MULTILINE)
        if found is None:
            raise HostError(
                f"could not read {path}: {self.name} has nothing that computes a SHA-256",
                hint="Install coreutils, perl, openssl or python3 there.",
            )
        return found[0]

    async def file_stamp(self, path: str) -> str:
        """See `Host.file_stamp`."""
        return (await self._answer(scripts.STAMP, path, what="look at")).strip()

    async def identity(self) -> str:
        """See `Host.identity`."""
        name, boot, space, user = (await self._answer(scripts.IDENTITY)).split("\n")[:4]
        return f"{name}:{boot}:{space}:{user}"

    async def moment(self) -> float:
        """See `Host.moment`."""
        asked = time.monotonic()
        # Where the system tells nothing, as macOS, no process is found by its mark either.
        told = float(await self._answer(scripts.UPTIME) or 0)
        return told - (time.monotonic() - asked)

    async def end_marked(self, mark: str, *, since: float = 0) -> int:
        """See `Host.end_marked`."""
        argv = ["/bin/sh", "-c", scripts.END_MARKED, "sh", mark, str(int(since * 1000))]
        done = await self.run(argv, cwd="/", env=scripts.ENVIRONMENT, timeout=_SCRIPT_TIMEOUT)
        return int(done.stdout or 0)

    async def platform(self) -> Platform:
        """See `Host.platform`."""
        system, machine = (await self._answer(scripts.PLATFORM)).split("\n")[:2]
        return Platform(system=system, machine=machine)

    async def free_bytes(self, path: str) -> int:
        """See `Host.free_bytes`."""
        found = _DISK.search(await self._answer(scripts.FREE, path, what="look at"))
        if found is None:
            raise HostError(f"{self.name} does not say how much of the disk at {path} is free")
        return max(int(found[1]), 0) * 1024

    async def clock(self) -> float:
        """See `Host.clock`."""
        return float(await self._answer(scripts.CLOCK))

    async def _files(self) -> SshFiles:
        link = await self.connected()
        return SshFiles(link, await link.sftp())

    async def _script(
        self, script: str, path: str = "", *, timeout: float = _SCRIPT_TIMEOUT
    ) -> Completed:
        argv = ["/bin/sh", "-c", script, "sh", path]
        return await self.run(argv, cwd="/", env=scripts.ENVIRONMENT, timeout=timeout)

    async def _answer(
        self,
        script: str,
        path: str = "",
        *,
        what: str = "ask",
        timeout: float = _SCRIPT_TIMEOUT,
    ) -> str:
        done = await self._script(script, path, timeout=timeout)
        if done.exit_status != 0:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            reason = said.rpartition(": ")[2] or f"exit status {done.exit_status}"
            raise HostError(f"could not {what} {path or self.name}: {reason}")
        return done.stdout.decode(errors="surrogateescape")


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    view = memoryview(data)
    for start in range(0, len(data), _PIECE):
        yield bytes(view[start : start + _PIECE])
