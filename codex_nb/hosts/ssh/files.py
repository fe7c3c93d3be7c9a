"""Files of the other machine, by SFTP."""

from __future__ import annotations

import asyncio
import os
import posixpath
import stat
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import asyncssh

from codex_nb.errors import HostError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from codex_nb.hosts.ssh.link import Link

_READ_ONLY = 1
"""The flag of a file system, as `statvfs` has it."""

_LINKS = 40
"""Links that one path may lead through."""

_PIECE = 1024 * 1024

_AT_ONCE = 4
"""Pieces of a file that are on their way at the same time."""


class SshFiles:
    """The operations of a host on its files, over one connection."""

    def __init__(self, link: Link, sftp: asyncssh.SFTPClient) -> None:
        self._link = link
        self._sftp = sftp

    async def make_folder(self, path: str, *, mode: int) -> None:
        """See `Host.make_folder`."""
        async with self._translated("make the folder", path):
            missing = []
            folder = posixpath.normpath(path)
            while folder not in ("", "/") and not await self.is_folder(folder):
                missing.append(_name(folder))
                folder = posixpath.dirname(folder)
            for each in reversed(missing):
                try:
                    await self._sftp.mkdir(each)
                except asyncssh.SFTPFailure:
                    # Somebody else was faster, or what is there is no folder.
                    if not await self.is_folder(os.fsdecode(each)):
                        if await self.exists(os.fsdecode(each)):
                            raise HostError(
                                f"could not make the folder {path}: a file is in its place"
                            ) from None
                        raise
                else:
                    # The umask there has its say in mkdir; here it shall not.
                    await self._sftp.chmod(each, mode)

    async def write(self, path: str, pieces: AsyncIterable[bytes], *, mode: int) -> None:
        """Write a file so that a reader sees the old content or all of the new."""
        folder, name = posixpath.split(path)
        draft = _name(posixpath.join(folder, f".{name}.{os.urandom(6).hex()}"))
        private = asyncssh.SFTPAttrs(permissions=0o600)
        async with self._translated("write", path):
            try:
                async with self._sftp.open(draft, "xb", private) as file:
                    await file.chmod(mode)
                    await _copy(pieces, file)
                await self._sftp.posix_rename(draft, _name(path))
            except BaseException:
                with suppress(OSError, asyncssh.Error):
                    await self._link.whole(self._sftp.remove(draft))
                raise

    async def read(self, path: str, *, limit: int) -> bytes:
        """See `Host.read_file`."""
        async with self._translated("read", path), self._sftp.open(_name(path), "rb") as file:
            data = await file.read(limit + 1)
        if len(data) > limit:
            raise HostError(f"could not read {path}: it is longer than {limit:,} bytes")
        return cast("bytes", data)

    async def pieces(self, path: str, *, start: int) -> AsyncIterator[bytes]:
        """The content of a file from a byte on."""
        async with self._translated("read", path), self._sftp.open(_name(path), "rb") as file:
            while data := await file.read(_PIECE, start):
                start += len(data)
                yield cast("bytes", data)

    async def size(self, path: str) -> int:
        """The length of a file in bytes."""
        async with self._translated("look at", path):
            return (await self._sftp.stat(_name(path))).size or 0
        raise AssertionError("not reached")

    async def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        async with self._translated("look at", path):
            with suppress(*_ABSENT):
                await self._sftp.lstat(_name(path))
                return True
        return False

    async def is_folder(self, path: str) -> bool:
        """See `Host.is_folder`."""
        async with self._translated("look at", path):
            with suppress(*_ABSENT):
                return stat.S_ISDIR((await self._sftp.stat(_name(path))).permissions or 0)
        return False

    async def remove_folder_if_empty(self, path: str) -> bool:
        """See `Host.remove_folder_if_empty`."""
        async with self._translated("remove", path):
            with suppress(*_ABSENT):
                await self._sftp.rmdir(_name(path))
                return True
        return False

    async def list_folder(self, path: str) -> list[str]:
        """See `Host.list_folder`."""
        async with self._translated("list", path):
            names = [os.fsdecode(name) for name in await self._sftp.listdir(_name(path))]
        return sorted(name for name in names if name not in (".", ".."))

    async def real_path(self, path: str) -> str:
        """See `Host.real_path`, but for `~`."""
        async with self._translated("resolve", path):
            return await self._resolved(path, path, [])

    async def _resolved(self, path: str, asked: str, links: list[str]) -> str:
        try:
            return os.fsdecode(await self._sftp.realpath(_name(path)))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPFailure):
            # What is missing is in the folders above the last name, or is behind a link.
            pass
        above, name = posixpath.split(path.rstrip("/"))
        folder = await self._resolved(above or ".", asked, links)
        if name in ("", "."):
            return folder
        if name == "..":
            return posixpath.dirname(folder)
        whole = posixpath.join(folder, name)
        try:
            target = os.fsdecode(await self._sftp.readlink(_name(whole)))
        except _ABSENT:
            return whole
        links.append(whole)
        if len(links) > _LINKS:
            raise HostError(f"could not resolve {asked}: too many links, or a loop of them")
        return await self._resolved(posixpath.join(folder, target), asked, links)

    @asynccontextmanager
    async def _translated(self, what: str, path: str) -> AsyncIterator[None]:
        """Turn the errors of SFTP into ours: what could not be done, to which path."""
        try:
            yield
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as exc:
            raise self._link.lost(f"doing this: {what} {path}") from exc
        except asyncssh.SFTPError as exc:
            raise HostError(f"could not {what} {path}: {await self._reason(exc, path)}") from exc
        except (asyncssh.Error, OSError) as exc:
            raise self._link.lost(f"doing this: {what} {path}") from exc

    async def _reason(self, exc: asyncssh.SFTPError, path: str) -> str:
        """Why SFTP failed; for a full disk, among others, it has no word of its own."""
        if isinstance(exc, asyncssh.SFTPFailure):
            with suppress(OSError, asyncssh.Error):
                disk = await self._sftp.statvfs(_name(posixpath.dirname(path) or "."))
                if disk.flags & _READ_ONLY:
                    return "Read-only file system"
                if disk.bavail == 0:
                    return "No space left on device"
            return f"{exc.reason}, for a reason that the host does not give"
        return exc.reason


_ABSENT = (
    asyncssh.SFTPNoSuchFile,
    asyncssh.SFTPPermissionDenied,
    asyncssh.SFTPFailure,
    asyncssh.SFTPBadMessage,
)
"""Answers that mean that something is not there, not of this kind, or not for us."""


async def _copy(pieces: AsyncIterable[bytes], file: asyncssh.SFTPClientFile) -> None:
    offset = 0
    places = asyncio.Semaphore(_AT_ONCE)

    async def write(piece: bytes, at: int) -> None:
        try:
            await file.write(piece, at)
        finally:
            places.release()

    try:
        async with asyncio.TaskGroup() as tasks:
            async for piece in pieces:
                await places.acquire()
                tasks.create_task(write(piece, offset))
                offset += len(piece)
    except BaseExceptionGroup as group:
        # The first of them is why the others failed.
        raise group.exceptions[0] from None


def _name(path: str) -> bytes:
    return os.fsencode(path)
