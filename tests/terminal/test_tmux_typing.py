"""Who types what into a terminal, with a real tmux."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError, SessionError, UsageError
from tests.support.waiting import run, wait_until
from tests.terminal.rig import (
    RECORD,
    leave,
    needs_tmux,
    press,
    terminal,
    typed,
    viewer,
    wait_shown,
)

if TYPE_CHECKING:
    from codex_nb.terminal.screen import Screen
    from codex_nb.terminal.tmux import Tmux

pytestmark = [pytest.mark.integration, needs_tmux]


@pytest.mark.parametrize("submit", [False, True])
def test_a_paste_is_exact_and_bracketed(folder: str, mark: str, submit: bool) -> None:
    text = "first\tline\nsecond 'line' \"$HOME\" #{pane_id} \N{SNOWMAN}\n\n" + "x" * 1000

    async def scenario() -> None:
        async with terminal(folder, mark, "sh", "-c", RECORD) as tmux:
            await wait_shown(tmux, "ready")
            await tmux.paste(text, submit=submit)
            wanted = b"\x1b[200~" + text.encode() + b"\x1b[201~" + (b"\r" if submit else b"")
            await wait_until(lambda: typed(folder) == wanted)

    run(scenario())


def test_a_paste_of_a_megabyte_arrives_whole(folder: str, mark: str) -> None:
    text = "".join(f"{number:07d}\n" for number in range(131_072))

    async def scenario() -> None:
        async with terminal(folder, mark, "sh", "-c", RECORD) as tmux:
            await wait_shown(tmux, "ready")
            await tmux.paste(text, submit=False)
            await wait_until(
                lambda: typed(folder) == b"\x1b[200~" + text.encode() + b"\x1b[201~", seconds=30
            )

    run(scenario())


def test_pastes_and_keys_of_several_never_mix(folder: str, mark: str) -> None:
    async def scenario() -> None:
        async with terminal(folder, mark, "sh", "-c", RECORD) as tmux:
            await wait_shown(tmux, "ready")
            texts = [str(number) * 5000 for number in range(10)]
            await asyncio.gather(*(tmux.paste(text, submit=True) for text in texts))
            whole = {b"\x1b[200~" + text.encode() + b"\x1b[201~" for text in texts}
            await wait_until(lambda: typed(folder).count(b"\r") == 10)
            assert set(typed(folder).split(b"\r")[:-1]) == whole

    run(scenario())


def test_every_key_reaches_the_program(folder: str, mark: str) -> None:
    async def scenario() -> None:
        async with terminal(folder, mark, "sh", "-c", RECORD) as tmux:
            await wait_shown(tmux, "ready")
            for key in ("Enter", "Escape", "Up", "BTab", "Delete", "Home", "C-c", "Space"):
                await tmux.key(key)
            await wait_until(lambda: typed(folder) == b"\r\x1b\x1b[A\x1b[Z\x1b[3~\x1b[1~\x03 ")
            with pytest.raises(UsageError, match="no key 'C-b d'"):
                await tmux.key("C-b d")

    run(scenario())


def test_a_key_reaches_the_program_while_somebody_scrolls_back(folder: str, mark: str) -> None:
    async def scenario() -> None:
        script = f"seq 200; {RECORD}"
        async with terminal(folder, mark, "sh", "-c", script) as tmux:
            await wait_shown(tmux, "ready")
            look = viewer(tmux.attach_argv(read_only=False))
            try:
                await wait_until(lambda: _is_attached(folder))
                press(look, b"\x1b[5~")  # Page Up
                await _wait_format(tmux, "#{pane_in_mode}", "1")
                await tmux.key("Enter")
                await tmux.paste("text", submit=False)
                await wait_until(lambda: typed(folder) == b"\r\x1b[200~text\x1b[201~")
                press(look, b"\x1b[5~")
                await _wait_format(tmux, "#{pane_in_mode}", "1")
                press(look, b"x")  # any key leads back
                await _wait_format(tmux, "#{pane_in_mode}", "0")
            finally:
                leave(look)

    run(scenario())


def _is_attached(folder: str) -> bool:
    argv = ["tmux", "-N", "-S", f"{folder}/tmux.sock", "list-clients"]
    return bool(subprocess.run(argv, capture_output=True, check=False).stdout)


async def _wait_format(tmux: Tmux, text: str, value: str) -> None:
    async with asyncio.timeout(20):
        while True:
            told = await tmux._server.command("display-message", "-p", "-t", "=codex:", text)
            if told.strip() == value:
                return
            await asyncio.sleep(0.02)


def test_nothing_is_pasted_while_the_program_refuses(folder: str, mark: str) -> None:
    def refusal(screen: Screen) -> str:
        return "" if screen.cursor_x == 0 else "a line is half typed"

    async def scenario() -> None:
        async with terminal(folder, mark, "cat", refusal=refusal) as tmux:
            await tmux.paste("one", submit=False)
            await wait_shown(tmux, "one")
            with pytest.raises(SessionError, match=r"Nothing was typed: a line is half typed\."):
                await tmux.paste("two", submit=True)
            assert await tmux.screen() == "one"
            await tmux.key("Enter")
            await wait_shown(tmux, "one\none")
            await tmux.paste("two", submit=True)
            await wait_shown(tmux, "one\none\ntwo\ntwo")

    run(scenario())


def test_viewers_come_and_go_and_a_reader_has_no_say(folder: str, mark: str) -> None:
    async def scenario() -> None:
        async with terminal(folder, mark, "sh", "-c", RECORD, size=(90, 20)) as tmux:
            await wait_shown(tmux, "ready")
            writer = viewer(tmux.attach_argv(read_only=False))
            await _wait_format(tmux, "#{window_width}x#{window_height}", "100x40")
            reader = viewer(tmux.attach_argv(read_only=True), columns=60, rows=15)
            try:
                await _wait_format(tmux, "#{session_attached}", "2")
                press(reader, b"from a reader")
                press(writer, b"\x02d\x02ctyped")  # Ctrl+B is for the program, as all keys
                await wait_until(lambda: typed(folder) == b"\x02d\x02ctyped")
                await _wait_format(tmux, "#{window_width}x#{window_height}", "100x40")
            finally:
                leave(reader)
                leave(writer)
            await _wait_format(tmux, "#{session_attached}", "0")
            assert "ready" in await tmux.screen()

    run(scenario())


def test_a_name_that_begins_alike_is_not_meant(folder: str, mark: str) -> None:
    async def scenario() -> str:
        async with terminal(folder, mark, "sh", "-c", RECORD) as tmux:
            await wait_shown(tmux, "ready")
            await tmux._server.command("rename-session", "-t", "=codex", "codexes")
            with pytest.raises(HostError, match="can't find"):
                await tmux.paste("not for this one", submit=True)
            await tmux._server.command("rename-session", "-t", "=codexes", "codex")
            return typed(folder).decode()

    assert run(scenario()) == ""
