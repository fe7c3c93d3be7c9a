"""The real codex in conversation with a replayed model."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import ReplayError
from codex_nb.replay.model import ReplayModel
from codex_nb.replay.scenario import Scenario, find_scenario, load_scenario
from codex_nb.replay.scenario_file import parse_scenario
from tests.support.waiting import run

from .driver import Codex

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

pytestmark = pytest.mark.integration

DATA = Path(__file__).parents[2] / "notebooks" / "data"


def scenario(turns: str) -> Scenario:
    return parse_scenario(f'title = "test"\n{turns}', name="test.toml")


def kinds(codex: Codex, turn: JsonObject) -> list[Json]:
    """The types of the completed items of a turn, but for the prompt and the commands."""
    return [
        item["type"]
        for params in codex.of_method("item/completed")
        if params["turnId"] == turn["id"]
        and isinstance(item := params["item"], dict)
        and item["type"] not in ("userMessage", "commandExecution")
    ]


def test_the_first_session_runs_its_script_and_reports_what_it_printed(
    codex_program: Path, tmp_path: Path
) -> None:
    async def talk() -> None:
        play = load_scenario(find_scenario("first-session", folder=tmp_path))
        shutil.copytree(DATA, tmp_path / "work" / "data")
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            thread = await codex.start_thread()
            first = await codex.ask(thread, "Which café is the busiest?")
            assert (first["status"], kinds(codex, first)) == (
                "completed",
                [
                    *["reasoning", "agentMessage"],
                    *["reasoning", "agentMessage", "fileChange"],
                    "agentMessage",
                ],
            )
            commands = [str(each) for each in await codex.wait_commands(first)]
            assert [command.split()[2].strip("\"'") for command in commands] == ["head", "python3"]
            printed = model.requests[-1].place.output
            assert printed.startswith("| café | visitors a day | dry days |")
            assert str(codex.said(first)[-1]).startswith(f"{printed}\n\nA day counts")
            plans = [params["plan"] for params in codex.of_method("turn/plan/updated")]
            assert [[step["status"] for step in plan] for plan in plans if plan] == [  # type: ignore[index, call-overload, union-attr]
                ["inProgress", "pending", "pending"],
                ["completed", "inProgress", "pending"],
                ["completed", "completed", "inProgress"],
                ["completed", "completed", "completed"],
            ]
            second = await codex.ask(thread, "Add a bar chart.")
            changes = codex.items(second, "fileChange")[0]["changes"]
            assert isinstance(changes, list)
            assert isinstance(changes[0], dict)
            assert "+scale = 40 / visitors[ranking[0]]" in str(changes[0]["diff"])
            assert "Harbour  ████████████████████████████████████████ 1" in str(
                codex.said(second)[-1]
            )
            third = await codex.ask(thread, "And now?")
            assert codex.said(third) == [
                "The replay has ended: nothing is written down for this prompt. "
                "Start a new session to see it again, or use a real model."
            ]

    run(talk())


@pytest.mark.parametrize("decision", ["accept", "decline"])
def test_the_approval_scenario_asks_and_tells_what_came_of_it(
    codex_program: Path, tmp_path: Path, decision: str
) -> None:
    async def talk() -> None:
        play = load_scenario(find_scenario("approval", folder=tmp_path))
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            codex.decisions = [decision]
            turn = await codex.ask(await codex.start_thread(), "Find a free port.")
            asked = codex.of_method("item/commandExecution/requestApproval")
            assert [each["reason"] for each in asked] == [
                "May I open a port on the loopback address for a moment, outside the sandbox, "
                "to see which one is free?"
            ]
            last = str(codex.said(turn)[-1])
            assert ("free port: " in last) == (decision == "accept")
            assert ("rejected by user" in last) == (decision == "decline")

    run(talk())


TWO_TURNS = """
[[turn]]
  [[turn.step]]
  run = "echo one"
  [[turn.step]]
  run = "sleep 600"
  [[turn.step]]
  say = "never"
[[turn]]
  [[turn.step]]
  run = "echo two"
  [[turn.step]]
  say = "{prompt}: {output}"
"""


def test_the_next_prompt_after_an_interrupt_gets_the_next_turn_in_a_new_process_too(
    codex_program: Path, tmp_path: Path
) -> None:
    async def talk() -> None:
        play = scenario(TWO_TURNS)
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            thread = await codex.start_thread()
            turn = await codex.start_turn(thread, "one")
            await codex.wait_message(
                lambda message: (
                    message.get("method") == "item/started" and "sleep 600" in json.dumps(message)
                )
            )
            await codex.request("turn/interrupt", threadId=thread, turnId=turn)
            assert (await codex.wait_turn(turn))["status"] == "interrupted"
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            await codex.resume_thread(thread)
            assert codex.said(await codex.ask(thread, "two")) == ["two: two"]
            assert [(asked.place.turn, asked.place.step) for asked in model.requests] == [
                (1, 0),
                (1, 1),
            ]

    run(talk())


def test_text_that_steers_a_turn_does_not_start_the_next_one(
    codex_program: Path, tmp_path: Path
) -> None:
    async def talk() -> None:
        play = scenario("""
