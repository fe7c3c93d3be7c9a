"""A terminal that was taken over: what it may say, and what of it a browser or the server gets.

Whatever it answers to a handshake, the browser gets our own answer. After that it gets frames, or
a close frame of ours. The terminals here are made up, because no real one behaves like this.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import psutil
import pytest

from tests.server.test_records import last_activity
from tests.server.tty import (
    AGREED,
    CLOSE,
    PING,
    RefusedError,
    frame,
    give_terminal,
    masked,
    path_of,
    pretending,
    viewing,
)
from tests.support.waiting import run, scaled, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.server.serving import Server
    from tests.server.speaker import Speaker
    from tests.server.tty import Viewer

    Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

    class Joined(Protocol):
        """Joins a viewer and a terminal."""

        def __call__(self, act: Act, *, window: int = 0) -> AbstractAsyncContextManager[Viewer]:
            """With a window of so many bytes."""


DEAF = {
    "message": "The terminal of the session does not answer.",
    "hint": "Close the terminal and open it again.",
}
MARK = b"PLANTED-8d2e"
PAGE = b"<script>parent.alert('PLANTED-8d2e')</script>"
LOST = (4502, "The terminal ended.")
BROKEN = (4502, "The terminal sent what is no WebSocket.")
FAILED = (4502, "The terminal failed.")


def saying(*parts: bytes) -> Act:
    """A terminal that says this and then listens until it is left."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        await reader.read()

    return act


