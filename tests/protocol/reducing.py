"""A reducer with a replica at its side: what they hold must be equal after every message."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

from codex_nb.protocol.changes import Replica, empty_transcript
from codex_nb.protocol.grants import Bounds
from codex_nb.protocol.messages import Notification
from codex_nb.protocol.transcript import TranscriptReducer

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject, Message

TURN: JsonObject = {
    "id": "t1",
    "status": "in_progress",
    "started_at": 10.0,
    "completed_at": None,
    "error": None,
}
"""What `Reducing.start_turn` puts."""

BOUNDS = Bounds(sandbox="workspace-write", ask="on-request", writable=("/work",))
"""What a session allows that nobody changed."""


class Reducing:
    """A transcript that grows from messages, as codex sends them, of one turn of one thread.

    Args:
        transcript: What an earlier one left.
    """

    def __init__(self, transcript: JsonObject | None = None) -> None:
        start = empty_transcript() if transcript is None else transcript
        self.reducer = TranscriptReducer(copy.deepcopy(start))
        self._replica = Replica(copy.deepcopy(start))

    @property
    def transcript(self) -> JsonObject:
        return self.reducer.transcript

    def take(self, changes: list[JsonObject]) -> list[JsonObject]:
        """Apply changes to the replica, as whoever reads them from JSON, and compare."""
        for change in json.loads(json.dumps(changes)):
            self._replica.apply(change)
        assert self._replica.transcript == self.transcript
        return changes

    def apply(self, message: Message, *, at: float = 10.0) -> list[JsonObject]:
        return self.take(self.reducer.apply(message, at=at))

    def tell(
        self,
        method: str,
        *,
        at: float = 10.0,
        thread: str = "th",
        turn: str = "t1",
        **params: Json,
    ) -> list[JsonObject]:
        """A notification of codex about a turn."""
        return self.tell_of(method, {"threadId": thread, "turnId": turn, **params}, at=at)

    def tell_of(self, method: str, params: JsonObject, *, at: float = 10.0) -> list[JsonObject]:
        """A notification of codex with just these parameters."""
        return self.apply(Notification(method=method, params=params), at=at)

    def start_turn(
        self, turn: str = "t1", *, thread: str = "th", at: float = 10.0
    ) -> list[JsonObject]:
        params: JsonObject = {"threadId": thread, "turn": {"id": turn, "status": "inProgress"}}
        return self.apply(Notification(method="turn/started", params=params), at=at)

    def end_turn(
        self,
        turn: str = "t1",
        status: Json = "completed",
        *,
        error: Json = None,
        thread: str = "th",
        at: float = 20.0,
    ) -> list[JsonObject]:
        raw: JsonObject = {"id": turn, "status": status, "error": error}
        params: JsonObject = {"threadId": thread, "turn": raw}
        return self.apply(Notification(method="turn/completed", params=params), at=at)

    def records(self, name: str) -> list[JsonObject]:
        found = self.transcript[name]
        assert isinstance(found, list)
        return [record for record in found if isinstance(record, dict)]

    def statuses(self, name: str) -> list[Json]:
        return [record["status"] for record in self.records(name)]

    def item(self, key: str) -> JsonObject:
        (found,) = (item for item in self.records("items") if item["id"] == key)
        return found
