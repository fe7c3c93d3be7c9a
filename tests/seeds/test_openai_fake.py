"""The contract between the fake of OpenAI and its callers, by bare HTTP."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.openai_fake import (
    EMPTY_SUCCESS,
    GARBLED,
    LOST_AFTER,
    LOST_BEFORE,
    MARKER,
    FakeOpenAI,
    Fault,
    refusal,
)
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.messages import JsonObject

CLIENT: JsonObject = {"client_id": "app_EMoamEEZ73f0CkXaXp7hrann"}
LIMIT = 60


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def lenient() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(strict=False) as server:
        yield server


def tokens_of(auth: bytes) -> dict[str, str]:
    tokens = json.loads(auth)["tokens"]
    assert isinstance(tokens, dict)
    return tokens


def refresh(fake: FakeOpenAI, token: str, *, timeout: float = 10) -> httpx.Response:
    """What codex sends."""
    grant = {**CLIENT, "grant_type": "refresh_token", "refresh_token": token}
    return httpx.post(f"{fake.url}/oauth/token", json=grant, timeout=scaled(timeout))


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_refresh_token_is_good_once_and_gives_the_next(fake: FakeOpenAI) -> None:
    first = tokens_of(fake.new_login())

    second = refresh(fake, first["refresh_token"]).json()

    assert set(second) == {"access_token", "refresh_token", "id_token"}
    assert [fake.is_live(each["refresh_token"]) for each in (first, second)] == [False, True]
    assert second["access_token"] != first["access_token"]


def test_a_strict_authority_revokes_the_family_when_a_spent_token_comes_again(
    fake: FakeOpenAI,
) -> None:
    first = tokens_of(fake.new_login())
    other = tokens_of(fake.new_login())
    second = refresh(fake, first["refresh_token"]).json()

    assert code_of(refresh(fake, first["refresh_token"])) == (401, "refresh_token_reused")
    assert code_of(refresh(fake, second["refresh_token"])) == (401, "refresh_token_invalidated")
    assert models(fake, second["access_token"]) == 401
    assert fake.is_live(other["refresh_token"])


def test_a_lenient_one_refuses_that_request_only(lenient: FakeOpenAI) -> None:
    first = tokens_of(lenient.new_login())
    second = refresh(lenient, first["refresh_token"]).json()

    assert code_of(refresh(lenient, first["refresh_token"])) == (401, "refresh_token_reused")
    assert refresh(lenient, second["refresh_token"]).status_code == 200


def test_a_refresh_as_a_form_is_refused(fake: FakeOpenAI) -> None:
    token = tokens_of(fake.new_login())["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}

    response = httpx.post(f"{fake.url}/oauth/token", data=form)

    assert code_of(response) == (400, "unsupported_grant_type")
    assert fake.is_live(token)


def models(fake: FakeOpenAI, bearer: str) -> int:
    headers = {"authorization": f"Bearer {bearer}"}
    return httpx.get(f"{fake.url}/v1/models", headers=headers).status_code


def test_only_tokens_and_keys_that_are_good_now_are_let_in(fake: FakeOpenAI) -> None:
    good, expired, revoked = (
        tokens_of(fake.new_login(expires_in=left)) for left in (3600, -1, 3600)
    )
    httpx.post(f"{fake.url}/oauth/revoke", json={"token": revoked["refresh_token"]})
    bearers = [
        good["access_token"],
        fake.new_api_key(),
        expired["access_token"],
        revoked["access_token"],
        "made up",
    ]

    before = [models(fake, bearer) for bearer in bearers]
    fake.state.expire_access()

    assert before == [200, 200, 401, 401, 401]
    assert models(fake, good["access_token"]) == 401


def test_a_device_code_becomes_a_login_when_a_person_approves_it(fake: FakeOpenAI) -> None:
    base = f"{fake.url}/api/accounts/deviceauth"
    begun = httpx.post(f"{base}/usercode", json=CLIENT).json()
    device = {"device_auth_id": begun["device_auth_id"], "user_code": begun["user_code"]}

    pending = httpx.post(f"{base}/token", json=device).status_code
    fake.approve(begun["user_code"], "acct-7")
    code = httpx.post(f"{base}/token", json=device).json()["authorization_code"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": "verifier"}
    tokens = httpx.post(f"{fake.url}/oauth/token", data=form).json()
    again = httpx.post(f"{fake.url}/oauth/token", data=form)

    claims = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    assert (begun["interval"], pending, claims["email"]) == ("1", 403, "acct-7@example.com")
    assert fake.is_live(tokens["refresh_token"])
    assert code_of(again) == (400, "invalid_grant")


def test_a_denied_device_code_is_an_error(fake: FakeOpenAI) -> None:
    base = f"{fake.url}/api/accounts/deviceauth"
    begun = httpx.post(f"{base}/usercode", json=CLIENT).json()
    fake.deny(begun["user_code"])

    response = httpx.post(f"{base}/token", json=begun)

    assert code_of(response) == (400, "access_denied")


def test_every_token_and_key_can_be_found_by_its_marker(fake: FakeOpenAI) -> None:
    login = tokens_of(fake.new_login())
    given = [login[name] for name in ("access_token", "refresh_token", "id_token")]

    assert all(MARKER in token for token in [*given, fake.new_api_key()])


def test_faults_happen_in_the_order_in_which_they_were_set_up(fake: FakeOpenAI) -> None:
    fake.fail(refusal(429, "busy", retry_after="9"), times=2)
    fake.fail(refusal(503, "down"))
    token = tokens_of(fake.new_login())["refresh_token"]

    found = [refresh(fake, token) for _ in range(4)]

    assert [each.status_code for each in found] == [429, 429, 503, 200]
    assert found[0].headers["retry-after"] == "9"
    assert [each.status for each in fake.requests()] == [429, 429, 503, 200]


@pytest.mark.parametrize(("fault", "is_live"), [(LOST_BEFORE, True), (LOST_AFTER, False)])
def test_an_answer_gets_lost_before_or_after_the_work(
    fake: FakeOpenAI, fault: Fault, is_live: bool
) -> None:
    fake.fail(fault)
    token = tokens_of(fake.new_login())["refresh_token"]

    with pytest.raises(httpx.RemoteProtocolError):
        refresh(fake, token)

    assert fake.is_live(token) == is_live


@pytest.mark.parametrize("second", [EMPTY_SUCCESS, GARBLED])
def test_an_unusable_success_is_never_given_twice_in_a_row(fake: FakeOpenAI, second: Fault) -> None:
    fake.fail(EMPTY_SUCCESS)

    with pytest.raises(ValueError, match="without a pause"):
        fake.fail(second)
    with pytest.raises(ValueError, match="without a pause"):
        fake.fail(second, times=2, path="/elsewhere")


def test_who_is_not_answered_is_answered_later(fake: FakeOpenAI) -> None:
    token = tokens_of(fake.new_login())["refresh_token"]
    fake.stop_answering()

    with pytest.raises(httpx.ReadTimeout):
        refresh(fake, token, timeout=0.2)
    fake.answer_again()

    assert refresh(fake, token).status_code == 200
