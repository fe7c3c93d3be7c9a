"""What an answer of the token endpoint means for a login. Nothing here does I/O.

A refresh token is good once. So the question of every answer is not only whether tokens came, but
whether the old one may be spent: `Refused` is proof that the login is over, `NotSent` that nothing
happened, and after `NoAnswer` nobody knows.

Facts checked against codex 0.163.0 and 0.169.0: permanent are 401 whatever the body says, three
codes at any status, and `invalid_grant` at 400. Nothing else is: 429, 403 and 5xx say something
about the network, not about the login.
"""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, TypeAlias

from codex_nb.protocol.values import obj, text_of
from codex_nb.seeds.auth import Tokens
from codex_nb.seeds.claims import Flaw, account_of, read_json, secret_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_nb.protocol.messages import Json

_SPENT = {
    "refresh_token_expired": "The refresh token has expired.",
    "refresh_token_reused": "The refresh token was used before, by another copy of the login.",
    "refresh_token_invalidated": "The refresh token was revoked.",
}
"""The codes that are permanent at any status."""

_CODE = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)
_MAX_RETRY_AFTER = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """The endpoint gave new tokens: the old refresh token is spent, unless none came."""

    tokens: Tokens = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Proof that the login is over.

    Attributes:
        code: Of the endpoint, or "http_401".
        text: One sentence for a person.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """An answer that says nothing about the login.

    Attributes:
        reason: What came, in a few words for a person.
        status: The HTTP status.
        retry_after: Seconds that the endpoint wants to be left alone; None if it did not say.
        may_have_rotated: Whether the token may be spent all the same: an error of the server may
            have come after it did its work. A client that was turned away spent nothing.
    """

    reason: str
    status: int
    retry_after: float | None = None
    may_have_rotated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Nothing reached the endpoint: the token is as good as before."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """The request was sent and no usable answer came: the token may be spent."""

    reason: str


Judgement: TypeAlias = Rotated | Refused | Unclear | NoAnswer
Outcome: TypeAlias = Judgement | NotSent


def judge(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    accounts: frozenset[str] = frozenset(),
    now: float | None = None,
) -> Judgement:
    """What an answer of the token endpoint means.

    Args:
        status: The HTTP status.
        headers: Of the answer; names in any case.
        body: Of the answer.
        accounts: Those that the login names; empty when that is not known.
        now: In Unix seconds, for a Retry-After date of a server that tells no Date.
    """
    value = read_json(body)
    if 200 <= status < 300:
        return _judge_success(status, value, accounts)
    code = code_of(value)
    if code in _SPENT:
        return Refused(code=code, text=_SPENT[code])
    if status == 400 and code == "invalid_grant":
        return Refused(code=code, text="The refresh token is not valid any more.")
    if status == 401:
        return Refused(code=code or "http_401", text="The login was refused (401).")
    return unclear(status, headers, code, now)


def unclear(status: int, headers: Mapping[str, str], code: str, now: float | None) -> Unclear:
    """What an answer that proves nothing says all the same."""
    fields = {name.lower(): text for name, text in headers.items()}
    return Unclear(
        reason=f"HTTP {status}{f' ({code})' if code else ''}",
        status=status,
        retry_after=_retry_after(fields, now),
        may_have_rotated=status >= 500 or status == 408,
    )


def code_of(value: Json | Flaw) -> str:
    """The error code where codex looks for one: error.code, error as a text, code."""
    answer = {} if isinstance(value, Flaw) else obj(value)
    error = answer.get("error")
    inner = obj(error).get("code")
    found = inner if isinstance(inner, str) else error if isinstance(error, str) else None
    code = text_of(answer.get("code") if found is None else found).lower()
    # It is shown to people, and no server of ours wrote it.
    return code if _CODE.fullmatch(code) else ""


def _judge_success(status: int, value: Json | Flaw, accounts: frozenset[str]) -> Judgement:
    answer = {} if isinstance(value, Flaw) else obj(value)
    access, refresh, identity = (
        secret_of(answer.get(name)) for name in ("access_token", "refresh_token", "id_token")
    )
    if not access:
        return NoAnswer(reason=f"HTTP {status} without an access token")
    answered_for = {account_of(token) for token in (access, identity)} - {""}
    if accounts and answered_for - accounts:
        return Unclear(
            reason="the endpoint answered for another account", status=status, may_have_rotated=True
        )
    tokens = Tokens(access_token=access, refresh_token=refresh, id_token=identity)
    return Rotated(tokens=tokens)


def _retry_after(fields: Mapping[str, str], now: float | None) -> float | None:
    text = fields.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return min(float(text), _MAX_RETRY_AFTER)
    until = _date_of(text)
    # The server's own clock, if it tells: ours may be wrong.
    since = _date_of(fields.get("date", ""))
    since = now if since is None else since
    if until is None or since is None:
        return None
    return min(max(until - since, 0.0), _MAX_RETRY_AFTER)


def _date_of(text: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


__all__ = [
    "Judgement",
    "NoAnswer",
    "NotSent",
    "Outcome",
    "Refused",
    "Rotated",
    "Unclear",
    "code_of",
    "judge",
    "unclear",
]
