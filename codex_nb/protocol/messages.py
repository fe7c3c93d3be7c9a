"""The messages of the app-server protocol, as values.

The wire is one JSON object per line, JSON-RPC 2.0 without its "jsonrpc" member, in both directions.
Parameters stay the JSON that codex sent: kinds and fields that we do not know are kept. Checked
against codex 0.142.5, 0.163.0 and 0.169.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"
RequestId: TypeAlias = int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Something that codex tells and that wants no answer.

    Attributes:
        method: The method as codex named it, known to us or not.
        params: Its parameters; empty when there were none.
        emitted_at: When codex sent it, in Unix seconds; None before 0.163.
    """

    method: str
    params: JsonObject
    emitted_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """Something that codex asks and waits for; its id is codex's, never one of ours."""

    id: RequestId
    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The result of a request of ours."""

    id: RequestId
    method: str
    result: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorResponse:
    """The refusal of a request of ours."""

    id: RequestId
    method: str
    code: int
    message: str
    data: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A line that is no message of the protocol, or an answer to nothing that we asked.

    Attributes:
        reason: What is wrong with it, as one sentence.
        head: The first 200 characters of it, for a person to read.
        size: Its length in bytes.
    """

    reason: str
    head: str
    size: int


Message: TypeAlias = Notification | ServerRequest | Response | ErrorResponse | Malformed


def is_request_id(value: Json) -> TypeGuard[RequestId]:
    """Whether a value can be the id of a request; true and false, integers to Python, cannot."""
    return isinstance(value, int | str) and not isinstance(value, bool)
