from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.codex.stderr_tail import LINES, SIZE, StderrTail, redacted

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"  # made up


def tail_of(*chunks: bytes) -> StderrTail:
    tail = StderrTail()
    for chunk in chunks:
        tail.feed(chunk)
    return tail


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[2m12:00\x1b[0m \x1b[31mERROR\x1b[0m it\tfailed\r", "12:00 ERROR it\tfailed"),
        ("key sk-proj-abcdefgh12345 is wrong", "key [secret] is wrong"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [secret] [secret]"),
        ("sent bearer abcdef, twice", "sent bearer [secret], twice"),
        (f"token was {JWT}.", "token was [secret]."),
        ('{"refresh_token":"rt-old","id":1}', '{"refresh_token":[secret],"id":1}'),
        ("OPENAI_API_KEY=abc123 codex", "OPENAI_API_KEY=[secret] codex"),
        ("GET https://me:pass@host/x", "GET https://[secret]@host/x"),
        ("totalTokens 17 of 20, disk-full", "totalTokens 17 of 20, disk-full"),
    ],
)
def test_a_line_is_shown_without_colours_and_secrets(line: str, shown: str) -> None:
    assert redacted(line) == shown


def test_the_last_lines_are_kept() -> None:
    tail = tail_of(b"".join(b"line %d\n" % n for n in range(100)), b"\n  \nunfinished")
    assert tail.text.splitlines() == [f"line {n}" for n in range(100 - LINES, 100)] + ["unfinished"]
    assert tail.last_line == "unfinished"


def test_nothing_said_is_an_empty_text() -> None:
    assert (tail_of().text, tail_of(b"\n").last_line) == ("", "")


def test_long_lines_are_cut_and_the_whole_is_bounded() -> None:
    tail = tail_of(*[b"%d " % n + b"x" * 2000 + b"\n" for n in range(30)])
    lines = tail.text.splitlines()
    assert len(tail.text) <= SIZE
    assert lines[-1] == "29 " + "x" * 997 + "…"


def test_the_rest_of_an_endless_line_is_dropped() -> None:
    tail = tail_of(b"start " + b"x" * 100_000, b"sk-abcdefgh12345\nnext\n")
    assert tail.text.splitlines() == ["start " + "x" * 994 + "…", "next"]


def test_a_secret_in_two_pieces_is_one_secret() -> None:
    assert tail_of(b"key sk-abcd", b"efgh12345 bad\n").text == "key [secret] bad"


@given(st.lists(st.binary(max_size=40)))
def test_the_split_of_the_bytes_changes_nothing(chunks: list[bytes]) -> None:
    assert tail_of(*chunks).text == tail_of(b"".join(chunks)).text
