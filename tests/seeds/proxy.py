"""A proxy on loopback that can lose an answer after the server gave it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Proxy:
    """Carries bytes between clients and a Unix socket.

    Attributes:
        lost: How many answers were lost so far.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._word = b""
        self.lost = 0

    def lose_answer_to(self, word: str) -> None:
        """Cut the connection when the server answers the next request with this word in it."""
        self._word = word.encode()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """The port that it listens on."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(str(self._socket))
        cut = asyncio.Event()

        async def requests() -> None:
            while data := await reader.read(65536):
                if self._word and self._word in data:
                    self._word = b""
                    cut.set()
                up_writer.write(data)

        async def answers() -> None:
            while data := await up_reader.read(65536):
                if cut.is_set():
                    self.lost += 1
                    return
                writer.write(data)

        tasks = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for end in (writer, up_writer):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()
