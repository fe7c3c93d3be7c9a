"""How sessions end, and that a thread goes on after every kind of end."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SessionClosedError
from codex_nb.replay.scenario import Step
from codex_nb.sessions.client import SessionClient
from codex_nb.sessions.processes import is_alive, marked_processes
from codex_nb.sessions.registry import HOST_IS_GONE, list_sessions, read_entry, swept
from tests.support.processes import processes_below
from tests.support.sessions import LIMIT, Rig, Viewer, command, obj, say
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from codex_nb.sessions.registry import SessionEntry
    from codex_nb.sessions.spec import SessionSpec

LEFTOVERS = {".git", ".codex", ".agents", ".aws"}


async def ended(entry: SessionEntry) -> None:
    """Wait until a session host is gone."""
    await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)


def codex_of(rig: Rig) -> int:
    """The process id of the app-server."""
    found = processes_below(rig.root.parent)
    (server,) = [process.pid for process in found if " app-server --listen " in process.command]
    return server


def resumed(spec: SessionSpec, thread: str) -> SessionSpec:
    return replace(spec, resume=thread)


def numbers(rig: Rig, viewer: Viewer) -> list[object]:
    return [event["n"] for event in rig.events(viewer)]


def test_an_idle_session_ends_and_its_thread_is_taken_up_again(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        async with rig.model([say("one")], [say("two")]) as model:
            spec = rig.spec(settings=rig.settings(model), idle_timeout=timedelta(seconds=1))
            entry = await rig.start(spec)
            async with Viewer.of(entry) as first:
                await first.turn("a")
                await first.until_hung_up()
                thread = str(first.session["thread_id"])
                assert {key: first.session[key] for key in ("status", "ended", "detail")} == {
                    "status": "closed",
                    "ended": "idle",
                    "detail": "Ended after 1 s without a turn; send again to go on.",
                }
            await ended(entry)
            swept_entry = swept(read_entry(rig.root / spec.id) or entry)
            assert (swept_entry.ended, swept_entry.thread_id) == ("idle", thread)
            count = len(rig.events(first))
            again = await rig.start(resumed(replace(spec, idle_timeout=timedelta(0)), thread))
            async with rig.viewing(again) as second:
                await second.turn("b")
                assert second.session["thread_id"] == thread
                said = [item["text"] for item in second.items("agentMessage")]
                assert said == ["one", "two"]
                assert numbers(rig, second)[:count] == list(range(1, count + 1))
            assert numbers(rig, second) == list(range(1, len(rig.events(second)) + 1))

    run(check())


def test_a_session_that_waits_for_a_person_is_not_idle(rig: Rig) -> None:
    async def check() -> None:
        turn = [command("true", ask=True), say("done")]
        async with rig.model(turn) as model:
            limit = timedelta(seconds=0.8)
            async with rig.session(model, idle_timeout=limit) as viewer:
                await viewer.client.request("send", text="a")
                asked = await viewer.until_asked()
                await asyncio.wait({asyncio.ensure_future(viewer.until_hung_up())}, timeout=1.2)
                assert not viewer.is_over
                await viewer.client.request("answer", approval=asked["id"], decision="accept")
                await viewer.until_hung_up()
                assert viewer.session["ended"] == "idle"

    run(check())


def test_a_killed_host_leaves_no_codex_and_the_thread_goes_on(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        turns = ([say("one")], [command("sleep 7654323"), say("never")], [say("three")])
        async with rig.model(*turns) as model:
            spec = rig.spec(settings=rig.settings(model))
            entry = await rig.start(spec)
            async with Viewer.of(entry) as first:
                await first.turn("a")
                thread = str(first.session["thread_id"])
                await first.client.request("send", text="b")
                await first.until(lambda _: first.items("commandExecution") != [])
                await wait_until(lambda: rig.runs("sleep 7654323"))
                os.kill(entry.pid, signal.SIGKILL)
                await first.until_hung_up()
            await ended(entry)
            (listed,) = list_sessions(rig.root)
            assert (listed.ended, listed.status, listed.thread_id) == ("failed", "failed", thread)
            await wait_until(lambda: processes_below(rig.root.parent) == [])
            assert not listed.socket.exists()
            assert {path.name for path in (rig.root / spec.id).iterdir()} == {
                *("host.json", "host.log", "events.jsonl", "codex")
            }
            assert {path.name for path in rig.cwd.iterdir()} & LEFTOVERS == set()
            again = await rig.start(resumed(spec, thread))
            async with rig.viewing(again) as second:
                assert (await second.turn("c"))["status"] == "completed"
                assert second.session["thread_id"] == thread
                assert [turn["status"] for turn in second.records("turns")] == [
                    *("completed", "failed", "completed")
                ]
                assert second.records("turns")[1]["error"] == HOST_IS_GONE
                assert [item["status"] for item in second.items("commandExecution")] == ["failed"]
            assert numbers(rig, second) == list(range(1, len(rig.events(second)) + 1))

    run(check())


def test_a_killed_codex_is_a_failed_session_with_its_last_words(rig: Rig) -> None:
    async def check() -> None:
        turn = [command("sleep 7654324"), say("never")]
        async with rig.model(turn, [say("two")]) as model:
            spec = rig.spec(settings=rig.settings(model))
            entry = await rig.start(spec)
            async with Viewer.of(entry) as viewer:
                await viewer.client.request("send", text="a")
                await viewer.until(lambda _: viewer.items("commandExecution") != [])
                await wait_until(lambda: rig.runs("sleep 7654324"))
                thread = str(viewer.session["thread_id"])
                os.kill(codex_of(rig), signal.SIGKILL)
                await viewer.until_hung_up()
                session = viewer.session
                assert [session[key] for key in ("status", "ended")] == ["failed", "failed"]
                assert str(session["detail"]).startswith("codex app-server ended with signal 9")
                assert str(session["hint"]).startswith("Send again to go on with the same thread.")
                (over,) = viewer.records("turns")
                assert over["status"] == "failed"
                assert obj(over["error"])["message"] == session["detail"]
                assert [item["status"] for item in viewer.items("commandExecution")] == ["failed"]
            await ended(entry)
            assert processes_below(rig.root.parent) == []
            again = await rig.start(resumed(spec, thread))
            async with rig.viewing(again) as second:
                assert (await second.turn("b"))["status"] == "completed"
                assert second.session["thread_id"] == thread

    run(check())


def test_a_session_can_be_closed_while_it_starts(rig: Rig) -> None:
    async def check() -> None:
        entry = await rig.start(rig.spec())
        async with Viewer.of(entry) as viewer:
            await viewer.client.request("close")
            await viewer.until_hung_up()
            assert viewer.session["status"] == "closed"
        await ended(entry)
        closed = read_entry(rig.root / entry.id)
        assert closed is not None
        assert (closed.ended, closed.status) == ("closed", "closed")

    run(check())


def test_closing_ends_a_running_turn_and_everything_with_it(rig: Rig) -> None:
    async def check() -> None:
        turn = [command("sleep 7654325"), say("never")]
        async with rig.model(turn) as model:
            async with rig.session(model) as viewer:
                await viewer.client.request("send", text="a")
                await wait_until(lambda: rig.runs("sleep 7654325"))
            (over,) = viewer.records("turns")
            assert over["status"] == "interrupted"
            assert viewer.session["ended"] == "closed"
            assert marked_processes(str(viewer.session["id"])) == []
            assert list(rig.cwd.iterdir()) == []

    run(check())


def test_a_signal_ends_a_session_like_a_close(rig: Rig) -> None:
    async def check() -> None:
        turn = [Step(say="never", hold="never")]
        async with rig.model(turn) as model:
            entry = await rig.start(rig.spec(settings=rig.settings(model)))
            async with Viewer.of(entry) as viewer:
                await viewer.client.request("send", text="a")
                await viewer.until(lambda _: viewer.records("turns") != [])
                os.kill(entry.pid, signal.SIGTERM)
                await viewer.until_hung_up()
                assert viewer.session["status"] == "closed"
            await ended(entry)

    run(check())


def test_a_session_that_ended_takes_nothing_more(rig: Rig) -> None:
    async def check() -> None:
        async with rig.session() as viewer:
            await viewer.until_status("idle")
        for op in ("send", "close"):
            with pytest.raises(SessionClosedError, match="The session has ended"):
                await viewer.client.request(op, text="a")
        with pytest.raises(SessionClosedError, match="The session 'test' has ended"):
            await SessionClient.connect(rig.hosts[0], print)
        assert list_sessions(rig.root)[-1].ended == "closed"

    run(check())


def test_no_scratch_file_stays(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("one")]) as model, rig.session(model) as viewer:
            await viewer.turn("a")
        names = {path.name for path in rig.folder(viewer).rglob("*")}
        rollouts = {name for name in names if name.startswith("rollout-")}
        days = {name for name in names if name.isdigit()}
        assert names - rollouts - days == {
            *("host.json", "host.log", "events.jsonl", "codex", "sessions")
        }

    run(check())
