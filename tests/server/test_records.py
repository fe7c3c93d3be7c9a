"""What the server records and reports: events without content, activity while a turn runs."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from jupyter_events.yaml import load

from codex_nb.server.app import EVENT_SCHEMA
from codex_nb.server.operations import OPERATIONS
from tests.server.serving import Server
from tests.server.speaker import Speaker
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "PLANTED-bd1c"


@pytest.fixture
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that looks ten times a second whether a turn runs."""
    serving = Server(
        tmp_path_factory.mktemp("quick") / "server",
        config="c.CodexNBServer.activity_interval = 0.1\n",
    )
    yield serving
    serving.close()


@pytest.fixture
def speaker(quick: Server) -> Iterator[Speaker]:
    """A session of the server."""
    speaker = Speaker(quick.sessions)
    yield speaker
    speaker.note(ended="closed", status="closed")


def last_activity(server: Server) -> datetime:
    """What a Hub is told."""
    with server.http() as client:
        status = client.get(f"{server.url}api/status").json()
    return datetime.fromisoformat(status["last_activity"])


def test_the_schema_of_the_events_knows_every_operation() -> None:
    schema = load(EVENT_SCHEMA)

    assert sorted(schema["properties"]["operation"]["enum"]) == sorted(OPERATIONS)


def test_what_happens_is_recorded_without_a_word_of_what_is_said(
    quick: Server, speaker: Speaker
) -> None:
    key = speaker.entry.id
    speaker.answer = {"error": {"kind": "UsageError", "message": MARK, "hint": MARK}}
    files = [{"name": MARK, "type": MARK, "data": MARK}]

    def close() -> None:
        with quick.http() as client:
            assert client.delete(f"sessions/{key}").status_code == 204

    def interrupt() -> None:
        with quick.http() as client:
            assert client.post(f"sessions/{key}/interrupt").json()["message"] == MARK
            assert client.get(f"sessions/{key}/bundle").status_code == 200

    async def check() -> None:
        async with speaker.listening(), quick.socket(f"sessions/{key}/events") as browser:
            await browser.next()
            await browser.ask("send", text=MARK, attachments=files)
            await browser.ask("answer", approval=MARK, decision="decline", reason=MARK)
            await browser.ask(MARK)
            await browser.send(MARK)
            assert "error" in await browser.next()
            await asyncio.to_thread(interrupt)
            speaker.answer = {"ok": {}}
            await asyncio.to_thread(close)
            speaker.publish({"op": "set", "key": "diff", "value": MARK})
            speaker.note(name=MARK, ended="closed", status="closed")
            speaker.hang_up()
            assert await browser.until_closed() == 4410

    run(check())

    assert quick.recorded() == [
        {"action": "connected", "session": key},
        {"action": "operation", "session": key, "operation": "send"},
        {"action": "operation", "session": key, "operation": "answer"},
        {"action": "operation", "session": key, "operation": "close"},
        {"action": "disconnected", "session": key},
        {"action": "closed", "session": key},
    ]
    assert MARK not in quick.events.read_text()
    assert MARK not in quick.log.read_text()
    assert MARK in json.dumps(speaker.heard)


def test_looking_is_no_activity_and_a_turn_that_runs_is(quick: Server, speaker: Speaker) -> None:
    key = speaker.entry.id

    async def look() -> None:
        async with (
            speaker.listening(),
            quick.socket(f"sessions/{key}/events") as one,
            quick.socket("watch") as other,
        ):
            await one.next()
            await other.next()

    with quick.http() as client:
        before = last_activity(quick)
        for path in ("sessions", f"sessions/{key}", f"sessions/{key}/bundle", "sessions/none"):
            client.get(path)
        run(look())
        assert last_activity(quick) == before

        async def activity_after(status: str) -> None:
            speaker.note(status=status)
            first = last_activity(quick)
            await wait_until(lambda: last_activity(quick) > first)

        for status in ("running", "waiting"):
            run(activity_after(status))

        speaker.note(status="idle")
        # A look may be under way; the next one finds it idle.
        seen = [last_activity(quick)]

        def is_settled() -> bool:
            seen.append(last_activity(quick))
            return len(seen) > 30 and len(set(seen[-30:])) == 1

        run(wait_until(is_settled))

        client.delete(f"sessions/{key}")  # nobody listens, and yet a person did something
        assert last_activity(quick) > seen[-1]


def test_an_operation_of_a_browser_is_activity(quick: Server, speaker: Speaker) -> None:
    async def check() -> None:
        async with (
            speaker.listening(),
            quick.socket(f"sessions/{speaker.entry.id}/events") as browser,
        ):
            await browser.next()
            before = last_activity(quick)
            await browser.ask("send", text="hi")
            assert last_activity(quick) > before

    run(check())
