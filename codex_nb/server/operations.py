"""What a browser may say to a session, checked before it is passed on.

A message is written anew for the session host: one that was passed on as it came could hold line
ends between its tokens, and be two messages there.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, UsageError
from codex_nb.protocol.messages import RequestId, is_request_id
from codex_nb.sessions.channel import REQUEST_LIMIT, encode

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

OPERATIONS = frozenset(
    [
        *("send", "steer", "unqueue", "models", "select", "interrupt", "answer", "close"),
        *("open_terminal", "close_terminal", "dismiss_link", "snapshot"),
    ]
)
"""`hello` is said by the server."""

MAX_FRAME = 2 * REQUEST_LIMIT
"""Bytes of one WebSocket message that are read at all, so that one that is too long can be told so.
Beyond that tornado closes with 1009. `websocket_max_message_size` of the server's
`tornado_settings` goes first."""


class OperationError(UsageError):
    """A message that is not passed on.

    Args:
        message: What is wrong with it.
        key: The id that the refusal is to carry; None when the message has none.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, key: RequestId | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a browser wants of a session.

    Attributes:
        key: The id that the answer carries.
        op: Its name.
        line: All of it, as it goes to the session host.
    """

    key: RequestId
    op: str
    line: bytes


def parse_operation(text: str | bytes) -> Operation:
    """The operation that a message of a browser is.

    Raises:
        OperationError: It is none.
    """
    if isinstance(text, bytes):
        raise OperationError("A message is text, not bytes.")
    try:
        message: Json = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        raise OperationError("A message is JSON, and this one is not.") from None
    if not isinstance(message, dict):
        raise OperationError("A message is a JSON object, and this one is not.")
    key = message.get("id")
    if not is_request_id(key):
        raise OperationError("A message has an id, a number or a string, and this one has none.")
    op = message.get("op")
    if not isinstance(op, str) or op not in OPERATIONS:
        raise OperationError(
            "This operation is not offered here.",
            key=key,
            hint=f"It is one of: {', '.join(sorted(OPERATIONS))}.",
        )
    line = encode(message)
    if len(line) > REQUEST_LIMIT:
        raise OperationError(
            f"A message has at most {REQUEST_LIMIT:,} bytes, and this one has {len(line):,}.",
            key=key,
            hint="Attach smaller files: at most 6 MB each and 12 MB in all.",
        )
    return Operation(key=key, op=op, line=line)


def refusal(key: Json, error: CodexNBError) -> JsonObject:
    """The answer to a message that is not passed on, as a session host would give it."""
    kind = "UsageError" if isinstance(error, UsageError) else type(error).__name__
    return {"id": key, "error": {"kind": kind, "message": error.message, "hint": error.hint}}


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
