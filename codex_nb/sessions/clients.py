"""One client of a session host: operations come in, frames go out at the pace of a screen."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, ProtocolError
from codex_nb.protocol.changes import merge_events
from codex_nb.sessions.channel import REQUEST_LIMIT, Decoder, encode

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.host import SessionHost

FRAME = 1 / 30
"""Seconds between two frames to one client: what a screen can show, and far below Jupyter's message
limits."""

AWAITED = ("turns", "approvals")
"""What somebody waits for; it does not wait for the next frame."""

BACKLOG = 5_000
"""Events that may wait for a slow client; beyond that it gets a snapshot instead."""

FAREWELL = 2.0
"""Seconds that clients have to take the last frame when the session ends."""


class Client:
    """One connection.

    Args:
        host: Whom it asks.
        writer: To the client.
    """

    def __init__(self, host: SessionHost, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._writer = writer
        self._since: int | None = None
        self._pending: list[JsonObject] = []
        self._is_lost = False
        self._has_news = asyncio.Event()
        self._is_awaited = asyncio.Event()
        self._is_ending = False
        self._sender: asyncio.Task[None] | None = None

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Take what the client asks, until it hangs up."""
        decoder = Decoder(limit=REQUEST_LIMIT)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._sender = tasks.create_task(self._send_frames())
                while data := await reader.read(65536):
                    for message in decoder.take(data):
                        if isinstance(message, ProtocolError):
                            self._writer.write(encode({"id": None, "error": _told(message)}))
                        else:
                            tasks.create_task(self._answer(message))
                self._sender.cancel()
        except* (ConnectionError, CodexNBError):
            pass
        finally:
            self._writer.close()

    def offer(self, events: list[JsonObject]) -> None:
        """Take events for the next frame."""
        if self._since is None or self._is_lost:
            return
        self._pending.extend(events)
        if len(self._pending) > BACKLOG:
            self._pending.clear()
            self._is_lost = True
        if any(event.get("in") in AWAITED for event in events):
            self._is_awaited.set()
        self._has_news.set()

    async def say_farewell(self) -> None:
        """Send what is left and hang up, for a limited time."""
        self._is_ending = True
        self._has_news.set()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(FAREWELL):
                if self._sender is not None:
                    await asyncio.wait({self._sender})
                await self._writer.drain()
        self._writer.close()

    async def _answer(self, message: JsonObject) -> None:
        reply: JsonObject = {"id": message.get("id")}
        try:
            if message.get("op") in ("hello", "snapshot"):
                self._greet(message.get("since"))
                reply["ok"] = {}
            else:
                reply["ok"] = await self._host.operate(message)
        except CodexNBError as exc:
            reply["error"] = _told(exc)
        self._writer.write(encode(reply))

    def _greet(self, since: Json) -> None:
        self._pending.clear()
        events = self._host.events_since(since) if isinstance(since, int) else None
        self._is_lost = events is None
        if isinstance(since, int) and events is not None:
            self._since = since
            self._pending.extend(events)
        else:
            self._since = 0
        self._has_news.set()

    async def _send_frames(self) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            self._is_awaited.clear()
            if self._is_lost:
                frame = self._host.snapshot()
                self._is_lost = False
                self._pending.clear()
                self._since = int(str(frame["n"]))
                self._writer.write(encode(frame))
            elif self._pending:
                events = merge_events(self._pending)
                self._pending = []
                self._writer.write(
                    encode({"frame": "events", "since": self._since, "events": list(events)})
                )
                self._since = int(str(events[-1]["n"]))
            await self._writer.drain()
            if self._is_ending and not self._pending:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(FRAME):
                    await self._is_awaited.wait()


def _told(error: CodexNBError) -> JsonObject:
    return {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
