"""JSON values of which we know what they should be, and that may be anything.

Every function takes any value and gives something of its kind; none raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

# The largest integer that every JSON parser reads as it was written.
_MAX_COUNT = 2**53
# Some 3,000 years in milliseconds: what lies beyond is no time.
_MAX_MILLISECONDS = 10**14


def obj(value: Json) -> JsonObject:
    """The object, or an empty one if it is something else."""
    return value if isinstance(value, dict) else {}


def objects_of(value: Json) -> list[JsonObject]:
    """The objects in a list; none if it is something else."""
    members = value if isinstance(value, list) else []
    return [member for member in members if isinstance(member, dict)]


def text_of(value: Json) -> str:
    """The text, or an empty one if it is something else."""
    return value if isinstance(value, str) else ""


def count_of(value: Json) -> int | None:
    """The number as a whole one from 0 on, or None if it is something else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _MAX_COUNT else None


def seconds_of(milliseconds: Json) -> float | None:
    """The time in seconds, or None if it is no time after 1970."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    return milliseconds / 1000 if 0 < milliseconds <= _MAX_MILLISECONDS else None


def is_same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON; in Python alone, true is 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
