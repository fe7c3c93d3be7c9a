"""The channel between a session host and its clients: JSON lines over a unix socket.

A unix socket path holds 107 bytes at most on Linux (103 on macOS). On Linux a longer one is reached
through a file descriptor of its folder, so a deep folder works as well as a shallow one.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from codex_nb.errors import ProtocolError, SessionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.messages import JsonObject

MAX_LINE = 256 * 1024 * 1024
"""A snapshot of a long session is one line of many MB; above this something is broken."""

_MAX_SOCKET_PATH = 103


def encode(message: JsonObject) -> bytes:
    """One message as a line of bytes."""
    return (
        json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "backslashreplace"
        )
        + b"\n"
    )


class Decoder:
    """Puts messages together from bytes that arrive split anywhere."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[JsonObject]:
        """The messages that `data` completes, in order.

        Raises:
            ProtocolError: A line is not a JSON object, or is longer than `MAX_LINE`.
        """
        *ends, rest = data.split(b"\n")
        messages = []
        for end in ends:
            self._parts.append(end)
            line = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            if line:
                messages.append(self._parse(line))
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > MAX_LINE:
                raise ProtocolError(f"A line on the channel is longer than {MAX_LINE} bytes.")
        return messages

    @staticmethod
    def _parse(line: bytes) -> JsonObject:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise ProtocolError(f"A line on the channel is not JSON: {exc}.") from exc
        if not isinstance(message, dict):
            raise ProtocolError("A line on the channel is not a JSON object.")
        return cast("JsonObject", message)


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A spelling of `path` that fits into a socket address while the block runs."""
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        yield str(path)
        return
    if not Path("/proc/self/fd").is_dir():
        raise SessionError(
            f"The path of the session's socket is too long for this system: {path}.",
            hint="Set CodexNB.state_dir to a folder with a shorter path.",
        )
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, for its owner only.

    The folder is 0700 already; the umask closes the moment between bind and chmod as well.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        old = os.umask(0o177)
        try:
            with _reachable(path) as address:
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
    with _reachable(path) as address:
        return await asyncio.open_unix_connection(address)


def peer_of(connection: socket.socket) -> tuple[int, int] | None:
    """Process id and user id of the other end; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, 12))
    return pid, uid
