"""Logging in through the real codex, against a fake of OpenAI."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.environment import OFFLINE
from codex_nb.codex.login import DEVICE_CODE_LIFE, DeviceLogin, api_key_login
from codex_nb.codex.scratch import Surroundings
from codex_nb.errors import LoginError
from tests.codex.errands import Desk, refresh_token
from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX, codex_programs
from tests.support.openai_fake import MARKER, FakeOpenAI, refusal
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


TIMES_OF_A_LIFE = (DEVICE_CODE_LIFE - 60, DEVICE_CODE_LIFE)


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture(params=EVERY_CODEX)
def desk(request: pytest.FixtureRequest, tmp_path: Path, fake: FakeOpenAI) -> Desk:
    return Desk(request.param, tmp_path / "errands", fake)


@pytest.fixture(params=ONE_CODEX)
def one_desk(request: pytest.FixtureRequest, tmp_path: Path, fake: FakeOpenAI) -> Desk:
    return Desk(request.param, tmp_path / "errands", fake)


CAN_BE_REDIRECTED = [
    pytest.param(program, id=program.version, marks=pytest.mark.integration)
    for program in codex_programs()
    if not program.version.startswith("0.142.")
]
"""Those that take another issuer for the login of an app-server; 0.142.5 knows OpenAI's only."""


@pytest.fixture(params=CAN_BE_REDIRECTED)
def login_desk(request: pytest.FixtureRequest, tmp_path: Path, fake: FakeOpenAI) -> Desk:
    return Desk(request.param, tmp_path / "errands", fake)


# Device code


def test_a_person_who_types_the_code_is_logged_in(login_desk: Desk, fake: FakeOpenAI) -> None:
    async def log_in() -> tuple[DeviceLogin, bytes]:
        async with login_desk.device_login() as login:
            fake.approve(login.code, "acct-7")
            return login, await login.finished()

    login, auth = run(log_in())

    assert login.url == f"{fake.url}/codex/device"
    left = login.expires_at - time.time()
    assert TIMES_OF_A_LIFE[0] < left < TIMES_OF_A_LIFE[1]
    assert json.loads(auth)["auth_mode"] == "chatgpt"
    assert fake.is_live(refresh_token(auth))
    assert login_desk.left == []


def test_who_says_no_is_not_logged_in(login_desk: Desk, fake: FakeOpenAI) -> None:
    async def log_in() -> None:
        async with login_desk.device_login() as login:
            fake.deny(login.code)
            await login.finished()

    with pytest.raises(LoginError, match="The login failed: "):
        run(log_in())
    assert login_desk.left == []


def test_a_login_that_is_left_is_cancelled_and_leaves_nothing(
    login_desk: Desk, fake: FakeOpenAI
) -> None:
    async def give_up() -> list[str]:
        async with login_desk.device_login():
            return login_desk.left

    assert len(run(give_up())) == 1
    assert login_desk.left == []


def test_a_login_whose_task_is_cancelled_leaves_nothing(login_desk: Desk, fake: FakeOpenAI) -> None:
    async def cancel() -> None:
        waiting = asyncio.Event()

        async def log_in() -> None:
            async with login_desk.device_login() as login:
                waiting.set()
                await login.finished()

        task = asyncio.create_task(log_in())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())

    assert login_desk.left == []


def test_an_issuer_that_gives_no_code_is_told(login_desk: Desk, fake: FakeOpenAI) -> None:
    fake.fail(refusal(503, "down"), path="/api/accounts/deviceauth/usercode")

    async def log_in() -> None:
        async with login_desk.device_login():
            raise AssertionError("there is no code")

    with pytest.raises(LoginError, match=r"Codex could not start a login: .*503") as caught:
        run(log_in())
    assert caught.value.hint
    assert login_desk.left == []


def test_a_codex_that_reaches_nobody_says_so_on_every_version(desk: Desk) -> None:
    nobody = Surroundings(
        root=str(desk.root),
        environment={**OFFLINE, "CODEX_APP_SERVER_LOGIN_ISSUER": "http://127.0.0.1:9"},
    )

    async def log_in() -> None:
        async with DeviceLogin.start(desk.host, desk.program, nobody):
            raise AssertionError("there is nobody")

    with pytest.raises(LoginError, match="Codex could not start a login"):
        run(log_in())
    assert desk.left == []


# API key


def test_an_api_key_becomes_an_auth_json(desk: Desk, fake: FakeOpenAI) -> None:
    key = fake.new_api_key()

    auth = run(api_key_login(desk.host, desk.program, f" {key}\n", desk.surroundings))

    assert json.loads(auth) == {"auth_mode": "apikey", "OPENAI_API_KEY": key}
    assert (desk.left, fake.requests("/oauth/token")) == ([], [])


@pytest.mark.parametrize("key", ["", " ", "sk-\nsecond", "sk-ü"])
def test_what_cannot_be_a_key_starts_no_codex(one_desk: Desk, key: str) -> None:
    with pytest.raises(LoginError, match="This is no API key"):
        run(api_key_login(one_desk.host, one_desk.program, key, one_desk.surroundings))


def test_a_key_that_codex_refuses_is_not_in_the_traceback(one_desk: Desk, fake: FakeOpenAI) -> None:
    surroundings = replace(one_desk.surroundings, config={"forced_login_method": "chatgpt"})
    error = None

    async def log_in() -> None:
        # The key is made in the call: a caller's own variables are the caller's care.
        await api_key_login(one_desk.host, one_desk.program, fake.new_api_key(), surroundings)

    try:
        run(log_in())
    except LoginError as exc:
        error = exc
    assert error is not None
    assert error.message.startswith("Codex could not start a login: ")
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert MARKER not in "".join(shown.format())
