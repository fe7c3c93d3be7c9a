"""The journal of a transcript: every change is applied here as it is to every replica.

So whoever applies the changes that `take` returns, in order, holds an equal transcript.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.protocol.changes import Replica
from codex_nb.protocol.values import is_same, objects_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject


class Journal:
    """A transcript, and the changes to it that nobody has taken yet.

    Args:
        transcript: Where to start from; it is changed in place.
    """

    def __init__(self, transcript: JsonObject) -> None:
        self._replica = Replica(transcript)
        self._changes: list[JsonObject] = []

    @property
    def transcript(self) -> JsonObject:
        """The state that all changes so far add up to."""
        return self._replica.transcript

    @property
    def is_empty(self) -> bool:
        """Whether everything was taken."""
        return not self._changes

    def take(self) -> list[JsonObject]:
        """The changes since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    def find(self, name: str, key: str) -> JsonObject | None:
        """The record of a list with this id. Not to be changed."""
        return self._replica.find(name, key)

    def records(self, name: str) -> list[JsonObject]:
        """The records of a list."""
        return objects_of(self.transcript.get(name))

    def put(self, name: str, value: JsonObject) -> None:
        """Add a record to a list, or replace the one with its id."""
        self._note({"op": "put", "in": name, "value": value})

    def append(self, key: Json, field: str, text: str) -> None:
        """Add to a string of an item."""
        self._note({"op": "append", "in": "items", "id": key, "field": field, "text": text})

    def set(self, key: str, value: Json) -> None:
        """Replace a top-level value; the same one is no change."""
        if not is_same(self.transcript.get(key), value):
            self._note({"op": "set", "key": key, "value": value})

    def merge_session(self, values: JsonObject) -> None:
        """Replace some keys of the session."""
        self._note({"op": "merge", "key": "session", "value": values})

    def keep(self, method: str, params: JsonObject) -> None:
        """Keep a message that draws nothing, for whoever reads the log."""
        self._note({"op": "other", "method": method, "params": params})

    def _note(self, change: JsonObject) -> None:
        self._replica.apply(change)
        self._changes.append(change)
