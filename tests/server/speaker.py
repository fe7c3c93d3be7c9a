"""A session without codex: a folder as a session host makes it, and a socket where a test speaks.

It is no session host on purpose: what these tests need is a host that is silent, floods, hangs up
or says odd things, at a moment that the test chooses, and the real one does none of it. The tests
of test_sessions.py run on real ones.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from codex_nb.sessions.channel import Decoder, encode, listen
from codex_nb.sessions.log import EventLog
from codex_nb.sessions.processes import birth_of
from codex_nb.sessions.registry import SessionEntry, write_entry
from codex_nb.sessions.spec import new_id
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject

LIMIT = 20.0
HISTORY: tuple[JsonObject, ...] = (
    {"op": "merge", "key": "session", "value": {"status": "running", "ended": None}},
    {
        "op": "put",
        "in": "turns",
        "value": {
            "id": "turn-1",
            "status": "in_progress",
            "started_at": 1.0,
            "completed_at": None,
            "error": None,
        },
    },
)
"""What a session says that is in its first turn."""


class Speaker:
    """The host of one session; this process is entered as the session host.

    Attributes:
        entry: What the registry knows of it.
        heard: All that clients said.
    """

    def __init__(self, root: Path, changes: Sequence[JsonObject] = HISTORY) -> None:
        key = new_id()
        folder = root / key
        folder.mkdir(mode=0o700)
        self.entry = SessionEntry(
            folder=str(folder),
            id=key,
            name="spoken",
            cwd="/somewhere",
            notebook="/somewhere/a.ipynb",
            status="idle",
            thread_id="thread-1",
            pid=os.getpid(),
            birth=birth_of(os.getpid()),
            created_at=time.time(),
        )
        self.log = EventLog(self.entry.events)
        self.log.append(list(changes), at=1.0)
        self.heard: list[JsonObject] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.greeting: bytes | None = b""
        self.answer: JsonObject = {"ok": {}}
        self._has_news = asyncio.Event()
        write_entry(self.entry)

    @contextmanager
    def mortal(self) -> Iterator[subprocess.Popen[bytes]]:
        """Enter a process as the host that can be killed, unlike this one."""
        with subprocess.Popen(["sleep", "60"]) as process:
            self.note(pid=process.pid, birth=birth_of(process.pid), status="running")
            yield process
            process.kill()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Speaker]:
        """Take clients while the block runs."""
        server = await asyncio.start_unix_server(
            self._welcome, sock=listen(self.entry.socket), limit=1 << 16
        )
        try:
            yield self
        finally:
            server.close()
            self.hang_up()
            self.entry.socket.unlink(missing_ok=True)

    def snapshot(self) -> JsonObject:
        """What a new client is shown."""
        return {"frame": "snapshot", "n": self.log.last, "transcript": {"session": {}}}

    def say(self, *messages: JsonObject) -> None:
        """Tell all clients."""
        for writer in self.writers:
            writer.write(b"".join(encode(message) for message in messages))

    def publish(self, *changes: JsonObject) -> JsonObject:
        """Log changes and tell all clients; returns the frame."""
        since = self.log.last
        events = self.log.append(list(changes), at=2.0)
        frame: JsonObject = {"frame": "events", "since": since, "events": list(events)}
        self.say(frame)
        return frame

    def note(self, **values: object) -> None:
        """Write the entry as a host does on a change."""
        self.entry = replace(self.entry, **values)  # type: ignore[arg-type]
        write_entry(self.entry)

    def hang_up(self) -> None:
        """End all connections."""
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    async def until_heard(self, op: str) -> JsonObject:
        """Wait until a client said this, and return the last that did."""
        async with asyncio.timeout(scaled(LIMIT)):
            while not (found := [it for it in self.heard if it.get("op") == op]):
                self._has_news.clear()
                await self._has_news.wait()
        return found[-1]

    async def until_alone(self) -> None:
        """Wait until no client is there."""
        async with asyncio.timeout(scaled(LIMIT)):
            while self.writers:
                self._has_news.clear()
                await self._has_news.wait()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        decoder = Decoder()
        try:
            while data := await reader.read(1 << 16):
                for message in decoder.feed(data):
                    self._take(writer, message)
        except ConnectionError:
            pass
        finally:
            writer.close()
            if writer in self.writers:
                self.writers.remove(writer)
            self._has_news.set()

    def _take(self, writer: asyncio.StreamWriter, message: JsonObject) -> None:
        self.heard.append(message)
        self._has_news.set()
        if self.greeting is None:
            return  # silent
        if message["op"] == "hello":
            writer.write(encode({"id": message["id"], "ok": {}}) + encode(self.snapshot()))
            writer.write(self.greeting)
        else:
            writer.write(encode({"id": message["id"], **self.answer}))


def events_of(speaker: Speaker, since: str = "") -> str:
    """Where a server carries the session."""
    return f"sessions/{speaker.entry.id}/events{since}"
