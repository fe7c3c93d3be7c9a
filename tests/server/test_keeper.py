"""The keeper that a server starts when it is asked to."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from codex_nb.seeds.auth import Login
from codex_nb.seeds.seeds import Seeds
from codex_nb.seeds.settings import SeedSettings
from codex_nb.server.keeper import KeeperProcess
from tests.server.serving import Server
from tests.support.openai_fake import FakeOpenAI
from tests.support.waiting import wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 30


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        for name, value in fake.environment().items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def settings(tmp_path: Path) -> SeedSettings:
    key = tmp_path / "key"
    key.write_bytes(base64.b64encode(os.urandom(32)))
    key.chmod(0o600)
    return SeedSettings(store=str(tmp_path / "store" / "seeds.db"), key_file=str(key))


@pytest.fixture
def login(fake: FakeOpenAI) -> Login:
    return Login.parse(fake.new_login(expires_in=1))


def keep(settings: SeedSettings, login: Login) -> None:
    async def add() -> None:
        async with Seeds(settings) as seeds:
            await seeds.add("work", login)

    asyncio.run(add())


@pytest.fixture
def server(tmp_path: Path, settings: SeedSettings, login: Login) -> Iterator[Server]:
    keep(settings, login)
    server = Server(
        tmp_path / "server",
        config=(
            f"import os\nos.environ['CODEX_NB_KEY_FILE'] = {settings.key_file!r}\n"
            "c.CodexNBServer.keep_seeds = True\n"
            f"c.CodexNBServer.seed_store = {settings.store!r}\n"
        ),
    )
    yield server
    server.close()


@pytest.mark.parametrize("encryption", ["", "none"])
def test_the_keeper_is_told_all_that_opens_the_store(
    tmp_path: Path,
    settings: SeedSettings,
    login: Login,
    fake: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
    encryption: str,
) -> None:
    monkeypatch.delenv("CODEX_NB_KEY_FILE", raising=False)
    settings = replace(settings, encryption=encryption)
    keep(settings, login)
    config = (
        "c.CodexNBServer.keep_seeds = True\n"
        f"c.CodexNBServer.seed_store = {settings.store!r}\n"
        f"c.CodexNBServer.seed_key_file = {settings.key_file!r}\n"
        f"c.CodexNBServer.seed_encryption = {encryption!r}\n"
    )
    server = Server(tmp_path / "server", config=config)
    try:
        wait_until_now(lambda: stored(settings) != login, seconds=LIMIT)

        assert fake.is_live(stored(settings).refresh_token)
    finally:
        server.close()


def test_the_end_of_a_keeper_that_could_not_begin_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SeedSettings(store=str(tmp_path / "seeds.db"), key_file="k", keyring=True)
    keeper = KeeperProcess(settings)

    with caplog.at_level(logging.WARNING, logger="codex_nb.server.keeper"):
        wait_until_now(lambda: bool(caplog.records), seconds=LIMIT)
    asyncio.run(keeper.stop())

    [record] = caplog.records
    assert record.getMessage() == "keeper of seeds ended by itself with exit code 2"


def keeper_of(server: Server) -> psutil.Process:
    children = psutil.Process(server.process.pid).children()
    [keeper] = [it for it in children if "codex_nb.cli" in it.cmdline()]
    return keeper


def stored(settings: SeedSettings) -> Login:
    async def read() -> Login:
        async with Seeds(settings) as seeds:
            return (await seeds.open(await seeds.find("work")))[0]

    return asyncio.run(read())


def test_an_idle_seed_is_refreshed_before_it_runs_out(
    server: Server, settings: SeedSettings, login: Login, fake: FakeOpenAI
) -> None:
    wait_until_now(lambda: stored(settings) != login, seconds=LIMIT)

    assert fake.is_live(stored(settings).refresh_token)
    # A password in the name of the store must not be in the list of processes.
    assert settings.store not in " ".join(keeper_of(server).cmdline())


def test_the_keeper_ends_with_its_server(server: Server) -> None:
    keeper = keeper_of(server)
    server.close()

    assert not keeper.is_running() or keeper.status() == psutil.STATUS_ZOMBIE


def test_the_keeper_ends_with_a_server_that_is_killed(server: Server) -> None:
    keeper = keeper_of(server)
    server.process.kill()

    wait_until_now(
        lambda: not keeper.is_running() or keeper.status() == psutil.STATUS_ZOMBIE, seconds=LIMIT
    )
