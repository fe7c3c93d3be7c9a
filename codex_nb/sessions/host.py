"""The session host: `python -m codex_nb.sessions.host FOLDER`, with its order on stdin.

It listens before it does anything else, detaches, tells its parent, and only then starts codex, so
that the one who asked can connect at once and watch. Standard library only until a replay or a
platform asks for more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, UsageError
from codex_nb.hosts.local import LocalHost
from codex_nb.protocol.changes import merge_events
from codex_nb.sessions.channel import Decoder, encode, listen, peer_of
from codex_nb.sessions.log import EventLog
from codex_nb.sessions.processes import birth_of, has_ancestor, is_marked, kill_marked_processes
from codex_nb.sessions.registry import (
    EVENTS,
    HOST_LOG,
    SOCKET,
    SessionEntry,
    read_entry,
    write_entry,
)
from codex_nb.sessions.session import Session
from codex_nb.sessions.spare import take_order
from codex_nb.sessions.spec import SessionSpec

if TYPE_CHECKING:
    import socket

    from codex_nb.protocol.messages import Json, JsonObject

logger = logging.getLogger(__name__)

FRAME = 1 / 30
"""Seconds between two frames to one client: what a screen can show, and far below Jupyter's message
limits."""

_AWAITED = ("turns", "approvals")
"""What somebody waits for; it does not wait for the next frame."""

BACKLOG = 5_000
"""Events that may wait for a slow client; beyond that it gets a snapshot instead."""

FAREWELL = 2.0
"""Seconds that clients have to take the last frame when the session ends."""


class SessionHost:
    """Serves one session to any number of clients.

    Args:
        spec: What the session is to be.
        folder: The session folder.
        listener: Where clients connect; listening already.
    """

    def __init__(self, spec: SessionSpec, folder: Path, listener: socket.socket) -> None:
        self._folder = folder
        self._listener = listener
        self._log = EventLog(folder / EVENTS)
        self._clients: set[_Client] = set()
        self.session = Session(
            spec,
            str(folder),
            host=LocalHost(),
            emit=self._publish,
            transcript=self._log.restore(),
        )
        self._entry = read_entry(folder) or entry_of(spec, folder)

    async def serve(self) -> None:
        """Run the session to its end and leave nothing behind but its log and its rollouts."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.session.close)
        server = await asyncio.start_unix_server(self._welcome, sock=self._listener)
        try:
            await self.session.run()
        finally:
            Path(self._folder, SOCKET).unlink(missing_ok=True)  # noqa: ASYNC240 - local, no wait
            server.close()
            await asyncio.gather(*(client.say_farewell() for client in set(self._clients)))
            ended = self.session.ended or "failed"
            self._note(ended=ended, status="failed" if ended == "failed" else "closed")
            self._log.close()

    async def operate(self, message: JsonObject) -> JsonObject:
        """Do what a client asks.

        Raises:
            CodexNBError: It cannot be done.
        """
        text = {
            key: value if isinstance(value := message.get(key), str) else ""
            for key in ("op", "text", "model", "effort", "approval", "decision", "reason")
        }
        session = self.session
        match text["op"]:
            case "send":
                limit = message.get("timeout")
                place = session.send(
                    text["text"],
                    model=text["model"],
                    effort=text["effort"],
                    timeout=float(limit) if isinstance(limit, int | float) else 0.0,
                )
                return {"index": place}
            case "steer":
                await session.steer(text["text"])
            case "interrupt":
                await session.interrupt()
            case "answer":
                await session.answer(text["approval"], text["decision"], text["reason"])
            case "close":
                session.close()
            case unknown:
                raise UsageError(
                    f"A session knows no operation {unknown!r}.",
                    hint="Use the same version of codex_nb everywhere.",
                )
        return {}

    def snapshot(self) -> JsonObject:
        """The frame that shows everything so far."""
        return {"frame": "snapshot", "n": self._log.last, "transcript": self.session.transcript}

    def events_since(self, number: int) -> list[JsonObject] | None:
        """What came after `number`; None when a snapshot is the better answer."""
        return self._log.since(number, limit=BACKLOG)

    def _publish(self, changes: list[JsonObject]) -> None:
        if not changes:
            return
        events = self._log.append(changes, at=time.time())
        for client in self._clients:
            client.offer(events)
        for change in changes:
            if change.get("key") == "session" and isinstance(value := change.get("value"), dict):
                self._note(**{k: v for k, v in value.items() if k in ("status", "thread_id")})

    def _note(self, *, status: Json = None, thread_id: Json = None, ended: Json = None) -> None:
        now = self._entry
        entry = replace(
            now,
            leftovers=self.session.leftovers,
            status=str(status or now.status),
            thread_id=str(thread_id or now.thread_id),
            ended=str(ended or now.ended),
        )
        if entry != self._entry:
            self._entry = entry
            write_entry(entry)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._may_connect(writer.get_extra_info("socket")):
            writer.close()
            return
        client = _Client(self, writer)
        self._clients.add(client)
        try:
            await client.serve(reader)
        finally:
            self._clients.discard(client)

    def _may_connect(self, connection: socket.socket) -> bool:
        """Refuse other users, and codex's commands: they must not answer their own approvals."""
        peer = peer_of(connection)
        if peer is None:
            return True
        pid, uid = peer
        # Pid 0 is a process of another pid namespace, as the sandbox makes one.
        if uid != os.getuid() or pid == 0:
            return False
        session = self.session.spec.id
        if is_marked(pid, session) or has_ancestor(pid, os.getpid()):
            logger.warning("a command of codex tried to connect", extra={"codex_session": session})
            return False
        return True


class _Client:
    """One connection: operations come in, frames go out at the pace of a screen."""

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
        decoder = Decoder()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._sender = tasks.create_task(self._send_frames())
                while data := await reader.read(65536):
                    for message in decoder.feed(data):
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
        if any(event.get("in") in _AWAITED for event in events):
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
            reply["error"] = {
                "kind": type(exc).__name__, "message": exc.message, "hint": exc.hint
            }  # fmt: skip
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


def entry_of(spec: SessionSpec, folder: Path) -> SessionEntry:
    """The registry's entry of a session that this process hosts."""
    pid = os.getpid()
    return SessionEntry(
        folder=str(folder),
        id=spec.id,
        name=spec.name,
        cwd=spec.cwd,
        notebook=spec.notebook,
        pid=pid,
        birth=birth_of(pid),
        created_at=time.time(),
        fixed=spec.fixed(),
    )


def main() -> None:
    """Detach, host the session that the order on stdin describes, and end with it."""
    limit = float(sys.argv[2]) if sys.argv[1] == "--spare" else None
    order = sys.stdin.buffer.read() if select.select([0], [], [], limit)[0] else b""
    if not order:
        sys.exit(1)  # not needed
    folder, text = take_order(order, log=HOST_LOG)
    spec = SessionSpec.from_json(text)
    folder.joinpath(SOCKET).unlink(missing_ok=True)
    listener = listen(folder / SOCKET)
    ready, told = os.pipe()
    if os.fork():
        # The parent's part: wait until the entry is written, so that whoever spawned us can read
        # it.
        os.close(told)
        os._exit(0 if os.read(ready, 1) else 1)
    os.close(ready)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    write_entry(entry_of(spec, folder))
    os.write(told, b"+")
    os.close(told)
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", level=logging.INFO)
    spec.check()
    try:
        asyncio.run(SessionHost(spec, folder, listener).serve())
    finally:
        kill_marked_processes(spec.id)


if __name__ == "__main__":
    main()
