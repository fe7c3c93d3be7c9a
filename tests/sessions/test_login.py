"""The login of a session, on the real codex and a fake of OpenAI."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.seeds.auth import Login
from codex_nb.seeds.records import Status
from codex_nb.seeds.seeds import Seeds
from codex_nb.seeds.settings import SeedSettings
from codex_nb.sessions.processes import is_alive
from codex_nb.sessions.registry import list_sessions
from tests.support.openai_fake import MARKER, FakeOpenAI, refusal
from tests.support.sessions import obj
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from codex_nb.seeds.records import Seed
    from tests.support.sessions import Rig, Viewer

pytestmark = pytest.mark.integration

LIMIT = 30.0


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(strict=True) as fake:
        yield fake


@dataclass
class Logins:
    """A store with logins of a fake, and sessions that use them."""

    fake: FakeOpenAI
    settings: SeedSettings

    async def add(self, name: str, login: bytes, *, pool: str = "") -> Seed:
        async with Seeds(self.settings) as seeds:
            return await seeds.add(name, Login.parse(login), pool=pool)

    async def stored(self, name: str) -> tuple[Seed, Login]:
        async with Seeds(self.settings) as seeds:
            seed = await seeds.find(name)
            return seed, (await seeds.open(seed))[0]

    @asynccontextmanager
    async def session(self, rig: Rig, seed: str, **values: object) -> AsyncIterator[Viewer]:
        given = {"settings": self.fake.codex_config(), "seed": seed, "seeds": self.settings}
        async with rig.session(None, **{**given, **values}) as viewer:
            yield viewer


@pytest.fixture
def logins(fake: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logins:
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, value in fake.environment().items():
        monkeypatch.setenv(name, value)
    return Logins(fake=fake, settings=SeedSettings(store=str(folder / "seeds.db")))


def files_with(text: str, folder: Path) -> list[str]:
    """The files below a folder that hold a text."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and text.encode() in path.read_bytes()
    ]


def notices(viewer: Viewer) -> list[object]:
    return [notice["text"] for notice in viewer.records("notices")]


