"""The REST part: what is asked once. openapi.yaml describes it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from jupyter_server.base.handlers import APIHandler

from codex_nb.errors import SessionError
from codex_nb.server.guard import Guarded, RefusalError, allowed, refusal_of
from codex_nb.server.line import ask
from codex_nb.server.sessions import shown, shown_all

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.server.sessions import Sessions
    from codex_nb.server.sockets import OpenSockets
    from codex_nb.sessions.registry import SessionEntry


class RestHandler(Guarded, APIHandler):
    """What the handlers of this part share."""

    def initialize(self, *, sessions: Sessions, sockets: OpenSockets) -> None:
        """Take what the extension shares with its handlers."""
        self.sessions = sessions
        self.sockets = sockets

    def update_api_activity(self) -> None:
        """Count what a person does, and not what a page asks by itself."""
        if self.request.method not in ("GET", "HEAD", "OPTIONS"):
            super().update_api_activity()

    async def found(self, session: str) -> SessionEntry:
        """The session with this id.

        Raises:
            RefusalError: There is none.
        """
        entry = await self.sessions.find(session)
        if entry is None:
            raise RefusalError(
                404, "There is no such session.", hint="Look at the list of sessions."
            )
        return entry

    async def operate(self, entry: SessionEntry, op: str) -> None:
        """Have the host of a session do what a person wants.

        Raises:
            RefusalError: It does not answer, or will not do it.
        """
        await self.ask(entry, op)
        self.note("operation", entry.id, operation=op)

    async def ask(self, entry: SessionEntry, op: str, **values: Json) -> JsonObject:
        """Ask the host of a session, and return what it says.

        Raises:
            RefusalError: It does not answer, or will not do it.
        """
        try:
            answer = await ask(entry.socket, op, limit=self.sessions.answer_timeout, **values)
        except SessionError as exc:
            now = await self.found(entry.id)
            if now.ended:
                raise ended() from exc
            raise refusal_of(502, exc) from exc
        error = answer.get("error")
        if isinstance(error, dict):
            raise RefusalError(409, str(error.get("message")), hint=str(error.get("hint")))
        said = answer.get("ok")
        return said if isinstance(said, dict) else {}


class SessionsHandler(RestHandler):
    """The sessions of this user."""

    @allowed("read")
    async def get(self) -> None:
        """List them, the oldest first."""
        self.finish(json.dumps({"sessions": shown_all(await self.sessions.list_all())}))


class SessionHandler(RestHandler):
    """One session."""

    @allowed("read")
    async def get(self, session: str) -> None:
        """Describe it."""
        self.finish(json.dumps(shown(await self.found(session))))

    @allowed("write")
    async def delete(self, session: str) -> None:
        """Close it; one that has ended stays as it is."""
        entry = await self.found(session)
        if not entry.ended:
            await self.operate(entry, "close")
        self.set_status(204)
        self.finish()


class InterruptHandler(RestHandler):
    """The running turn of a session."""

    @allowed("write")
    async def post(self, session: str) -> None:
        """End it."""
        entry = await self.found(session)
        if entry.ended:
            raise ended()
        await self.operate(entry, "interrupt")
        self.set_status(204)
        self.finish()


class BundleHandler(RestHandler):
    """What a notebook is to keep of a session."""

    @allowed("read")
    async def get(self, session: str) -> None:
        """Every form of a window of turns that needs no kernel."""
        first = self._place("from") or 0
        end = self._place("to")
        if end is not None and end < first:
            raise RefusalError(400, "The turns end before they begin.", hint="Swap from and to.")
        entry = await self.found(session)
        self.finish(await asyncio.to_thread(_bundle, entry, (first, end)))

    def _place(self, name: str) -> int | None:
        text = self.get_query_argument(name, "")
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            raise RefusalError(
                400, f"`{name}` is no place of a turn.", hint="It counts turns from 0."
            )
        return int(text) if text else None


def _bundle(entry: SessionEntry, window: tuple[int, int | None]) -> str:
    # It brings Markdown along; nobody needs it before a turn ended without a kernel.
    from codex_nb.server.kept import bundle_of

    return json.dumps(bundle_of(entry, window))


def ended() -> RefusalError:
    """The answer to who wants something of a session that has ended."""
    return RefusalError(409, "The session has ended.", hint="Start it again with %codex_run.")
