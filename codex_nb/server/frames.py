"""WebSocket as far as the tunnel to a terminal must know it (RFC 6455). Pure.

A terminal server (ttyd 1.7.7) sends each message as one frame, unmasked and without extensions, and
this module knows no other way: what else comes from there is broken, and the browser never sees it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Bytes = bytes | bytearray | memoryview

PROTOCOL = "tty"
"""The subprotocol that ttyd speaks."""

MAX_HEAD = 8192
"""Bytes of an answer to a handshake; ttyd's has 180."""

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
LOST = 4502
"""The close code for a terminal that went without a close frame, or with one that is not legal."""

_FINAL = 0x80
_LEGAL = frozenset(_FINAL | opcode for opcode in (TEXT, BINARY, CLOSE, PING, PONG))
_MAX_CONTROL = 125
_MASK = 4
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CODES = (range(1000, 1004), range(1007, 1015), range(3000, 5000))


def close_frame(code: int, reason: str) -> bytes:
    """The frame with which a server closes.

    Args:
        code: The close code.
        reason: At most 123 bytes.
    """
    payload = code.to_bytes(2, "big") + reason.encode()
    return bytes([_FINAL | CLOSE, len(payload)]) + payload


_BROKEN = close_frame(LOST, "The terminal sent what is no WebSocket.")
_FAILED = close_frame(LOST, "The terminal failed.")


def whole_frames(data: Bytes, size: int, room: int) -> tuple[int, bytes]:
    """How much of what a terminal sent may go to the browser.

    Args:
        data: Begins with a frame.
        size: Bytes of it that have come.
        room: The most bytes that a frame may have.

    Returns:
        How many bytes are whole frames; and the close frame to send after them, which is the
        terminal's own where that is legal, or b"" as long as the terminal goes on.
    """
    at = 0
    while size - at >= 2:
        first, length = data[at], data[at + 1]
        if first not in _LEGAL or length > 127:
            return at, _BROKEN
        start = at + 2
        if length > _MAX_CONTROL:
            if first >= _FINAL | CLOSE:
                return at, _BROKEN
            start += 2 if length == 126 else 8
            if start > size:
                break
            length = int.from_bytes(data[at + 2 : start], "big")
        end = start + length
        if end - at > room:
            return at, _BROKEN
        if end > size:
            break
        if first == _FINAL | CLOSE:
            return at, bytes(data[at:end]) if _is_legal_close(bytes(data[start:end])) else _FAILED
        at = end
    return at, b""


class Steps:
    """Follows the frames of a browser through its bytes, however these are cut."""

    def __init__(self) -> None:
        self._skipped = 0
        self._rest = b""

    def follow(self, data: bytes) -> set[int]:
        """The opcodes of the frames that begin here; none where a frame only goes on."""
        if self._skipped >= len(data):
            self._skipped -= len(data)
            return set()
        data = self._rest + data[self._skipped :]
        opcodes, at = set(), 0
        while at < len(data) and (size := _masked_size(data, at)):
            opcodes.add(data[at] & 15)
            at += size
        self._skipped = max(0, at - len(data))
        self._rest = data[at:]
        return opcodes


def _masked_size(data: bytes, at: int) -> int:
    """Bytes of the frame that begins at `at`; 0 while its head is not complete."""
    if len(data) < at + 2:
        return 0
    length, head = data[at + 1] & 127, 2
    if length > _MAX_CONTROL:
        head = 4 if length == 126 else 10
        if len(data) < at + head:
            return 0
        length = int.from_bytes(data[at + 2 : at + head], "big")
    return head + _MASK + length


def is_key(key: str) -> bool:
    """Whether a Sec-WebSocket-Key is one."""
    try:
        return len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except (ValueError, binascii.Error):
        return False


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324


def request_of(key: str) -> bytes:
    """The handshake with a terminal: all of it is ours but the key."""
    return _head(
        "GET /ws HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {PROTOCOL}",
    )


def answer_of(key: str) -> bytes:
    """The answer to the browser's handshake, once the terminal agreed: all of it is ours."""
    return _head(
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_of(key)}",
        f"Sec-WebSocket-Protocol: {PROTOCOL}",
    )


def fault_of(head: bytes, key: str) -> str:
    """What is wrong with a terminal's answer to the handshake, for a log; "" when it agreed.

    Args:
        head: The answer up to its empty line.
        key: The key that it was asked with.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 101"):
        return "it is no 101"
    found: dict[str, list[str]] = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        found.setdefault(name.lower(), []).append(value.strip(" \t"))
    if [it.lower() for it in found.get("upgrade", [])] != ["websocket"]:
        return "it upgrades to something else"
    if "upgrade" not in _words(found.get("connection", [])):
        return "it upgrades nothing"
    if found.get("sec-websocket-accept") != [accept_of(key)]:
        return "it answers another key"
    if found.get("sec-websocket-protocol") != [PROTOCOL]:
        return "it speaks another protocol"
    if "sec-websocket-extensions" in found:
        return "it wants an extension"
    return ""


def _words(values: Sequence[str]) -> list[str]:
    return [word.strip().lower() for value in values for word in value.split(",")]


def _is_legal_close(payload: bytes) -> bool:
    if not payload:
        return True
    if not any(int.from_bytes(payload[:2], "big") in codes for codes in _CODES):
        return False
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return False
    return len(payload) > 1


def _head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()
