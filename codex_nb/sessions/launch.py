"""The start and the clean-up of codex for one session: everything between a spec and a thread.

In order: the program, its check, the replay, the folders, the sandbox probe, the app-server. Each
is undone in reverse by the stack that the caller holds, and what codex leaves in writable folders
is removed last.
"""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from codex_nb import __version__
from codex_nb.codex.app_server import AppServer
from codex_nb.codex.binary import check_program
from codex_nb.codex.home import AUTH_FILE, START_VARIABLE, SessionHome
from codex_nb.codex.primed import prime
from codex_nb.codex.sandbox import Leftovers, probe_sandbox
from codex_nb.codex.settings import merged
from codex_nb.errors import HostError, NoLoginError
from codex_nb.sessions.sockets import CODEX_SOCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.sessions.login import SessionLogin
    from codex_nb.sessions.place import Place
    from codex_nb.sessions.spec import SessionSpec

CATALOG = "models.json"

REFRESH_METHOD = "account/chatgptAuthTokens/refresh"
"""What codex asks when an access token of ours was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A codex that runs or may run, as far as a terminal must know it.

    Attributes:
        program: The program.
        env: Its environment.
        socket: Where its app-server listens; "" where it does not.
    """

    program: CodexProgram
    env: Mapping[str, str] = field(repr=False)
    socket: str


