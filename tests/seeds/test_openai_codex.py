"""The contract between the fake of OpenAI and the real codex."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.app_server import AppServer
from codex_nb.codex.environment import OFFLINE
from codex_nb.codex.settings import as_toml, merged
from codex_nb.hosts.local import LocalHost
from codex_nb.protocol.messages import Notification, ServerRequest
from codex_nb.protocol.values import obj
from tests.support.codex_versions import EVERY_CODEX
from tests.support.openai_fake import (
    FakeOpenAI,
)
from tests.support.waiting import run, scaled, wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.protocol.messages import JsonObject

CLIENT: JsonObject = {"client_id": "app_EMoamEEZ73f0CkXaXp7hrann"}
LIMIT = 60


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture(params=EVERY_CODEX)
def codex(request: pytest.FixtureRequest, tmp_path: Path, fake: FakeOpenAI) -> Codex:
    return Codex(request.param, tmp_path, fake)


def tokens_of(auth: bytes) -> dict[str, str]:
    tokens = json.loads(auth)["tokens"]
    assert isinstance(tokens, dict)
    return tokens


class Codex:
    """The codex program in a home that has a login, or will have one."""

    def __init__(self, program: CodexProgram, folder: Path, fake: FakeOpenAI) -> None:
        self.program = program
        self.home = folder / "codex"
        self.work = folder / "work"
        for path in (self.home, self.work, folder / "tmp"):
            path.mkdir()
        settings = merged(
            fake.codex_config(), {"analytics": {"enabled": False}, "features": {"plugins": False}}
        )
        self.home.joinpath("config.toml").write_text(as_toml(settings))
        self.env = {
            **OFFLINE,
            **fake.environment(),
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CODEX_HOME": str(self.home),
            "TMPDIR": str(folder / "tmp"),
        }

    @property
    def auth(self) -> bytes:
        return self.home.joinpath("auth.json").read_bytes()

    def plant(self, auth: bytes) -> None:
        self.home.joinpath("auth.json").write_bytes(auth)

    def argv(self, *arguments: str) -> list[str]:
        return [self.program.path, *arguments]

    def exec(self) -> subprocess.CompletedProcess[str]:
        """One turn."""
        return subprocess.run(
            self.argv("exec", "--skip-git-repo-check", "-s", "read-only", "ping"),
            env=self.env,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=scaled(LIMIT),
            check=False,
        )


def test_codex_logs_in_with_a_device_code(codex: Codex, fake: FakeOpenAI) -> None:
    argv = codex.argv("login", "--device-auth", "--experimental_issuer", fake.url)
    with subprocess.Popen(
        argv, env=codex.env, cwd=codex.work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        usercode = fake.wait_seen("/api/accounts/deviceauth/usercode")
        wait_until_now(lambda: fake.state.pending_codes() != [], seconds=LIMIT)
        fake.approve(fake.state.pending_codes()[0])
        output, _ = process.communicate(timeout=scaled(LIMIT))

    assert process.returncode == 0, output
    assert re.search(rb"[0-9A-F]{4}-[0-9A-F]{4}", output)
    assert usercode[0].json == CLIENT
    assert fake.is_live(tokens_of(codex.auth)["refresh_token"])


def test_codex_makes_a_turn_with_a_login(codex: Codex, fake: FakeOpenAI) -> None:
    auth = fake.new_login()
    codex.plant(auth)

    done = codex.exec()

    assert (done.returncode, done.stdout.strip()) == (0, "pong"), done.stderr
    assert fake.requests() == []
    turn = fake.requests("/v1/responses")[0]
    assert turn.headers["authorization"] == f"Bearer {tokens_of(auth)['access_token']}"


def test_codex_refreshes_a_login_that_is_about_to_end(codex: Codex, fake: FakeOpenAI) -> None:
    before = fake.new_login(expires_in=60)
    codex.plant(before)

    done = codex.exec()

    assert (done.returncode, done.stdout.strip()) == (0, "pong"), done.stderr
    old, new = (tokens_of(auth)["refresh_token"] for auth in (before, codex.auth))
    assert (fake.is_live(old), fake.is_live(new)) == (False, True)
    asked = fake.requests()[0]
    assert {**CLIENT, "grant_type": "refresh_token", "refresh_token": old}.items() <= (
        asked.json.items()
    )


def test_codex_refreshes_a_login_that_the_back_end_refuses(codex: Codex, fake: FakeOpenAI) -> None:
    codex.plant(fake.new_login())
    fake.state.expire_access()

    done = codex.exec()

    assert (done.returncode, done.stdout.strip()) == (0, "pong"), done.stderr
    assert fake.is_live(tokens_of(codex.auth)["refresh_token"])


def test_codex_gives_up_on_a_login_that_is_revoked(codex: Codex, fake: FakeOpenAI) -> None:
    auth = fake.new_login(expires_in=60)
    codex.plant(auth)
    fake.state.revoke(tokens_of(auth)["refresh_token"])

    done = codex.exec()

    assert done.returncode != 0
    assert tokens_of(codex.auth) == tokens_of(auth)
    assert {request.status for request in fake.requests()} == {401}


def test_codex_with_tokens_in_memory_asks_its_client_for_fresh_ones(
    codex: Codex, fake: FakeOpenAI
) -> None:
    def login() -> JsonObject:
        access = tokens_of(fake.new_login())["access_token"]
        return {"accessToken": access, "chatgptAccountId": "acct-1", "chatgptPlanType": "pro"}

    async def talk() -> tuple[JsonObject, str]:
        server = await AppServer.start(
            LocalHost(),
            codex.program,
            cwd=str(codex.work),
            env=codex.env,
            start_timeout=LIMIT,
            client_version="1",
        )
        asked: JsonObject = {}
        try:
            start: JsonObject = {"type": "chatgptAuthTokens", **login()}
            await server.request("account/login/start", start, timeout=LIMIT)
            fake.state.expire_access()
            thread = obj(await server.request("thread/start", {}, timeout=LIMIT))
            prompt: JsonObject = {
                "threadId": obj(thread["thread"])["id"],
                "input": [{"type": "text", "text": "ping"}],
            }
            await server.request("turn/start", prompt, timeout=LIMIT)
            async for message in server.messages():
                match message:
                    case ServerRequest(method="account/chatgptAuthTokens/refresh"):
                        asked = message.params
                        await server.answer(message.id, login())
                    case Notification(method="turn/completed"):
                        return asked, str(obj(message.params["turn"])["status"])
        finally:
            await server.close()
        raise server.ended_error()

    assert run(talk()) == ({"reason": "unauthorized", "previousAccountId": "acct-1"}, "completed")
    assert fake.requests() == []
    assert not codex.home.joinpath("auth.json").exists()
