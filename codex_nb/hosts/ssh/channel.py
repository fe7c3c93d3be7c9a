"""A connection to a unix socket of the other machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.duplex import SocketSession
from codex_nb.hosts.unix_path import MAX_PATH

if TYPE_CHECKING:
    from codex_nb.hosts.ssh.link import Link


class SshChannel(SocketSession):
    """A `Channel` of another machine. Made by `open`."""

    @classmethod
    async def open(cls, link: Link, path: str) -> SshChannel:
        """Connect to the socket at `path`, through the connection and no port.

        Raises:
            HostError: Nobody listens there, or the host forbids it or has gone.
        """
        if len(os.fsencode(path)) > MAX_PATH:
            raise HostError(
                f"the path of the socket is too long for {link.name}: {path}",
                hint="Choose a folder with a shorter path there.",
            )
        channel = cls()
        await link.unix_socket(channel, path)
        return channel

    async def read(self) -> bytes:
        """See `Channel.read`."""
        return await self.receive(self.out)

    async def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        await self.send(data, refused="the other side hung up")

    async def close(self) -> None:
        """See `Channel.close`."""
        self.abort()
