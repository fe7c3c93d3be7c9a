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
from codex_nb.seeds.perform import perform
from codex_nb.seeds.recovery import errand_label
from codex_nb.seeds.seeds import Seeds
from codex_nb.seeds.settings import SeedSettings
from codex_nb.seeds.verbs import parsed, seed_parser
from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.openai_fake import FakeOpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.person import Answer
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


class Listener:
    """A person who notes what is said, and how many turns there were by then."""

    def __init__(self, fake: FakeOpenAI) -> None:
        self.said: list[tuple[str, int]] = []
        self._fake = fake

    def say(self, text: str) -> None:
        self.said.append((text, len(self._fake.requests("/v1/responses"))))

    def show_code(self, url: str, code: str, expires_at: float) -> None:
        raise AssertionError(code)

    def show_progress(self, done: int, total: int) -> None:
        assert done <= total

    async def ask_key(self) -> str:
        raise AssertionError

    async def is_sure(self, question: str) -> bool:
        raise AssertionError(question)

    def home_of(self, run: str) -> Path:
        raise AssertionError(run)


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
@pytest.mark.parametrize("program", ONE_CODEX)
def test_a_probe_says_what_it_costs_before_it_costs_it(
    fake: FakeOpenAI, program: CodexProgram, tmp_path: Path
) -> None:
    person = Listener(fake)
    settings = SeedSettings(store=str(tmp_path / "seeds.db"))
    file = tmp_path / "auth.json"

    async def do(*words: str) -> Answer:
        options = parsed(seed_parser("seed"), words)
        config = fake.codex_config()
        return await perform(options, settings, person, codex=program.path, config=config)

    async def scenario() -> None:
        for number in range(2):
            file.write_bytes(fake.new_login(f"acct-{number}"))
            await do("import", str(file), "--name", f"seed-{number}")
        person.said.clear()
        assert (await do("verify", "seed-0", "--probe")).is_good
        assert (await do("verify", "--all", "--probe")).is_good

    asyncio.run(scenario())

    assert person.said == [
        ("This runs a real turn: each is billed as any other.", 0),
        ("This runs 2 real turns: each is billed as any other.", 1),
    ]
    assert len(fake.requests("/v1/responses")) == 3


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
