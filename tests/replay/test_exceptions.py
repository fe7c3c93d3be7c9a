"""The real codex and what is no ordinary answer: failures, limits, compaction, other agents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from codex_nb.replay.model import ReplayModel
from codex_nb.replay.scenario_file import parse_scenario
from tests.support.waiting import run

from .driver import Codex

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.protocol.messages import Json
    from codex_nb.replay.scenario import Scenario

pytestmark = pytest.mark.integration


def scenario(turns: str) -> Scenario:
    return parse_scenario(f'title = "test"\n{turns}', name="test.toml")


ERRORS = {
    "{ status = 500 }": "internalServerError",
    "{ status = 429, type = 'usage_limit_reached', resets_in = 60 }": "usageLimitExceeded",
    "{ event = 'response.failed', code = 'context_length_exceeded' }": "contextWindowExceeded",
}


def test_a_failure_ends_its_turn_and_the_next_prompt_gets_the_next_turn(
    codex_program: Path, tmp_path: Path
) -> None:
    async def talk() -> None:
        failures = [f"error = {error}" for error in ERRORS] + ["say = 'cut here'\ndrop = true"]
        turns = "".join(
            f"[[turn]]\n[[turn.step]]\nrun = 'true'\n[[turn.step]]\n{failure}\n"
            for failure in failures
        )
        play = scenario(f"{turns}[[turn]]\n[[turn.step]]\nsay = 'well'")
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            thread = await codex.start_thread()
            infos: list[Json] = []
            for number in range(len(failures)):
                turn = await codex.ask(thread, f"prompt {number}")
                assert turn["status"] == "failed"
                assert isinstance(turn["error"], dict)
                infos.append(turn["error"]["codexErrorInfo"])
            cut = infos.pop()
            assert infos == list(ERRORS.values())
            assert cut in ("other", {"responseStreamDisconnected": {"httpStatusCode": None}})
            assert codex.said(await codex.ask(thread, "last")) == ["well"]

    run(talk())


def test_rate_limits_and_usage_reach_the_client(codex_program: Path, tmp_path: Path) -> None:
    async def talk() -> None:
        play = scenario("""
[[turn]]
  [[turn.step]]
  say = "hi"
  usage = { input = 1000, cached = 400, output = 50, reasoning = 20 }
  [turn.step.rate_limits]
  primary = { used_percent = 42, window_minutes = 300, resets_in = 600 }
  secondary = { used_percent = 7.5, window_minutes = 10080, resets_in = 6000 }
""")
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            await codex.ask(await codex.start_thread(), "hi")
            limits = codex.of_method("account/rateLimits/updated")[-1]["rateLimits"]
            assert isinstance(limits, dict)
            windows = [limits["primary"], limits["secondary"]]
            assert [
                (window["usedPercent"], window["windowDurationMins"])
                for window in windows
                if isinstance(window, dict)
            ] == [(42, 300), (8, 10080)]
            usage = codex.of_method("thread/tokenUsage/updated")[-1]["tokenUsage"]
            assert isinstance(usage, dict)
            assert isinstance(usage["last"], dict)
            last = {key: usage["last"][key] for key in usage["last"] if "cacheWrite" not in key}
            assert last == {
                "totalTokens": 1050,
                "inputTokens": 1000,
                "cachedInputTokens": 400,
                "outputTokens": 50,
                "reasoningOutputTokens": 20,
            }

    run(talk())


def test_compaction_gets_an_answer_and_turns_go_on(codex_program: Path, tmp_path: Path) -> None:
    async def talk() -> None:
        play = scenario(
            "[[turn]]\n[[turn.step]]\nrun = 'echo a'\n[[turn.step]]\nsay = 'one'\n"
            "[[turn]]\n[[turn.step]]\nsay = 'two'\n"
        )
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            thread = await codex.start_thread()
            first = await codex.ask(thread, "one")
            await codex.request("thread/compact/start", threadId=thread)
            await codex.wait_message(
                lambda message: (
                    message.get("method") == "turn/completed"
                    and str(first["id"]) not in json.dumps(message)
                )
            )
            assert codex.said(await codex.ask(thread, "two")) == ["two"]
            assert [asked.place.kind for asked in model.requests] == [
                *["turn", "turn", "compaction", "turn"]
            ]

    run(talk())


def test_a_spawned_agent_gets_a_harmless_answer(codex_program: Path, tmp_path: Path) -> None:
    async def talk() -> None:
        play = scenario("""
[[turn]]
  [[turn.step]]
  tool = { name = "spawn_agent", namespace = "multi_agent_v1", arguments = { message = "count" } }
  [[turn.step]]
  hold = "agent"
  say = "spawned"
""")
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            thread = await codex.start_thread()
            turn = await codex.start_turn(thread, "go")
            agent = await codex.wait_message(
                lambda message: (
                    message.get("method") == "turn/completed" and thread not in json.dumps(message)
                )
            )
            model.release("agent")
            await codex.wait_turn(turn)
            params = agent["params"]
            assert isinstance(params, dict)
            assert isinstance(params["turn"], dict)
            assert codex.said(params["turn"]) == ["Replayed conversation"]
            assert codex.said(turn)[0] == "spawned"

    run(talk())
