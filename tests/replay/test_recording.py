"""Recording a conversation and playing it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import ReplayError
from codex_nb.replay.model import ReplayModel, load_replay
from codex_nb.replay.record import Recorder
from codex_nb.replay.recording import RecordedResponse, Recording, load_recording
from codex_nb.replay.responses import Reply
from codex_nb.replay.scenario_file import parse_scenario
from codex_nb.replay.stream import Frame
from tests.support.waiting import run

from .driver import Codex

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.protocol.messages import Json, JsonObject

TALK = """
title = "talk"
[[turn]]
  [[turn.step]]
  think = "hm"
  plan = ["[>] add", "[ ] say"]
  run = "echo $((20 + 22)); echo ran >> log"
  [[turn.step]]
  patch = '''
*** Begin Patch
*** Add File: note.txt
+a note
*** End Patch
'''
  [[turn.step]]
  say = "It is {output}."
[[turn]]
  [[turn.step]]
  patch = '''
*** Begin Patch
*** Update File: note.txt
@@
-a note
+another note
*** End Patch
'''
  [[turn.step]]
  error = { status = 500, message = "broken" }
[[turn]]
  [[turn.step]]
  say = "bye"
"""


CONVERSATION: list[Json] = [
    {
        "status": "completed",
        "commands": ["/bin/bash -lc 'echo $((20 + 22)); echo ran >> log'"],
        "thoughts": [["hm"]],
        "diffs": ["a note\n"],
        "said": ["It is 42."],
    },
    {
        "status": "failed",
        "commands": [],
        "thoughts": [],
        "diffs": ["@@ -1 +1 @@\n-a note\n+another note\n"],
        "said": [],
    },
    {"status": "completed", "commands": [], "thoughts": [], "diffs": [], "said": ["bye"]},
    [[0, 0, ""], [0, 1, "42"], [0, 2, "42"], [1, 0, ""], [1, 1, ""], [2, 0, ""]],
]


async def hold_conversation(codex: Codex, model: ReplayModel) -> list[Json]:
    """Ask three times; gives what a person sees of each turn, and what the model was told."""
    thread = await codex.start_thread()
    seen: list[Json] = []
    for prompt in ("add", "note", "bye"):
        turn = await codex.ask(thread, prompt)
        changes = [item["changes"] for item in codex.items(turn, "fileChange")]
        seen.append(
            {
                "status": turn["status"],
                "commands": await codex.wait_commands(turn),
                "thoughts": [item["summary"] for item in codex.items(turn, "reasoning")],
                "diffs": [
                    change["diff"]
                    for each in changes
                    for change in (each if isinstance(each, list) else [])
                    if isinstance(change, dict)
                ],
                "said": codex.said(turn),
            }
        )
    told: list[Json] = [
        [asked.place.turn, asked.place.step, asked.place.output] for asked in model.requests
    ]
    return [*seen, told]


@pytest.mark.integration
def test_a_recorded_conversation_plays_again_with_real_commands(
    codex_program: Path, tmp_path: Path
) -> None:
    async def talk() -> None:
        path = tmp_path / "talk.jsonl"
        async with (
            ReplayModel(parse_scenario(TALK, name="talk")) as model,
            Recorder(path, upstream=model.base_url, title="Talk") as recorder,
            Codex(codex_program, tmp_path / "1", model, base_url=recorder.base_url) as codex,
        ):
            recorded = await hold_conversation(codex, model)
        assert recorded == CONVERSATION
        async with (
            ReplayModel(load_recording(path)) as model,
            Codex(codex_program, tmp_path / "2", model) as codex,
        ):
            assert await hold_conversation(codex, model) == CONVERSATION
            # The commands ran once more, in the other folder.
            assert (codex.work / "log").read_text() == "ran\n"
            assert (codex.work / "note.txt").read_text() == "another note\n"

    run(talk())


HEAD = '{"format": "codex-nb recording", "version": 1, "title": "Mine"}\n'


def test_a_recording_is_read_with_the_last_answer_of_each_step(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    lines: list[JsonObject] = [
        {"turn": 0, "step": 0, "status": 503, "error": {"error": {}}},
        {
            "turn": 0,
            "step": 0,
            "status": 200,
            "running": True,
            "request": {"tools": ["exec"]},
            "frames": [[0.5, {"type": "response.created"}]],
        },
    ]
    path.write_text(HEAD + "\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    assert load_replay(path) == Recording(
        title="Mine",
        code_mode=True,
        responses={
            (0, 0): RecordedResponse(
                reply=Reply(frames=(Frame(0.5, {"type": "response.created"}),)), running=True
            )
        },
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.jsonl is not a recording of version 1"),
        ('{"format": "other"}', "mine.jsonl is not a recording of version 1"),
        (HEAD + "{", "mine.jsonl, line 2: not JSON"),
        (HEAD + "[]", "mine.jsonl, line 2: not a JSON object"),
        (
            HEAD + '{"turn": 0}',
            'mine.jsonl, line 2: "turn", "step" and "status" have to be whole numbers',
        ),
        (
            HEAD + '{"turn": 0, "step": 0, "status": 500}',
            'mine.jsonl, line 2: "frames" or "error" is missing',
        ),
        (
            HEAD + '{"turn": 0, "step": 0, "status": 200, "frames": [[1, {}]]}',
            "mine.jsonl, line 2: a frame is not [seconds, event]",
        ),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReplayError) as caught:
        load_recording(path)
    assert caught.value.message == message


JAVASCRIPT = "const out = await tools.exec_command({cmd: 'echo from code'}); text(out.output);"


@pytest.mark.integration
def test_a_model_that_calls_its_tools_from_javascript_plays_again(
    codex_program: Path, tmp_path: Path
) -> None:
    call: JsonObject = {
        "type": "custom_tool_call",
        "id": "ctc_1",
        "call_id": "call_1",
        "name": "exec",
        "input": JAVASCRIPT,
    }
    message: JsonObject = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "done"}],
    }

    def response(item: JsonObject) -> RecordedResponse:
        events: list[JsonObject] = [
            {"type": "response.created", "response": {"id": "r"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"id": "r"}},
        ]
        return RecordedResponse(
            reply=Reply(frames=tuple(Frame(0.0, event) for event in events)), running=False
        )

    async def talk() -> None:
        play = Recording(
            title="code",
            code_mode=True,
            responses={(0, 0): response(call), (0, 1): response(message)},
        )
        async with ReplayModel(play) as model, Codex(codex_program, tmp_path, model) as codex:
            turn = await codex.ask(await codex.start_thread(), "go")
            assert await codex.wait_commands(turn) == ["/bin/bash -lc 'echo from code'"]
            assert model.requests[-1].place.output.endswith("from code")
            assert codex.said(turn) == ["done"]

    run(talk())
