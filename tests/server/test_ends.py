"""How the stream of a session ends, and what a browser is told then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from codex_nb.protocol.changes import Replica, empty_transcript
from codex_nb.sessions.processes import birth_of
from tests.server.speaker import HISTORY, Speaker, events_of
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    import subprocess

    from codex_nb.protocol.messages import JsonObject
    from tests.server.serving import Server

GONE: JsonObject = {
    "kind": "SessionClosedError",
    "message": "The session has ended.",
    "hint": "Start it again with %codex_run.",
}


def test_a_session_that_nobody_knows_closes_with_4404(server: Server) -> None:
    async def check() -> None:
        for name in ("20200101-000000-00000000", "..%2F..%2Fetc", "x" * 200):
            async with server.socket(f"sessions/{name}/events") as browser:
                assert await browser.until_closed() == 4404
                assert browser.frames == []

    run(check())


def test_an_ended_session_shows_its_log_once_and_closes_with_4410(
    server: Server, speaker: Speaker
) -> None:
    ended: JsonObject = {"op": "merge", "key": "session", "value": {"ended": "closed"}}
    speaker.log.append([ended], at=3)
    speaker.note(ended="closed", status="closed")

    async def check() -> None:
        for since in ("", "?since=2"):
            async with server.socket(events_of(speaker, since)) as browser:
                assert await browser.until_closed() == 4410
                (frame,) = browser.frames
                assert (frame["frame"], frame["n"]) == ("snapshot", 3)
                replica = Replica(empty_transcript())
                for change in (*HISTORY, ended):
                    replica.apply(change)
                assert frame["transcript"] == replica.transcript

    run(check())


def test_the_last_words_of_a_host_reach_the_browser_before_4410(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            await browser.next()
            last = speaker.publish(
                {"op": "merge", "key": "session", "value": {"status": "closed", "ended": "closed"}}
            )
            speaker.hang_up()
            speaker.note(ended="closed", status="closed")
            assert await browser.until_closed() == 4410
            assert browser.frames[1:] == [last]

    run(check())


def test_what_a_host_could_not_send_any_more_comes_from_its_log(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            await browser.next()
            speaker.publish({"op": "set", "key": "diff", "value": "seen"})
            unseen: list[JsonObject] = [
                {"op": "set", "key": "diff", "value": "unseen"},
                {"op": "merge", "key": "session", "value": {"ended": "closed"}},
            ]
            speaker.log.append(unseen, at=3)
            speaker.hang_up()
            speaker.note(ended="closed", status="closed")
            assert await browser.until_closed() == 4410
            last = browser.frames[-1]
            assert (last["frame"], last["n"]) == ("snapshot", 5)
            assert isinstance(last["transcript"], dict)
            assert last["transcript"]["diff"] == "unseen"

    run(check())


def test_a_host_that_was_killed_is_said_to_be_gone_and_its_turn_failed(
    server: Server, speaker: Speaker
) -> None:
    async def check(process: subprocess.Popen[bytes]) -> JsonObject:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            await browser.next()
            process.kill()
            speaker.hang_up()
            assert await browser.until_closed() == 4410
            assert [frame["n"] for frame in browser.frames] == [2, 2]
            transcript = browser.frames[-1]["transcript"]
            assert isinstance(transcript, dict)
            return transcript

    with speaker.mortal() as process:
        transcript = run(check(process))

    (turn,), session = transcript["turns"], transcript["session"]  # type: ignore[misc, str-unpack]
    assert isinstance(turn, dict)
    assert isinstance(session, dict)
    assert (turn["status"], turn["error"]) == (
        "failed",
        {
            "message": "The session host was ended from outside.",
            "hint": "Send again to go on with the same thread.",
            "kind": "ended",
        },
    )
    assert (session["status"], session["ended"]) == ("failed", "failed")


def test_a_host_that_is_silent_closes_with_4502(server: Server, speaker: Speaker) -> None:
    speaker.greeting = None

    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            await browser.send('{"id": 1, "op": "send", "text": "hi"}')
            assert await browser.until_closed() == 4502
            assert speaker.heard[1:] == []

    run(check())


def test_what_is_said_after_the_host_hung_up_is_refused(server: Server, speaker: Speaker) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            await browser.next()
            speaker.hang_up()
            noticed = {"action": "disconnected", "session": speaker.entry.id}
            await wait_until(lambda: noticed in server.recorded())
            assert await browser.ask("interrupt") == {"id": 1, "error": GONE}
            speaker.note(ended="closed", status="closed")
            assert await browser.until_closed() == 4410

    run(check())


def test_a_host_that_hangs_up_and_lives_on_closes_with_4502(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with server.socket(events_of(speaker)) as browser:  # nobody listens
            assert await browser.until_closed() == 4502

    run(check())


def test_a_session_that_another_host_took_up_again_closes_with_4410(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            await browser.next()
            parent = os.getppid()
            speaker.note(pid=parent, birth=birth_of(parent))
            speaker.hang_up()
            assert await browser.until_closed() == 4410
            assert len(browser.frames) == 1

    run(check())
