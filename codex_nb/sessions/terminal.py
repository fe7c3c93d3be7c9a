"""The terminal of a session: codex's interactive program in tmux.

It is on the thread of the session or, in a plain one, all that there is.

It is opened when somebody asks for it and may be left and opened again. Viewers come and go by
ttyd, which is started for the first of them and shows what tmux holds, so no viewer ends anything.
What the program wants to open in a browser is told as a link, for the person to follow or dismiss.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from codex_nb.codex.cache import cache_folder
from codex_nb.errors import CodexNBError, HostError, SessionError
from codex_nb.hosts.local import LocalHost
from codex_nb.sessions.outage import outage_words
from codex_nb.sessions.sockets import socket_folder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.launch import Started
    from codex_nb.sessions.place import Place
    from codex_nb.terminal.browser import Browser
    from codex_nb.terminal.pty_server import PtyServer
    from codex_nb.terminal.tmux import Tmux
    from codex_nb.terminal.ttyd import Ttyd

Mode = Literal["write", "view"]

MARK_VARIABLE = "CODEX_NB_TERMINAL"
"""Environment variable that marks every process of one terminal, and of nothing else."""

_TERM = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
_SCREEN_LIMIT = 20_000
_QUIT_GRACE = 1.0
"""Seconds that codex has to quit by itself; it needs some 50 ms, and a dialog keeps it."""

_CALM = 1.0
"""Seconds after a link in which no other is told, so that nothing floods transcript and view."""


class SessionTerminal:
    """At most one terminal, and what shows it.

    Args:
        place: Where the session lives.
        show: Takes what the transcript says of the terminal.
        codex: Waits for the codex that runs, or tells why there is none.
        request: Asks codex something and returns its answer.
        thread: The id of the thread.
    """

    def __init__(
        self,
        place: Place,
        *,
        show: Callable[[JsonObject], None],
        codex: Callable[[], Awaitable[Started]],
        request: Callable[[str, JsonObject], Awaitable[Json]],
        thread: Callable[[], str],
    ) -> None:
        self._place = place
        self._host = place.host
        self._show = show
        self._codex = codex
        self._request = request
        self._thread = thread
        self._env: dict[str, str] = {}
        self._tmux: Tmux | None = None
        self._browser: Browser | None = None
        self._links: list[str] = []
        self._shown: dict[Mode, Ttyd | PtyServer] = {}
        self._watching: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether a terminal runs."""
        return self._tmux is not None

    def announce(self) -> None:
        """Say that there will be one, which is all that the session shows."""
        self._tell("starting")

    async def open(self) -> None:
        """Start the terminal, unless one runs.

        Raises:
            SessionError: Codex does not run, or cannot be joined.
            HostError: There is no tmux, or it does not start.
        """
        async with self._changing:
            if self._tmux is not None:
                return
            started = await self._codex()
            if not (started.socket or self._place.spec.plain):
                raise SessionError(
                    "There is no terminal beside --network: commands that may use the network "
                    "could type in it.",
                    hint="Leave --network out to have a terminal.",
                )
            self._tell("starting")
            try:
                self._tmux = await self._start(started)
            except CodexNBError as exc:
                self._tell("failed", detail=exc.message)
                raise
            self._tell("running")
            self._watching = asyncio.create_task(self._watch(self._tmux), name="terminal")

    async def close(self) -> None:
        """Tell codex in the terminal to quit, wait for that, and end the rest. Idempotent."""
        async with self._changing:
            if self._tmux is not None:
                # Ctrl+C, the other way to quit, would cancel a turn that asks for an approval.
                await self._tmux.end(keys=("C-d",), grace=_QUIT_GRACE)
        if self._watching is not None:
            await self._watching

    async def paste(self, text: str, *, submit: bool) -> None:
        """Type a text for the person.

        Raises:
            UsageError: There is nothing to type, or too much.
            SessionError: No terminal runs, or it takes no message now.
        """
        await self._running().paste(text, submit=submit)

    async def key(self, name: str) -> None:
        """Press a key for the person.

        Raises:
            UsageError: There is no such key.
            SessionError: No terminal runs.
        """
        await self._running().key(name)

    def dismiss(self, link: str) -> None:
        """Take a link back that a person does not want, or has followed; harmless when it went."""
        if link in self._links:
            self._links.remove(link)
            self._tell("running")

    async def viewer(self, mode: Mode) -> JsonObject:
        """What a server needs to show the terminal: a socket of ttyd and the page that ttyd has.

        While the host is out of reach, it is what to tell the person instead.

        Raises:
            SessionError: No terminal runs.
            HostError: There is no ttyd, or it does not start.
        """
        from codex_nb.terminal.page import page_of
        from codex_nb.terminal.pty_server import PtyHost, PtyServer
        from codex_nb.terminal.ttyd import Ttyd, find_ttyd

        here = LocalHost()
        if self._tmux is not None and (outage := self._place.outage()) is not None:
            return {"unreachable": outage_words(self._place.host.name, outage)}
        async with self._changing:
            tmux = self._running()
            program = find_ttyd(self._place.spec.ttyd)
            page = await page_of(here, program, f"{cache_folder()}/ttyd/pages")
            found = self._shown.pop(mode, None)
            if found is not None and not await _answers(here, found.socket):
                await found.close()
                found = None
            if found is not None:
                self._shown[mode] = found
            elif isinstance(self._host, PtyHost):
                self._shown[mode] = await PtyServer.start(
                    self._host,
                    socket=f"{socket_folder(self._place.kept)}/{mode}.sock",
                    argv=tmux.attach_argv(read_only=mode == "view"),
                    writable=mode == "write",
                    env=self._env,
                )
            else:
                self._shown[mode] = await Ttyd.start(
                    self._host,
                    program,
                    socket=f"{await self._folder()}/{mode}.sock",
                    argv=tmux.attach_argv(read_only=mode == "view"),
                    writable=mode == "write",
                    env=self._env,
                    mark=_new_mark(),
                )
            return {"socket": self._shown[mode].socket, "page": page}

    async def _start(self, started: Started) -> Tmux:
        from codex_nb.terminal.browser import Browser
        from codex_nb.terminal.codex_tui import refusal, tui_argv
        from codex_nb.terminal.tmux import Tmux

        place = await self._folder()
        await self._host.make_folder(place)
        thread = self._thread()
        if started.socket:
            # Codex lets others join a thread from its first record on; its name is one as well.
            naming: JsonObject = {"threadId": thread, "name": self._place.spec.name}
            await self._request("thread/name/set", naming)
        argv = tui_argv(
            started.program,
            cwd=self._place.spec.cwd,
            posture=self._place.spec.posture,
            model=self._place.spec.model,
            remote=started.socket,
            resume=thread,
        )
        self._browser = await Browser.start(self._host, folder=place, env=started.env)
        self._env = {**started.env, **_TERM, **self._browser.env}
        try:
            return await Tmux.start(
                self._host,
                program=self._place.spec.tmux or "tmux",
                folder=place,
                argv=argv,
                cwd=self._place.spec.cwd,
                env=self._env,
                mark=_new_mark(),
                refusal=refusal,
            )
        except BaseException:
            await self._close_browser()
            raise

    async def _watch(self, tmux: Tmux) -> None:
        """Tell its links until codex was left, and then what was last seen of it."""
        async with asyncio.TaskGroup() as tasks:
            links = tasks.create_task(self._tell_links(), name="links")
            status = await tmux.wait()
            links.cancel()
        async with self._changing:
            await tmux.end(keys=())
            screen = ""
            if status != 0:  # what a codex says that was left in peace is for shells
                with suppress(HostError):
                    screen = (await tmux.screen())[-_SCREEN_LIMIT:]
            for shown in self._shown.values():
                await shown.close()
            self._shown.clear()
            await self._close_browser()
            self._tmux = None
        detail = "" if status == 0 else f"Codex in the terminal ended with exit status {status}."
        self._tell("ended", exit_status=status, detail=detail, screen=screen)

    async def _tell_links(self) -> None:
        from codex_nb.terminal.links import with_link

        with suppress(HostError):  # without its reader, the terminal is as good as before
            while self._browser is not None:
                before = self._links
                for link in await self._browser.links():
                    self._links = with_link(self._links, link)
                if self._links != before:
                    self._tell("running")
                await asyncio.sleep(_CALM)

    async def _close_browser(self) -> None:
        browser, self._browser, self._links = self._browser, None, []
        if browser is not None:
            await browser.close()

    async def _folder(self) -> str:
        return f"{await self._place.sockets()}/terminal"

    def _running(self) -> Tmux:
        if self._tmux is None:
            raise SessionError("No terminal is open.", hint="Open one with run.terminal().")
        return self._tmux

    def _tell(
        self, status: str, *, exit_status: Json = None, detail: str = "", screen: str = ""
    ) -> None:
        self._show(
            {
                "status": status,
                "kind": "plain" if self._place.spec.plain else "thread",
                "exit_status": exit_status,
                "detail": detail,
                "screen": screen,
                "links": [*self._links],
            }
        )


async def _answers(here: LocalHost, socket: str) -> bool:
    try:
        channel = await here.connect(socket)
    except HostError:
        return False
    await channel.close()
    return True


def _new_mark() -> str:
    return f"{MARK_VARIABLE}={os.urandom(8).hex()}"
