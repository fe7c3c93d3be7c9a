"""Codex as a judge of logins, by one real turn against a fake of OpenAI."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.scratch import Surroundings, left_behind
from codex_nb.hosts.local import LocalHost
from codex_nb.protocol.values import text_of
from codex_nb.seeds.auth import Login, Tokens
from codex_nb.seeds.crosscheck import Judge
from codex_nb.seeds.recovery import errand_label
from codex_nb.seeds.seeds import Seeds
from codex_nb.seeds.settings import SeedSettings
from tests.support.codex_versions import EVERY_CODEX
from tests.support.openai_fake import FakeOpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.verify import Verdict


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(says="pong") as fake:
        yield fake


@pytest.fixture
def environment(fake: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, value in fake.environment().items():
        monkeypatch.setenv(name, value)


async def probed(
    fake: FakeOpenAI, program: CodexProgram, folder: Path, login: bytes
) -> tuple[Verdict, Login]:
    """The verdict of one turn, and what is stored then."""
    given = Surroundings(environment=fake.environment(), config=fake.codex_config())
    async with Seeds(SeedSettings(store=str(folder / "store" / "seeds.db"))) as seeds:
        seed = await seeds.add("work", Login.parse(login))
        judge = Judge(host=LocalHost(), program=program, surroundings=given)
        verdict = await judge.verify(seeds, seed, with_turn=True)
        return verdict, (await seeds.open(await seeds.find("work")))[0]


@pytest.mark.integration
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("program", EVERY_CODEX)
def test_one_turn_proves_that_a_login_works(
    fake: FakeOpenAI, program: CodexProgram, tmp_path: Path
) -> None:
    verdict, login = asyncio.run(probed(fake, program, tmp_path, fake.new_login()))

    assert (verdict.kind, verdict.reason) == ("alive", "Codex could use it.")
    assert fake.is_live(login.refresh_token)
    assert len(fake.requests("/v1/responses")) == 1


@pytest.mark.integration
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("program", EVERY_CODEX)
def test_a_turn_that_fails_proves_nothing(
    fake: FakeOpenAI, program: CodexProgram, tmp_path: Path
) -> None:
    login = fake.new_login()
    fake.state.revoke(Login.parse(login).refresh_token)
    fake.state.expire_access()

    verdict, _ = asyncio.run(probed(fake, program, tmp_path, login))

    assert verdict.kind == "inconclusive"
    assert verdict.reason.startswith("The turn failed: ")


@pytest.mark.usefixtures("environment")
def test_what_a_killed_check_left_is_saved_by_whoever_comes_next(
    fake: FakeOpenAI, tmp_path: Path
) -> None:
    planted = Login.parse(fake.new_login())
    settings = SeedSettings(store=str(tmp_path / "store" / "seeds.db"))

    async def go() -> tuple[Login, object]:
        async with Seeds(settings) as seeds:
            seed = await seeds.add("work", planted)
            label = errand_label(seeds, seed.id, planted)
            # As codex/scratch.py lays it out, two hours ago, and as codex left it.
            home = tmp_path / "state" / "codex_nb" / "errands" / f"1000000000-aa-{label}" / "codex"
            home.mkdir(parents=True)
            tokens = fake.state.refresh(planted.refresh_token)
            (home / "auth.json").write_bytes(rotated(planted, tokens).to_bytes())
        async with Seeds(settings) as seeds:
            await seeds.refresher()
            stored, _ = await seeds.open(await seeds.find("work"))
        return stored, await left_behind(LocalHost())

    stored, left = asyncio.run(go())

    assert fake.is_live(stored.refresh_token)
    assert left == []


def rotated(login: Login, tokens: JsonObject) -> Login:
    """The login with what the fake gave for its refresh token."""
    names = ("access_token", "refresh_token", "id_token")
    return login.rotated(Tokens(**{name: text_of(tokens[name]) for name in names}), 0.0)
