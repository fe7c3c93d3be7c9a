"""A client of a session host: a replica of the transcript, and operations on the session."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb import errors
from codex_nb.errors import CodexNBError, SessionClosedError, SessionError, UsageError
from codex_nb.protocol.changes import Replica, empty_transcript
from codex_nb.sessions.channel import REQUEST_LIMIT, Decoder, connect, encode
from codex_nb.sessions.log import read_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.registry import SessionEntry

END_LIMIT = 20.0
"""Seconds that a session host has to end after it hung up; it needs some ms."""


class SessionClient:
    """A connection to a running session.

    All methods belong to the event loop that `connect` ran on. `follow` must run for answers to
    arrive.

    Args:
        reader: From the session host.
        writer: To the session host.
        on_frame: Called with every frame after the replica took it, on the event loop.
        log: The session's log, for what a session host that ended could not send any more.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_frame: Callable[[JsonObject], None],
        log: Path,
    ) -> None:
        self._log = log
        self._reader = reader
        self._writer = writer
        self._on_frame = on_frame
        self._replica = Replica(empty_transcript())
        self._waiting: dict[int, asyncio.Future[JsonObject]] = {}
        self._last_id = 0
        self.number = 0
        """The number of the last event that the replica took."""

    @classmethod
    async def connect(
        cls, entry: SessionEntry, on_frame: Callable[[JsonObject], None]
    ) -> SessionClient:
        """Connect to the session host of an entry.

        Raises:
            SessionClosedError: Nobody listens there any more.
        """
        try:
            reader, writer = await connect(entry.socket)
        except OSError as exc:
            raise await asyncio.to_thread(_why_ended, entry) from exc
        return cls(reader, writer, on_frame, entry.events)

    @property
    def transcript(self) -> JsonObject:
        """The replica. Not to be changed."""
        return self._replica.transcript

    async def follow(self) -> None:
        """Take frames and answers until the session host hangs up."""
        decoder = Decoder()
        try:
            self._writer.write(encode({"id": 0, "op": "hello", "since": None}))
            with suppress(ConnectionError):
                while data := await self._reader.read(262144):
                    for message in decoder.feed(data):
                        self._take(message)
            events = await asyncio.to_thread(read_events, self._log)
            if missed := events[self.number :]:
                self._take({"frame": "events", "since": self.number, "events": list(missed)})
        finally:
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(_gone())
            self._waiting.clear()

    async def request(self, op: str, **values: Json) -> JsonObject:
        """Ask the session for something and wait for its answer.

        Raises:
            CodexNBError: As the session host raised it.
            UsageError: It is too long for the channel.
            SessionClosedError: It hung up before it answered.
        """
        if self._writer.is_closing():
            raise _gone()
        self._last_id += 1
        line = encode({"id": self._last_id, "op": op, **values})
        if len(line) > REQUEST_LIMIT:
            raise UsageError(
                f"This has {len(line) / 1024 / 1024:.0f} MB, and {REQUEST_LIMIT // 1024 // 1024} "
                "MB is the most that a session takes at once.",
                hint="Send less at once, or put it into a file of the working folder.",
            )
        future: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = future
        self._writer.write(line)
        return await future

    def _take(self, message: JsonObject) -> None:
        match message.get("frame"):
            case "snapshot" if isinstance(transcript := message.get("transcript"), dict):
                self._replica = Replica(transcript)
                self.number = int(str(message["n"]))
                self._on_frame(message)
            case "events" if isinstance(events := message.get("events"), list):
                for event in events:
                    if isinstance(event, dict):
                        self._replica.apply(event)
                        self.number = int(str(event["n"]))
                self._on_frame(message)
            case _:
                self._settle(message)

    def _settle(self, message: JsonObject) -> None:
        key = message.get("id")
        future = self._waiting.pop(key, None) if isinstance(key, int) else None
        if future is None or future.done():
            return
        error, ok = message.get("error"), message.get("ok")
        if isinstance(error, dict):
            future.set_exception(_error_of(error))
        else:
            future.set_result(ok if isinstance(ok, dict) else {})


async def wait_gone(entry: SessionEntry) -> None:
    """Wait until the session host of an entry has ended.

    Raises:
        SessionError: It is still there after a while.
    """
    try:
        async with asyncio.timeout(END_LIMIT):
            while entry.is_running:  # noqa: ASYNC110 - it is no child of ours, nothing tells
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise SessionError(
            f"The session {entry.name!r} has ended, but its process {entry.pid} is still there.",
            hint="Send again in a moment, or end that process.",
        ) from None


def _why_ended(entry: SessionEntry) -> SessionClosedError:
    """The failure that a session wrote down before anybody could connect, or that it ended."""
    replica = Replica(empty_transcript())
    for event in read_events(entry.events):
        replica.apply(event)
    session = replica.transcript["session"]
    if isinstance(session, dict) and session.get("status") == "failed":
        return SessionClosedError(str(session["detail"]), hint=str(session["hint"]))
    return SessionClosedError(
        f"The session {entry.name!r} has ended.", hint="Start it again with %codex_run."
    )


def _gone() -> SessionClosedError:
    return SessionClosedError("The session has ended.", hint="Start it again with %codex_run.")


def _error_of(values: JsonObject) -> CodexNBError:
    """The error that the session host raised, of the same kind where that takes two sentences."""
    kind = getattr(errors, str(values.get("kind")), SessionError)
    if (
        not (isinstance(kind, type) and issubclass(kind, CodexNBError))
        or kind is errors.RemoteError
    ):
        kind = SessionError
    return kind(str(values.get("message", "")), hint=str(values.get("hint", "")))
