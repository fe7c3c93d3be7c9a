"""WebSockets: one block for each, from the handshake to the end, which owns all that serves it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from jupyter_server.base.websocket import WebSocketMixin
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from codex_nb.server.guard import Guarded
from codex_nb.server.operations import MAX_FRAME

if TYPE_CHECKING:
    from codex_nb.server.sessions import Sessions

GOING_AWAY = 1001
FAREWELL = 3.0
"""Seconds that browsers have to hang up when the server ends."""


class Closable(Protocol):
    """What can be open."""

    def close(self, code: int, reason: str) -> None:
        """Begin to close, with this code and reason."""


class OpenSockets:
    """The WebSockets that are open, so that all can be closed."""

    def __init__(self) -> None:
        self._sockets: dict[Closable, asyncio.Event] = {}

    def add(self, socket: Closable) -> None:
        """One more."""
        self._sockets[socket] = asyncio.Event()

    def remove(self, socket: Closable) -> None:
        """One is over."""
        self._sockets.pop(socket).set()

    async def close_all(self) -> None:
        """Close all and wait for a moment until they are over."""
        over = list(self._sockets.values())
        for socket in self._sockets:
            socket.close(GOING_AWAY, "The Jupyter server ends.")
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                for event in over:
                    await event.wait()


class Socket(WebSocketMixin, WebSocketHandler, Guarded):
    """A WebSocket that a task of its own talks to, as long as both are there."""

    def initialize(self, *, sessions: Sessions, sockets: OpenSockets) -> None:
        """Take what the extension shares with its handlers."""
        self.sessions = sessions
        self._sockets = sockets
        self._tasks = asyncio.TaskGroup()
        self._talking: asyncio.Task[None] | None = None

    @property
    def max_message_size(self) -> int:
        """Bytes of a message of the browser; beyond that tornado closes."""
        found = self.settings.get("websocket_max_message_size", MAX_FRAME)
        return found if isinstance(found, int) else MAX_FRAME

    def set_default_headers(self) -> None:
        """None: those of a page mean nothing here."""

    async def serve(self, session: str = "") -> None:
        """Do the handshake and stay until both sides are done. Everybody was checked before."""
        self._sockets.add(self)
        try:
            async with self._tasks:
                # It returns when the browser has gone.
                await super().get(session)
                if self._talking is not None:
                    self._talking.cancel()
        finally:
            self._sockets.remove(self)

    async def talk(self, session: str) -> tuple[int, str]:
        """Say what there is to say, and return with which code and reason to close."""
        raise NotImplementedError

    async def tell(self, message: str | bytes) -> None:
        """Send a message and wait until the browser takes it.

        Raises:
            WebSocketClosedError: It has gone.
        """
        await self.write_message(message)

    def open(self, session: str) -> None:
        """Begin to talk; the handshake is done."""
        super().open()
        self._talking = self._tasks.create_task(self._talk(session), name="talk")

    def on_close(self) -> None:
        """Stop what the handshake started."""
        if self.ping_callback is not None:
            self.ping_callback.stop()

    async def _talk(self, session: str) -> None:
        with suppress(WebSocketClosedError):
            code, reason = await self.talk(session)
            self.close(code, reason)
