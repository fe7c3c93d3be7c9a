"""The verbs that ask OpenAI, against a fake of it: verdicts, and their exit status."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.seeds.seeds import Seeds
from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.openai_fake import FakeOpenAI, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.codex.binary import CodexProgram
    from tests.cli.conftest import Command, Done


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    with FakeOpenAI(strict=True) as fake:
        for name, value in fake.environment().items():
            monkeypatch.setenv(name, value)
        yield fake


def add(command: Command, folder: Path, data: bytes, name: str) -> None:
    path = folder / f"{name}.json"
    path.write_bytes(data)
    assert command("seed", "import", str(path), "--name", name).status == 0


def verdicts(done: Done) -> dict[str, tuple[str, bool]]:
    """By seed: the verdict, and whether it was refreshed."""
    assert isinstance(done.json, list)
    found = [each for each in done.json if isinstance(each, dict)]
    return {str(each["name"]): (str(each["verdict"]), bool(each["refreshed"])) for each in found}


def test_verify_refreshes_what_is_due_and_nothing_else(
    command: Command, tmp_path: Path, fake: FakeOpenAI
) -> None:
    add(command, tmp_path, fake.new_login("acct-1", expires_in=3600), "good")
    add(command, tmp_path, fake.new_login("acct-2", expires_in=60), "due")

    done = command("seed", "verify", "--all", "--json")

    assert (done.status, verdicts(done)) == (0, {"good": ("alive", False), "due": ("alive", True)})
    assert len(fake.requests()) == 1


def test_refresh_gets_new_tokens_again_and_again(
    command: Command, tmp_path: Path, fake: FakeOpenAI
) -> None:
    add(command, tmp_path, fake.new_login(), "work")

    done = [command("seed", "refresh", "work", "--json") for _ in range(3)]

    assert [verdicts(each) for each in done] == [{"work": ("alive", True)}] * 3
    assert len(fake.requests()) == 3


def test_a_refused_login_is_dead_and_stays_so_and_an_outage_kills_nothing(
    command: Command, tmp_path: Path, fake: FakeOpenAI
) -> None:
    add(command, tmp_path, fake.new_login("acct-1", expires_in=60), "work")

    fake.fail(refusal(503, "server_error"))
    outage = command("seed", "verify", "work", "--json")
    fake.fail(refusal(401, "refresh_token_invalidated"))
    dead = command("seed", "verify", "work")
    again = command("seed", "verify", "work", "--json")

    assert (outage.status, verdicts(outage)) == (1, {"work": ("inconclusive", False)})
    assert (dead.status, "dead" in dead.out) == (1, True)
    assert (again.status, verdicts(again)) == (1, {"work": ("dead", False)})


def test_an_imported_login_of_a_dead_seed_is_used_for_nothing_but_to_verify_it(
    command: Command, tmp_path: Path, fake: FakeOpenAI
) -> None:
    add(command, tmp_path, fake.new_login("acct-1", expires_in=60), "work")
    fake.fail(refusal(401, "refresh_token_invalidated"))
    assert command("seed", "verify", "work").status == 1

    add(command, tmp_path, fake.new_login("acct-1", expires_in=3600), "work")
    shown = command("seed", "show", "work", "--json").json
    verified = command("seed", "verify", "work", "--json")

    assert isinstance(shown, dict)
    assert (shown["status"], "not verified" in str(shown["reason"])) == ("suspect", True)
    assert (verified.status, verdicts(verified)) == (0, {"work": ("alive", True)})


def test_two_api_keys_are_told_apart_without_any_of_them(
    command: Command, tmp_path: Path, fake: FakeOpenAI
) -> None:
    for name in ("one", "two"):
        data = json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": fake.new_api_key()})
        add(command, tmp_path, data.encode(), name)

    listed = command("seed", "list").out.splitlines()

    assert listed[0].split()[:3] == ["name", "kind", "account"]
    accounts = [line.split()[3] for line in listed[1:]]
    assert all(re.fullmatch("#[0-9a-f]{8}", account) for account in accounts)
    assert len(set(accounts)) == 2


def test_an_api_key_is_logged_in_from_a_pipe_and_checked_only_when_asked(
    command: Command, fake: FakeOpenAI, codex: CodexProgram
) -> None:
    key = fake.new_api_key()
    done = command("seed", "login", "key", "--api-key", "--program", codex.path, stdin=f"{key}\n")

    assert done.status == 0
    assert key not in done.out + done.err
    verified = command("seed", "verify", "key", "--json")
    assert (verified.status, verdicts(verified)) == (0, {"key": ("alive", False)})
    assert fake.requests("/v1/models") == []


@pytest.fixture(params=ONE_CODEX)
def codex(request: pytest.FixtureRequest) -> CodexProgram:
    program: CodexProgram = request.param
    return program


@pytest.mark.parametrize("program", EVERY_CODEX)
def test_codex_itself_refreshes_a_seed_and_what_it_got_is_kept(
    command: Command, tmp_path: Path, fake: FakeOpenAI, program: CodexProgram
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "auth.json").write_bytes(fake.new_login())
    (home / "config.toml").write_text(f'chatgpt_base_url = "{fake.url}/backend-api"\n')
    command("seed", "import", str(home), "--name", "work")

    words = ("verify", "work", "--codex", "--program", program.path, "--json")
    done = [command("seed", *words) for _ in range(2)]

    assert [(each.status, verdicts(each)) for each in done] == [(0, {"work": ("alive", False)})] * 2
    refreshed = command("seed", "refresh", "work", "--json")
    assert verdicts(refreshed) == {"work": ("alive", True)}
    assert len(fake.requests()) == 3


def test_a_seed_that_somebody_uses_is_left_alone(
    command: Command, tmp_path: Path, fake: FakeOpenAI
) -> None:
    add(command, tmp_path, fake.new_login("acct-1", expires_in=60), "work")

    async def hold() -> None:
        async with Seeds() as seeds:
            seed = await seeds.find("work")
            await seeds.store.acquire(holder="tidy", ttl=timedelta(minutes=1), seed_id=seed.id)

    asyncio.run(hold())
    done = command("seed", "verify", "work")

    assert done.status == 1
    assert "in use by tidy" in done.out
    assert fake.requests() == []
