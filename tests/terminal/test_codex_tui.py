"""Codex's interactive program in a terminal, every version, against a replay."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.home import SESSION_VARIABLE, SessionHome
from codex_nb.codex.posture import Posture
from codex_nb.codex.settings import merged
from codex_nb.errors import SessionError, UsageError
from codex_nb.hosts.local import LocalHost
from codex_nb.replay.model import ReplayModel, load_replay
from codex_nb.terminal.codex_tui import refusal, tui_argv
from codex_nb.terminal.screen import Screen
from codex_nb.terminal.tmux import Tmux
from tests.support.codex_versions import EVERY_CODEX
from tests.support.programs import program_at
from tests.support.waiting import run, scaled
from tests.terminal.rig import needs_tmux, wait_shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from codex_nb.codex.binary import CodexProgram

SCENARIO = """
title = "Answers"
speed = 0

[[turn]]
  [[turn.step]]
  say = "The first answer."

[[turn]]
  [[turn.step]]
  say = "The second answer."
  [turn.step.run]
  cmd = "true"
  escalate = true
  justification = "May I do nothing?"
  [[turn.step]]
  say = "The third answer."
"""


@asynccontextmanager
async def codex(
    program: CodexProgram, tmp_path: Path, folder: str, mark: str
) -> AsyncIterator[tuple[Tmux, ReplayModel]]:
    """Codex in a terminal, in a home of its own, with a model that is on this machine."""
    host, home, cwd = LocalHost(), SessionHome(str(tmp_path / "session")), str(tmp_path / "work")
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO)
    await host.make_folder(cwd)
    async with ReplayModel(load_replay(scenario)) as model:
        settings = merged(Posture().config(), model.codex_config(f"{home.codex}/models.json"))
        catalog = {"models.json": json.dumps(model.catalog()).encode()}
        await home.lay_out(host, config=settings, cwd=cwd, files=catalog)
        env = home.environment(os.environ, {}, program, session="terminal", offline=True)
        del env[SESSION_VARIABLE]  # other tests look for it
        tmux = await Tmux.start(
            host,
            program="tmux",
            folder=folder,
            argv=tui_argv(program, cwd=cwd, posture=Posture()),
            cwd=cwd,
            env=env,
            mark=mark,
            refusal=refusal,
        )
        try:
            yield tmux, model
        finally:
            await tmux.end(keys=(), grace=0)


def said(model: ReplayModel) -> list[tuple[str, ...]]:
    """What the person had said in each request, but for those in which codex wants a title."""
    return [it.said for it in model.requests if not it.said[-1].startswith("Generate a concise")]


async def say(tmux: Tmux, text: str, *, submit: bool = True) -> None:
    """Say something as soon as codex listens."""
    async with asyncio.timeout(30):
        while True:
            with suppress(SessionError):
                await tmux.paste(text, submit=submit)
                return


@needs_tmux
@pytest.mark.parametrize("program", EVERY_CODEX)
def test_a_message_of_several_lines_is_one_message(
    program: CodexProgram, tmp_path: Path, folder: str, mark: str
) -> None:
    async def scenario() -> tuple[list[tuple[str, ...]], int]:
        async with codex(program, tmp_path, folder, mark) as (tmux, model):
            await say(tmux, "A first line\n\n  and a second, with /slash and @at")
            await wait_shown(tmux, "The first answer.")
            return said(model), await tmux.end(grace=scaled(20))

    assert run(scenario()) == ([("A first line\n\n  and a second, with /slash and @at",)], 0)


@needs_tmux
@pytest.mark.parametrize("program", EVERY_CODEX)
def test_what_a_person_has_half_typed_is_never_sent(
    program: CodexProgram, tmp_path: Path, folder: str, mark: str
) -> None:
    async def scenario() -> tuple[list[tuple[str, ...]], int]:
        async with codex(program, tmp_path, folder, mark) as (tmux, model):
            await say(tmux, "one")
            await wait_shown(tmux, "The first answer.")
            for keys in (("half", "typed"), ("C-j", "more")):
                for key in keys:
                    await tmux._server.command("send-keys", "-t", "=codex:", key)
            await wait_shown(tmux, "more")
            await tmux._server.command("send-keys", "-t", "=codex:", "Home")
            with pytest.raises(SessionError, match="Nothing was typed"):
                await tmux.paste("two", submit=True)
            await tmux.key("C-c")
            await say(tmux, "two")
            await wait_shown(tmux, "May I do nothing?")
            # Enter would allow the command.
            with pytest.raises(SessionError, match="Codex does not wait for a message"):
                await tmux.paste("three", submit=True)
            return said(model), await tmux.end(grace=scaled(20))

    assert run(scenario(), seconds=90) == ([("one",), ("one", "two")], 0)


@needs_tmux
@pytest.mark.parametrize("program", EVERY_CODEX)
def test_codex_quits_with_a_half_typed_message(
    program: CodexProgram, tmp_path: Path, folder: str, mark: str
) -> None:
    async def scenario() -> int:
        async with codex(program, tmp_path, folder, mark) as (tmux, _):
            await say(tmux, "half typed", submit=False)
            await wait_shown(tmux, "half typed")
            return await tmux.end(grace=scaled(20))

    assert run(scenario()) == 0


def screen(row: str, *, x: int = 2, is_visible: bool = True) -> Screen:
    return Screen(
        rows=("", row),
        cursor_x=x,
        cursor_y=1,
        is_cursor_visible=is_visible,
        facts="",
        is_quiet=True,
    )


PROMPT = "\x1b[1m\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}\x1b[0m\x1b[39m\x1b[49m"
HALF = "a message is half typed in the terminal"
NONE = "Codex does not wait for a message, or the one in its editor has several lines"


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (screen(f"{PROMPT} \x1b[2mAsk Codex to do anything"), ""),
        (screen(f"\x1b[0;1m{PROMPT} \x1b[0;2mExplain this codebase"), ""),
        (screen(f"{PROMPT} "), ""),
        (screen(PROMPT), ""),
        (screen(f"{PROMPT} half", x=6), HALF),
        (screen(f"{PROMPT} half"), HALF),
        (screen(f"{PROMPT} \x1b[38;2;1;2;3mhalf"), HALF),
        (screen("  second line"), NONE),
        (screen(f"{PROMPT} 1. Yes, proceed (y)", is_visible=False), NONE),
        (screen(f"{PROMPT} \x1b[2mAsk", is_visible=False), NONE),
        (screen(""), NONE),
    ],
)
def test_codex_takes_a_message_where_its_editor_is_empty(seen: Screen, why: str) -> None:
    assert refusal(seen) == why


OLD, NEW = (
    program_at(Path("/codex"), version="0.142.5"),
    program_at(Path("/codex"), version="0.169.0"),
)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            tui_argv(OLD, cwd="/w", posture=Posture(ask="untrusted"), model="m"),
            "/codex -C /w -s workspace-write -a untrusted -m m",
        ),
        (
            tui_argv(NEW, cwd="/w", posture=Posture(sandbox="read-only", ask="never"), resume="id"),
            "/codex resume id --no-daemon -C /w -s read-only -a never",
        ),
        (
            tui_argv(NEW, cwd="/w", posture=Posture(ask="untrusted"), remote="/s", resume="id"),
            "/codex resume id --remote unix:///s -C /w",
        ),
        (
            tui_argv(NEW, cwd="/w", posture=Posture(ask="untrusted"), remote="/s"),
            "/codex --remote unix:///s -C /w -s workspace-write",
        ),
    ],
)
def test_the_flags_are_those_of_the_version(argv: list[str], expected: str) -> None:
    assert " ".join(argv) == expected


def test_a_plain_terminal_that_should_ask_before_everything_is_refused_where_it_cannot() -> None:
    with pytest.raises(UsageError, match="cannot ask before everything"):
        tui_argv(NEW, cwd="/w", posture=Posture(ask="untrusted"))