def test_a_conversation_has_its_tokens_in_memory_only(every_rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        data = logins.fake.new_login()
        await logins.add("work", data)
        async with logins.session(every_rig, "work") as viewer:
            turn = await viewer.turn("ping")
            assert (turn["status"], turn["error"]) == ("completed", None)
            assert viewer.session["seed"] == "work"
            seed, _ = await logins.stored("work")
            assert seed.lease is not None
            assert "session test on " in seed.lease.holder
            assert not (every_rig.folder(viewer) / "codex" / "auth.json").exists()
            folder = every_rig.folder(viewer)
        seed, login = await logins.stored("work")
        assert seed.lease is None
        assert obj(obj(seed.details["usage"])["primary"])["usedPercent"] == 12
        assert login == Login.parse(data)
        assert files_with(MARKER, folder) == []

    asyncio.run(go())


def test_a_token_that_is_refused_is_refreshed_through_the_store(
    every_rig: Rig, logins: Logins
) -> None:
    async def go() -> None:
        await logins.add("work", logins.fake.new_login())
        async with logins.session(every_rig, "work") as viewer:
            await viewer.until_status("idle")
            logins.fake.state.expire_access()
            turn = await viewer.turn("ping")
            assert (turn["status"], turn["error"]) == ("completed", None)
        assert len(logins.fake.requests()) == 1
        seed, login = await logins.stored("work")
        assert (seed.version, seed.intent, seed.status) == (2, None, Status.ALIVE)
        assert logins.fake.is_live(login.refresh_token)

    asyncio.run(go())


def test_a_login_that_was_refused_for_good_says_so_and_is_dead(rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        await logins.add("work", logins.fake.new_login())
        logins.fake.fail(refusal(401, "refresh_token_invalidated"), times=9)
        async with logins.session(rig, "work") as viewer:
            await viewer.until_status("idle")
            logins.fake.state.expire_access()
            turn = await viewer.turn("ping")
            assert turn["status"] == "failed"
            [text] = [text for text in notices(viewer) if "work" in str(text)]
            assert str(text).startswith("The login work does not work: ")
        seed, _ = await logins.stored("work")
        assert seed.status is Status.DEAD

    asyncio.run(go())


def test_an_api_key_is_in_a_file_that_goes_with_the_session(every_rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        key = logins.fake.new_api_key()
        await logins.add("key", json.dumps({"OPENAI_API_KEY": key}).encode())
        async with logins.session(every_rig, "key") as viewer:
            turn = await viewer.turn("ping")
            assert (turn["status"], turn["error"]) == ("completed", None)
            folder = every_rig.folder(viewer)
            assert (folder / "codex" / "auth.json").stat().st_mode & 0o777 == 0o600
        assert files_with(key, folder) == []

    asyncio.run(go())


def test_what_codex_makes_of_a_planted_login_is_saved(every_rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        # So little that codex refreshes it before it is used.
        await logins.add("work", logins.fake.new_login(expires_in=600))
        async with logins.session(every_rig, "work", login_file=True) as viewer:
            await viewer.until_status("idle")
            auth = every_rig.folder(viewer) / "codex" / "auth.json"
            planted = auth.read_bytes()
            logins.fake.state.expire_access()
            turn = await viewer.turn("ping")
            assert (turn["status"], turn["error"]) == ("completed", None)
            assert auth.read_bytes() != planted
        seed, login = await logins.stored("work")
        assert (seed.version, seed.lease) == (2, None)
        assert logins.fake.is_live(login.refresh_token)
        assert not auth.exists()

    asyncio.run(go())


def test_a_killed_session_host_leaves_a_login_that_the_next_one_saves(
    rig: Rig, logins: Logins
) -> None:
    async def go() -> None:
        await logins.add("work", logins.fake.new_login())
        spec = rig.spec(
            settings=logins.fake.codex_config(), seed="work", seeds=logins.settings, login_file=True
        )
        entry = await rig.start(spec)
        folder = Path(entry.folder)
        # Codex rewrites the file and nobody sees it: the host is stopped, then killed.
        await wait_until((folder / "codex" / "auth.json").exists, seconds=LIMIT)
        os.kill(entry.pid, signal.SIGSTOP)
        document = json.loads((folder / "codex" / "auth.json").read_bytes())
        tokens = logins.fake.state.refresh(document["tokens"]["refresh_token"])
        document["tokens"].update({k: v for k, v in tokens.items() if k in document["tokens"]})
        (folder / "codex" / "auth.json").write_text(json.dumps(document))
        os.kill(entry.pid, signal.SIGKILL)
        await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)
        list_sessions(rig.root)  # which sweeps what it left
        async with Seeds(logins.settings) as seeds:
            await seeds.release("work")
        async with logins.session(rig, "work") as viewer:
            turn = await viewer.turn("ping")
            assert (turn["status"], turn["error"]) == ("completed", None)
        assert not (folder / "codex" / "auth.json").exists()
        _, login = await logins.stored("work")
        assert login.refresh_token == document["tokens"]["refresh_token"]
        assert logins.fake.is_live(login.refresh_token)

    asyncio.run(go())


def test_a_session_that_lost_its_seed_ends_and_says_why(rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        await logins.add("work", logins.fake.new_login())
        async with logins.session(rig, "work") as viewer:
            await viewer.until_status("idle")
            async with Seeds(logins.settings) as seeds:
                await seeds.release("work")
            await viewer.until_hung_up()
            assert viewer.session["status"] == "failed"
            assert str(viewer.session["detail"]).startswith("The session lost its login work: ")

    asyncio.run(go())


def test_a_seed_in_use_is_refused_with_who_has_it(rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        await logins.add("work", logins.fake.new_login())
        async with logins.session(rig, "work", name="first") as first:
            await first.until_status("idle")
            now = timedelta(0)
            async with logins.session(rig, "work", name="second", seed_wait=now) as second:
                await second.until_hung_up()
                assert "session first on " in str(second.session["detail"])

    asyncio.run(go())


def test_a_pool_gives_each_session_a_seed_of_its_own(rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        for number in (1, 2):
            login = logins.fake.new_login(f"acct-{number}")
            await logins.add(f"seed-{number}", login, pool="team")
        async with (
            logins.session(rig, "pool:team") as first,
            logins.session(rig, "pool:team") as second,
        ):
            await first.until_status("idle")
            await second.until_status("idle")
            assert {first.session["seed"], second.session["seed"]} == {"seed-1", "seed-2"}

    asyncio.run(go())


def test_a_session_waits_for_its_turn_in_the_queue(rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        await logins.add("work", logins.fake.new_login())
        async with logins.session(rig, "work", name="first") as first:
            await first.until_status("idle")
            wait = timedelta(seconds=60)
            async with logins.session(rig, "work", name="second", seed_wait=wait) as second:
                await second.until(
                    lambda _: str(second.session["detail"]).startswith("Waiting for the login work")
                )
                await first.client.request("close")
                await second.until_status("idle")

    asyncio.run(go())


def test_without_any_login_the_session_says_how_to_get_one(rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        async with rig.session(seeds=logins.settings) as viewer:
            await viewer.until_hung_up()
            assert viewer.session["detail"] == "There is no login for Codex yet."
            assert "%codex_seed login NAME" in str(viewer.session["hint"])

    asyncio.run(go())
    assert not Path(logins.settings.store).exists()


def test_a_session_that_is_taken_up_again_has_the_login_of_now(rig: Rig, logins: Logins) -> None:
    async def go() -> None:
        await logins.add("work", logins.fake.new_login())
        async with logins.session(rig, "work") as first:
            await first.turn("ping")
            thread = first.session["thread_id"]
            session = first.session["id"]
        async with Seeds(logins.settings) as seeds:
            judging = seeds.verify([await seeds.find("work")], force=True)
            assert [verdict.kind async for verdict in judging] == ["alive"]
        async with logins.session(rig, "work", id=session, resume=thread) as again:
            turn = await again.turn("ping")
            assert (turn["status"], turn["error"]) == ("completed", None)
        _, login = await logins.stored("work")
        assert logins.fake.is_live(login.refresh_token)
        assert len(logins.fake.requests()) == 1

    asyncio.run(go())
