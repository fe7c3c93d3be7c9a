"""The size of an item's body: what a tool gave back can be of any length, and every copy holds it.

A body that fits stays as codex sent it. Of one that does not, long strings lose their middle, and
what comes after the limit of the whole is left out; a note stands for whatever is missing. An image
is whole or not there, because half of one shows nothing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

TEXT_LIMIT = 100_000
"""The most characters of a string in a body."""

IMAGE_LIMIT = 4 * 1024 * 1024
"""The most characters of an image in base64."""

BODY_LIMIT = 8 * 1024 * 1024
"""The most bytes of a body as ASCII JSON, which is how the log holds it."""

# One note for each level of nesting, at most 256, may come when nothing is left.
_RESERVE = 64 * 1024
_NUMBER = 32
_KEPT = ("type", "id", "status")
_MAX_KEPT = 1_000
# How base64 of PNG, JPEG, GIF and WebP begins.
_IMAGES = ("iVBORw0KGgo", "/9j/", "R0lGODdh", "R0lGODlh", "UklGR")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def limited_body(
    body: JsonObject,
    *,
    text_limit: int = TEXT_LIMIT,
    image_limit: int = IMAGE_LIMIT,
    body_limit: int = BODY_LIMIT,
) -> JsonObject:
    """The body, or a smaller copy that says what is missing.

    Args:
        body: As codex sent it; it is not changed.
        text_limit: The most characters of a string, without the note of what was cut.
        image_limit: The most characters of an image in base64.
        body_limit: The most bytes of the whole as ASCII JSON; at least 128 KiB.
    """
    if len(json.dumps(body)) <= min(text_limit, image_limit, body_limit):
        return body
    cut = _Cut(text_limit, image_limit, body_limit - _RESERVE)
    kept = cut.fields(body)
    for key in _KEPT:
        value = body.get(key)
        if isinstance(value, str) and len(value) <= _MAX_KEPT:
            kept[key] = value
    return kept


class _Cut:
    """One walk over a body, from its start until nothing is left of its limit."""

    def __init__(self, text_limit: int, image_limit: int, left: int) -> None:
        self._text_limit = text_limit
        self._image_limit = image_limit
        self._left = left

    def fields(self, values: JsonObject) -> JsonObject:
        kept: JsonObject = {}
        for number, (key, value) in enumerate(values.items()):
            cost = len(json.dumps(key)) + 4
            if cost > self._left:
                kept["…"] = _more(len(values) - number)
                break
            self._left -= cost
            kept[key] = self._value(value)
        return kept

    def _value(self, value: Json) -> Json:
        match value:
            case str():
                return self._text(value)
            case list():
                return self._members(value)
            case dict():
                return self.fields(value)
        self._left -= _NUMBER
        return value

    def _members(self, values: list[Json]) -> list[Json]:
        kept: list[Json] = []
        for number, value in enumerate(values):
            if self._left <= 0:
                kept.append(_more(len(values) - number))
                break
            self._left -= 2
            kept.append(self._value(value))
        return kept

    def _text(self, text: str) -> str:
        if len(text) > self._text_limit:
            if not _is_image(text):
                half = self._text_limit // 2
                end = len(text) - half
                text = f"{text[:half]}\n\n{_left_out(end - half)}\n\n{text[end:]}"
            elif len(text) > self._image_limit:
                text = _left_out(len(text))
        cost = len(json.dumps(text)) + 2
        if cost > self._left and len(text) > len(note := _left_out(len(text))):
            text, cost = note, len(note)
        self._left -= cost
        return text


def _is_image(text: str) -> bool:
    if text.startswith("data:image/"):
        return ";base64," in text[:100]
    return text.startswith(_IMAGES) and _BASE64.fullmatch(text) is not None


def _left_out(count: int) -> str:
    return f"[… {count:,} characters left out …]"


def _more(count: int) -> str:
    return f"[… {count:,} more left out …]"
