"""Items of a thread as the transcript holds them: one shape for every kind that codex knows.

Checked against codex 0.142.5, 0.163.0 and 0.169.0. An unknown kind keeps all of its fields in
`body`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.protocol.values import obj, objects_of, text_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

OUTPUT_LIMIT = 1_000_000
"""The most characters of a `text` or `output`; more would make every copy slow."""

# Together far below the limit, because a cut is a copy of what is left: so it comes once in half
# the limit, and all cuts together are no longer than what streamed.
_HEAD = 250_000
_TAIL = 250_000

_STATUS = {
    "inProgress": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "declined": "declined",
    "interrupted": "interrupted",
}


def status_of(body: JsonObject, *, is_completed: bool) -> str:
    """An item's status: as it says itself, else by whether codex has called it completed."""
    said = _STATUS.get(text_of(body.get("status")), "")
    if is_completed and said in ("", "in_progress"):
        return "completed"
    return said or "in_progress"


def split_body(body: JsonObject) -> tuple[str, str, JsonObject]:
    """Part what streams from the rest of an item: its text, its output, the body without them.

    What a person sent keeps its `content`, where its text stands among images and mentions.
    """
    rest = dict(body)
    match body.get("type"):
        case "agentMessage" | "plan":
            return text_of(rest.pop("text", "")), "", rest
        case "reasoning":
            for field in ("summary", "content"):
                if text := "\n\n".join(_texts(body.get(field))):
                    del rest[field]
                    return text, "", rest
        case "userMessage":
            parts = objects_of(body.get("content"))
            texts = [text_of(part.get("text")) for part in parts if part.get("type") == "text"]
            return "\n\n".join(texts), "", rest
        case "commandExecution":
            return "", text_of(rest.pop("aggregatedOutput", "")), rest
    return "", "", rest


def limited(text: str, *, left_out: int = 0) -> tuple[str, int]:
    """The text with its middle cut out if it is longer than OUTPUT_LIMIT.

    Args:
        text: All of it, or what an earlier cut left of it and what came since.
        left_out: How many characters the earlier cut says to have left out.

    Returns:
        The text, and how many characters are left out of it in all.
    """
    if len(text) <= OUTPUT_LIMIT:
        return text, left_out
    start = _HEAD + (len(_cut_mark(left_out)) if left_out else 0)
    end = len(text) - _TAIL
    left_out += end - start
    return f"{text[:_HEAD]}{_cut_mark(left_out)}{text[end:]}", left_out


def _cut_mark(left_out: int) -> str:
    return f"\n\n[… {left_out:,} characters left out …]\n\n"


def _texts(value: Json) -> list[str]:
    """The texts of a list of strings, or of objects that hold one each."""
    parts = value if isinstance(value, list) else []
    texts = [part if isinstance(part, str) else text_of(obj(part).get("text")) for part in parts]
    return [text for text in texts if text]
