"""The tunnel between a browser and the terminal of a session: bytes both ways.

* The browser is given whole frames only, so a close frame of ours fits in at any moment.
* Each side is read no faster than the other takes: a tunnel holds `ROOM` bytes of the one direction
  and a few `_PIECE` of the other, whatever is sent.
* From the terminal to the browser no task and no copy is in between: what came is written in the
  same step of the event loop. That is what makes the echo of a key quick.
* ttyd sends a flood in frames of 4 KiB, and each would cost a step of the event loop. Where nobody
  has just typed, reading rests after a small piece of a flood for a part of a millisecond, so that
  many frames are one piece. A key ends the rest. The timers of an event loop are too coarse: in two
  milliseconds the socket of ttyd is full, and ttyd waits. So a thread sleeps.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tornado.iostream import StreamClosedError

from codex_nb.errors import ProtocolError, SessionError
from codex_nb.server.frames import (
    CLOSE,
    LOST,
    MAX_HEAD,
    PONG,
    Steps,
    close_frame,
    fault_of,
    request_of,
    whole_frames,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.iostream import IOStream

ROOM = 1 << 18
"""Bytes of a terminal that wait for the browser, and the longest frame; ttyd's have 4 KiB."""

FAREWELL = 2.0
"""Seconds that both sides have for the end of their talk."""

STALL = 120.0
"""Seconds in which a browser has to take `ROOM` bytes."""

_PIECE = 1 << 16
_REST = 0.00015
_ENOUGH = 1 << 14
"""Bytes of a piece after which nothing rests: so many frames of ttyd are worth a step."""
_CLOSE_BY = 0.005
"""Seconds between two pieces that are parts of a flood."""
_EAGER = 0.05
"""Seconds after a key in which nothing rests."""
_END_OF_HEAD = b"\r\n\r\n"
_RESTS = ThreadPoolExecutor(1, thread_name_prefix="codex-nb rest")
_SILENT_END = close_frame(LOST, "The terminal ended.")


