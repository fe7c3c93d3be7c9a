"""The list of sessions as it changes, and how seldom anybody looks."""

from __future__ import annotations

import asyncio
import shutil
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from codex_nb.server import sessions as module
from codex_nb.server.sessions import PACE, Sessions, shown
from tests.server.speaker import Speaker
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject
    from tests.server.serving import Browser, Server


def listed(frame: JsonObject, speaker: Speaker) -> JsonObject | None:
    """The session in a frame of the list, in which other sessions of this machine may be, too."""
    assert frame.keys() == {"frame", "sessions"}
    sessions = frame["sessions"]
    assert isinstance(sessions, list)
    found = [it for it in sessions if isinstance(it, dict) and it["id"] == speaker.entry.id]
    return found[0] if found else None


async def until(browser: Browser, speaker: Speaker, wanted: JsonObject | None) -> None:
    """Read frames until the session is shown like this."""
    while listed(await browser.next(), speaker) != wanted:
        pass


def test_the_list_comes_at_first_and_after_each_change(server: Server, speaker: Speaker) -> None:
    async def check() -> None:
        async with server.socket("watch") as one, server.socket("watch") as other:
            for browser in (one, other):
                await until(browser, speaker, shown(speaker.entry))
            speaker.note(status="waiting", waiting=1, turn_started_at=5.0)
            for browser in (one, other):
                await until(browser, speaker, shown(speaker.entry))
            second = Speaker(server.sessions)
            await until(one, second, shown(second.entry))
            shutil.rmtree(second.entry.folder)
            await until(one, second, None)
        async with server.socket("watch") as later:  # the first frame has all of it
            assert listed(await later.next(), speaker) == shown(speaker.entry)

    run(check())


def test_a_host_that_is_killed_leaves_the_list_of_those_that_run(
    server: Server, speaker: Speaker
) -> None:
    gone: JsonObject = {"ended": "failed", "status": "failed", "waiting": 0}

    async def check(process: subprocess.Popen[bytes]) -> None:
        async with server.socket("watch") as browser:
            await until(browser, speaker, shown(speaker.entry))
            process.kill()
            await until(browser, speaker, {**shown(speaker.entry), **gone})

    with speaker.mortal() as process:
        run(check(process))


def test_what_a_browser_says_to_the_list_changes_nothing(server: Server, speaker: Speaker) -> None:
    async def check() -> None:
        async with server.socket("watch") as browser:
            await browser.next()
            await browser.send('{"id": 1, "op": "close"}')
            speaker.note(status="running")
            await until(browser, speaker, shown(speaker.entry))

    run(check())


def test_a_further_folder_of_sessions_is_listed_and_no_other(
    server: Server, speaker: Speaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.runtime))
    monkeypatch.setenv("HOME", str(tmp_path))
    further = tmp_path / "further"
    further.mkdir()
    other = Speaker(further)

    async def found(state_dir: str) -> list[bool]:
        sessions = Sessions(state_dir=state_dir)
        listed = await sessions.list_all()
        for one in (speaker, other):
            assert (await sessions.find(one.entry.id) == one.entry) is (one.entry in listed)
        return [one.entry in listed for one in (speaker, other)]

    assert run(found("")) == [True, False]
    assert run(found("~/further")) == [True, True]
    assert run(found("~/none")) == [True, False]


@pytest.fixture
def looks(
    server: Server, speaker: Speaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, float]]:
    """When the files of the sessions were looked at, by this process, and when all were read."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.runtime))
    # Sessions of other tests live in the second root.
    monkeypatch.setattr("codex_nb.sessions.roots.fallback_root", lambda: tmp_path)
    found: list[tuple[str, float]] = []
    for name in ("_stamps", "_list_now"):

        def noted(
            self: Sessions, name: str = name, real: object = getattr(Sessions, name)
        ) -> object:
            assert callable(real)
            found.append((name, time.monotonic()))
            return real(self)

        monkeypatch.setattr(module.Sessions, name, noted)
    return found


def test_ten_who_wait_look_no_more_often_than_one_and_read_only_what_changed(
    looks: list[tuple[str, float]], speaker: Speaker
) -> None:
    async def check() -> None:
        sessions = Sessions()
        number, _ = await sessions.current()
        for status in ("running", "idle"):
            waiting = [asyncio.ensure_future(sessions.wait_changed(number)) for _ in range(10)]
            seen = len(looks)
            await wait_until(lambda seen=seen: len(looks) >= seen + 2)  # type: ignore[misc]
            speaker.note(status=status)
            found = await asyncio.gather(*waiting)
            assert [each for each, _ in found] == [number + 1] * 10
            assert all(speaker.entry in entries for _, entries in found)
            number += 1

    run(check())

    stamps = [at for name, at in looks if name == "_stamps"]
    assert all(after - before >= PACE for before, after in pairwise(stamps))
    assert len(stamps) >= 5
    assert len([at for name, at in looks if name == "_list_now"]) == 3


def test_nobody_looks_while_nobody_waits(looks: list[tuple[str, float]]) -> None:
    async def check() -> None:
        sessions = Sessions()
        number, _ = await sessions.current()
        seen = len(looks)
        waiting = asyncio.ensure_future(sessions.wait_changed(number))
        await wait_until(lambda: len(looks) > seen)
        waiting.cancel()
        await asyncio.wait({waiting})
        # There is nothing left that could look.
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(check())
