"""The bridge between one browser and one session host, and what it does when either is odd."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import psutil
import pytest
from tornado.httpclient import HTTPClientError

from tests.server.serving import Server
from tests.server.speaker import Speaker, events_of
from tests.support.waiting import run, scaled, wait_until

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject


def test_frames_come_as_the_host_sent_them_and_its_answer_to_hello_does_not(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            assert await browser.next() == speaker.snapshot()
            hello = await speaker.until_heard("hello")
            assert (hello["since"], len(speaker.heard)) == (None, 1)
            change: JsonObject = {"op": "set", "key": "diff", "value": "ä\u2028\U0001f600\n\0"}
            speaker.publish(change)
            assert await browser.next() == {
                "frame": "events",
                "since": 2,
                "events": [{"n": 3, "t": 2.0, **change}],
            }

    run(check())


def test_a_browser_says_what_it_has_and_the_server_says_hello_with_it(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker, "?since=0")) as browser:
            await browser.next()
            assert (await speaker.until_heard("hello"))["since"] == 0

    run(check())


@pytest.mark.parametrize("since", ["-1", "1.0", "x", "\u0661", "1e3", "null", "9" * 20])
def test_a_since_that_is_no_number_of_an_event_is_refused_before_anything_is_opened(
    server: Server, speaker: Speaker, since: str
) -> None:
    async def check() -> None:
        async with speaker.listening():
            with pytest.raises(HTTPClientError) as caught:
                async with server.socket(events_of(speaker, f"?since={since}")):
                    pass
            assert caught.value.code == 400
            assert caught.value.response is not None
            assert json.loads(caught.value.response.body) == {
                "message": "`since` is no number of an event.",
                "hint": "It is 0 or more; leave it out at first.",
            }
            assert speaker.heard == []

    run(check())


def test_operations_reach_the_host_and_its_answers_the_browser(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            speaker.answer = {"ok": {"index": 3}}
            assert await browser.ask("send", text="a\nb", effort="low") == {
                "id": 1,
                "ok": {"index": 3},
            }
            speaker.answer = {"error": {"kind": "UsageError", "message": "No.", "hint": "So."}}
            assert await browser.ask("answer", approval="a", decision="accept") == {
                "id": 2,
                "error": {"kind": "UsageError", "message": "No.", "hint": "So."},
            }
            assert speaker.heard[1:] == [
                {"id": 1, "op": "send", "text": "a\nb", "effort": "low"},
                {"id": 2, "op": "answer", "approval": "a", "decision": "accept"},
            ]

    run(check())


def test_a_message_that_is_no_operation_is_answered_and_the_socket_stays(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            await browser.next()
            for text in ("{", "[]", '{"id": 5, "op": "hello"}', b'{"id": 6, "op": "models"}'):
                await browser.send(text)
            # Line ends between the tokens would make two messages of it on the channel.
            await browser.send('{"id":\n7,\r\n"op":\n"models"\n}')
            answers = [await browser.next() for _ in range(5)]
            assert [it["id"] for it in answers] == [None, None, 5, None, 7]
            assert ["error" in it for it in answers] == [True, True, True, True, False]
            assert speaker.heard[1:] == [{"id": 7, "op": "models"}]

    run(check())


def test_files_as_large_as_they_may_be_reach_the_host(server: Server, speaker: Speaker) -> None:
    data = "A" * 8_000_000  # 6 MB as base64
    files = [{"name": name, "type": "image/png", "data": data} for name in ("a", "b")]

    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            await browser.ask("send", text="look", attachments=files)
            assert speaker.heard[-1]["attachments"] == files

    run(check())


def test_a_message_that_is_too_long_is_told_so_and_the_socket_stays(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening(), server.socket(events_of(speaker)) as browser:
            answer = await browser.ask("send", text="A" * 25_165_824)
            assert answer == {
                "id": 1,
                "error": {
                    "kind": "UsageError",
                    "message": "A message has at most 25,165,824 bytes, "
                    "and this one has 25,165,855.",
                    "hint": "Attach smaller files: at most 6 MB each and 12 MB in all.",
                },
            }
            assert (await browser.ask("models"))["ok"] == {}

    run(check())


def test_a_browser_that_goes_leaves_no_connection_to_the_host(
    server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening():
            for _ in range(3):
                async with server.socket(events_of(speaker)) as browser:
                    await browser.next()
                await speaker.until_alone()
            async with server.socket(events_of(speaker)) as browser:
                await browser.next()
                browser.connection.stream.close()  # without a word
                await speaker.until_alone()

    run(check())


def test_a_browser_that_does_not_read_holds_the_host_back_and_not_the_memory_of_the_server(
    server: Server, speaker: Speaker
) -> None:
    block: JsonObject = {"op": "other", "method": "flood", "params": {"text": "x" * 100_000}}
    process = psutil.Process(server.process.pid)

    async def check() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(speaker.listening())
            # One after the other, so that it is known who of the host's clients is who.
            slow = await stack.enter_async_context(server.socket(events_of(speaker)))
            await slow.next()
            quick = await stack.enter_async_context(server.socket(events_of(speaker)))
            await quick.next()
            writer = speaker.writers[0]
            before = process.memory_info().rss
            # 300 MB at one of the two: what the server and the sockets between hold is a few.
            sent = 0
            for number in range(3_000):
                writer.write(json.dumps({"frame": "events", "n": number, **block}).encode() + b"\n")
                try:
                    async with asyncio.timeout(scaled(1)):
                        await writer.drain()
                except TimeoutError:
                    break
                sent += 1
            assert sent < 1_000
            assert process.memory_info().rss - before < 50_000_000
            # The other browser is served meanwhile.
            speaker.writers[1].write(b'{"frame":"events","since":2,"events":[{"n":3}]}\n')
            assert (await quick.next())["since"] == 2
            # And when the slow one reads, all of it comes.
            for number in range(sent):
                assert (await slow.next())["n"] == number

    run(check())


def test_a_stopped_server_closes_its_sockets_and_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    serving = Server(tmp_path_factory.mktemp("stopped") / "server")
    speaker = Speaker(serving.sessions)
    process = psutil.Process(serving.process.pid)

    async def check() -> None:
        async with (
            speaker.listening(),
            serving.socket(events_of(speaker)) as one,
            serving.socket("watch") as other,
        ):
            await one.next()
            await other.next()
            serving.process.send_signal(signal.SIGTERM)
            assert await one.until_closed() == 1001
            assert await other.until_closed() == 1001
            await speaker.until_alone()
            await wait_until(lambda: serving.process.poll() is not None)

    try:
        run(check())
        assert not process.is_running()
        text = serving.log.read_text()
        assert "never retrieved" not in text
        assert "Traceback" not in text
        assert "was destroyed" not in text
    finally:
        serving.close()
