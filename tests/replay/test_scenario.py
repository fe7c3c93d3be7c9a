"""Scenarios: what a file may hold, what it may not, and where one is found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import ReplayError
from codex_nb.replay.model import load_replay
from codex_nb.replay.scenario import (
    Command,
    Failure,
    RateLimits,
    Scenario,
    Step,
    ToolCall,
    Turn,
    Usage,
    Window,
    find_scenario,
    load_scenario,
    scenario_names,
)
from codex_nb.replay.scenario_file import parse_scenario

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = """
title = "Everything"
speed = 0

[[turn]]
match = "^hello"
  [[turn.step]]
  think = "thought"
  say = "said"
  plan = ["[x] done", "[>] doing", "[ ] to do"]
  run = "ls"
  wait = 1.5
  hold = "door"
  rate_limits = { primary = { used_percent = 12.5, window_minutes = 300, resets_in = 60 } }
  usage = { input = 1, cached = 2, output = 3, reasoning = 4 }
  [[turn.step]]
  run = { cmd = "id", cwd = "/", escalate = true, justification = "why", timeout = 3 }
  [[turn.step]]
  tool = { name = "plot", namespace = "kernel", arguments = { x = [1, 2.5, "a", true, {}] } }
  [[turn.step]]
  tool = { name = "exec", input = "text('hi')" }
  [[turn.step]]
  patch = '''
*** Begin Patch
*** Delete File: a
*** End Patch
'''
  [[turn.step]]
  say = "bye"

[[turn]]
  [[turn.step]]
  error = { status = 429, type = "usage_limit_reached", message = "no more", resets_in = 9 }

[[turn]]
  [[turn.step]]
  say = "so far"
  error = { event = "response.failed", code = "context_length_exceeded", message = "full" }

[[turn]]
  [[turn.step]]
  say = "cut here"
  drop = true
