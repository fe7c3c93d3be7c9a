"""The loopback server: who gets in, what it takes, and that nothing outlives it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpx
import pytest

from codex_nb.replay import loopback
from codex_nb.replay.loopback import Answer, ConnectionCut, LoopbackServer, Request, json_answer
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LIMIT = scaled(20)


async def echo(request: Request) -> Answer:
    return json_answer({"path": request.path, "size": len(request.body)})


async def exchange(server: LoopbackServer, data: bytes) -> bytes:
    """Send raw bytes and read until the server closes the connection."""
    port = httpx.URL(server.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    async with asyncio.timeout(LIMIT):
        answer = await reader.read()
    writer.close()
    return answer


def test_requests_on_one_connection_are_answered_in_turn() -> None:
    async def talk() -> list[object]:
        async with LoopbackServer(echo) as server, httpx.AsyncClient(trust_env=False) as client:
            return [
                (await client.post(f"{server.url}/v1/{n}?q=1", content=b"x" * n)).json()
                for n in range(3)
            ]

    assert run(talk()) == [{"path": f"/v1/{n}", "size": n} for n in range(3)]


def test_a_body_of_many_megabytes_arrives_whole() -> None:
    async def talk() -> object:
        async with LoopbackServer(echo) as server, httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(f"{server.url}/v1", content=bytes(40_000_000))).json()

    assert run(talk()) == {"path": "/v1", "size": 40_000_000}


def test_a_body_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "MAX_BODY", 1000)

    async def talk() -> tuple[int, object]:
        async with LoopbackServer(echo) as server, httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{server.url}/v1", content=bytes(1001))
            return answer.status_code, answer.json()["error"]["message"]

    assert run(talk()) == (413, "the request is too large")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 999999\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"404"),
        (b"GET SECRET HTTP/1.1\r\nhost: x\r\n\r\n", b"404"),
        (b"POST SECRET/v1 HTTP/1.1\r\nhost: x\r\ncontent-encoding: zstd\r\n\r\n", b"415"),
        (b"rubbish\r\n\r\n", b"400"),
        (b"GET SECRET/v1 HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 100_000, b"431"),
    ],
)
def test_a_stranger_is_turned_away_before_the_body_is_read(head: bytes, status: bytes) -> None:
    async def talk() -> bytes:
        async with LoopbackServer(echo) as server:
            secret = httpx.URL(server.url).path.encode()
            return await exchange(server, head.replace(b"SECRET", secret))

    assert run(talk()).split(b" ")[1] == status


def test_every_server_has_a_secret_of_its_own() -> None:
    async def talk() -> set[str]:
        async with LoopbackServer(echo) as one, LoopbackServer(echo) as two:
            return {httpx.URL(server.url).path for server in (one, two)}

    secrets = run(talk())
    assert len(secrets) == 2
    assert min(map(len, secrets)) > 30


def test_the_work_on_an_answer_ends_when_the_caller_hangs_up() -> None:
    async def talk() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def wait_forever(_: Request) -> Answer:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return Answer()

        async with LoopbackServer(wait_forever) as server, asyncio.timeout(LIMIT):
            url = httpx.URL(server.url)
            _, writer = await asyncio.open_connection("127.0.0.1", url.port)
            writer.write(b"GET %s/v1 HTTP/1.1\r\nhost: x\r\n\r\n" % url.path.encode())
            await begun.wait()
            writer.close()
            await ended.wait()

    run(talk())


def test_the_end_of_the_server_ends_open_streams_and_idle_connections() -> None:
    async def talk() -> None:
        closed = asyncio.Event()

        async def pieces() -> AsyncGenerator[bytes, None]:
            try:
                yield b"first"
                await asyncio.Event().wait()
            finally:
                closed.set()

        async def stream(_: Request) -> Answer:
            return Answer(body=pieces())

        async with asyncio.timeout(LIMIT), contextlib.AsyncExitStack() as stack:
            server = LoopbackServer(stream)
            await server.__aenter__()
            url = httpx.URL(server.url)
            reader, writer = await asyncio.open_connection("127.0.0.1", url.port)
            idle, idle_writer = await asyncio.open_connection("127.0.0.1", url.port)
            stack.callback(writer.close)
            stack.callback(idle_writer.close)
            writer.write(b"GET %s/v1 HTTP/1.1\r\nhost: x\r\n\r\n" % url.path.encode())
            await reader.readuntil(b"first")
            await server.__aexit__(None, None, None)
            await closed.wait()
            for each in (reader, idle):
                with contextlib.suppress(ConnectionError):
                    assert await each.read() == b"\r\n" or each.at_eof()
            with pytest.raises(RuntimeError, match="is not running"):
                _ = server.url

    run(talk())


def test_a_cut_connection_ends_in_the_middle_of_the_answer() -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"so far"
        raise ConnectionCut

    async def cut(_: Request) -> Answer:
        return Answer(body=pieces())

    async def talk() -> None:
        async with LoopbackServer(cut) as server, httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await client.get(f"{server.url}/v1")

    run(talk())