class Tunnel(asyncio.BufferedProtocol):
    """Joins one browser and one terminal. It is asyncio's protocol of the terminal's connection.

    Args:
        count: Called whenever either says something that is not only a sign of life.
    """

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count
        self._buffer = bytearray(ROOM)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._passed = 0
        self._head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._browser: IOStream | None = None
        self._limit: asyncio.Timeout | None = None
        self._goodbye: asyncio.Future[None] | None = None
        self._has_goodbye = asyncio.Event()
        self._is_ending = False
        self._rest: asyncio.Future[None] | None = None
        self._last_piece = self._last_key = -_EAGER
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._is_over = asyncio.Event()

    @classmethod
    async def open(cls, path: str, key: str, *, limit: float, count: Callable[[], None]) -> Tunnel:
        """Connect to a terminal and agree with it to speak WebSocket.

        Args:
            path: Its unix socket.
            key: The browser's Sec-WebSocket-Key.
            limit: Seconds that it has.
            count: As for the class.

        Raises:
            SessionError: It does not answer, or does not agree.
        """
        tunnel: Tunnel | None = None
        try:
            async with asyncio.timeout(limit):
                loop = asyncio.get_running_loop()
                _, tunnel = await loop.create_unix_connection(lambda: cls(count), path)
                await tunnel.agree(key)
            joined, tunnel = tunnel, None
        except (OSError, ProtocolError) as exc:  # a timeout is an OSError
            raise SessionError(
                "The terminal of the session does not answer.",
                hint="Close the terminal and open it again.",
            ) from exc
        finally:
            if tunnel is not None:
                tunnel.abort()
        return joined

    async def agree(self, key: str) -> None:
        """Do the handshake with the terminal.

        Raises:
            ProtocolError: It does not agree.
        """
        self._transport.write(request_of(key))
        fault = fault_of(await self._head, key)
        if fault:
            raise ProtocolError(f"The answer to the handshake is not agreement: {fault}.")

    def abort(self) -> None:
        """End the terminal's connection at once."""
        self._transport.abort()

    async def run(self, browser: IOStream, greeting: bytes) -> None:
        """Carry bytes until either side ends. The browser's stream is closed then.

        Args:
            browser: The stream of a browser that waits for the answer to its handshake.
            greeting: That answer.
        """
        self._browser = browser
        try:
            # Who waits for the terminal to take something is to see that the browser went.
            browser.set_close_callback(self._may_write.set)
            browser.set_nodelay(True)
            async with asyncio.timeout(None) as self._limit:
                await browser.write(greeting)
                self._read_on()
                self._forward()
                if self._is_over.is_set():
                    self._say_goodbye(_SILENT_END)
                await self._upload(browser)
                self._end_soon()
                await self._has_goodbye.wait()
                if self._goodbye is not None:
                    await self._goodbye
        except (StreamClosedError, TimeoutError):
            pass
        finally:
            self._limit = None
            rest, self._rest = self._rest, None
            if rest is not None:
                rest.cancel()
            browser.close()
            await self._hang_up()

    def close(self, code: int, reason: str) -> None:
        """Close towards the browser, and end soon after."""
        self._say_goodbye(close_frame(code, reason))

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the terminal's next bytes go. There is room: longer frames are broken ones."""
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what came."""
        self._filled += nbytes
        if self._browser is not None:
            self._forward()
        elif not self._head.done():
            self._take_head()

    def eof_received(self) -> None:
        """Leave the rest to `connection_lost`, which follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the browser, who would wait for ever."""
        self._is_over.set()
        self._may_write.set()
        if not self._head.done():
            self._head.set_result(b"")
        if self._browser is not None:
            self._say_goodbye(_SILENT_END)

    def pause_writing(self) -> None:
        """Read no more of the browser, because the terminal takes nothing."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._may_write.set()

    # From the terminal to the browser

    def _take_head(self) -> None:
        end = self._buffer.find(_END_OF_HEAD, 0, min(self._filled, MAX_HEAD))
        if end < 0 and self._filled < MAX_HEAD:
            return
        self._transport.pause_reading()
        self._head.set_result(bytes(self._view[: max(end, 0)]))
        self._passed = end + len(_END_OF_HEAD)
        self._drop_passed()

    def _forward(self) -> None:
        browser = self._browser
        if browser is None or self._has_goodbye.is_set():
            return
        end, goodbye = whole_frames(self._buffer, self._filled, ROOM)
        self._passed = end
        if end:
            if self._buffer[0] & 15 < CLOSE:
                self._count()
            try:
                written = browser.write(self._view[:end])
            except StreamClosedError:
                self._transport.abort()
                return
            if written.done():
                self._drop_passed()
                self._rest_in_flood()
            else:
                self._transport.pause_reading()
                self._set_limit(STALL)
                written.add_done_callback(self._go_on)
        if goodbye:
            self._say_goodbye(goodbye)

    def _drop_passed(self) -> None:
        rest = self._filled - self._passed
        self._buffer[:rest] = self._buffer[self._passed : self._filled]
        self._filled = rest

    def _rest_in_flood(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_flood = now < self._last_piece + _CLOSE_BY and now > self._last_key + _EAGER
        self._last_piece = now
        if is_flood and self._passed < _ENOUGH:
            self._transport.pause_reading()
            self._rest = loop.run_in_executor(_RESTS, time.sleep, _REST)
            self._rest.add_done_callback(self._end_rest)

    def _end_rest(self, ended: asyncio.Future[None] | None = None) -> None:
        """End this rest, or whichever there is."""
        rest = self._rest
        if rest is not None and ended in (None, rest):
            self._rest = None
            rest.cancel()
            self._read_on()

    def _go_on(self, written: asyncio.Future[None]) -> None:
        """The browser took all that waited for it, or is gone."""
        if written.cancelled() or written.exception() is not None:
            return
        self._drop_passed()
        self._set_limit(None)
        self._read_on()

    def _read_on(self) -> None:
        # After a goodbye nothing is read, because nothing more is passed on.
        if not self._has_goodbye.is_set():
            self._transport.resume_reading()

    def _say_goodbye(self, frame: bytes) -> None:
        if self._browser is None or self._has_goodbye.is_set():
            return
        self._has_goodbye.set()
        self._transport.pause_reading()
        self._end_soon()
        with suppress(StreamClosedError):
            self._goodbye = self._browser.write(frame)

    # From the browser to the terminal

    async def _upload(self, browser: IOStream) -> None:
        """Pass on what the browser says, until it has said goodbye."""
        steps = Steps()
        while True:
            data = await browser.read_bytes(_PIECE, partial=True)
            opcodes = steps.follow(data)
            if not self._transport.is_closing():
                self._transport.write(data)
                await self._may_write.wait()
            if CLOSE in opcodes:
                return
            if opcodes != {PONG}:
                # Somebody typed, and waits for an echo.
                self._last_key = asyncio.get_running_loop().time()
                self._end_rest()
                self._count()

    def _end_soon(self) -> None:
        """Give both sides the time for a farewell, and no more, whatever comes."""
        self._set_limit(FAREWELL)
        self._is_ending = True

    def _set_limit(self, seconds: float | None) -> None:
        if self._limit is None or self._is_ending:
            return
        now = asyncio.get_running_loop().time()
        self._limit.reschedule(None if seconds is None else now + seconds)

    async def _hang_up(self) -> None:
        """End the terminal's connection; what it has not taken yet, it has a moment to take."""
        self._transport.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._is_over.wait()
        self._transport.abort()
