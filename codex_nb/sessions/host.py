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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.protocol.values import obj, objects_of, text_of
from codex_nb.sessions.channel import listen, peer_of
from codex_nb.sessions.clients import AWAITED, BACKLOG, Client
from codex_nb.sessions.log import EventLog
from codex_nb.sessions.place import LocalPlace
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
    from codex_nb.sessions.place import Place

logger = logging.getLogger(__name__)


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
        self._clients: set[Client] = set()
        self.session = Session(
            spec,
            self._place_of,
            emit=self._publish,
            transcript=self._log.restore(),
        )
        self._entry = read_entry(folder) or entry_of(spec, folder)

    def _place_of(self, session: Session) -> Place:
        spec, folder = session.spec, str(self._folder)
        if not spec.host:
            return LocalPlace(spec, folder)
        # It takes a while to import, and more memory than all of the rest.
        from codex_nb.sessions.ssh_place import SshPlace

        return SshPlace(
            spec, folder, asker=session.questions, changed=lambda: session.outage.changed()
        )

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
            self._note(ended=ended)
            self._log.close()

    async def operate(self, message: JsonObject) -> JsonObject:
        """Do what a client asks.

        Raises:
            CodexNBError: It cannot be done.
        """
        answer = await self.session.operations.perform(message)
        self._note()
        return answer

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
        if any(e.get("key") == "session" or e.get("in") in AWAITED for e in events):
            self._note()

    def _note(self, *, ended: str = "") -> None:
        """Bring the entry in line with the transcript; the file is written when that differs."""
        transcript, models = self.session.transcript, self.session.models
        shown = obj(transcript["session"])
        running = [t for t in objects_of(transcript["turns"]) if t.get("status") == "in_progress"]
        asked = objects_of(transcript["approvals"])
        entry = replace(
            self._entry,
            leftovers=self.session.leftovers,
            status=text_of(shown.get("status")) or self._entry.status,
            thread_id=text_of(shown.get("thread_id")),
            waiting=sum(approval.get("status") == "pending" for approval in asked),
            turn_started_at=_time_of(running[-1].get("started_at")) if running else None,
            model=models.model,
            effort=models.effort,
            ended=ended or self._entry.ended,
        )
        if entry != self._entry:
            self._entry = entry
            write_entry(entry)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._may_connect(writer.get_extra_info("socket")):
            writer.close()
            return
        client = Client(self, writer)
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


def _time_of(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def entry_of(spec: SessionSpec, folder: Path) -> SessionEntry:
    """The registry's entry of a session that this process hosts."""
    pid = os.getpid()
    return SessionEntry(
        folder=str(folder),
        id=spec.id,
        name=spec.name,
        cwd=spec.cwd,
        notebook=spec.notebook,
        host=spec.host or "local",
        pid=pid,
        birth=birth_of(pid),
        created_at=time.time(),
        fixed=spec.fixed(),
        model=spec.model,
        effort=spec.effort,
    )


def with_choice(spec: SessionSpec, earlier: SessionEntry | None) -> SessionSpec:
    """The spec with the model that a person chose while an earlier host served the session."""
    if earlier is None or spec.model not in ("", earlier.model):
        return spec
    return replace(spec, model=earlier.model, effort=spec.effort or earlier.effort)


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
    chosen = with_choice(spec, read_entry(folder))
    write_entry(entry_of(chosen, folder))
    os.write(told, b"+")
    os.close(told)
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", level=logging.INFO)
    spec.check()
    try:
        asyncio.run(SessionHost(chosen, folder, listener).serve())
    finally:
        kill_marked_processes(spec.id)


if __name__ == "__main__":
    main()
