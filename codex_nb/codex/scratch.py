"""A CODEX_HOME for one errand, such as a login, and the app-server that lives in it.

It holds a login in clear, so it is private, lies on no shared temporary folder, and goes when the
errand is over, also when that was cancelled. What a killed process leaves is removed by whoever
comes next; but a login that codex may have refreshed in it is first offered to be saved.
"""

from __future__ import annotations

import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_nb import __version__
from codex_nb.codex.app_server import AppServer
from codex_nb.codex.home import SessionHome
from codex_nb.errors import HostError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.hosts.base import Host
    from codex_nb.protocol.messages import JsonObject

AUTH = "auth.json"
MAX_AUTH = 1024 * 1024
"""The most bytes that are read of an auth.json."""

LONGEST = 3600.0
"""Seconds that no errand takes; a home that is older belongs to nobody any more."""

_GRACE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the codex of an errand is given.

    Attributes:
        root: The folder for the homes; "" is `codex_nb/errands` in the user's state folder.
        environment: Variables for codex that win over the user's.
        config: Settings for codex that win over ours.
        start_timeout: Seconds that codex has to start.
    """

    root: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    config: JsonObject = field(default_factory=dict)
    start_timeout: float = 30.0


PLAIN = Surroundings()
"""Nothing but what codex always gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """A login in the home of an errand whose process was killed.

    Attributes:
        label: What the errand was called: the seed.
        folder: Of the home; to be removed once the login is saved or useless.
        auth: Its auth.json as it is now; codex may have refreshed it.
    """

    label: str
    folder: str
    auth: bytes = field(repr=False)


class Errand:
    """A codex at work in a home of its own. Made by `errand`.

    Attributes:
        server: The app-server.
        home: Its folders.
        keep_home: Set it to leave the home behind: its login could not be saved elsewhere.
    """

    def __init__(self, server: AppServer, home: SessionHome, host: Host) -> None:
        self.server = server
        self.home = home
        self.keep_home = False
        self._host = host

    async def read_auth(self) -> bytes:
        """The auth.json as it is now; b"" when there is none."""
        return await _read_auth(self._host, self.home.folder)


@asynccontextmanager
async def errand(
    host: Host,
    program: CodexProgram,
    surroundings: Surroundings = PLAIN,
    *,
    label: str = "",
    auth: bytes = b"",
) -> AsyncIterator[Errand]:
    """A codex app-server in a new home, which is gone after the block.

    Args:
        host: The machine.
        program: The codex program there.
        surroundings: What else codex is given.
        label: Kept with the home, for `left_behind`; "" if nothing in it is worth keeping.
        auth: The auth.json to begin with; b"" for none.

    Raises:
        AppServerError: Codex did not start.
        HostError: The home cannot be made or removed.
    """
    root = surroundings.root or await _default_root(host)
    await sweep(host, root)
    name = f"{int(time.time())}-{secrets.token_hex(6)}"
    home = SessionHome(f"{root}/{name}-{label}" if label else f"{root}/{name}")
    async with AsyncExitStack() as stack:
        current: Errand | None = None

        async def remove() -> None:
            if current is None or not current.keep_home:
                await _remove(host, home.folder)

        stack.push_async_callback(remove)
        files = {AUTH: auth} if auth else {}
        await home.lay_out(host, config=surroundings.config, files=files, cwd=home.tmp)
        env = home.environment(
            await host.environment(), surroundings.environment, program, session=f"errand {name}"
        )
        server = await AppServer.start(
            host,
            program,
            cwd=home.tmp,
            env=env,
            start_timeout=surroundings.start_timeout,
            client_version=__version__,
        )
        current = Errand(server, home, host)
        stack.push_async_callback(server.close, grace=_GRACE)
        yield current


async def sweep(host: Host, root: str = "") -> None:
    """Remove the homes of errands that were killed, but for those that may hold a login.

    Raises:
        HostError: The folder of the homes cannot be looked through.
    """
    for folder, label in await _old_homes(host, root):
        if not label:
            await _remove(host, folder)


async def left_behind(host: Host, root: str = "") -> list[LeftBehind]:
    """What errands with a label left when their process was killed.

    Raises:
        HostError: The folder of the homes cannot be looked through.
    """
    return [
        LeftBehind(label=label, folder=folder, auth=await _read_auth(host, folder))
        for folder, label in await _old_homes(host, root)
        if label
    ]


async def _default_root(host: Host) -> str:
    env = await host.environment()
    state = env.get("XDG_STATE_HOME") or f"{env.get('HOME', '~')}/.local/state"
    return await host.real_path(f"{state}/codex_nb/errands")


async def _old_homes(host: Host, root: str) -> list[tuple[str, str]]:
    root = root or await _default_root(host)
    if not await host.is_folder(root):
        return []
    found = []
    for name in await host.list_folder(root):
        at, _, rest = name.partition("-")
        # A time of the future was written by a clock that is right again.
        if at.isdigit() and abs(time.time() - int(at)) > LONGEST:
            found.append((f"{root}/{name}", rest.partition("-")[2]))
    return found


async def _read_auth(host: Host, folder: str) -> bytes:
    path = f"{SessionHome(folder).codex}/{AUTH}"
    if not await host.exists(path):
        return b""
    return await host.read_file(path, limit=MAX_AUTH)


async def _remove(host: Host, folder: str) -> None:
    try:
        await host.remove_tree(folder)
    except HostError:
        # What codex started may have written for a moment longer.
        await host.remove_tree(folder)


__all__ = ["PLAIN", "Errand", "LeftBehind", "Surroundings", "errand", "left_behind", "sweep"]
