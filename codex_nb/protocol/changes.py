"""The changes of a transcript: how whoever holds a copy keeps it equal to the session host's.

docs/architecture.md describes the shapes. Changes come from a peer that may be newer than we are:
what names an unknown operation, list, key or id is ignored, and nothing raises.
`labextension/src/core/state.ts` is the same in TypeScript; tests/data/changes.json holds the cases
that both must pass.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from codex_nb.protocol.values import text_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

LISTS = ("turns", "items", "approvals", "notices")
_STREAMS = ("text", "output")


def empty_transcript() -> JsonObject:
    """A transcript in which nothing has happened yet."""
    return {
        "session": {},
        "turns": [],
        "items": [],
        "approvals": [],
        "plan": None,
        "diff": "",
        "usage": None,
        "rate_limits": None,
        "queue": [],
        "notices": [],
    }


class Replica:
    """A copy of a transcript that follows the original.

    Args:
        transcript: Where to start from; it is changed in place, and gets what it lacks.
    """

    def __init__(self, transcript: JsonObject) -> None:
        # A transcript of an older version lacks keys that changes set.
        for name, value in empty_transcript().items():
            transcript.setdefault(name, value)
        self.transcript = transcript
        self._places: dict[str, dict[str, int]] = {}
        for name in LISTS:
            records = transcript.get(name)
            if not isinstance(records, list):
                records = transcript[name] = []
            self._places[name] = {
                key: place
                for place, record in enumerate(records)
                if isinstance(record, dict) and isinstance(key := record.get("id"), str)
            }

    def find(self, name: str, key: str) -> JsonObject | None:
        """The record of a list with this id. Not to be changed."""
        place = self._places.get(name, {}).get(key)
        records = self.transcript[name] if place is not None else None
        if not isinstance(records, list) or place is None:
            return None
        record = records[place]
        return record if isinstance(record, dict) else None

    def apply(self, change: JsonObject) -> None:
        """Apply one change, or an event, which is a change with a number."""
        match change:
            case {"op": "put", "in": str(name), "value": dict(value)}:
                if isinstance(key := value.get("id"), str):
                    self._put(name, key, dict(value))
            case {
                "op": "append",
                "in": str(name),
                "id": str(key),
                "field": str(field),
                "text": str(text),
            } if field in _STREAMS:
                self._append(name, key, field, text)
            case {"op": "set", "key": str(key), "value": value}:
                if key in self.transcript and key not in LISTS:
                    self.transcript[key] = value
            case {"op": "merge", "key": str(key), "value": dict(values)}:
                target = self.transcript.get(key)
                if isinstance(target, dict):
                    target.update(values)

    def _put(self, name: str, key: str, value: JsonObject) -> None:
        places, records = self._places.get(name), self.transcript.get(name)
        if places is None or not isinstance(records, list):
            return
        if key in places:
            records[places[key]] = value
        else:
            places[key] = len(records)
            records.append(value)

    def _append(self, name: str, key: str, field: str, text: str) -> None:
        record = self.find(name, key)
        if record is None:
            return
        # Held by nobody else, a string grows in place; otherwise every append copies all of it.
        whole, record[field] = text_of(record.get(field)), None
        whole += text
        record[field] = whole


def merge_events(events: list[JsonObject]) -> list[JsonObject]:
    """The same events with adjacent additions to one string joined under the last number."""
    merged: list[JsonObject] = []
    for target, group in groupby(events, key=_append_target):
        run = list(group)
        if target is None:
            merged += run
        else:
            merged.append({**run[-1], "text": "".join(str(event["text"]) for event in run)})
    return merged


def _append_target(event: JsonObject) -> tuple[str, str, str] | None:
    """The string that an event adds to; None if it is another event."""
    match event:
        case {"op": "append", "in": str(name), "id": str(key), "field": str(field), "text": str()}:
            return name, key, field
    return None
