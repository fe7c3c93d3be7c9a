"""What waits in line is seen by all, can be taken back, and keeps everybody's place."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SessionError
from codex_nb.replay.scenario import Step
from codex_nb.sessions.processes import is_alive
from codex_nb.sessions.registry import HOST_IS_GONE
from tests.support.sessions import LIMIT, Rig, Viewer, command, obj, say
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.replay.model import ReplayModel

pytestmark = pytest.mark.every_host

HELD = Step(say="first", hold="first")


@asynccontextmanager
async def busy(rig: Rig, *turns: list[Step]) -> AsyncIterator[tuple[ReplayModel, Viewer]]:
    """A session in whose first turn the model keeps thinking until "first" is released."""
    async with rig.model([HELD], *turns) as model, rig.session(model) as viewer:
        await viewer.until_status("idle")
        await viewer.client.request("send", text="a")
        await viewer.until(lambda _: len(model.requests) == 1 or viewer.items("userMessage") != [])
        yield model, viewer


async def send(viewer: Viewer, *texts: str) -> list[Json]:
    return [(await viewer.client.request("send", text=text))["index"] for text in texts]


def waiting(viewer: Viewer) -> list[JsonObject]:
    queue = viewer.transcript["queue"]
    assert isinstance(queue, list)
    return [obj(message) for message in queue]


def texts(viewer: Viewer) -> list[Json]:
    return [message["text"] for message in waiting(viewer)]


def told_queues(rig: Rig, viewer: Viewer) -> list[list[Json]]:
    """Every value that the queue had, as the texts in it."""
    values = [e["value"] for e in rig.events(viewer) if e.get("key") == "queue"]
    return [[obj(m)["text"] for m in value] for value in values if isinstance(value, list)]


def test_two_clients_see_what_waits_and_follow_the_turns_of_either(rig: Rig) -> None:
    async def check() -> None:
        async with (
            busy(rig, [say("2")], [say("3")]) as (model, one),
            Viewer.of(rig.hosts[0]) as two,
        ):
            assert await send(one, "b") == [1]
            assert await send(two, "c") == [2]
            await one.until(lambda _: texts(one) == ["b", "c"])
            await two.until(lambda _: waiting(two) == waiting(one))
            times = [message["at"] for message in waiting(two)]
            assert all(isinstance(time, float) for time in times)
            assert times == sorted(times, key=str)
            model.release("first")
            for viewer in (one, two):
                await viewer.until_turn(2)
                await viewer.until_status("idle")
                said = [item["text"] for item in viewer.items("userMessage")]
                assert (said, waiting(viewer)) == (["a", "b", "c"], [])
            assert one.transcript == two.transcript
        # One change each time, and none for the message that did not wait.
        assert told_queues(rig, one) == [["b"], ["b", "c"], ["c"], []]

    run(check())


def test_a_message_taken_back_is_never_said_and_leaves_the_places_of_others(rig: Rig) -> None:
    async def check() -> None:
        async with busy(rig, [say("to {prompt}")]) as (model, viewer):
            assert await send(viewer, "b", "c", "d", "e") == [1, 2, 3, 4]
            await viewer.until(lambda _: texts(viewer) == ["b", "c", "d", "e"])
            keys = [message["id"] for message in waiting(viewer)]
            assert len(set(keys)) == 4
            for key, text in ((keys[3], "e"), (keys[0], "b"), (keys[1], "c")):
                assert await viewer.client.request("unqueue", message=key) == {"text": text}
            await viewer.until(lambda _: texts(viewer) == ["d"])
            with pytest.raises(SessionError, match="does not wait any more"):
                await viewer.client.request("unqueue", message=keys[0])
            model.release("first")
            await viewer.until_turn(4)
            await viewer.until_status("idle")
            withdrawn = {
                "message": "This message was taken back before Codex began with it.",
                "hint": "",
                "kind": "withdrawn",
            }
            assert [(turn["status"], turn["error"]) for turn in viewer.records("turns")] == [
                ("completed", None),
                ("interrupted", withdrawn),
                ("interrupted", withdrawn),
                ("completed", None),
                ("interrupted", withdrawn),
            ]
            assert [item["text"] for item in viewer.items("userMessage")] == ["a", "d"]
            (answer,) = [i for i in viewer.items("agentMessage") if i["text"] == "to d"]
            assert answer["turn"] == viewer.records("turns")[3]["id"]

    run(check())


def test_a_message_that_has_begun_cannot_be_taken_back(rig: Rig) -> None:
    async def check() -> None:
        async with busy(rig, [Step(say="second", hold="second")]) as (model, viewer):
            await send(viewer, "b")
            await viewer.until(lambda _: texts(viewer) == ["b"])
            (message,) = waiting(viewer)
            model.release("first")
            await viewer.until(lambda _: waiting(viewer) == [])
            with pytest.raises(SessionError, match="does not wait any more"):
                await viewer.client.request("unqueue", message=message["id"])
            model.release("second")
            assert (await viewer.until_turn(1))["status"] == "completed"

    run(check())


def test_an_interrupt_keeps_the_places_and_the_words_of_what_it_drops(rig: Rig) -> None:
    async def check() -> None:
        async with busy(rig, [say("later")]) as (_, viewer):
            assert await send(viewer, "b", "c") == [1, 2]
            await viewer.until(lambda _: texts(viewer) == ["b", "c"])
            keys = [message["id"] for message in waiting(viewer)]
            await viewer.client.request("unqueue", message=keys[0])
            await viewer.client.request("interrupt")
            assert await send(viewer, "d") == [3]
            assert (await viewer.until_turn(3))["status"] == "completed"
            turns = viewer.records("turns")
            assert [turn["status"] for turn in turns] == [*["interrupted"] * 3, "completed"]
            said = {item["turn"]: item["text"] for item in viewer.items("userMessage")}
            assert [said.get(turn["id"]) for turn in turns] == ["a", None, "c", "d"]
            assert waiting(viewer) == []

    run(check())


def test_an_interrupt_of_a_turn_that_starts_drops_what_waits_behind_it_and_not_before(
    rig: Rig,
) -> None:
    async def check() -> None:
        async with rig.model([HELD]) as model, rig.session(model) as viewer:
            await viewer.until_status("idle")
            requests = [viewer.client.request("send", text=text) for text in ("a", "b")]
            places = await asyncio.gather(*requests, viewer.client.request("interrupt"))
            assert places[:2] == [{"index": 0}, {"index": 1}]
            await viewer.until_turn(1)
            await viewer.until_status("idle")
            said = {item["turn"]: item["text"] for item in viewer.items("userMessage")}
            turns = viewer.records("turns")
            assert [turn["status"] for turn in turns] == ["interrupted"] * 2
            # Codex may or may not have taken the first one.
            assert [said.get(turn["id"], "a") for turn in turns] == ["a", "b"]

    run(check())


def test_what_waits_when_codex_dies_fails_with_its_words(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([command("kill -9 $PPID; sleep 60")]) as model:
            spec = rig.spec(settings=rig.settings(model), sandbox="danger-full-access")
            entry = await rig.start(spec)
            async with Viewer.of(entry) as viewer:
                await send(viewer, "a", "b")
                await viewer.until_hung_up()
            assert viewer.session["status"] == "failed"
            turns = viewer.records("turns")
            assert [(turn["status"], obj(turn["error"])["kind"]) for turn in turns] == [
                ("failed", "ended")
            ] * 2
            said = {item["turn"]: item["text"] for item in viewer.items("userMessage")}
            assert (said[turns[1]["id"]], viewer.transcript["queue"]) == ("b", [])
            await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)

    run(check())


def test_a_host_that_takes_a_session_up_clears_the_line_of_one_that_was_killed(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("one")], [HELD], [say("three")]) as model:
            spec = rig.spec(settings=rig.settings(model))
            entry = await rig.start(spec)
            async with Viewer.of(entry) as viewer:
                await viewer.turn("a")
                thread = str(viewer.session["thread_id"])
                await send(viewer, "b", "c")
                await viewer.until(
                    lambda _: texts(viewer) == ["c"] and len(viewer.items("userMessage")) == 2
                )
                os.kill(entry.pid, signal.SIGKILL)
                await viewer.until_hung_up()
            await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)
            again = await rig.start(replace(spec, resume=thread))
            async with rig.viewing(again) as viewer:
                await viewer.until_status("idle")
                assert waiting(viewer) == []
                turns = viewer.records("turns")
                assert [(turn["status"], turn["error"]) for turn in turns[-2:]] == [
                    ("failed", HOST_IS_GONE)
                ] * 2
                assert viewer.items("userMessage")[-1]["text"] == "c"
                assert (await viewer.turn("d"))["status"] == "completed"

    run(check())
