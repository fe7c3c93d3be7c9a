"""Real sessions of the real codex, followed, steered and ended through the server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

from codex_nb.protocol.changes import Replica
from codex_nb.sessions.log import read_events, read_transcript
from codex_nb.sessions.processes import is_alive
from tests.server.serving import Browser, Server
from tests.support.sessions import LIMIT, Rig, command, obj, say
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.sessions.registry import SessionEntry


class Follower:
    """What a view does: a replica of the transcript that follows a WebSocket."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.number = -1
        self._replica = Replica({})
        self._taken = 0

    @property
    def transcript(self) -> JsonObject:
        return self._replica.transcript

    def take(self) -> None:
        """Apply the frames that came; one with a hole before it is an error."""
        for frame in self.browser.frames[self._taken :]:
            if frame["frame"] == "snapshot":
                # The list of frames keeps its own, as it came.
                self._replica = Replica(obj(json.loads(json.dumps(frame["transcript"]))))
                self.number = int(str(frame["n"]))
                continue
            assert frame["since"] == self.number
            events = frame["events"]
            assert isinstance(events, list)
            for event in events:
                self._replica.apply(obj(event))
                self.number = int(str(obj(event)["n"]))
        self._taken = len(self.browser.frames)

    async def until(self, condition: Callable[[JsonObject], bool]) -> JsonObject:
        """Follow until the transcript is so."""
        self.take()
        while self.number < 0 or not condition(self.transcript):
            await self.browser.next()
            self.take()
        return self.transcript


def status(transcript: JsonObject) -> object:
    return obj(transcript["session"]).get("status")


def records(transcript: JsonObject, name: str) -> list[JsonObject]:
    found = transcript[name]
    assert isinstance(found, list)
    return [obj(record) for record in found]


def is_over(transcript: JsonObject) -> bool:
    turns = records(transcript, "turns")
    return status(transcript) == "idle" and bool(turns) and turns[-1]["status"] != "in_progress"


def pending(transcript: JsonObject) -> list[JsonObject]:
    return [it for it in records(transcript, "approvals") if it["status"] == "pending"]


def path_of(entry: SessionEntry, since: object = "") -> str:
    return f"sessions/{entry.id}/events" + (f"?since={since}" if since != "" else "")


def test_a_turn_that_is_followed_through_the_server_is_what_the_log_says(
    server: Server, rig: Rig
) -> None:
    work = [command("echo from codex"), say("It said so, at some length. " * 40)]

    async def check() -> None:
        async with rig.model(work) as model, rig.session(model):
            entry = rig.hosts[0]
            async with server.socket(path_of(entry)) as browser:
                view = Follower(browser)
                await view.until(lambda it: status(it) == "idle")
                assert (await browser.ask("send", text="go"))["ok"] == {"index": 0}
                await view.until(is_over)
                assert (view.transcript, view.number) == read_transcript(entry.events)
                kinds = [item["type"] for item in records(view.transcript, "items")]
                assert kinds[-1] == "agentMessage"
                assert records(view.transcript, "turns")[0]["status"] == "completed"

    run(check())


def test_what_a_browser_missed_comes_when_it_says_what_it_has(server: Server, rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("one")], [say("two")]) as model, rig.session(model) as viewer:
            entry = rig.hosts[0]
            await viewer.turn("first")
            async with server.socket(path_of(entry)) as browser:
                view = Follower(browser)
                await view.until(is_over)
                number = view.number
            await viewer.turn("second")
            await viewer.until_status("idle")
            async with server.socket(path_of(entry, number)) as browser:
                frame = await browser.next()
                assert (frame["frame"], frame["since"]) == ("events", number)
                events = frame["events"]
                assert isinstance(events, list)
                missed = read_events(entry.events)[number:]
                assert obj(events[-1])["n"] == missed[-1]["n"]

    run(check())


def test_an_approval_is_answered_in_one_browser_and_settled_in_the_other(
    server: Server, rig: Rig
) -> None:
    turn = [command(f"touch {rig.outside}", ask=True), say("done")]

    async def check() -> None:
        async with rig.model(turn) as model, rig.session(model):
            entry = rig.hosts[0]
            async with (
                server.socket(path_of(entry)) as first,
                server.socket(path_of(entry)) as second,
                server.socket("watch") as watching,
            ):
                one, other = Follower(first), Follower(second)
                await one.until(lambda it: status(it) == "idle")
                await first.ask("send", text="go")
                for view in (one, other):
                    await view.until(lambda it: bool(pending(it)))
                waiting = await of_list(watching, entry, lambda it: it["waiting"] == 1)
                assert waiting["status"] == "waiting"
                assert isinstance(waiting["turn_started_at"], float)
                (approval,) = pending(one.transcript)
                answer = await second.ask("answer", approval=approval["id"], decision="accept")
                assert answer["ok"] == {}
                for view in (one, other):
                    await view.until(is_over)
                    assert [it["status"] for it in records(view.transcript, "approvals")] == [
                        "accepted"
                    ]
                assert one.transcript == other.transcript
                late = await first.ask("answer", approval=approval["id"], decision="accept")
                assert obj(late["error"])["kind"] == "SessionError"
                over = await of_list(watching, entry, lambda it: it["waiting"] == 0)
                assert over["turn_started_at"] is None
        assert rig.outside.exists()

    run(check())


