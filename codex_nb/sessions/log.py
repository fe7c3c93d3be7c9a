"""The numbered, append-only log of a session: one event per line of `events.jsonl`.

The log is the session: whoever reads it from its start holds the same transcript as the session
host. A line that a crash cut short is cut off at the next opening; what was written before stays.
"""

from __future__ import annotations

import json
import os
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, Self, cast

from codex_nb.protocol.changes import Replica, empty_transcript

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from codex_nb.protocol.messages import JsonObject


class EventLog:
    """An open log. One writer only: the session host that owns the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Byte offset of every event, so that a reader who knows a number starts right there. 8
        # bytes an event.
        self._offsets = array("Q")
        self._size = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def last(self) -> int:
        """The number of the last event; 0 when there is none."""
        return len(self._offsets)

    def restore(self) -> JsonObject:
        """Read what an earlier session host wrote and return the transcript that it adds up to."""
        replica = Replica(empty_transcript())
        for event, size in _numbered(self._path):
            replica.apply(event)
            self._offsets.append(self._size)
            self._size += size
        os.ftruncate(self._fd, self._size)
        return replica.transcript

    def append(self, changes: list[JsonObject], *, at: float) -> list[JsonObject]:
        """Number the changes, write them and return them as events.

        They are in the kernel's hands when this returns, so they survive a killed session host.
        """
        events: list[JsonObject] = []
        lines = []
        for change in changes:
            event: JsonObject = {"n": self.last + 1, "t": at, **change}
            line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
            self._offsets.append(self._size)
            self._size += len(line)
            lines.append(line)
            events.append(event)
        data = memoryview(b"".join(lines))
        while data:
            data = data[os.write(self._fd, data) :]
        return events

    def since(self, number: int, *, limit: int) -> list[JsonObject] | None:
        """The events after `number`; None when they are too many or the log has no such number."""
        if not 0 <= number <= self.last or self.last - number > limit:
            return None
        if number == self.last:
            return []
        data = os.pread(self._fd, self._size - self._offsets[number], self._offsets[number])
        return [cast("JsonObject", json.loads(line)) for line in data.splitlines()]

    def close(self) -> None:
        """Give the file back. Nothing is buffered, so nothing is lost."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_events(path: Path) -> list[JsonObject]:
    """Every whole event of a log that may still be written to; empty when there is no log."""
    events: list[JsonObject] = []
    try:
        with path.open("rb") as file:
            for line in file:
                event = _parse(line)
                if event is None:
                    break
                events.append(event)
    except FileNotFoundError:
        pass
    return events


def read_transcript(path: Path) -> tuple[JsonObject, int]:
    """What a log that may still be written to adds up to, and the number of its last event.

    It reads all of the log and changes nothing. Without a log the transcript is empty and the
    number 0.
    """
    replica = Replica(empty_transcript())
    last = 0
    with suppress(FileNotFoundError):
        for event, _ in _numbered(path):
            replica.apply(event)
            last += 1
    return replica.transcript, last


def _numbered(path: Path) -> Iterator[tuple[JsonObject, int]]:
    """Every event with its size in bytes, up to the first line that is cut or out of order."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            event = _parse(line)
            if event is None or event.get("n") != number:
                return
            yield event, len(line)


def _parse(line: bytes) -> JsonObject | None:
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return cast("JsonObject", event) if isinstance(event, dict) else None
