"""The channel between a session host and its clients: JSON lines over a unix socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from typing import TYPE_CHECKING, cast

from codex_nb.errors import ProtocolError
from codex_nb.hosts.unix_path import reachable

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject

MAX_LINE = 256 * 1024 * 1024
"""A snapshot of a long session is one line of many MB; above this something is broken."""

REQUEST_LIMIT = 24 * 1024 * 1024
"""The most bytes of what a client asks: a message with all the attachments that it may have is 17
MB as base64."""


def encode(message: JsonObject) -> bytes:
    """One message as a line of bytes."""
    return (
        json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "backslashreplace"
        )
        + b"\n"
    )


class Decoder:
    """Puts messages together from bytes that arrive split anywhere.

    Args:
        limit: The most bytes of a line. Nothing is kept of a longer one.
    """

    def __init__(self, *, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[JsonObject]:
        """The messages that `data` completes, in order.

        Raises:
            ProtocolError: A line is not a JSON object, or is too long.
        """
        messages = []
        for message in self.take(data):
            if isinstance(message, ProtocolError):
                raise message
            messages.append(message)
        return messages

    def take(self, data: bytes) -> list[JsonObject | ProtocolError]:
        """The same, with an error in the place of a line that is no message."""
        *ends, rest = data.split(b"\n")
        messages: list[JsonObject | ProtocolError] = []
        for end in ends:
            self._add(end)
            is_too_long = self._size > self._limit
            line = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            if is_too_long:
                messages.append(self._too_long())
            elif line:
                try:
                    messages.append(self._parse(line))
                except ProtocolError as exc:
                    messages.append(exc)
        self._add(rest)
        return messages

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            self._parts.clear()
        elif part:
            self._parts.append(part)

    def _too_long(self) -> ProtocolError:
        return ProtocolError(
            f"A line on the channel is longer than {self._limit / 1024 / 1024:g} MB.",
            hint="Send less at once.",
        )

    @staticmethod
    def _parse(line: bytes) -> JsonObject:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise ProtocolError(f"A line on the channel is not JSON: {exc}.") from exc
        if not isinstance(message, dict):
            raise ProtocolError("A line on the channel is not a JSON object.")
        return cast("JsonObject", message)


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, for its owner only.

    The folder is 0700 already; the umask closes the moment between bind and chmod as well.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        old = os.umask(0o177)
        try:
            with reachable(path) as address:
                server.bind(address)
        finally:
            os.umask(old)
        path.chmod(0o600)
        server.listen(64)
        server.setblocking(False)
    except BaseException:
        server.close()
        raise
    return server


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the session host that listens at `path`.

    Raises:
        OSError: Nobody listens there.
    """
    with reachable(path) as address:
        return await asyncio.open_unix_connection(address)


def peer_of(connection: socket.socket) -> tuple[int, int] | None:
    """Process id and user id of the other end; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, 12))
    return pid, uid
