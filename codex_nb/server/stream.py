"""One session to one browser: frames go out as the session host sends them, operations come in."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tornado.websocket import WebSocketClosedError

from codex_nb.errors import SessionClosedError
from codex_nb.server.guard import RefusalError, allowed
from codex_nb.server.line import HostLine
from codex_nb.server.operations import OperationError, parse_operation, refusal
from codex_nb.server.sockets import Socket
from codex_nb.sessions.channel import encode

if TYPE_CHECKING:
    from codex_nb.errors import CodexNBError
    from codex_nb.protocol.messages import Json
    from codex_nb.sessions.registry import SessionEntry

GONE = 4410, "The session has ended."
UNKNOWN = 4404, "There is no such session."
SILENT = 4502, "The session does not answer."

_HELLO = "codex-nb hello"
_GREETED = b'{"id":"codex-nb hello","ok":{}}'
_EVENTS = b'{"frame":"events",'
_SNAPSHOT = b'{"frame":"snapshot",'


class SessionSocket(Socket):
    """Joins a browser and a session host, for as long as both are there."""

    @allowed("execute")
    async def get(self, session: str) -> None:
        """Do the handshake and stay."""
        self._since = _since(self.get_query_argument("since", ""))
        self._session = session
        self._line: HostLine | None = None
        self._is_decided = asyncio.Event()
        self._last = b""
        await self.serve(session)

    async def on_message(self, message: str | bytes) -> None:
        """Pass an operation on, or say why not. The browser is not read meanwhile."""
        try:
            operation = parse_operation(message)
        except OperationError as exc:
            await self._refuse(exc.key, exc)
            return
        await self._is_decided.wait()
        try:
            if self._line is None:
                raise ConnectionResetError
            await self._line.send(operation.line)
        except ConnectionError:
            await self._refuse(operation.key, _gone())
            return
        self.count_as_activity()
        self.note("operation", self._session, operation=operation.op)

    async def talk(self, session: str) -> tuple[int, str]:
        """Pass on what the session host says, until it hangs up."""
        try:
            entry = await self.sessions.find(session)
            if entry is None:
                return UNKNOWN
            if entry.ended:
                await self._show_end(entry)
                return GONE
            try:
                await self._converse(entry)
            except TimeoutError:
                return SILENT
            now = await self._wait_end(entry)
        finally:
            self._is_decided.set()
        if now is None:
            return UNKNOWN
        if now.ended:
            await self._show_end(now)
            self.note("closed", session)
            return GONE
        # With another host it is there again already, for whoever connects anew.
        return SILENT if _host_of(now) == _host_of(entry) else GONE

    async def _refuse(self, key: Json, error: CodexNBError) -> None:
        with suppress(WebSocketClosedError):
            await self.tell(json.dumps(refusal(key, error)))

    async def _converse(self, entry: SessionEntry) -> None:
        """Say hello and pass on what comes, until the host hangs up, which may be at once.

        Raises:
            TimeoutError: It is there and does not answer.
        """
        line: HostLine | None = None
        try:
            async with asyncio.timeout(self.sessions.answer_timeout):
                line = await HostLine.open(entry.socket)
                await line.send(_hello(self._since))
                said = await line.next()
            if said is None:
                return
            self._line = line
            self._is_decided.set()
            self.note("connected", entry.id)
            try:
                while said is not None:
                    await self._pass_on(said)
                    said = await line.next()
            finally:
                self._line = None
                self.note("disconnected", entry.id)
        except TimeoutError:
            raise
        except OSError:
            return  # nobody listens
        finally:
            if line is not None:
                line.close()

    async def _pass_on(self, said: bytes) -> None:
        if said.startswith(_EVENTS):
            self._last = said
        elif said.startswith(_SNAPSHOT):
            self._last = b""  # too much to keep
        elif said == _GREETED:
            return
        await self.tell(said)

    async def _wait_end(self, was: SessionEntry) -> SessionEntry | None:
        """The entry of a session whose host hung up, once that has ended; None when it is gone."""
        end = time.monotonic() + self.sessions.answer_timeout
        while True:
            entry = await self.sessions.find(was.id)
            if entry is None or entry.ended or _host_of(entry) != _host_of(was):
                return entry
            if time.monotonic() > end:
                return entry
            await asyncio.sleep(0.02)

    async def _show_end(self, entry: SessionEntry) -> None:
        """Send what the browser does not know yet of a session that ended."""
        snapshot = await asyncio.to_thread(_snapshot, entry, _number_in(self._last))
        if snapshot is not None:
            await self.tell(snapshot)


def _hello(since: int | None) -> bytes:
    return encode({"id": _HELLO, "op": "hello", "since": since})


def _snapshot(entry: SessionEntry, known: int | None) -> bytes | None:
    from codex_nb.server.kept import snapshot_of

    return snapshot_of(entry, known=known)


def _number_in(frame: bytes) -> int | None:
    """The number of the last event of a frame of events; None for no frame."""
    number = json.loads(frame)["events"][-1]["n"] if frame else None
    return number if isinstance(number, int) else None


def _host_of(entry: SessionEntry) -> tuple[int, str]:
    return entry.pid, entry.birth


def _since(text: str) -> int | None:
    """The number that a browser has already; None for a browser that has nothing.

    Raises:
        RefusalError: It is no number of an event.
    """
    if text and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise RefusalError(
            400, "`since` is no number of an event.", hint="It is 0 or more; leave it out at first."
        )
    return int(text) if text else None


def _gone() -> SessionClosedError:
    return SessionClosedError("The session has ended.", hint="Start it again with %codex_run.")
