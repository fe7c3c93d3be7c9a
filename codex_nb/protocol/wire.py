"""One line of the app-server protocol to JSON, and back.

What `parse_line` accepts is less than what Python's parser does, so that everything behind it can
be written again as UTF-8 JSON that any peer reads: no NaN or infinity, no integer beyond 64 bits,
no half of a surrogate pair, no nesting deeper than MAX_DEPTH. What `encode_line` writes is always
one line of valid UTF-8.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

# serde_json, the parser of codex, stops at 128 levels; a message may wrap what it parsed in more.
MAX_DEPTH = 256
_INTEGERS = range(-(2**63), 2**64)


class LineError(ValueError):
    """A line is not JSON that we take; the message is one sentence that says why."""


def parse_line(line: bytes | bytearray) -> Json:
    """The JSON value of one line.

    Raises:
        LineError: The line is not UTF-8, not JSON, or beyond a limit of this file.
    """
    try:
        value: Json = json.loads(
            line.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_bounded_int,
        )
    except UnicodeDecodeError:
        raise LineError("The line is not UTF-8.") from None
    except RecursionError:
        raise LineError("The line nests too deeply.") from None
    except LineError:
        raise
    except ValueError:
        raise LineError("The line is not JSON.") from None
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH and _is_deep(value):
        raise LineError("The line nests too deeply.")
    if (b"\\ud" in line or b"\\uD" in line) and not _is_encodable(value):
        raise LineError("The line has half of a surrogate pair.")
    return value


def encode_line(message: JsonObject) -> bytes:
    """One message as a line, its newline included.

    Halves of surrogate pairs, which no UTF-8 can hold, become U+FFFD; two halves that belong
    together become their character.

    Raises:
        ValueError: A number in it is NaN or infinite.
        TypeError: Something in it is not JSON.
    """
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        data = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
    return data + b"\n"


def _refuse_constant(name: str) -> NoReturn:
    raise LineError(f"The line holds {name}, which is not JSON.")


def _finite_float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise LineError("The line holds a number that is too large.")
    return number


def _bounded_int(digits: str) -> int:
    # The length comes first: thousands of digits make Python raise an error of its own.
    number = int(digits) if len(digits) <= 20 else _INTEGERS.stop
    if number not in _INTEGERS:
        raise LineError("The line holds a number that is too large.")
    return number


def _is_deep(value: Json) -> bool:
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _is_encodable(value: Json) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
