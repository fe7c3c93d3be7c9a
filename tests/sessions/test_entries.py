"""What a list of sessions shows: kept up to date in host.json, and written when it differs."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.replay.scenario import Step
from codex_nb.sessions.processes import is_alive
from codex_nb.sessions.registry import SessionEntry, list_sessions, read_entry
from tests.support.sessions import LIMIT, Rig, Viewer, command, say
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json

pytestmark = pytest.mark.integration


def entry_of(rig: Rig, viewer: Viewer) -> SessionEntry:
    entry = read_entry(rig.folder(viewer))
    assert entry is not None
    return entry


def state_of(rig: Rig, viewer: Viewer) -> tuple[str, str, int, Json]:
    entry = entry_of(rig, viewer)
    return entry.host, entry.status, entry.waiting, entry.turn_started_at


def test_the_entry_tells_what_runs_since_when_and_who_is_waited_for(rig: Rig) -> None:
    async def check() -> None:
        ask = command(f"touch {rig.outside}", ask=True)
        turn = [ask, Step(say="almost", hold="on"), say("done")]
        async with rig.model(turn) as model, rig.session(model) as viewer:
            await viewer.until_status("idle")
            await wait_until(lambda: state_of(rig, viewer) == ("local", "idle", 0, None))
            assert viewer.session["host"] == "local"
            await viewer.client.request("send", text="a")
            asked = await viewer.until_asked()
            began = viewer.records("turns")[0]["started_at"]
            await wait_until(lambda: state_of(rig, viewer) == ("local", "waiting", 1, began))
            await viewer.client.request("answer", approval=asked["id"], decision="accept")
            await wait_until(lambda: state_of(rig, viewer) == ("local", "running", 0, began))
            model.release("on")
            await viewer.until_turn(0)
            await wait_until(lambda: state_of(rig, viewer) == ("local", "idle", 0, None))

    run(check())


def test_a_killed_session_waits_for_nobody(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([command("true", ask=True), say("never")]) as model:
            entry = await rig.start(rig.spec(settings=rig.settings(model)))
            async with Viewer.of(entry) as viewer:
                await viewer.client.request("send", text="a")
                await viewer.until_asked()
                await wait_until(lambda: entry_of(rig, viewer).waiting == 1)
                os.kill(entry.pid, signal.SIGKILL)
                await viewer.until_hung_up()
            await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)
            (swept,) = list_sessions(rig.root)
            assert (swept.status, swept.waiting, swept.turn_started_at) == ("failed", 0, None)

    run(check())


def test_the_entry_is_not_written_for_every_word(rig: Rig) -> None:
    async def check() -> None:
        speech = say(" ".join(f"w{number}" for number in range(2_000)))
        turn = [replace(command("true"), say="hm", hold="on"), speech]
        async with rig.model(turn) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            await viewer.until(lambda _: viewer.items("userMessage") != [])
            await wait_until(lambda: entry_of(rig, viewer).status == "running")
            path = rig.folder(viewer) / "host.json"
            before = path.stat().st_ino, path.stat().st_mtime_ns
            model.release("on")
            await viewer.until(lambda _: len(viewer.items("agentMessage")) == 2)
            assert (path.stat().st_ino, path.stat().st_mtime_ns) == before
            await viewer.until_turn(0)

    run(check())
