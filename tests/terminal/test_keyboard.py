from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.errors import HostError, UsageError
from codex_nb.terminal.keyboard import KEYS, LONGEST, finished, known_key, pasted
from codex_nb.terminal.screen import Screen, plain, read_screen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("out\x1b[201~\rrm -rf /\n", "out\nrm -rf /\n"),
        ("a\x1b[20\x1b[201~1~b", "a[201~b"),
        ("\x9b201~x\x9b200~", "x"),
        ("bell\x07 nul\x00 del\x7f esc\x1b csi\x9b", "bell nul del esc csi"),
    ],
)
def test_what_is_pasted_cannot_leave_the_paste(text: str, expected: str) -> None:
    assert pasted(text) == expected


@given(st.text(alphabet="\x1b\x9b[201~a\r\n\t\x00", min_size=1))
def test_no_control_character_but_newline_and_tab_is_pasted(text: str) -> None:
    try:
        clean = pasted(text)
    except UsageError:
        return  # nothing was left
    assert {each for each in clean if each < " " or "\x7f" <= each <= "\x9f"} <= {"\n", "\t"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is empty"), ("\x1b\x07", "is empty"), ("x" * (LONGEST + 1), "at most")],
)
def test_a_text_that_cannot_be_pasted_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pasted(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see @file", "see @file "),
        ("@", "@ "),
        ("use\n$skill", "use\n$skill "),
        ("mail a@b", "mail a@b"),
        ("@file there", "@file there"),
        ("/model", "/model"),
    ],
)
def test_a_name_at_the_end_opens_no_menu(text: str, expected: str) -> None:
    assert finished(text) == expected


def test_keys_are_known_by_name_and_no_others() -> None:
    assert [known_key(name) for name in KEYS] == list(KEYS)
    with pytest.raises(UsageError, match="no key 'enter'") as caught:
        known_key("enter")
    assert caught.value.hint.startswith("Keys: Enter, Escape, ")


def test_a_screen_is_read_from_what_tmux_tells() -> None:
    assert read_screen("105 1 2 1 103\nfirst\n\x1b[1mrow\n") == Screen(
        rows=("first", "\x1b[1mrow", ""),
        cursor_x=2,
        cursor_y=1,
        is_cursor_visible=True,
        facts="1 2 1 103",
        is_quiet=True,
    )
    assert not read_screen("104 1 2 1 103\n").is_quiet
    assert read_screen("105 0 2 9 103\nrow").cursor_row == ""


@pytest.mark.parametrize("output", ["", "1 2\n", "x 1 2 3 4\nrow", "105 1 2 1\n"])
def test_anything_else_is_no_screen(output: str) -> None:
    with pytest.raises(HostError, match="does not tell"):
        read_screen(output)


def test_text_is_shown_without_colours_and_blanks_at_its_ends() -> None:
    styled = "\x1b[1;38:2::1:2:3mbold\x1b[0m  \n\n\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \n \n\n"
    assert plain(styled) == "bold\n\nlink"
