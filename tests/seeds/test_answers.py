from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.seeds.auth import Login, Tokens
from codex_nb.seeds.oauth import (
    Judgement,
    NoAnswer,
    Refused,
    Rotated,
    Unclear,
    judge,
)
from tests.seeds.test_auth import access_token, document, id_token
from tests.support.openai_fake import (
    MARKER,
)

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json

LOGIN = Login.from_document(document())


def error(code: Json) -> bytes:
    return json.dumps({"error": {"code": code, "message": MARKER}}).encode()


REUSED = "The refresh token was used before, by another copy of the login."
SPENT = [
    ("refresh_token_expired", "The refresh token has expired."),
    ("refresh_token_reused", REUSED),
    ("refresh_token_invalidated", "The refresh token was revoked."),
]


@pytest.mark.parametrize(("code", "text"), SPENT)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_three_codes_are_proof_at_any_status(status: int, code: str, text: str) -> None:
    refused = Refused(code=code, text=text)

    for body in (
        error(code),
        error(code.upper()),
        json.dumps({"error": code}).encode(),
        json.dumps({"code": code}).encode(),
    ):
        assert judge(status, {}, body) == refused


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "http_401"),
        (b"<html>", "http_401"),
        (error("token_expired"), "token_expired"),
        (error("two words"), "http_401"),
        (error(7), "http_401"),
    ],
)
def test_401_is_proof_whatever_it_says(body: bytes, code: str) -> None:
    assert judge(401, {}, body) == Refused(code=code, text="The login was refused (401).")


def test_an_invalid_grant_is_proof_at_400_only() -> None:
    body = b'{"error":"invalid_grant"}'

    assert judge(400, {}, body) == Refused(
        code="invalid_grant", text="The refresh token is not valid any more."
    )
    assert judge(403, {}, body) == Unclear(reason="HTTP 403 (invalid_grant)", status=403)


@pytest.mark.parametrize(
    ("status", "body", "reason", "may_have_rotated"),
    [
        (302, b"", "HTTP 302", False),
        (400, b"", "HTTP 400", False),
        (400, error("invalid_client"), "HTTP 400 (invalid_client)", False),
        (400, error("app_session_terminated"), "HTTP 400 (app_session_terminated)", False),
        (403, b"<html>Just a moment...</html>", "HTTP 403", False),
        (404, b"", "HTTP 404", False),
        (408, b"", "HTTP 408", True),
        (429, error("rate_limit"), "HTTP 429 (rate_limit)", False),
        (500, b"", "HTTP 500", True),
        (502, b"<html>", "HTTP 502", True),
        (503, error(None), "HTTP 503", True),
    ],
)
def test_nothing_else_says_anything_about_the_login(
    status: int, body: bytes, reason: str, may_have_rotated: bool
) -> None:
    assert judge(status, {}, body) == Unclear(
        reason=reason, status=status, may_have_rotated=may_have_rotated
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "999999999"}, 86_400.0),
        ({"retry-after": "9" * 30}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT",
                "Date": "Wed, 21 Oct 2026 07:26:30 GMT",
            },
            90.0,
        ),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 60.0),
        ({"retry-after": "Tue, 20 Oct 2026 07:28:00 GMT"}, 0.0),
    ],
)
def test_a_wish_to_be_left_alone_is_understood(
    headers: dict[str, str], seconds: float | None
) -> None:
    now = 1_792_567_620.0  # Wed, 21 Oct 2026 07:27:00 GMT

    found = judge(429, headers, b"", now=now)

    assert found == Unclear(reason="HTTP 429", status=429, retry_after=seconds)


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"access_token": "a"}, Tokens(access_token="a")),
        (
            {"access_token": "a", "refresh_token": "r", "id_token": "i", "expires_in": 3600},
            Tokens(access_token="a", refresh_token="r", id_token="i"),
        ),
        ({"access_token": "a", "refresh_token": None}, Tokens(access_token="a")),
    ],
)
def test_an_answer_with_an_access_token_is_a_rotation(body: Json, tokens: Tokens) -> None:
    assert judge(200, {}, json.dumps(body).encode()) == Rotated(tokens=tokens)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"access_token":7}', b'{"access_token":"a b"}', b'"a']
)
def test_a_success_that_cannot_be_used_leaves_it_open(body: bytes) -> None:
    assert judge(200, {}, body) == NoAnswer(reason="HTTP 200 without an access token")


def test_an_answer_for_another_account_is_not_taken() -> None:
    def answered(account: str) -> Judgement:
        body = {"access_token": access_token(account=account), "id_token": id_token(account)}
        return judge(200, {}, json.dumps(body).encode(), accounts=LOGIN.accounts)

    assert isinstance(answered("acct-1"), Rotated)
    assert answered("acct-2") == Unclear(
        reason="the endpoint answered for another account", status=200, may_have_rotated=True
    )


@given(
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["Retry-After", "Date", "x"]), st.text()),
    st.binary(max_size=100),
)
def test_any_answer_is_judged_and_only_tokens_are_a_rotation(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    found = judge(status, headers, body, now=time.time())

    assert isinstance(found, NoAnswer) == (200 <= status < 300)


def test_no_answer_shows_what_the_endpoint_wrote() -> None:
    found = [
        judge(status, {}, body)
        for status in (200, 400, 401, 500)
        for body in (error(MARKER), json.dumps({"access_token": MARKER}).encode())
    ]

    assert MARKER not in repr(found)
