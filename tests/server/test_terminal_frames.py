"""What the tunnel knows of WebSocket, with a table of frames and with any cut of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.server.frames import (
    Steps,
    accept_of,
    answer_of,
    close_frame,
    fault_of,
    is_key,
    request_of,
    whole_frames,
)
from tests.server.tty import ACCEPT, AGREED, KEY, frame, masked

ROOM = 1 << 18
BROKEN = close_frame(4502, "The terminal sent what is no WebSocket.")
FAILED = close_frame(4502, "The terminal failed.")

SIZES = st.sampled_from([0, 1, 125, 126, 127, 4096, 65535, 65536, 70000])


@given(sizes=st.lists(SIZES, min_size=1, max_size=4), cut=st.floats(0, 1))
def test_what_may_go_on_is_the_whole_frames_wherever_the_bytes_are_cut(
    sizes: list[int], cut: float
) -> None:
    frames = [frame(b"x" * size) for size in sizes]
    data = b"".join(frames)
    came = round(cut * len(data))
    whole, fits = 0, 0
    for one in frames:
        whole += len(one)
        if whole <= came:
            fits = whole

    # What comes after the bytes that have come is not looked at.
    assert whole_frames(data[:came] + b"\xff" * 99, came, ROOM) == (fits, b"")


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0" + "\u00e4".encode()],
)
def test_a_close_frame_that_is_legal_is_passed_on_as_it_is(payload: bytes) -> None:
    end = frame(payload, first=0x88)

    assert whole_frames(frame(b"0last") + end + b"rest", 7 + len(end) + 4, ROOM) == (7, end)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_a_close_code_that_none_may_send_becomes_4502(code: int) -> None:
    end = frame(code.to_bytes(2, "big"), first=0x88)

    assert whole_frames(end, len(end), ROOM) == (0, FAILED)


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xe8\xff"])
def test_a_close_frame_that_no_browser_can_read_becomes_4502(payload: bytes) -> None:
    end = frame(payload, first=0x88)

    assert whole_frames(end, len(end), ROOM) == (0, FAILED)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"\x02\x00",  # not final
        b"\x80\x00",  # goes on with nothing
        b"\xc2\x00",  # an extension
        b"\x83\x00",  # an opcode of nobody
        b"\x82\x80\0\0\0\0",  # masked
        b"\x89\x7e\x01\x00",  # a ping that is too long
        b"\x82\x7f" + (1 << 20).to_bytes(8, "big"),
        b"\x82\x7f" + b"\xff" * 8,
    ],
)
def test_what_is_no_frame_of_a_terminal_ends_it_and_what_was_before_goes_on(data: bytes) -> None:
    before = frame(b"0x")

    assert whole_frames(before + data, len(before + data), ROOM) == (len(before), BROKEN)


def test_the_longest_frame_fits_and_one_byte_more_does_not() -> None:
    longest = frame(b"x" * (ROOM - 10))

    assert whole_frames(longest, len(longest), ROOM) == (ROOM, b"")
    assert whole_frames(frame(b"x" * (ROOM - 9)), 20, ROOM) == (0, BROKEN)


@given(
    frames=st.lists(st.tuples(st.sampled_from([1, 2, 8, 9, 10]), SIZES), max_size=5),
    cuts=st.lists(st.integers(1, 70000), max_size=20),
)
def test_the_opcodes_of_a_browser_are_found_wherever_its_bytes_are_cut(
    frames: list[tuple[int, int]], cuts: list[int]
) -> None:
    # A payload of 0x88 looks like the beginning of a close frame everywhere.
    data = b"".join(masked(b"\x88" * size, opcode=opcode) for opcode, size in frames)
    steps = Steps()
    found: set[int] = set()
    for size in cuts:
        found |= steps.follow(data[:size])
        data = data[size:]
    found |= steps.follow(data)

    assert found == {opcode for opcode, _ in frames}


def test_bytes_in_the_middle_of_a_frame_begin_none() -> None:
    steps = Steps()
    paste = masked(b"x" * 100_000)

    assert steps.follow(paste[:50_000]) == {2}
    assert steps.follow(b"\x88" * 50_000) == set()
    assert steps.follow(paste[100_000:] + masked(b"", opcode=8)) == {8}


def test_the_handshake_is_that_of_the_example_of_the_standard() -> None:
    assert accept_of(KEY) == ACCEPT
    assert request_of(KEY) == (
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: tty\r\n\r\n"
    )
    assert answer_of(KEY) == AGREED.replace(b"WebSocket\r", b"websocket\r", 1)


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        (KEY, True),
        ("", False),
        ("dGhl", False),
        (KEY[:-2], False),
        (KEY + "=", False),
        ("\u00e4", False),
    ],
)
def test_a_key_is_16_bytes_in_base64(key: str, is_one: bool) -> None:
    assert is_key(key) is is_one


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"", b"", ""),
        (b" 101 ", b" 200 ", "it is no 101"),
        (b"HTTP/1.1", b"HTTP/1.0", "it is no 101"),
        (b"Upgrade: WebSocket\r\n", b"", "it upgrades to something else"),
        (b"WebSocket\r", b"h2c\r", "it upgrades to something else"),
        (b"Connection: Upgrade", b"Connection: close", "it upgrades nothing"),
        (ACCEPT[:3].encode(), b"xxx", "it answers another key"),
        (b"Protocol: tty", b"Protocol: chat", "it speaks another protocol"),
        (b"Protocol: tty", b"Protocol: tty, chat", "it speaks another protocol"),
        (
            b"Protocol: tty",
            b"Protocol: tty\r\nSec-WebSocket-Protocol: tty",
            "it speaks another protocol",
        ),
        (b"tty", b"tty\r\nsec-websocket-EXTENSIONS: x", "it wants an extension"),
    ],
)
def test_a_terminal_agrees_only_with_the_right_answer(old: bytes, new: bytes, fault: str) -> None:
    head = AGREED.removesuffix(b"\r\n\r\n")

    assert fault_of(head.replace(old, new, 1), KEY) == fault
