"""What foreign JSON, tokens and times tell; whatever reads takes anything and never raises.

The claims of a token are read without checking its signature: they are hints about a token that we
hold anyway, and only its issuer can judge it.
"""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from codex_nb.protocol.values import obj, text_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

AUTH_CLAIM = "https://api.openai.com/auth"
PROFILE_CLAIM = "https://api.openai.com/profile"

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_LAST_SECOND = 253_402_300_799.0  # of the year 9999
_MAX_DEPTH = 64
_FIRST_MILLISECONDS = 1e11  # as seconds this would be the year 5138


class Fault(StrEnum):
    """Why something is no login.

    EMPTY and TORN are what a reader sees while codex rewrites the file: it truncates it first.
    LOGGED_OUT holds no credentials on purpose. MALFORMED is none of these and never becomes good.
    """

    EMPTY = "empty"
    TORN = "torn"
    LOGGED_OUT = "logged out"
    MALFORMED = "malformed"


class Flaw(NamedTuple):
    """A fault and the sentence that tells it."""

    fault: Fault
    message: str


def read_json(data: bytes) -> Json | Flaw:
    """The JSON value in these bytes, or why there is none; never raises."""
    if not data.strip():
        return Flaw(Fault.EMPTY, "The auth.json is empty.")
    try:
        # Numbers that JSON does not have, or that no double holds, could not be written again.
        value: Json = json.loads(data.decode(), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return Flaw(Fault.TORN, "The auth.json is not whole: it is no JSON.")
    # What has few brackets is not deep, and counting them is much faster.
    if data.count(b"{") + data.count(b"[") >= _MAX_DEPTH and _is_deep(value):
        return Flaw(Fault.MALFORMED, "The auth.json is nested far deeper than any of codex.")
    return value


def claims_of(token: str) -> JsonObject:
    """What a JSON web token says of itself, its signature unchecked; {} for any other text."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        value: Json = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return obj(value)


def account_of(token: str) -> str:
    """The ChatGPT account for which a token was given, or ""."""
    return word_of(obj(claims_of(token).get(AUTH_CLAIM)).get("chatgpt_account_id"))


def word_of(value: Json) -> str:
    """A text that can be shown and encoded, or "". Half a surrogate pair is not printable."""
    text = text_of(value)
    return text if text.isprintable() else ""


def secret_of(value: Json) -> str:
    """A token or a key that fits into an HTTP header, or ""."""
    text = word_of(value)
    return text if text.isascii() and " " not in text else ""


def rfc3339(at: float) -> str:
    """A time in Unix seconds, as codex writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def seconds_of(value: Json) -> float | None:
    """A number as a time in Unix seconds; None if it is none, or beyond the year 9999."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value <= _LAST_SECOND else None


def time_of(value: Json) -> float | None:
    """A time as anybody ever wrote it: RFC 3339 with any fraction, or seconds or milliseconds."""
    if isinstance(value, str):
        if not re.fullmatch(r"\d{1,15}(\.\d{1,9})?", value, re.ASCII):
            return _time_of_text(value)
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if _FIRST_MILLISECONDS <= value <= _LAST_SECOND * 1000:
        value /= 1000
    return seconds_of(value)


def is_time_of_codex(value: Json) -> bool:
    """Whether codex takes it for a time: RFC 3339, and nothing else."""
    return (
        isinstance(value, str)
        and _RFC3339.fullmatch(value) is not None
        and _time_of_text(value) is not None
    )


def _time_of_text(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("no double holds this number")
    return value


def _is_deep(value: Json) -> bool:
    """Whether it is nested deeper than what reads and writes JSON can be trusted with."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (
                each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
            )
        ]
    return bool(level)


__all__ = [
    "AUTH_CLAIM",
    "PROFILE_CLAIM",
    "Fault",
    "Flaw",
    "account_of",
    "claims_of",
    "is_time_of_codex",
    "read_json",
    "rfc3339",
    "seconds_of",
    "secret_of",
    "time_of",
    "word_of",
]
