"""Any number of clients see one session, each at its own pace."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from codex_nb.protocol.changes import Replica, empty_transcript
from codex_nb.sessions.channel import Decoder, connect, encode
from codex_nb.sessions.clients import BACKLOG
from tests.support.sessions import LIMIT, Rig, Viewer, command, obj, say
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.registry import SessionEntry

WORK = [command("echo working"), say("done")]


async def greet(entry: SessionEntry, since: Json) -> JsonObject:
    """The first frame that a new client gets."""
    reader, writer = await connect(entry.socket)
    decoder = Decoder()
    writer.write(encode({"id": 1, "op": "hello", "since": since}))
    frames: list[JsonObject] = []
    async with asyncio.timeout(scaled(LIMIT)):
        while not frames:
            messages = decoder.feed(await reader.read(1 << 20))
            frames += [message for message in messages if "frame" in message]
    writer.close()
    return frames[0]


def test_two_clients_see_the_same(rig: Rig) -> None:
    async def check() -> None:
        async with (
            rig.model(WORK) as model,
            rig.session(model) as one,
            Viewer.of(rig.hosts[0]) as two,
        ):
            await one.turn("go")
            await two.until_turn(0)
            await one.until_status("idle")
            await two.until_status("idle")
            assert one.transcript == two.transcript
            assert [turn["status"] for turn in one.records("turns")] == ["completed"]

    run(check())


def test_a_late_client_gets_a_snapshot_and_then_events(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model(WORK, WORK) as model, rig.session(model) as early:
            await early.turn("go")
            await early.until_status("idle")
            async with Viewer.of(rig.hosts[0]) as late:
                assert late.frames == [
                    {"frame": "snapshot", "n": early.client.number, "transcript": early.transcript}
                ]
                await early.turn("again")
                await late.until_turn(1)
                assert {str(frame["frame"]) for frame in late.frames[1:]} == {"events"}

    run(check())


def test_a_client_that_comes_back_gets_only_what_it_missed(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model(WORK) as model, rig.session(model) as viewer:
            await viewer.until_status("idle")
            number = viewer.client.number
            before = json.loads(json.dumps(viewer.transcript))
            await viewer.turn("go")
            await viewer.until_status("idle")
            missed = await greet(rig.hosts[0], number)
            assert (missed["frame"], missed["since"]) == ("events", number)
            replica = Replica(before)
            events = missed["events"]
            assert isinstance(events, list)
            for event in events:
                replica.apply(obj(event))
            assert replica.transcript == viewer.transcript

    run(check())


def test_a_client_with_a_number_from_elsewhere_gets_a_snapshot(rig: Rig) -> None:
    async def check() -> None:
        async with rig.session() as viewer:
            await viewer.until_status("idle")
            frame = await greet(rig.hosts[0], 1_000_000)
            assert frame == {
                "frame": "snapshot",
                "n": viewer.client.number,
                "transcript": viewer.transcript,
            }

    run(check())


def test_the_log_numbers_every_event_and_adds_up_to_the_transcript(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model(WORK, WORK) as model, rig.session(model) as viewer:
            await viewer.turn("go")
            await viewer.turn("again")
        events = rig.events(viewer)
        assert [event["n"] for event in events] == list(range(1, len(events) + 1))
        replica = Replica(empty_transcript())
        for event in events:
            replica.apply(event)
        assert replica.transcript == viewer.transcript
        assert viewer.client.number == len(events)

    run(check())


def test_frames_say_after_which_event_they_come(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model(WORK) as model, rig.session(model) as viewer:
            await viewer.turn("go")
            await viewer.until_status("idle")
        number = viewer.frames[0]["n"]
        for frame in viewer.frames[1:]:
            assert frame["since"] == number
            events = frame["events"]
            assert isinstance(events, list)
            number = obj(events[-1])["n"]
        assert number == len(rig.events(viewer))

    run(check())


def test_a_client_that_does_not_read_gets_a_snapshot_instead_of_a_backlog(rig: Rig) -> None:
    # Every line is an event of its own or less, and each is long enough to fill the socket.
    lines = BACKLOG * 3
    flood = f"yes {'x' * 200} | head -n {lines}"
    speak = " ".join(f"w{number}" for number in range(BACKLOG * 2))

    async def check() -> None:
        turn = [command(flood), say(speak)]
        async with rig.model(turn) as model, rig.session(model) as viewer:
            await viewer.until_status("idle")
            reader, writer = await connect(rig.hosts[0].socket)
            writer.write(encode({"id": 1, "op": "hello", "since": None}))
            await viewer.turn("go")
            await viewer.until_status("idle")
            decoder = Decoder()
            frames: list[JsonObject] = []
            async with asyncio.timeout(scaled(LIMIT)):
                while not any(frame.get("n") == viewer.client.number for frame in frames[1:]):
                    messages = decoder.feed(await reader.read(1 << 20))
                    frames += [message for message in messages if "frame" in message]
            writer.close()
            assert frames[-1]["transcript"] == viewer.transcript
            lists = [frame["events"] for frame in frames if frame["frame"] == "events"]
            events = sum(len(each) for each in lists if isinstance(each, list))
            assert events < len(rig.events(viewer)) - BACKLOG

    run(check())


def test_the_socket_and_the_folder_are_for_their_owner_only(rig: Rig) -> None:
    async def check() -> None:
        async with rig.session() as viewer:
            await viewer.until_status("idle")
            folder = rig.folder(viewer)
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
            modes["."] = folder.stat().st_mode & 0o777
            assert modes == {
                ".": 0o700,
                "host.json": 0o600,
                "host.sock": 0o600,
                "host.log": 0o600,
                "events.jsonl": 0o600,
                "codex": 0o700,
                "home": 0o700,
                "tmp": 0o700,
            }
        assert {path.name for path in folder.iterdir()} == {
            *("host.json", "host.log", "events.jsonl", "codex")
        }

    run(check())


def test_a_path_too_long_for_a_socket_address_works(rig: Rig) -> None:
    deep = rig.root / ("d" * 60) / ("e" * 60)
    rig = Rig(root=deep, cwd=rig.cwd, program=rig.program)
    deep.mkdir(parents=True)

    async def check() -> None:
        async with rig.session() as viewer:
            await viewer.until_status("idle")
            assert len(str(rig.hosts[0].socket)) > 108

    run(check())


def test_what_nobody_understands_is_refused_and_the_client_stays(rig: Rig) -> None:
    async def check() -> None:
        async with rig.session() as viewer:
            await viewer.until_status("idle")
            reader, writer = await connect(rig.hosts[0].socket)
            writer.write(encode({"id": 7, "op": "dance"}) + encode({"id": 8, "op": "interrupt"}))
            decoder = Decoder()
            answers: list[JsonObject] = []
            while len(answers) < 2:
                answers += decoder.feed(await reader.read(1 << 16))
            writer.close()
            assert sorted(answers, key=lambda answer: str(answer["id"])) == [
                {
                    "id": 7,
                    "error": {
                        "kind": "UsageError",
                        "message": "A session knows no operation 'dance'.",
                        "hint": "Use the same version of codex_nb everywhere.",
                    },
                },
                {"id": 8, "ok": {}},
            ]

    run(check())