"""


def test_every_key_of_a_scenario_becomes_a_value() -> None:
    assert parse_scenario(EVERYTHING, name="all.toml") == Scenario(
        title="Everything",
        speed=0.0,
        turns=(
            Turn(
                match=re.compile("^hello", re.IGNORECASE),
                steps=(
                    Step(
                        think="thought",
                        say="said",
                        plan=(
                            ("done", "completed"),
                            ("doing", "in_progress"),
                            ("to do", "pending"),
                        ),
                        run=Command(cmd="ls"),
                        wait=1.5,
                        hold="door",
                        rate_limits=RateLimits(
                            primary=Window(used_percent=12.5, window_minutes=300, resets_in=60.0)
                        ),
                        usage=Usage(input=1, cached=2, output=3, reasoning=4),
                    ),
                    Step(
                        run=Command(
                            cmd="id", cwd="/", escalate=True, justification="why", timeout=3.0
                        )
                    ),
                    Step(
                        tool=ToolCall(
                            name="plot",
                            namespace="kernel",
                            arguments={"x": [1, 2.5, "a", True, {}]},
                        )
                    ),
                    Step(tool=ToolCall(name="exec", input="text('hi')")),
                    Step(patch="*** Begin Patch\n*** Delete File: a\n*** End Patch\n"),
                    Step(say="bye"),
                ),
            ),
            Turn(
                steps=(
                    Step(
                        error=Failure(
                            status=429,
                            code="usage_limit_reached",
                            message="no more",
                            resets_in=9.0,
                        )
                    ),
                )
            ),
            Turn(
                steps=(
                    Step(
                        say="so far",
                        error=Failure(status=None, code="context_length_exceeded", message="full"),
                    ),
                )
            ),
            Turn(steps=(Step(say="cut here", drop=True),)),
        ),
    )


STEP_KEYS = (
    "Legal here: think, say, plan, run, patch, tool, error, drop, wait, hold, rate_limits, usage."
)


@pytest.mark.parametrize(
    ("step", "message", "hint"),
    [
        ('rnu = "ls"', 'unknown key "rnu"', STEP_KEYS),
        ("think = 'a'", "the step does nothing", "Give it say, run, patch, tool or plan."),
        (
            'say = "a"\nrun = "ls"',
            "codex comes back after this, but no step follows",
            "The last step of a turn only thinks and says, or fails with error or drop.",
        ),
        (
            'say = "a"\n[[turn.step]]\nsay = "b"',
            "codex would end the turn here, but more steps follow",
            "Every step but the last of a turn needs run, patch, tool or plan.",
        ),
        (
            'run = "a"\npatch = "b"',
            "run and patch in one step",
            "Use one of them per step.",
        ),
        (
            'plan = ["do it"]',
            "\"plan\" has the line 'do it'",
            'A line starts with "[x] " (done), "[>] " (in progress) or "[ ] " (to do).',
        ),
        (
            'patch = "--- a"',
            '"patch" is not in the format of apply_patch',
            'Its first line is "*** Begin Patch" and its last is "*** End Patch".',
        ),
        ('say = ""', "\"say\" is ''", '"say" has to be a text that is not empty.'),
        ("wait = true", '"wait" is True', '"wait" has to be a number that is not negative.'),
        ("wait = -1", '"wait" is -1', '"wait" has to be a number that is not negative.'),
        ("drop = true", '"drop" without "say"', "The stream is cut in the middle of say."),
        (
            'say = "a"\ndrop = true\nrun = "ls"',
            "a step that fails cannot ask for anything",
            "Use error or drop alone, or with think and say.",
        ),
        (
            "error = { message = 'a' }",
            "error: neither or both of status and event",
            'Write {status = 429, type = "…"} or {event = "response.failed", code = "…"}.',
        ),
        (
            "error = { status = 200 }",
            'error: "status" is 200',
            "An HTTP error is between 400 and 599.",
        ),
        (
            'run = { cmd = "a", justification = "b" }',
            'run: "justification" without "escalate = true"',
            "",
        ),
        ("run = 3", '"run" is 3', '"run" has to be a table of cmd, cwd, escalate, '),
        (
            "tool = { name = 'a', arguments = { day = 2025-01-01 } }",
            "tool: \"arguments\" is {'day': datetime.date(2025, 1, 1)}",
            '"arguments" has to be made of texts, numbers, true, false, lists and tables.',
        ),
        (
            "rate_limits = { primary = { used_percent = 1 } }",
            "rate_limits, primary: incomplete",
            "Give used_percent, window_minutes and resets_in.",
        ),
        ("usage = { input = 1.5 }", 'usage: "input" is 1.5', '"input" has to be a whole number'),
    ],
)
def test_a_refusal_names_file_turn_step_and_key(step: str, message: str, hint: str) -> None:
    text = f'title = "t"\n[[turn]]\n[[turn.step]]\nsay = "first"\n[[turn]]\n[[turn.step]]\n{step}'
    with pytest.raises(ReplayError) as caught:
        parse_scenario(text, name="mine.toml")
    place = "mine.toml, turn 2, step 1"
    separator = ", " if re.match(r"(error|run|tool|rate_limits|usage)(, \w+)?: ", message) else ": "
    assert caught.value.message == f"{place}{separator}{message}"
    assert caught.value.hint.startswith(hint)
    assert bool(caught.value.hint) == bool(hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "mine.toml: not TOML: Invalid value (at end of document)"),
        ("", 'mine.toml: "title" is missing'),
        ('title = "a"', "mine.toml: there is no [[turn]]"),
        ('title = "a"\nturn = []', 'mine.toml: "turn" is []'),
        ('title = "a"\n[[turn]]', "mine.toml, turn 1: there is no [[step]]"),
        (
            'title = "a"\n[[turn]]\nmatch = "("\n[[turn.step]]\nsay = "a"',
            'mine.toml, turn 1: "match" is no regular expression: '
            "missing ), unterminated subpattern at position 0",
        ),
        ('title = "a"\nspeed = "fast"', "mine.toml: \"speed\" is 'fast'"),
    ],
)
def test_what_is_no_scenario_is_refused(text: str, message: str) -> None:
    with pytest.raises(ReplayError) as caught:
        parse_scenario(text, name="mine.toml")
    assert caught.value.message == message


def test_a_turn_is_chosen_by_its_match_or_by_its_place() -> None:
    chart = Turn(steps=(Step(say="chart"),), match=re.compile("chart", re.IGNORECASE))
    first, second = Turn(steps=(Step(say="1"),)), Turn(steps=(Step(say="2"),))
    scenario = Scenario(title="t", turns=(first, chart, second))
    chosen = [
        scenario.turn_for(index, prompt)
        for index, prompt in enumerate(["hi", "a Chart please", "and now?", "more"])
    ]
    assert chosen == [first, chart, None, None]
    assert scenario.turn_for(1, "go on") == second


def test_every_shipped_scenario_can_be_read() -> None:
    assert scenario_names() == ["approval", "first-session"]
    titles = [load_scenario(find_scenario(name, folder="/")).title for name in scenario_names()]
    assert titles == ["A command that needs approval", "A first look at a small CSV"]


def test_a_scenario_is_found_by_a_path_relative_to_a_folder(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('title = "Mine"\n[[turn]]\n[[turn.step]]\nsay = "a"', encoding="utf-8")
    assert find_scenario("mine.toml", folder=tmp_path) == mine
    assert find_scenario(str(mine), folder="/") == mine
    assert load_replay(mine) == load_scenario(mine)
    assert load_scenario(mine).title == "Mine"


def test_a_missing_scenario_is_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ReplayError) as caught:
        find_scenario("first", folder=tmp_path)
    assert (caught.value.message, caught.value.hint) == (
        'There is no scenario "first".',
        "Shipped are approval, first-session; or give the path of a .toml or .jsonl.",
    )


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="cannot be read: No such file or directory"):
        load_scenario(tmp_path / "none.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'title = "caf\xe9"')
    with pytest.raises(ReplayError, match="is not UTF-8 text"):
        load_scenario(latin)