def test_a_turn_is_interrupted_and_a_session_closed_through_the_server(
    server: Server, rig: Rig
) -> None:
    def request(method: str, path: str) -> int:
        with server.http() as client:
            return client.request(method, path).status_code

    async def check() -> None:
        turns = [[command("sleep 300"), say("never")], [command("sleep 300"), say("never")]]
        async with rig.model(*turns) as model, rig.session(model) as viewer:
            entry = rig.hosts[0]
            async with server.socket(path_of(entry)) as browser:
                view = Follower(browser)
                for place, by_socket in enumerate((True, False)):
                    await browser.ask("send", text="go")
                    await view.until(lambda it, place=place: is_working(it, place))  # type: ignore[misc]
                    if by_socket:
                        assert (await browser.ask("interrupt"))["ok"] == {}
                    else:
                        path = f"sessions/{entry.id}/interrupt"
                        assert await asyncio.to_thread(request, "POST", path) == 204
                    await view.until(is_over)
                    assert records(view.transcript, "turns")[place]["status"] == "interrupted"
                assert await asyncio.to_thread(request, "DELETE", f"sessions/{entry.id}") == 204
                assert await browser.until_closed() == 4410
                view.take()
                assert (view.transcript, view.number) == read_transcript(entry.events)
                assert obj(view.transcript["session"])["ended"] == "closed"
            await viewer.until_hung_up()
            # Who comes later is shown the same.
            async with server.socket(path_of(entry)) as browser:
                assert await browser.until_closed() == 4410
                (frame,) = browser.frames
                assert (frame["transcript"], frame["n"]) == (view.transcript, view.number)

    run(check())


def test_a_host_that_is_killed_in_mid_turn_ends_the_stream_with_a_turn_that_failed(
    server: Server, rig: Rig
) -> None:
    async def check() -> None:
        async with rig.model([command("sleep 300"), say("never")]) as model:
            async with rig.session(model):
                entry = rig.hosts[0]
                async with server.socket(path_of(entry)) as browser:
                    view = Follower(browser)
                    await browser.ask("send", text="go")
                    await view.until(lambda it: is_working(it, 0))
                    os.kill(entry.pid, signal.SIGKILL)
                    assert await browser.until_closed() == 4410
                    view.take()
                    assert records(view.transcript, "turns")[0]["status"] == "failed"
                    assert obj(view.transcript["session"])["ended"] == "failed"
            await wait_until(lambda: not rig.runs("sleep 300"), seconds=LIMIT)

    run(check())


def test_a_host_that_is_stopped_is_said_not_to_answer(server: Server, rig: Rig) -> None:
    async def check() -> None:
        async with rig.session() as viewer:
            await viewer.until_status("idle")
            entry = rig.hosts[0]
            os.kill(entry.pid, signal.SIGSTOP)
            try:
                async with server.socket(path_of(entry)) as browser:
                    assert await browser.until_closed() == 4502
            finally:
                os.kill(entry.pid, signal.SIGCONT)
            async with server.socket(path_of(entry)) as browser:
                assert (await browser.next())["frame"] == "snapshot"

    run(check())


def test_a_session_goes_on_when_the_server_stops_and_another_server_carries_it(
    server: Server, rig: Rig
) -> None:
    async def check() -> None:
        turn = [command("true"), say("done")]
        async with rig.model(turn) as model, rig.session(model) as viewer:
            entry = rig.hosts[0]
            second = await asyncio.to_thread(
                Server, rig.cwd.parent / "second", runtime=server.runtime
            )
            async with second.socket(path_of(entry)) as browser:
                await browser.next()
                await asyncio.to_thread(second.close)
                assert await browser.until_closed() == 1001
            assert is_alive(entry.pid, entry.birth)
            await viewer.turn("go")
            async with server.socket(path_of(entry)) as browser:
                view = Follower(browser)
                await view.until(is_over)
                assert view.transcript == read_transcript(entry.events)[0]

    run(check(), seconds=120)


async def of_list(
    browser: Browser, entry: SessionEntry, condition: Callable[[JsonObject], bool]
) -> JsonObject:
    """The session in the list, once it is so."""
    while True:
        sessions = (await browser.next())["sessions"]
        assert isinstance(sessions, list)
        for shown in map(obj, sessions):
            if shown["id"] == entry.id and condition(shown):
                return shown


def is_working(transcript: JsonObject, place: int) -> bool:
    """Whether a command of the turn at this place runs."""
    turns = records(transcript, "turns")
    return len(turns) > place and any(
        item["type"] == "commandExecution"
        and item["status"] == "in_progress"
        and item["turn"] == turns[place]["id"]
        for item in records(transcript, "items")
    )
