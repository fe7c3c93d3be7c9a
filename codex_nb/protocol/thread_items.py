"""The items of all threads: from what codex says of one to changes of the transcript.

Rules:

* Items get ids that are unique in the transcript. Codex's own may come again in a later turn, and
  codex 0.142.5 gives the two ends of a review the same one in the same turn.
* A final text or output heals what deltas missed. An empty one takes nothing away, nor does an
  output that is shorter than what streamed.
* What an interrupt ended stays interrupted; codex says later that it failed.
* A delta of an item that we never saw start begins it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from codex_nb.protocol.bodies import limited_body
from codex_nb.protocol.items import OUTPUT_LIMIT, limited, split_body, status_of
from codex_nb.protocol.values import obj, seconds_of, text_of

if TYPE_CHECKING:
    from codex_nb.protocol.journal import Journal
    from codex_nb.protocol.messages import Json, JsonObject


class Place(NamedTuple):
    """Where codex put an item, with the id that it has there."""

    thread: str
    turn: str
    codex_id: str


class ThreadItems:
    """Keeps the items of a transcript.

    Args:
        journal: Takes the changes.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._keys: dict[Place, str] = {}
        # Items of an earlier host have their ids for good.
        self._taken = {text_of(item.get("id")) for item in journal.records("items")}
        self._copies: dict[str, int] = {}
        self._left_out: dict[tuple[str, str], int] = {}
        self._raw_parts: dict[str, Json] = {}

    def find(self, place: Place) -> JsonObject | None:
        """The item that codex means now by an id. Not to be changed."""
        key = self._keys.get(place)
        return self._journal.find("items", key) if key is not None else None

    def start(self, params: JsonObject, at: float) -> None:
        """Take item/started."""
        place = _place(params, obj(params.get("item")).get("id"))
        known = self.find(place)
        if known is not None and known.get("status") != "in_progress":
            del self._keys[place]
        self._take(place, params, seconds_of(params.get("startedAtMs")) or at, is_completed=False)

    def complete(self, params: JsonObject, at: float) -> None:
        """Take item/completed, which may come long after the turn is over."""
        place = _place(params, obj(params.get("item")).get("id"))
        self._take(place, params, seconds_of(params.get("completedAtMs")) or at, is_completed=True)

    def stream(self, params: JsonObject, at: float, *, kind: str, field: str) -> None:
        """Take a delta of the text or output of an item of some kind."""
        self._append(params, at, kind=kind, field=field, text=text_of(params.get("delta")))

    def progress(self, params: JsonObject, at: float) -> None:
        """Take a line that a tool says while it works."""
        text = text_of(params.get("message"))
        self._append(
            params, at, kind="mcpToolCall", field="output", text=f"{text}\n" if text else ""
        )

    def begin_summary_part(self, params: JsonObject, at: float) -> None:
        """Set the next part of a summary off from those before."""
        item = self._without_raw(params, at)
        if item is not None and item.get("text"):
            self._append(params, at, kind="reasoning", field="text", text="\n\n")

    def stream_summary(self, params: JsonObject, at: float) -> None:
        """Take a delta of a summary of thoughts, which replaces the raw ones."""
        if self._without_raw(params, at) is not None:
            self.stream(params, at, kind="reasoning", field="text")

    def stream_raw(self, params: JsonObject, at: float) -> None:
        """Take a delta of raw thoughts, which are shown where there is no summary of them."""
        item = self._item(_place(params, params.get("itemId")), "reasoning", at)
        text = text_of(params.get("delta"))
        if item is None or not text:
            return
        key, part = text_of(item["id"]), params.get("contentIndex")
        if key not in self._raw_parts and item.get("text"):
            return
        if self._raw_parts.setdefault(key, part) != part:
            text = f"\n\n{text}"
        self._raw_parts[key] = part
        self._append(params, at, kind="reasoning", field="text", text=text)

    def patch(self, params: JsonObject, at: float) -> None:
        """Take the changes of a file change that is still being written."""
        changes = params.get("changes")
        item = self._item(_place(params, params.get("itemId")), "fileChange", at)
        if item is not None and isinstance(changes, list):
            body = limited_body({**obj(item.get("body")), "changes": changes})
            self._journal.put("items", {**item, "body": body})

    def put_message(self, thread: str, turn: str, text: str, at: float) -> None:
        """Put what a person said to start a turn that codex never began."""
        item = self._item(Place(thread, turn, f"{turn}-message"), "userMessage", at)
        if item is None:
            return
        content: Json = [{"type": "text", "text": text}]
        body = limited_body({**obj(item.get("body")), "content": content})
        said: JsonObject = {"text": text, "status": "completed", "completed_at": at, "body": body}
        self._journal.put("items", {**item, **said})

    def close(self, turn: str | None, *, status: str, at: float) -> None:
        """Close the open items of a turn; of all turns if it is None."""
        for item in self._journal.records("items"):
            if item.get("status") == "in_progress" and turn in (None, item.get("turn")):
                self._journal.put("items", {**item, "status": status, "completed_at": at})

    def _take(self, place: Place, params: JsonObject, at: float, *, is_completed: bool) -> None:
        body = obj(params.get("item"))
        item = self._item(place, text_of(body.get("type")), at)
        if item is None:
            return
        text, output, rest = split_body(body)
        status = status_of(body, is_completed=is_completed)
        if item.get("status") == "interrupted" and status == "failed":
            status = "interrupted"
        key, streamed = text_of(item["id"]), text_of(item.get("output"))
        # Of a long output codex keeps less in the end than it streamed.
        is_whole = len(output) >= len(streamed) + self._left_out.get((key, "output"), 0)
        self._journal.put(
            "items",
            {
                **item,
                "type": text_of(body.get("type")) or item.get("type"),
                "status": status,
                "text": self._limited(key, "text", text) if text else item.get("text"),
                "output": self._limited(key, "output", output) if is_whole else streamed,
                "completed_at": None if status == "in_progress" else at,
                "body": limited_body(rest),
            },
        )

    def _append(self, params: JsonObject, at: float, *, kind: str, field: str, text: str) -> None:
        item = self._item(_place(params, params.get("itemId")), kind, at)
        if item is None or not text:
            return
        key, before = text_of(item["id"]), text_of(item.get(field))
        if len(before) + len(text) > OUTPUT_LIMIT:
            left_out = self._left_out.get((key, field), 0)
            whole = self._limited(key, field, before + text, left_out=left_out)
            self._journal.put("items", {**item, field: whole})
        elif self._journal.find("items", key) is None:
            self._journal.put("items", {**item, field: text})
        else:
            # A second name for the string would make it copy itself instead of growing.
            del before
            self._journal.append(key, field, text)

    def _limited(self, key: str, field: str, text: str, *, left_out: int = 0) -> str:
        text, left_out = limited(text, left_out=left_out)
        if left_out:
            self._left_out[key, field] = left_out
        else:
            self._left_out.pop((key, field), None)
        return text

    def _without_raw(self, params: JsonObject, at: float) -> JsonObject | None:
        """The item of some thoughts, empty if its text is raw ones."""
        item = self._item(_place(params, params.get("itemId")), "reasoning", at)
        if item is None or text_of(item["id"]) not in self._raw_parts:
            return item
        del self._raw_parts[text_of(item["id"])]
        empty: JsonObject = {**item, "text": ""}
        self._journal.put("items", empty)
        return empty

    def _item(self, place: Place, kind: str, at: float) -> JsonObject | None:
        """The item in a place: the known one, or a new one that is not in the transcript yet.

        None if codex gave no id, so that nobody can tell which one it means.
        """
        if not place.codex_id:
            return None
        return self.find(place) or {
            "id": self._keys.get(place) or self._new_key(place),
            "turn": place.turn,
            "thread": place.thread,
            "type": kind,
            "status": "in_progress",
            "text": "",
            "output": "",
            "started_at": at,
            "completed_at": None,
            "body": {"type": kind, "id": place.codex_id},
        }

    def _new_key(self, place: Place) -> str:
        key, number = place.codex_id, self._copies.get(place.codex_id, 1)
        while key in self._taken:
            number += 1
            key = f"{place.codex_id}~{number}"
        self._copies[place.codex_id] = number
        self._taken.add(key)
        self._keys[place] = key
        return key


def _place(params: JsonObject, codex_id: Json) -> Place:
    return Place(text_of(params.get("threadId")), text_of(params.get("turnId")), text_of(codex_id))
