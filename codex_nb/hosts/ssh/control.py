"""The shell on the host that signals process groups, one for each connection.

SSH's own request for a signal reaches no group in some servers, and its delivery is told in none.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.duplex import CommandSession


class ControlShell(CommandSession):
    """The session of that shell, which was told `launcher.control_line` first."""

    def __init__(self, mark: str) -> None:
        super().__init__(mark)
        self._sent = 0
        self._done = 0
        self._answers = b""
        self._reading = asyncio.Lock()

    def signal(self, signum: int, group: int, *, unless: str = "") -> int:
        """Send a signal to a process group; the number by which its delivery can be awaited.

        Args:
            signum: The signal, in the numbers of this machine.
            group: The group.
            unless: A file whose existence means that the group has ended.
        """
        try:
            # Numbers differ from system to system, names do not.
            name = signal.Signals(signum).name.removeprefix("SIG")
        except ValueError:
            name = str(signum)
        self._sent += 1
        with suppress(HostError):  # the shell has gone, and the keepers end the groups
            self.put(
                f"{self._sent} {name} {group} {unless}\n".encode(), refused="the shell has gone"
            )
        return self._sent

    def ping(self) -> int:
        """As `signal`, but nothing is done."""
        return self.signal(0, 0)

    async def wait_done(self, number: int) -> None:
        """Wait until this was done, or the shell has gone.

        Everything that the host sent before, in any channel, has arrived then.
        """
        while self._done < number:
            async with self._reading:
                if self._done >= number:
                    return
                data = await self.receive(self.out)
                if not data:
                    return
                *lines, self._answers = (self._answers + data).split(b"\n")
                if lines:
                    self._done = int(lines[-1])