def hanging_up(*parts: bytes) -> Act:
    """A terminal that says this and then goes."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return act


@pytest.fixture
def joined(server: Server, speaker: Speaker, tmp_path: Path) -> Joined:
    """Joins a viewer and a terminal that does what a test says."""

    @asynccontextmanager
    async def join(act: Act, *, window: int = 0) -> AsyncIterator[Viewer]:
        socket = tmp_path / "t.sock"
        give_terminal(speaker, socket=socket)
        async with (
            speaker.listening(),
            pretending(socket, act),
            viewing(server, path_of(speaker, "ws"), window=window) as viewer,
        ):
            yield viewer

    return join


@pytest.mark.parametrize(
    "act",
    [
        hanging_up(),
        hanging_up(AGREED[:-2]),
        hanging_up(b"\r\n\r\n"),
        hanging_up(frame(b"0hello") * 100),
        saying(b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\n\r\n"),
        saying(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: PLANTED-8d2e=1\r\nContent-Type: text/html\r\n"
            + b"Content-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE)
        ),
        saying(AGREED.replace(b"s3p", b"xxx")),
        saying(AGREED.replace(b": tty", b": PLANTED-8d2e")),
        saying(AGREED.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: x\r\n\r\n")),
        saying(b"early" + AGREED),
        saying(AGREED.replace(b"\r\n\r\n", b"\r\nX: " + b"PLANTED-8d2e" * 1000 + b"\r\n\r\n")),
        saying(b"\xff\xfe" * 200_000),
    ],
)
def test_what_does_not_agree_to_a_handshake_reaches_no_browser(
    server: Server, joined: Joined, act: Act
) -> None:
    async def check() -> None:
        with pytest.raises(RefusedError) as caught:
            async with joined(act):
                pass
        assert (caught.value.status, json.loads(caught.value.body)) == (502, DEAF)

    before = server.log.stat().st_size
    run(check())
    logged = server.log.read_bytes()[before:]
    # It was not waited for, and not a byte of it is written down.
    assert b"not joined: ProtocolError('The answer to the handshake" in logged
    assert (MARK in logged, b"Traceback" in logged) == (False, False)


def test_a_terminal_that_says_nothing_or_ever_so_little_is_not_waited_for(
    server: Server, speaker: Speaker, tmp_path: Path
) -> None:
    socket = tmp_path / "t.sock"
    give_terminal(speaker, socket=socket)
    is_left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        is_left.set()

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # One byte after the other, so that the next may always be the last.
        for byte in AGREED * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    async def check() -> None:
        for act in (silent, trickle):
            async with speaker.listening(), pretending(socket, act):
                with pytest.raises(RefusedError) as caught:
                    async with viewing(server, path_of(speaker, "ws")):
                        pass
                assert (caught.value.status, json.loads(caught.value.body)) == (502, DEAF)
                if act is silent:
                    await is_left.wait()

    run(check())


def test_headers_of_a_terminal_do_not_become_headers_of_ours(joined: Joined) -> None:
    foul = (
        b"\r\nSet-Cookie: PLANTED-8d2e=1\r\nLocation: /\r\nContent-Security-Policy: x\r\n"
        b"Access-Control-Allow-Origin: *\r\n\r\n"
    )

    async def check() -> None:
        # It comes in two pieces, and a frame right behind it.
        parts = AGREED[:50], AGREED[50:].replace(b"\r\n\r\n", foul) + frame(b"0hi")
        async with joined(saying(*parts)) as viewer:
            assert [line.partition(":")[0] for line in viewer.head] == [
                "HTTP/1.1 101 Switching Protocols",
                "Upgrade",
                "Connection",
                "Sec-WebSocket-Accept",
                "Sec-WebSocket-Protocol",
            ]
            assert await viewer.frame() == (2, b"0hi")

    run(check())


@pytest.mark.parametrize(
    ("said", "end"),
    [
        (b"", LOST),
        (frame(b"0more")[:-1], LOST),
        (b"\x82", LOST),
        (frame(b"x" * 70_000)[:60_000], LOST),
        (frame((1006).to_bytes(2, "big"), first=0x88), FAILED),
        (frame(b"\x03\xe8\xff\xff", first=0x88), FAILED),
        (b"HTTP/1.1 200 OK\r\n\r\n" + PAGE, BROKEN),
        (b"\x82\x7f" + b"\xff" * 8, BROKEN),
        (b"\x82\x7f" + (1 << 40).to_bytes(8, "big") + b"x" * 500_000, BROKEN),
        (b"\x02\x01x", BROKEN),
        (frame(b"\x0f\xa0bye", first=0x88) + frame(b"0after"), (4000, "bye")),
    ],
)
def test_a_terminal_that_ends_in_any_way_ends_with_a_close_frame_after_whole_frames(
    joined: Joined, said: bytes, end: tuple[int, str]
) -> None:
    async def check() -> None:
        async with joined(hanging_up(AGREED, frame(b"0first") + said)) as viewer:
            assert await viewer.frame() == (2, b"0first")
            opcode, payload = await viewer.frame()
            found = int.from_bytes(payload[:2], "big"), payload[2:].decode()
            assert (opcode, found) == (CLOSE, end)
            await viewer.send(payload, opcode=CLOSE)
            assert await viewer.until_gone() == b""

    run(check())


def test_what_a_terminal_says_at_once_and_too_fast_comes_once_and_in_order(joined: Joined) -> None:
    said = [frame(b"0%07d" % number + b"x" * 4000) for number in range(2_000)]
    key = masked(b"0k")

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(AGREED + b"".join(said))
        await asyncio.gather(writer.drain(), reader.readexactly(20 * len(key)))

    async def check() -> None:
        # A browser that takes little makes it wait from the first byte on, and somebody types.
        async with joined(act, window=4096) as viewer:
            for number in range(2_000):
                assert (await viewer.frame())[1][:8] == b"0%07d" % number
                if number % 100 == 0:
                    await viewer.type(b"k")
            assert await viewer.until_closed() == LOST

    run(check())


def test_a_browser_that_leaves_before_the_terminal_answers_leaves_nothing(
    server: Server, speaker: Speaker, tmp_path: Path
) -> None:
    socket = tmp_path / "t.sock"
    give_terminal(speaker, socket=socket)
    asked, may_answer, is_left = asyncio.Event(), asyncio.Event(), asyncio.Event()
    before = len(server.log.read_text())  # other tests talk to the same server

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await may_answer.wait()
        writer.write(AGREED)
        await reader.read()
        is_left.set()

    async def check() -> None:
        async with speaker.listening(), pretending(socket, act):
            async with asyncio.TaskGroup() as tasks:
                joining = tasks.create_task(_join(server, path_of(speaker, "ws")))
                await asked.wait()
                joining.cancel()
            may_answer.set()
            await is_left.wait()

    run(check())
    assert "Traceback" not in server.log.read_text()[before:]


async def _join(server: Server, path: str) -> None:
    async with viewing(server, path):
        pass


def test_a_browser_that_does_not_say_goodbye_is_left_after_a_moment(joined: Joined) -> None:
    async def check() -> None:
        async with joined(hanging_up(AGREED)) as viewer:
            assert (await viewer.frame())[0] == CLOSE
            assert await viewer.until_gone() == b""

    run(check())


def test_a_terminal_that_does_not_say_goodbye_is_left_after_a_moment(joined: Joined) -> None:
    async def check() -> None:
        async with joined(saying(AGREED, frame(b"0hi"))) as viewer:
            await viewer.frame()
            await viewer.send(b"\x03\xe8", opcode=CLOSE)
            assert await viewer.until_gone() == b""

    run(check())


def test_an_endless_flood_stays_where_it_is_until_the_browser_takes_it(
    server: Server, joined: Joined
) -> None:
    process = psutil.Process(server.process.pid)
    block = frame(b"0" + b"x" * 4000) * 16
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(AGREED)
        while True:
            writer.write(block)
            await writer.drain()
            sent += len(block)

    async def check() -> None:
        async with joined(flood) as viewer:
            await viewer.frame()
            before = process.memory_info().rss
            # It stands still when every buffer between is full.
            seen = [-1]

            def stands() -> bool:
                seen.append(sent)
                return len(seen) > 50 and len(set(seen[-50:])) == 1

            await wait_until(stands, seconds=20)
            stood = sent
            assert stood < 30_000_000
            assert process.memory_info().rss - before < 20_000_000
            # And it comes again when the browser reads: a slow one slows the terminal.
            for _ in range(5 * (stood // 4003)):
                assert (await viewer.frame())[0] == 2
            assert sent > 4 * stood
            assert process.memory_info().rss - before < 20_000_000

    run(check())


def test_what_a_browser_sends_waits_until_the_terminal_takes_it(
    server: Server, joined: Joined
) -> None:
    process = psutil.Process(server.process.pid)
    total = 200_000_000
    taken = 0
    may_take = asyncio.Event()

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        writer.write(AGREED)
        await may_take.wait()
        while data := await reader.read(1 << 18):
            taken += len(data)

    async def check() -> None:
        piece = masked(b"x" * 1_000_000)
        async with joined(act) as viewer:
            before = process.memory_info().rss
            stuck = 0
            with suppress(TimeoutError):
                for _ in range(total // len(piece)):
                    viewer.writer.write(piece)
                    stuck += len(piece)
                    async with asyncio.timeout(scaled(1)):
                        await viewer.writer.drain()
            assert stuck < 30_000_000
            assert process.memory_info().rss - before < 20_000_000
            may_take.set()
            await wait_until(lambda: taken == stuck)

    run(check())


def test_signs_of_life_go_through_and_are_no_activity(server: Server, joined: Joined) -> None:
    async def check() -> None:
        ponged = asyncio.Event()

        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(AGREED + frame(b"life", first=0x80 | PING))
            await reader.readexactly(len(masked(b"life", opcode=10)))
            ponged.set()
            await reader.read()

        before = await asyncio.to_thread(last_activity, server)
        async with joined(act) as viewer:
            assert await viewer.frame() == (PING, b"life")
            await viewer.send(b"life", opcode=10)
            await ponged.wait()
            assert await asyncio.to_thread(last_activity, server) == before

    run(check())


@pytest.mark.parametrize("who", ["browser", "terminal"])
def test_what_either_side_says_is_activity(server: Server, joined: Joined, who: str) -> None:
    async def check() -> None:
        may_say, has_heard = asyncio.Event(), asyncio.Event()

        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(AGREED)
            if who == "terminal":
                await may_say.wait()
                writer.write(frame(b"0b"))
            else:
                await reader.readexactly(len(masked(b"0a")))
                has_heard.set()
            await reader.read()

        async with joined(act) as viewer:
            before = await asyncio.to_thread(last_activity, server)
            if who == "terminal":
                may_say.set()
                assert await viewer.frame() == (2, b"0b")
            else:
                await viewer.type(b"a")
                await has_heard.wait()
            assert await asyncio.to_thread(last_activity, server) > before

    run(check())
