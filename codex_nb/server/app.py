"""The Jupyter server extension: it carries sessions to browsers, starts none and stores nothing.

What is imported here is imported at the start of every Jupyter server; the rest waits for the first
request.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import PeriodicCallback
from traitlets import Bool, Enum, Float, Unicode

from codex_nb.server.guard import ACTIVITY
from codex_nb.server.rest import BundleHandler, InterruptHandler, SessionHandler, SessionsHandler
from codex_nb.server.sessions import Sessions
from codex_nb.server.sockets import OpenSockets
from codex_nb.server.stream import SessionSocket
from codex_nb.server.terminal import (
    TerminalOpener,
    TerminalPage,
    TerminalSocket,
    TerminalToken,
    ViewerPage,
    ViewerSocket,
    ViewerToken,
)
from codex_nb.server.watch import WatchSocket

if TYPE_CHECKING:
    from codex_nb.server.keeper import KeeperProcess

VARIABLE = "CODEX_NB_SERVER"
"""Kernels inherit it: a server with this extension started them."""

EVENT_SCHEMA = Path(__file__).with_name("events.yaml")

_SESSION = r"codex-nb/sessions/(?P<session>[^/]+)"
# ttyd's page finds its other two addresses beside its own, so that ends with a slash.
_TERMINAL = r"codex-nb/terminal/(?P<session>[^/]+)/"
ROUTES = (
    (r"codex-nb/sessions", SessionsHandler),
    (_SESSION, SessionHandler),
    (_SESSION + r"/interrupt", InterruptHandler),
    (_SESSION + r"/terminal", TerminalOpener),
    (_SESSION + r"/bundle", BundleHandler),
    (_SESSION + r"/events", SessionSocket),
    (r"codex-nb/watch", WatchSocket),
    (_TERMINAL, TerminalPage),
    (_TERMINAL + r"token", TerminalToken),
    (_TERMINAL + r"ws", TerminalSocket),
    (_TERMINAL + r"view/", ViewerPage),
    (_TERMINAL + r"view/token", ViewerToken),
    (_TERMINAL + r"view/ws", ViewerSocket),
)
"""Patterns below the server's base_url."""


class CodexNBServer(ExtensionApp):
    """Carries the sessions of this user to the browser."""

    name = "codex_nb"
    description = "Carries the Codex sessions of this user to the browser."

    state_dir = Unicode(
        "",
        help="Further folder in which this user's sessions are: what CodexNB.state_dir is in the "
        "kernels. Default: empty, which means `codex-nb` in Jupyter's runtime folder alone.",
    ).tag(config=True)
    answer_timeout = Float(
        10.0,
        min=0.1,
        help="Seconds that a session has to answer before a browser is told that it does not. "
        "Default: 10.",
    ).tag(config=True)
    activity_interval = Float(
        60.0,
        min=0,
        help="Seconds between two looks whether a turn runs, which counts as activity of this "
        "server, so that a Hub does not end it. Default: 60. 0 means that no turn counts.",
    ).tag(config=True)

    keep_seeds = Bool(
        default_value=False,
        help="Whether a process beside the server refreshes idle seeds before they run out. "
        "Default: False.",
    ).tag(config=True)
    seed_store = Unicode(
        "",
        help="Store of the seeds to keep: a path, sqlite:PATH or mongodb://…. Default: empty, "
        "which means $CODEX_NB_STORE, or else a file in the user's data folder.",
    ).tag(config=True)

    seed_encryption = Enum(
        ("", "none"),
        "",
        help="Whether these seeds are sealed; `none` is for a store that keeps logins in clear. "
        "Default: empty, which means that they are sealed.",
    ).tag(config=True)
    seed_key_file = Unicode(
        "",
        help="File with the key of these seeds. Default: empty, which means $CODEX_NB_KEY, "
        "$CODEX_NB_KEY_FILE, or else a file in the user's state folder.",
    ).tag(config=True)
    seed_keyring = Bool(
        default_value=False,
        help="Whether the key of these seeds is kept in the system's keyring. Default: False.",
    ).tag(config=True)

    def initialize_settings(self) -> None:
        """Tell the kernels of this server that it is there, and describe what it records."""
        os.environ[VARIABLE] = "1"
        self.settings["event_logger"].register_event_schema(EVENT_SCHEMA)

    def initialize_handlers(self) -> None:
        """Add the routes, and begin to look whether a turn runs."""
        self._sockets = OpenSockets()
        self._sessions = Sessions(state_dir=self.state_dir, answer_timeout=self.answer_timeout)
        shared = {"sessions": self._sessions, "sockets": self._sockets}
        self.handlers.extend((pattern, handler, shared) for pattern, handler in ROUTES)
        self._keeper: KeeperProcess | None = None
        if self.keep_seeds:
            from codex_nb.seeds.settings import SeedSettings
            from codex_nb.server.keeper import KeeperProcess

            settings = SeedSettings(
                store=self.seed_store,
                encryption=self.seed_encryption,
                key_file=self.seed_key_file,
                keyring=self.seed_keyring,
            )
            self._keeper = KeeperProcess(settings)
        self._clock: PeriodicCallback | None = None
        if self.activity_interval:
            self._clock = PeriodicCallback(self._note_activity, self.activity_interval * 1000)
            self._clock.start()

    async def stop_extension(self) -> None:
        """Close all WebSockets, and end the keeper. The sessions go on."""
        if self._clock is not None:
            self._clock.stop()
        await self._sockets.close_all()
        if self._keeper is not None:
            await self._keeper.stop()

    async def _note_activity(self) -> None:
        if await self._sessions.are_busy():
            self.settings["serverapp"].web_app.settings[ACTIVITY] = datetime.now(UTC)