[[turn]]
  [[turn.step]]
  hold = "door"
  run = "echo one"
  [[turn.step]]
  say = "first: {output}"
[[turn]]
  [[turn.step]]
  say = "second"
""")
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            thread = await codex.start_thread()
            turn = await codex.start_turn(thread, "go")
            await codex.wait_message(
                lambda message: message.get("method") == "item/completed"  # the prompt
            )
            await codex.steer(thread, turn, "faster")
            model.release("door")
            await codex.wait_turn(turn)
            assert codex.said(turn) == ["first: one"]
            assert codex.said(await codex.ask(thread, "next")) == ["second"]

    run(talk())


def test_a_command_that_outlasts_codex_is_waited_for(codex_program: Path, tmp_path: Path) -> None:
    async def talk() -> None:
        play = scenario("""
[[turn]]
  [[turn.step]]
  run = { cmd = "echo begun; while [ ! -e door ]; do sleep 0.1; done; echo done", timeout = 60 }
  [[turn.step]]
  say = "{output}"
[[turn]]
  [[turn.step]]
  run = { cmd = "echo started; sleep 600", timeout = 0.5 }
  [[turn.step]]
  say = "going on after: {output}"
""")
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            thread = await codex.start_thread()
            turn = await codex.start_turn(thread, "wait")
            # Codex polls at the earliest after 5 s; the door opens when it has come back once.
            async with asyncio.timeout(60):
                while len(model.requests) < 2:
                    await codex.wait_news()
            (codex.work / "door").touch()
            await codex.wait_turn(turn)
            assert codex.said(turn) == ["begun\ndone"]
            assert {asked.place.step for asked in model.requests} == {0, 1}
            assert codex.said(await codex.ask(thread, "do not wait")) == ["going on after: started"]

    run(talk())


def test_threads_of_one_server_play_the_scenario_each_for_itself(
    codex_program: Path, tmp_path: Path
) -> None:
    async def talk() -> None:
        play = scenario(
            "[[turn]]\n[[turn.step]]\nrun = 'echo a'\n[[turn.step]]\nsay = '{prompt} {output}'\n"
            "[[turn]]\n[[turn.step]]\nsay = 'second of {prompt}'\n"
        )
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            threads = [await codex.start_thread() for _ in range(4)]
            for round_ in ("first", "then"):
                turns = [
                    await codex.start_turn(thread, f"{round_}{n}")
                    for n, thread in enumerate(threads)
                ]
                for turn in turns:
                    await codex.wait_turn(turn)
                expected = "first{} a" if round_ == "first" else "second of then{}"
                assert [codex.said(turn) for turn in turns] == [
                    [expected.format(n)] for n in range(4)
                ]

    run(talk())


def test_messages_and_thoughts_arrive_in_small_pieces(codex_program: Path, tmp_path: Path) -> None:
    async def talk() -> None:
        text = "A message of some words,\n\nwith a second  paragraph — and more.\n"
        play = scenario(
            f"[[turn]]\n[[turn.step]]\nthink = 'think about it'\nsay = {json.dumps(text)}"
        )
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            turn = await codex.ask(await codex.start_thread(), "go")
            pieces = [str(each["delta"]) for each in codex.of_method("item/agentMessage/delta")]
            assert len(pieces) > 10
            assert "".join(pieces) == text
            assert codex.said(turn) == [text]
            thoughts = codex.of_method("item/reasoning/summaryTextDelta")
            assert "".join(str(each["delta"]) for each in thoughts) == "think about it"

    run(talk())


def test_codex_finds_nothing_to_warn_about(codex_program: Path, tmp_path: Path) -> None:
    async def talk() -> None:
        play = scenario("[[turn]]\n[[turn.step]]\nsay = 'hi'")
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            await codex.ask(await codex.start_thread(), "hi")
            told = [*codex.of_method("warning"), *codex.of_method("configWarning")]
            # Whether bubblewrap is installed is a matter of the machine.
            assert [each for each in told if "bubblewrap" not in json.dumps(each)] == []
            assert {"exec_command", "apply_patch", "update_plan"} <= set(model.requests[0].tools)
            models = (await codex.request("model/list"))["data"]
            assert isinstance(models, list)
            assert [each["displayName"] for each in models if isinstance(each, dict)] == ["Replay"]

    run(talk())


@pytest.mark.parametrize("speed", ["fast", "-1", "nan", "inf"])
def test_a_speed_that_is_no_number_is_refused(speed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_NB_REPLAY_SPEED", speed)
    with pytest.raises(ReplayError, match=f"CODEX_NB_REPLAY_SPEED is '{speed}'"):
        ReplayModel(scenario("[[turn]]\n[[turn.step]]\nsay = 'hi'"))
