"""A program of the other machine in a pty, for as long as the connection lasts.

A terminal that is not told otherwise echoes what it gets, and cuts lines at 4096 bytes. So the
script that becomes the program is in a private file, and not typed.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncssh

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.duplex import CommandSession
from codex_nb.hosts.ssh.launcher import ANSWERS, Launch
from codex_nb.hosts.ssh.link import new_mark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_nb.hosts.ssh.host import SshHost
    from codex_nb.hosts.ssh.link import Link


class SshPty(CommandSession):
    """A `Pty` of another machine. Made by `open`."""

    def __init__(self, mark: str) -> None:
        super().__init__(mark)
        self._mark = mark

    @classmethod
    async def open(
        cls,
        host: SshHost,
        link: Link,
        folder: str,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        columns: int,
        rows: int,
    ) -> SshPty:
        """Start a program.

        Args:
            host: The host.
            link: The connection to it.
            folder: A new private folder there, for the script; it is removed at once.
            argv: The program and its arguments.
            cwd: Its folder.
            env: Its whole environment, with TERM.
            columns: Of the terminal.
            rows: Of the terminal.

        Raises:
            HostError: It cannot start, or the host refuses or has gone.
        """
        pty = cls(new_mark())
        await host.make_folder(folder)
        try:
            script = Launch(argv, cwd, env, pty._mark, 0).file
            await host.write_file(f"{folder}/start", script)
            # Shells of all kinds read this alike.
            become = f'. "$0/start" {ANSWERS}>&1'
            command = f"exec /usr/bin/env -i /bin/sh -c '{become}' {shlex.quote(folder)}"
            term = env.get("TERM", "xterm-256color")
            await link.session(pty, command, terminal=(term, columns, rows))
            answer = (await link.begun(pty, b"")).strip()
        except BaseException:
            pty.abort()
            raise
        finally:
            with suppress(HostError):
                await host.remove_tree(folder)
        if answer.startswith("- "):
            pty.abort()
            raise HostError(f"could not start {argv[0]} on {host.name}: {answer[2:]}")
        return pty

    async def read(self) -> bytes:
        """See `Pty.read`."""
        return await self.receive(self.out)

    async def write(self, data: bytes) -> None:
        """See `Pty.write`."""
        await self.send(data, refused="the terminal has ended")

    def resize(self, columns: int, rows: int) -> None:
        """See `Pty.resize`."""
        if isinstance(self._chan, asyncssh.SSHClientChannel):
            with suppress(OSError):
                self._chan.change_terminal_size(columns, rows)

    async def close(self) -> None:
        """See `Pty.close`; what ran in it gets the signal of a terminal that went."""
        self.abort()
