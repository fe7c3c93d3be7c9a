from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from codex_nb.errors import LoginError
from codex_nb.seeds.auth import CLIENT_ID, Login
from codex_nb.seeds.oauth import (
    Accepted,
    NoAnswer,
    NotSent,
    Outcome,
    RefreshRequest,
    Refused,
    Rotated,
    Unclear,
    ask,
    check_key,
    refresh_request,
)
from tests.seeds.test_auth import document
from tests.support.openai_fake import (
    BROKEN_AFTER,
    EMPTY_SUCCESS,
    GARBLED,
    HANG_AFTER,
    HANG_BEFORE,
    HTML_403,
    LOST_AFTER,
    LOST_BEFORE,
    MARKER,
    FakeOpenAI,
    Fault,
    refusal,
)
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.messages import JsonObject

LOGIN = Login.from_document(document())
REUSED = "The refresh token was used before, by another copy of the login."


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def answer(request: RefreshRequest, *, timeout: float = 10) -> Outcome:
    async def once() -> Outcome:
        async with httpx.AsyncClient() as client:
            return await ask(client, request, timeout=timeout)

    return run(once())


# The request


def test_the_request_is_the_one_of_codex() -> None:
    request = refresh_request(LOGIN, {})

    assert request.url == "https://auth.openai.com/oauth/token"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "client_id": CLIENT_ID,
        "grant_type": "refresh_token",
        "refresh_token": LOGIN.refresh_token,
    }


def test_the_override_wins_over_the_issuer_of_the_login_and_is_read_when_it_is_used() -> None:
    tokens = document()["tokens"]
    assert isinstance(tokens, dict)
    origin: JsonObject = {"issuer": "https://login.example.com", "client_id": "app-2"}
    login = Login.from_document(document(tokens={**tokens, "oauth_provenance": origin}))
    environment: dict[str, str] = {}

    before = refresh_request(login, environment)
    environment["CODEX_REFRESH_TOKEN_URL_OVERRIDE"] = "http://127.0.0.1:1/token"
    after = refresh_request(login, environment)

    assert (before.url, after.url) == (
        "https://login.example.com/oauth/token",
        "http://127.0.0.1:1/token",
    )
    assert json.loads(after.body)["client_id"] == "app-2"


