"""The list of sessions, and every change of it."""

from __future__ import annotations

import json

from codex_nb.server.guard import allowed
from codex_nb.server.sessions import shown_all
from codex_nb.server.sockets import Socket


class WatchSocket(Socket):
    """Tells a browser the sessions, at first and after each change. It takes nothing."""

    @allowed("read")
    async def get(self) -> None:
        """Do the handshake and stay."""
        await self.serve()

    def on_message(self, message: str | bytes) -> None:
        """Leave it unheard."""

    async def talk(self, session: str) -> tuple[int, str]:
        """Send the list; a browser that is slow gets the latest one and not all."""
        number, entries = await self.sessions.current()
        while True:
            frame = {"frame": "sessions", "sessions": shown_all(entries)}
            await self.tell(json.dumps(frame))
            number, entries = await self.sessions.wait_changed(number)
