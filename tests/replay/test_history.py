"""Where a request stands, read from the history that codex sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.replay.history import (
    Memory,
    Place,
    Running,
    call_id,
    images_in,
    read_place,
    said_in,
)

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

CONTEXT = "<environment_context>\n  <cwd>/w</cwd>\n</environment_context>"
AGENTS = "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nBe kind.\n</INSTRUCTIONS>"
ABORTED = "<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>"
SUMMARY = "Another language model started to solve this problem and produced a summary"
FINISHED = "Chunk ID: 1\nWall time: 0 seconds\nProcess exited with code 0\nOutput:\n"
STILL = "Chunk ID: 1\nWall time: 10 seconds\nProcess running with session ID 7\nOutput:\n"


def user(*texts: str) -> JsonObject:
    parts: list[Json] = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "role": "user", "content": parts}


def picture(*texts: str) -> JsonObject:
    """A message with an image that codex could read, and one that it could not."""
    opening = '<image name=[Image #1] path="/uploads/a.png">'
    note = "image content omitted because it could not be processed"
    before, after = (*texts, opening), ("</image>", opening, note, "</image>")
    parts: list[Json] = [{"type": "input_text", "text": text} for text in before]
    parts.append({"type": "input_image", "image_url": "data:image/png;base64,AAAA"})
    parts += [{"type": "input_text", "text": text} for text in after]
    return {"type": "message", "role": "user", "content": parts}


def developer(text: str) -> JsonObject:
    return {**user(text), "role": "developer"}


def agent(text: str) -> JsonObject:
    parts: list[Json] = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": parts}


def call(turn: int, step: int, *, name: str = "exec_command", **arguments: Json) -> JsonObject:
    return {
        "type": "function_call",
        "call_id": call_id(turn, step, name),
        "name": name,
        "arguments": json.dumps(arguments),
    }


def output(turn: int, step: int, text: Json, *, name: str = "exec_command") -> JsonObject:
    return {
        "type": "function_call_output",
        "call_id": call_id(turn, step, name),
        "output": text,
    }


def request(*items: JsonObject, turn_id: str = "t", kind: str = "turn") -> JsonObject:
    inner = json.dumps({"request_kind": kind, "turn_id": turn_id, "thread_id": "thread"})
    return {"input": list(items), "client_metadata": {"x-codex-turn-metadata": inner}}


def place(
    turn: int, step: int, prompt: str, *, output: str = "", running: Running | None = None
) -> Place:
    return Place(
        kind="turn",
        thread="thread",
        turn_id="t",
        sub_agent=False,
        turn=turn,
        step=step,
        prompt=prompt,
        output=output,
        running=running,
    )


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([user(CONTEXT), user("go")], place(0, 0, "go"), id="first request"),
        pytest.param(
            [developer("rules"), user(AGENTS, CONTEXT), user("go", "on")],
            place(0, 0, "go\non"),
            id="AGENTS.md and environment are not the person's",
        ),
        pytest.param(
            [picture("look")],
            place(0, 0, "look"),
            id="what codex writes around an image is not the person's",
        ),
        pytest.param(
            [user("look"), agent("fine"), picture()],
            place(1, 0, ""),
            id="an image without a word is a prompt too",
        ),
        pytest.param(
            [user("<b>bold</b> and <my_tag> too")],
            place(0, 0, "<b>bold</b> and <my_tag> too"),
            id="markup of the person is the person's",
        ),
        pytest.param(
            [user("go"), call(0, 0), output(0, 0, FINISHED + "one\ntwo\n")],
            place(0, 1, "go", output="one\ntwo"),
            id="output of a command",
        ),
        pytest.param(
            [
                *[user("go"), call(0, 0), output(0, 0, FINISHED + "one\n")],
                *[call(0, 1, name="update_plan"), output(0, 1, "Plan updated", name="update_plan")],
            ],
            place(0, 2, "go", output="one"),
            id="a plan has no output worth telling",
        ),
        pytest.param(
            [
                *[user("go"), call(0, 0, name="update_plan"), call(0, 0)],
                *[output(0, 0, "Plan updated", name="update_plan"), output(0, 0, "bare")],
            ],
            place(0, 1, "go", output="bare"),
            id="two calls of one step",
        ),
        pytest.param(
            [user("go"), call(0, 0), output(0, 0, [{"type": "input_text", "text": "part"}])],
            place(0, 1, "go", output="part"),
            id="output in parts",
        ),
        pytest.param(
            [user("go"), call(0, 0, yield_time_ms=10_000), output(0, 0, STILL + "begun\n")],
            place(0, 1, "go", output="begun", running=Running(session=7, waited=10.0)),
            id="a command that runs on",
        ),
        pytest.param(
            [
                *[user("go"), call(0, 0, yield_time_ms=10_000), output(0, 0, STILL + "begun\n")],
                call(0, 0, name="write_stdin", yield_time_ms=5_000),
                output(0, 0, FINISHED + "done\n", name="write_stdin"),
            ],
            place(0, 1, "go", output="begun\ndone"),
            id="the rest of a command that ran on",
        ),
        pytest.param(
            [user("one"), agent("1"), user("two"), agent("2"), user("three")],
            place(2, 0, "three"),
            id="third prompt",
        ),
        pytest.param(
            [user("one"), user("two"), user("three")],
            place(2, 0, "three"),
            id="prompts whose turns failed at once",
        ),
        pytest.param(
            [user("one"), call(0, 0), output(0, 0, "aborted by user"), user(ABORTED), user("two")],
            place(1, 0, "two"),
            id="prompt after an interrupt",
        ),
        pytest.param(
            [
                *[user("one"), call(0, 0), output(0, 0, "x"), user("faster"), agent("1")],
                user("two"),
            ],
            place(1, 0, "two"),
            id="steering in a turn that another process ran",
        ),
        pytest.param(
            [user("one"), user("two"), user(SUMMARY), user(CONTEXT), user("three")],
            place(2, 0, "three"),
            id="after a compaction",
        ),
        pytest.param(
            [user("go"), call(0, 0), output(0, 0, "x"), agent("said it")],
            place(0, 2, "go", output="x"),
            id="after the last message of a turn",
        ),
    ],
)
def test_the_place_is_read_from_the_history(items: list[JsonObject], expected: Place) -> None:
    assert read_place(request(*items), Memory()) == expected


def test_steering_belongs_to_the_turn_that_it_was_sent_to() -> None:
    memory = Memory()
    start = [user("one"), call(0, 0), output(0, 0, "x")]
    seen = [
        read_place(request(*items, turn_id=turn_id), memory)
        for turn_id, items in [
            ("a", start[:1]),
            ("a", start),
            ("a", [*start, agent("1")]),
            ("a", [*start, agent("1"), user("and this")]),
            ("b", [*start, agent("1"), user("and this"), agent("2"), user("two")]),
        ]
    ]
    assert [(each.turn, each.step, each.prompt) for each in seen] == [
        (0, 0, "one"),
        (0, 1, "one"),
        (0, 2, "one"),
        (0, 2, "one"),
        (1, 0, "two"),
    ]


def test_a_prompt_after_a_turn_that_failed_in_the_middle_is_no_steering() -> None:
    memory = Memory()
    one = [user("one"), call(0, 0), output(0, 0, "x")]
    two = [*one, user("two"), call(1, 0), output(1, 0, "y")]
    seen = [
        read_place(request(*items, turn_id=turn_id), memory)
        for turn_id, items in [
            *[("a", one[:1]), ("a", one)],
            *[("b", two[:4]), ("b", two)],
            ("c", [*two, user("three")]),
        ]
    ]
    assert [(each.turn, each.step, each.prompt) for each in seen] == [
        *[(0, 0, "one"), (0, 1, "one")],
        *[(1, 0, "two"), (1, 1, "two")],
        (2, 0, "three"),
    ]


def test_a_turn_goes_on_when_codex_shortens_its_history() -> None:
    memory = Memory()
    whole = [user("go"), call(0, 0), output(0, 0, "x"), call(0, 1), output(0, 1, "y")]
    short = [user("go"), user(SUMMARY)]
    steps = [
        read_place(request(*items), memory).step
        for items in (whole[:1], whole[:3], whole[:3], short, [*short, call(0, 2)])
    ]
    assert steps == [0, 1, 1, 2, 3]


def test_a_request_that_is_no_turn_keeps_its_kind() -> None:
    body = request(user("go"), user("Summarize."), kind="compaction")
    assert read_place(body, Memory()).kind == "compaction"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
loose_items = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "function_call", "function_call_output", "new"])
        | json_values,
        "role": st.sampled_from(["user", "assistant"]) | json_values,
        "content": json_values,
        "call_id": st.sampled_from(["call_t0s0_a", "other"]) | json_values,
        "arguments": st.sampled_from(["{", "[]", '{"yield_time_ms": "soon"}']) | json_values,
        "output": st.just(STILL) | json_values,
    },
)


@given(
    st.fixed_dictionaries(
        {}, optional={"input": st.lists(loose_items) | json_values, "client_metadata": json_values}
    )
)
def test_no_request_is_too_strange_to_be_placed(body: dict[str, Json]) -> None:
    found = read_place(body, Memory())
    assert found.turn >= 0
    assert found.step >= 0


def test_what_a_person_said_and_showed_is_read_from_the_history() -> None:
    body = request(user(CONTEXT), user("go"), agent("fine"), picture("look"), user("and"))
    assert said_in(body) == ("go", "look", "and")
    assert images_in(body) == ("image/png",)
    assert (said_in({"input": 5}), images_in({})) == ((), ())
