"""A connection to a unix socket of this machine."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from codex_nb.errors import HostError
from codex_nb.hosts.unix_path import reachable

HIGH_WATER = 256 * 1024
"""Bytes that wait on either side from which on the other one is made to wait."""


class LocalChannel:
    """A `Channel` of this machine. Made by `open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, path: str, *, host: str) -> LocalChannel:
        """Connect to the socket at `path`.

        Raises:
            HostError: Nobody listens there.
        """
        try:
            with reachable(Path(path)) as short:
                return cls(*await asyncio.open_unix_connection(short, limit=HIGH_WATER))
        except OSError as exc:
            raise HostError(f"nobody listens at {path} on {host}: {exc.strerror or exc}") from exc

    async def read(self) -> bytes:
        """See `Channel.read`."""
        with suppress(ConnectionError):
            return await self._reader.read(HIGH_WATER)
        return b""

    async def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (ConnectionError, RuntimeError) as exc:
            raise HostError(f"the other side hung up: {exc}") from exc

    async def close(self) -> None:
        """See `Channel.close`."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
