"""What may go wrong between a request to the fake of OpenAI and its answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one request in place of, or after, what was asked for.

    Attributes:
        commit: Whether the request is carried out all the same: a refresh spends its token.
        status: Of the answer; 0 for none at all.
        headers: Of the answer.
        body: Of the answer.
        hang: Whether the caller waits for ever, instead of seeing the connection break; for
            status 0.
        delay: Seconds before anything happens.
    """

    commit: bool = False
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: bool = False
    delay: float = 0.0

    @property
    def heats_codex(self) -> bool:
        """Whether codex, without a pause, asks again and again as long as it is answered so."""
        return 200 <= self.status < 300


def refusal(status: int, code: str, **headers: str) -> Fault:
    """An error as OpenAI words it; in the names of header fields "_" stands for "-"."""
    body = json.dumps({"error": {"message": "no", "type": "error", "code": code}}).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, headers={"content-type": "application/json", **fields}, body=body)


HTML_403 = Fault(
    status=403, headers={"content-type": "text/html"}, body=b"<html>Just a moment...</html>"
)
"""A challenge of the network in front of the endpoint."""

LOST_BEFORE = Fault()
"""The connection breaks and nothing was done."""

LOST_AFTER = Fault(commit=True)
"""It was done, and the connection breaks before an answer."""

BROKEN_AFTER = Fault(commit=True, status=500, body=b"oops")
"""It was done, and the answer is an error."""

GARBLED = Fault(commit=True, status=200, body=b'{"access_token": "')
"""It was done, and the answer cannot be read."""

EMPTY_SUCCESS = Fault(commit=True, status=200, body=b"{}")
"""It was done, and the answer has no access token."""

HANG_BEFORE = Fault(hang=True)
"""Nothing is done, and no answer comes."""

HANG_AFTER = Fault(commit=True, hang=True)
"""It is done, and no answer comes."""