class Launch:
    """One start of codex.

    Args:
        place: Where the session lives.

    Attributes:
        version: Of codex; "" until it is known.
        warning: What the person should know of this start, and what to do; empty if nothing.
        login: What codex was logged in with; None without, as in a replay.
        leftovers: What a sweep after a crash must know, as JSON; "" until codex may have left
            something.
        started: The codex that runs or, for a plain terminal, may run; None until then.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._host = place.host
        self._made: SessionHome | None = None
        self._leftovers: Leftovers | None = None
        self.version = ""
        self.leftovers = ""
        self.warning = ("", "")
        self.login: SessionLogin | None = None
        self.started: Started | None = None

    async def start(
        self,
        stack: AsyncExitStack,
        *,
        progress: Callable[[str], None],
        tell: Callable[[str, str, str], None],
    ) -> AppServer | None:
        """Start codex app-server, logged in; it ends when the stack unwinds.

        For a plain terminal everything is made ready, and nothing started yet.

        Args:
            stack: Undoes what was done.
            progress: Takes what happens now, in a few words.
            tell: Takes a level, a sentence and what to do about it, for a person.

        Raises:
            CodexNBError: Codex is missing, too old, cannot confine commands here, has no login, or
                does not start.
        """
        host = self._host
        await self._place.open(progress)
        spec = self._place.spec
        self._made = SessionHome(self._place.folder)
        program = await self._place.program(progress)
        self.version = program.version
        if not spec.plain:
            await check_program(program, host)
        settings = merged(spec.posture.config(), spec.settings)
        if spec.plain and spec.effort:  # else it goes with every turn
            settings = merged({"model_reasoning_effort": spec.effort}, settings)
        files = {}
        if spec.needs_login:
            from codex_nb.sessions.login import SessionLogin

            progress("Leasing a login")
            login = SessionLogin(spec, host, self._home.codex, tell=tell, progress=progress)
            stack.push_async_callback(login.close)
            try:
                await login.open()
            except NoLoginError:
                if spec.seed or not spec.plain:
                    raise
                # The person logs in there.
            else:
                settings = merged(login.config, settings)
                self.login = login
        if spec.replay:
            from codex_nb.replay.model import ReplayModel, load_replay

            model = await stack.enter_async_context(ReplayModel(load_replay(spec.replay)))
            url = await self._place.url(model.base_url)
            catalog = f"{self._home.codex}/{CATALOG}"
            settings = merged(settings, model.codex_config(catalog, base_url=url))
            files[CATALOG] = json.dumps(model.catalog()).encode()
        foreign = await self._folder_with_settings()
        if foreign:
            self.warning = (
                f"The Codex settings in {foreign}/.codex are not used: they could start programs "
                "outside the sandbox.",
                f"If you trust them: -c 'projects.\"{spec.cwd}\".trust_level=trusted'.",
            )
        await self._home.lay_out(
            host, config=settings, files=files, cwd=spec.cwd, trusted=not foreign
        )
        if not spec.plain:
            await prime(program, host, self._home, session=spec.id)
        env = self._home.environment(
            await self._place.variables(),
            spec.env,
            program,
            session=spec.id,
            offline=bool(spec.replay) and not spec.network,
        )
        # Of this start alone: what is left of an earlier one may end when this one runs already.
        start = os.urandom(8).hex()
        env |= {START_VARIABLE: start}
        await self._keep_path(env["PATH"])
        if spec.sandbox != "danger-full-access":
            progress("Trying the sandbox")
            await probe_sandbox(program, host, folder=self._home.folder, env=env)
        roots = (spec.cwd, *spec.allow, self._home.tmp)
        self._leftovers = await Leftovers.look(host, roots)
        self.leftovers = self._leftovers.to_json()
        await self._place.note_leftovers(self._leftovers.paths)
        if spec.plain:
            self.started = Started(program=program, env=env, socket="")
            return None
        progress("Starting Codex")
        socket = await self._socket()
        server = await AppServer.start(
            host,
            program,
            cwd=spec.cwd,
            env=env,
            start_timeout=spec.start_timeout.total_seconds(),
            client_version=__version__,
            listen=socket,
            mark=f"{START_VARIABLE}={start}",
        )
        stack.push_async_callback(server.close)
        self.started = Started(program=program, env=env, socket=socket)
        if self.login is not None:
            await self.login.hand_over(server)
        return server

    async def _socket(self) -> str:
        """Where codex is to listen; "" where commands could reach it, or the terminal's sockets.

        Checked with codex 0.142.5, 0.163.0 and 0.169.0: commands that may not use the network
        connect to no unix socket. With the network, only codex's own socket is kept from them, and
        only since 0.163.
        """
        if self._spec.network:
            return ""
        return f"{await self._place.sockets()}/{CODEX_SOCKET}"

    async def _folder_with_settings(self) -> str:
        """The folder that brings settings of its own, of those from which codex would take them.

        These are the working folder and, in a git repository, the folders above it up to its root.
        An MCP server that such settings name runs outside the sandbox, and nobody is asked.
        """
        cwd, host = PurePosixPath(self._spec.cwd), self._host
        folders = [str(cwd)]
        for above in (cwd, *cwd.parents):
            if await host.exists(f"{above}/.git"):
                depth = len(cwd.parts) - len(above.parts)
                folders += [str(folder) for folder in list(cwd.parents)[:depth]]
                break
        for folder in folders:
            settings = f"{folder}/.codex"
            if await host.is_folder(settings) and await host.list_folder(settings):
                return folder
        return ""

    async def _keep_path(self, path: str) -> None:
        """Codex runs commands in login shells, whose system-wide profile may set another PATH."""
        profile = f"export PATH={shlex.quote(path)}\n".encode()
        for name in (".profile", ".zprofile"):
            await self._host.write_file(f"{self._home.home}/{name}", profile)

    def thread_params(self) -> JsonObject:
        """Parameters of thread/start and thread/resume that are the same every time."""
        params: JsonObject = {"cwd": self._spec.cwd, **self._spec.posture.thread_params()}
        if self._spec.model:
            params["model"] = self._spec.model
        return params

    @property
    def _spec(self) -> SessionSpec:
        return self._place.spec

    @property
    def _home(self) -> SessionHome:
        if self._made is None:
            raise RuntimeError("the place of the session is not open")
        return self._made

    async def has_own_login(self) -> bool:
        """Whether a person logged in to codex itself, which no seed knows of."""
        if self._made is None or not self._spec.plain or self.login is not None:
            return False
        return await self._host.exists(f"{self._home.codex}/{AUTH_FILE}")

    async def clean_up(self) -> None:
        """Remove what codex left: processes, empty folders, its home but for the rollouts.

        A login that a person made in it stays as well, so that it can still be captured.
        """
        if self._made is None:
            return
        await self._place.clear()
        if self._host.endures:
            return  # the folder there goes as a whole, and its warden knows the leftovers
        if self._leftovers is not None:
            await self._leftovers.remove(self._host)
        keep_login = await self.has_own_login()
        keep_login |= self.login is not None and self.login.is_left
        try:
            await self._home.prune(self._host, keep_login=keep_login)
        except HostError:
            # A process that was just killed may still hold a file for a moment; the next sweep
            # removes it.
            await self._home.prune(self._host, keep_login=keep_login)