@pytest.mark.parametrize("url", ["http://example.com/token", "ftp://127.0.0.1", "token"])
def test_a_token_is_not_sent_in_clear(url: str) -> None:
    with pytest.raises(LoginError):
        refresh_request(LOGIN, {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": url})


def test_an_api_key_is_never_sent_to_the_token_endpoint() -> None:
    with pytest.raises(ValueError, match="an API key is not refreshed"):
        refresh_request(Login.parse(b'{"OPENAI_API_KEY":"sk-1"}'), {})


# Asking


def test_a_refresh_spends_the_token_and_gives_the_next(fake: FakeOpenAI) -> None:
    login = Login.parse(fake.new_login())

    found = answer(refresh_request(login, fake.environment()))

    assert isinstance(found, Rotated)
    after = login.rotated(found.tokens, time.time())
    assert (fake.is_live(login.refresh_token), fake.is_live(after.refresh_token)) == (False, True)
    assert after.account_id == login.account_id


@pytest.mark.parametrize(
    ("fault", "found", "is_live"),
    [
        (HTML_403, Unclear(reason="HTTP 403", status=403), True),
        (
            refusal(429, "busy", retry_after="7"),
            Unclear(reason="HTTP 429 (busy)", status=429, retry_after=7.0),
            True,
        ),
        (
            BROKEN_AFTER,
            Unclear(reason="HTTP 500", status=500, may_have_rotated=True),
            False,
        ),
        (GARBLED, NoAnswer(reason="HTTP 200 without an access token"), False),
        (EMPTY_SUCCESS, NoAnswer(reason="HTTP 200 without an access token"), False),
        (LOST_BEFORE, NoAnswer(reason="no whole answer came (RemoteProtocolError)"), True),
        (LOST_AFTER, NoAnswer(reason="no whole answer came (RemoteProtocolError)"), False),
        (
            refusal(401, "refresh_token_reused"),
            Refused(code="refresh_token_reused", text=REUSED),
            True,
        ),
    ],
    ids=["403", "429", "500", "garbled", "empty", "lost before", "lost after", "reused"],
)
def test_what_the_network_and_the_endpoint_do_is_told_apart(
    fake: FakeOpenAI, fault: Fault, found: Outcome, is_live: bool
) -> None:
    login = Login.parse(fake.new_login())
    fake.fail(fault)

    assert answer(refresh_request(login, fake.environment())) == found
    assert fake.is_live(login.refresh_token) == is_live


@pytest.mark.parametrize("fault", [HANG_BEFORE, HANG_AFTER])
def test_a_request_that_is_not_answered_in_time_was_sent(fake: FakeOpenAI, fault: Fault) -> None:
    fake.fail(fault)
    login = Login.parse(fake.new_login())

    found = answer(refresh_request(login, fake.environment()), timeout=scaled(1))

    # On a machine that is busy the limit of the whole may strike first.
    assert isinstance(found, NoAnswer)
    assert fake.is_live(login.refresh_token) == (fault is HANG_BEFORE)


def test_a_connection_that_is_refused_sent_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"

        found = answer(refresh_request(LOGIN, {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": url}))

    assert found == NotSent(reason="the token endpoint was not reached (ConnectError)")


def test_a_connection_that_does_not_come_about_in_time_sent_nothing() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        with socket.create_connection(full.getsockname()), socket.socket() as second:
            # The queue is full: the kernel drops further attempts instead of refusing them.
            second.setblocking(False)
            second.connect_ex(full.getsockname())

            request = refresh_request(LOGIN, {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": url})
            found = answer(request, timeout=0.3)

    assert isinstance(found, NotSent)


def test_an_answer_that_trickles_does_not_outlast_the_limit() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            return
        finally:
            writer.close()

    async def once() -> Outcome:
        async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            request = refresh_request(LOGIN, {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": url})
            async with httpx.AsyncClient() as client:
                return await ask(client, request, timeout=1)

    assert run(once()) == NoAnswer(reason="no whole answer within 1 s")


def test_an_answer_of_the_endpoint_for_another_account_is_not_taken(fake: FakeOpenAI) -> None:
    login = Login.parse(fake.new_login("acct-1"))
    body = json.dumps(json.loads(fake.new_login("acct-2"))["tokens"]).encode()
    fake.fail(Fault(status=200, body=body))

    found = answer(refresh_request(login, fake.environment()))

    assert found == Unclear(
        reason="the endpoint answered for another account", status=200, may_have_rotated=True
    )


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("401 Unauthorized", Refused(code="http_401", text="The login was refused (401).")),
        ("429 Too Many Requests", Unclear(reason="HTTP 429", status=429)),
        ("200 OK", NoAnswer(reason="HTTP 200 without an access token")),
    ],
)
def test_an_answer_that_breaks_off_is_judged_by_what_came(status: str, found: Outcome) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"}")
        writer.write(f'HTTP/1.1 {status}\r\ncontent-length: 99\r\n\r\n{{"acc'.encode())
        writer.close()
        await writer.wait_closed()

    async def once() -> Outcome:
        async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            request = refresh_request(LOGIN, {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": url})
            async with httpx.AsyncClient() as client:
                return await ask(client, request, timeout=10)

    assert run(once()) == found


def test_no_connection_is_used_twice(fake: FakeOpenAI) -> None:
    async def twice() -> None:
        async with httpx.AsyncClient() as client:
            for _ in range(2):
                login = Login.parse(fake.new_login())
                await ask(client, refresh_request(login, fake.environment()), timeout=10)

    run(twice())

    assert [request.headers["connection"] for request in fake.requests()] == ["close"] * 2


def test_a_redirect_is_not_followed_with_the_token(fake: FakeOpenAI) -> None:
    fake.fail(Fault(status=307, headers={"location": f"{fake.url}/elsewhere"}))

    found = answer(refresh_request(Login.parse(fake.new_login()), fake.environment()))

    assert found == Unclear(reason="HTTP 307", status=307)
    assert fake.requests("/elsewhere") == []


def test_a_request_and_its_outcomes_show_no_token(fake: FakeOpenAI) -> None:
    login = Login.parse(fake.new_login())
    request = refresh_request(login, fake.environment())

    assert MARKER not in repr((request, answer(request), answer(request)))


# API keys


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (None, Accepted()),
        (
            refusal(401, "invalid_api_key"),
            Refused(code="invalid_api_key", text="The API refused the key (401)."),
        ),
        (
            refusal(401, "ip_not_authorized"),
            Unclear(reason="HTTP 401 (ip_not_authorized)", status=401),
        ),
        (refusal(429, "busy"), Unclear(reason="HTTP 429 (busy)", status=429)),
        (LOST_BEFORE, NoAnswer(reason="no whole answer came (RemoteProtocolError)")),
    ],
    ids=["good", "refused", "not from here", "429", "lost"],
)
def test_a_key_is_checked_by_asking_for_the_models(
    fake: FakeOpenAI, fault: Fault | None, found: object
) -> None:
    key = fake.new_api_key()
    if fault is not None:
        fake.fail(fault, path="/v1/models")

    async def once() -> object:
        login = Login.from_document({"auth_mode": "apikey", "OPENAI_API_KEY": key})
        async with httpx.AsyncClient() as client:
            return await check_key(client, login, timeout=10, base_url=f"{fake.url}/v1")

    assert run(once()) == found
