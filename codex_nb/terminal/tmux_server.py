"""A private tmux server: a socket and a configuration of its own, in the foreground, on a tether.

It gets exactly the environment that is given, and ends with whoever started it, also by kill -9.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from codex_nb.errors import HostError, first_error
from codex_nb.hosts.tether import sweeping, tethered
from codex_nb.terminal.tmux_program import CONFIG, check_tmux

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_nb.hosts.base import Host, Process

logger = logging.getLogger(__name__)

LONGEST_SOCKET = 103
"""Bytes that the path of a unix socket may have on every system."""

_LIMIT = 10.0
_PROBE = 0.01
_GRACE = 2.0
_NO_SERVER_STARTED = (3, 3)
"""The version since which a command can be kept from starting a server of its own."""


class TmuxServer:
    """A running tmux server. Made by `start`, ended by `close`.

    Attributes:
        program: The path or name of tmux.
        socket: The path of the server's socket.
    """

    def __init__(self, host: Host, program: str, folder: str, env: Mapping[str, str]) -> None:
        self.program = program
        self.socket = f"{folder}/tmux.sock"
        self._host = host
        # What tmux's own commands need, and nothing that the program is given.
        self._env = {"PATH": env.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TERM": "dumb"}
        self._flags: list[str] = []
        self._mark = ""
        self._process: Process | None = None

    @classmethod
    async def start(
        cls,
        host: Host,
        *,
        program: str,
        folder: str,
        cwd: str,
        env: Mapping[str, str],
        mark: str,
    ) -> TmuxServer:
        """Start a server without sessions. Nothing is left running when that fails.

        Args:
            host: Where it runs.
            program: The path of tmux, or its name on the PATH of `env`.
            folder: A private folder for its socket and configuration.
            cwd: Its working folder.
            env: Its whole environment, but for the mark.
            mark: "NAME=value", put into its environment; see `tethered`.

        Raises:
            HostError: tmux is missing, too old, or did not start; or the path of the socket is too
                long.
            ValueError: The mark is none.
        """
        self = cls(host, program, folder, env)
        config = f"{folder}/tmux.conf"
        argv = tethered([program, "-S", self.socket, "-f", config, "-D"], mark=mark, grace=_GRACE)
        self._mark = mark
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET:
            raise HostError(
                f"{self.socket} is too long for a socket: at most {LONGEST_SOCKET} bytes."
            )
        if await check_tmux(host, program, env=self._env) >= _NO_SERVER_STARTED:
            self._flags = ["-N"]
        await host.remove_tree(self.socket)
        await host.write_file(config, CONFIG.encode())
        name, _, value = mark.partition("=")
        self._process = await host.start(argv, cwd=cwd, env={**env, name: value})
        try:
            await self._wait_ready(self._process)
        except BaseException:
            await self.close()
            raise
        return self

    async def command(self, *args: str, stdin: bytes = b"") -> str:
        """Run a command of tmux and return what it prints.

        Raises:
            HostError: The server is gone, or refused the command.
        """
        done = await self._host.run(
            self._argv(*args), cwd="/", env=self._env, timeout=_LIMIT, stdin=stdin
        )
        if done.exit_status != 0:
            words = done.stderr.decode(errors="replace").strip()
            raise HostError(f"tmux could not {args[0]}: {words}")
        return done.stdout.decode(errors="replace")

    async def pipe(self, path: str) -> Process:
        """Make a named pipe, and start a process that ends when the pipe was opened and closed.

        Raises:
            HostError: It cannot be made.
        """
        await self._host.remove_tree(path)
        make = ["mkfifo", "-m", "600", path]
        done = await self._host.run(make, cwd="/", env=self._env, timeout=_LIMIT)
        if done.exit_status != 0:
            raise HostError(
                f"could not make {path}: {done.stderr.decode(errors='replace').strip()}"
            )
        read = ["/bin/sh", "-c", 'exec <"$1" && echo opened && exec cat', "sh", path]
        return await self._host.start(tethered(read), cwd="/", env=self._env)

    async def wait_opened(self, reader: Process) -> None:
        """Wait until somebody has opened the pipe of this reader.

        Raises:
            HostError: Nobody does.
        """
        try:
            async with asyncio.timeout(_LIMIT):
                if not await reader.read_stdout():
                    raise HostError("the program in the terminal could not be watched")
        except TimeoutError:
            raise HostError(f"no program ran in the terminal within {_LIMIT:g} s") from None

    async def shell(self, script: str, *args: str) -> int:
        """Run a few lines of shell on the host, and return their exit status."""
        argv = ["/bin/sh", "-c", script, "sh", *args]
        return (await self._host.run(argv, cwd="/", env=self._env, timeout=_LIMIT)).exit_status

    async def close(self) -> None:
        """End the server and its sessions, and then whatever carries the mark."""
        process = self._process
        if process is None:
            return
        try:
            # The tether ends the server, and kills it after its grace.
            await process.close_stdin()
            async with asyncio.timeout(_GRACE + 1):
                await process.wait()
        except TimeoutError:
            logger.warning("tmux had to be killed")
        finally:
            process.signal(signal.SIGKILL)
        # The tether ended with the server's group, so what left the group is looked for here.
        sweep = sweeping(self._mark)
        await self._host.run(sweep, cwd="/", env=self._env, timeout=_LIMIT)
        await self._host.remove_tree(self.socket)

    def _argv(self, *args: str) -> list[str]:
        return [self.program, *self._flags, "-S", self.socket, *args]

    async def _wait_ready(self, process: Process) -> None:
        try:
            async with asyncio.timeout(_LIMIT), asyncio.TaskGroup() as tasks:
                gone = tasks.create_task(process.wait(), name="tmux ended")
                while not gone.done() and not await self._answers():  # noqa: ASYNC110 - it is a program
                    await asyncio.sleep(_PROBE)
                if not gone.cancel():
                    words = (await process.read_stderr()).decode(errors="replace").strip()
                    raise HostError(f"tmux ended at once: {words or 'it said nothing'}")
        except TimeoutError:
            raise HostError(f"tmux did not answer within {_LIMIT:g} s") from None
        except ExceptionGroup as group:
            raise first_error(group) from None

    async def _answers(self) -> bool:
        # Asking for an option never starts a server, in no version.
        probe = self._argv("show-options", "-s", "exit-empty")
        done = await self._host.run(probe, cwd="/", env=self._env, timeout=_LIMIT)
        return done.exit_status == 0
