"""Items: how what codex streams and says in the end becomes one record per item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.protocol.items import OUTPUT_LIMIT
from tests.protocol.reducing import Reducing

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject


PLACE: JsonObject = {"threadId": "th", "turnId": "t1"}


def command(**fields: Json) -> JsonObject:
    return {"type": "commandExecution", "id": "c", "command": "ls", "cwd": "/d", **fields}


def record(key: str, kind: str, **fields: Json) -> JsonObject:
    return {
        "id": key,
        "turn": "t1",
        "thread": "th",
        "type": kind,
        "status": "in_progress",
        "text": "",
        "output": "",
        "started_at": 10.0,
        "completed_at": None,
        "body": {"type": kind, "id": key},
        **fields,
    }


def test_a_command_streams_its_output_and_says_in_the_end_how_it_went() -> None:
    run = Reducing()
    run.tell("item/started", item=command(status="inProgress", aggregatedOutput=None))
    assert run.item("c") == record("c", "commandExecution", body=command(status="inProgress"))

    run.tell("item/commandExecution/outputDelta", itemId="c", delta="a\n")
    changes = run.tell("item/commandExecution/outputDelta", itemId="c", delta="b\n")
    assert changes == [{"op": "append", "in": "items", "id": "c", "field": "output", "text": "b\n"}]

    final = command(status="failed", exitCode=2)
    run.tell("item/completed", item={**final, "aggregatedOutput": "a\nb\nc\n"}, completedAtMs=12500)
    assert run.item("c") == record(
        "c", "commandExecution", status="failed", output="a\nb\nc\n", completed_at=12.5, body=final
    )


@pytest.mark.parametrize("final", [None, "", "b\n", 5])
def test_a_final_output_takes_away_nothing_that_streamed(final: Json) -> None:
    run = Reducing()
    run.tell("item/started", item=command(status="inProgress"))
    run.tell("item/commandExecution/outputDelta", itemId="c", delta="a\nb\n")
    run.tell("item/completed", item=command(status="completed", aggregatedOutput=final))

    assert (run.item("c")["output"], run.item("c")["status"]) == ("a\nb\n", "completed")


def test_a_message_streams_and_its_final_text_heals_what_was_missed() -> None:
    run = Reducing()
    run.tell("item/started", item={"type": "agentMessage", "id": "m", "text": ""}, startedAtMs=9000)
    run.tell("item/agentMessage/delta", itemId="m", delta="Hel")
    run.tell("item/agentMessage/delta", itemId="m", delta="o")
    final: JsonObject = {"type": "agentMessage", "id": "m", "text": "Hello", "phase": "final"}
    run.tell("item/completed", item=final, at=11.0)

    assert run.item("m") == record(
        "m",
        "agentMessage",
        status="completed",
        text="Hello",
        started_at=9.0,
        completed_at=11.0,
        body={"type": "agentMessage", "id": "m", "phase": "final"},
    )


@pytest.mark.parametrize(
    ("method", "params", "kind", "field"),
    [
        ("item/agentMessage/delta", {"delta": "x"}, "agentMessage", "text"),
        ("item/plan/delta", {"delta": "x"}, "plan", "text"),
        ("item/reasoning/summaryTextDelta", {"delta": "x"}, "reasoning", "text"),
        ("item/reasoning/textDelta", {"delta": "x"}, "reasoning", "text"),
        ("item/commandExecution/outputDelta", {"delta": "x"}, "commandExecution", "output"),
        ("item/fileChange/outputDelta", {"delta": "x"}, "fileChange", "output"),
    ],
)
def test_a_delta_of_an_item_that_never_started_begins_it(
    method: str, params: JsonObject, kind: str, field: str
) -> None:
    run = Reducing()
    changes = run.tell_of(method, {**PLACE, "itemId": "i", **params})

    assert changes == [{"op": "put", "in": "items", "value": record("i", kind, **{field: "x"})}]


def test_the_parts_of_a_summary_are_set_off_by_a_blank_line() -> None:
    run = Reducing()
    run.tell("item/started", item={"type": "reasoning", "id": "r", "summary": [], "content": []})
    for index, part in enumerate(["**One** a", "**Two** b"]):
        run.tell("item/reasoning/summaryPartAdded", itemId="r", summaryIndex=index)
        for word in part.split(" "):
            run.tell("item/reasoning/summaryTextDelta", itemId="r", delta=word)
    assert run.item("r")["text"] == "**One**a\n\n**Two**b"

    final: JsonObject = {"type": "reasoning", "id": "r", "summary": ["One a", "Two b"]}
    run.tell("item/completed", item={**final, "content": ["raw"]}, at=12.0)
    assert run.item("r") == record(
        "r",
        "reasoning",
        status="completed",
        text="One a\n\nTwo b",
        completed_at=12.0,
        body={"type": "reasoning", "id": "r", "content": ["raw"]},
    )


def test_raw_thoughts_are_shown_until_there_is_a_summary() -> None:
    run = Reducing()
    for part, text in [(0, "a"), (0, "b"), (1, "c")]:
        run.tell("item/reasoning/textDelta", itemId="r", contentIndex=part, delta=text)
    assert run.item("r")["text"] == "ab\n\nc"

    run.tell("item/reasoning/summaryPartAdded", itemId="r", summaryIndex=0)
    run.tell("item/reasoning/summaryTextDelta", itemId="r", delta="Short.")
    run.tell("item/reasoning/textDelta", itemId="r", contentIndex=1, delta="d")
    assert run.item("r")["text"] == "Short."


def test_raw_thoughts_are_the_text_where_codex_sends_no_summary() -> None:
    run = Reducing()
    raw: JsonObject = {"type": "reasoning", "id": "r", "summary": [], "content": [{"text": "a"}, 1]}
    run.tell("item/completed", item=raw)

    assert (run.item("r")["text"], run.item("r")["body"]) == (
        "a",
        {"type": "reasoning", "id": "r", "summary": []},
    )


def test_a_tool_says_line_by_line_what_it_does() -> None:
    run = Reducing()
    tool: JsonObject = {"type": "mcpToolCall", "id": "x", "tool": "fit", "status": "inProgress"}
    run.tell("item/started", item=tool)
    run.tell("item/mcpToolCall/progress", itemId="x", message="1 of 2")
    run.tell("item/mcpToolCall/progress", itemId="x", message="2 of 2")
    run.tell("item/completed", item={**tool, "status": "completed", "result": {"content": []}})

    assert (run.item("x")["output"], run.item("x")["status"]) == ("1 of 2\n2 of 2\n", "completed")


def test_a_patch_that_is_still_written_updates_the_changes() -> None:
    run = Reducing()
    files: JsonObject = {"type": "fileChange", "id": "f", "status": "inProgress", "changes": []}
    run.tell("item/started", item=files)
    run.tell("item/fileChange/patchUpdated", itemId="f", changes=[{"path": "a"}])
    run.tell("item/fileChange/patchUpdated", itemId="f", changes="broken")

    assert run.item("f")["body"] == {**files, "changes": [{"path": "a"}]}


def test_what_a_person_sent_is_the_text_and_keeps_its_parts() -> None:
    run = Reducing()
    content: Json = [
        {"type": "text", "text": "Look:"},
        {"type": "localImage", "path": "/a.png"},
        {"type": "text", "text": "Why?"},
        "broken",
    ]
    sent: JsonObject = {"type": "userMessage", "id": "u", "content": content}
    run.tell("item/completed", item=sent)

    assert (run.item("u")["text"], run.item("u")["body"]) == ("Look:\n\nWhy?", sent)


def test_an_unknown_kind_is_an_item_with_all_that_codex_said() -> None:
    run = Reducing()
    new: JsonObject = {"type": "hologram", "id": "h", "status": "sparkling", "text": {"a": 1}}
    run.tell("item/started", item=new)

    assert run.item("h") == record("h", "hologram", body=new)


def test_the_id_of_an_item_of_an_earlier_turn_may_come_again() -> None:
    run = Reducing()
    for turn in ("t1", "t2", "t3"):
        run.start_turn(turn)
        run.tell("item/started", turn=turn, item=command(status="inProgress"))
        run.tell("item/commandExecution/outputDelta", turn=turn, itemId="c", delta=turn)
        run.end_turn(turn)
    run.tell("item/commandExecution/outputDelta", turn="t2", itemId="c", delta=" late")

    assert [(one["id"], one["turn"], one["output"]) for one in run.records("items")] == [
        ("c", "t1", "t1"),
        ("c~2", "t2", "t2 late"),
        ("c~3", "t3", "t3"),
    ]
    assert [one["body"] for one in run.records("items")] == [command(status="inProgress")] * 3


def test_an_item_that_starts_again_after_its_end_is_another_one() -> None:
    run = Reducing()
    for kind in ("enteredReviewMode", "exitedReviewMode"):
        run.tell("item/started", item={"type": kind, "id": "review"})
        run.tell("item/completed", item={"type": kind, "id": "review"})

    assert [(one["id"], one["type"]) for one in run.records("items")] == [
        ("review", "enteredReviewMode"),
        ("review~2", "exitedReviewMode"),
    ]


def test_the_ids_of_a_transcript_that_is_gone_on_with_stay_taken() -> None:
    before = Reducing()
    before.tell("item/completed", item=command(status="completed"))
    run = Reducing(before.transcript)
    run.tell("item/commandExecution/outputDelta", itemId="c", delta="x")

    assert [one["id"] for one in run.records("items")] == ["c", "c~2"]


def test_a_long_output_loses_its_middle_and_says_how_much() -> None:
    run = Reducing()
    run.tell("item/started", item=command(status="inProgress"))
    size, count = 70_000, 40
    for number in range(count):
        delta = f"{number:02}" + "x" * (size - 2)
        run.tell("item/commandExecution/outputDelta", itemId="c", delta=delta)
    whole = "".join(f"{number:02}" + "x" * (size - 2) for number in range(count))
    output = str(run.item("c")["output"])
    head, rest = output.split("\n\n[… ")
    left_out, tail = rest.split(" characters left out …]\n\n")

    assert len(output) <= OUTPUT_LIMIT
    assert (whole.startswith(head), whole.endswith(tail)) == (True, True)
    assert len(head) + int(left_out.replace(",", "")) + len(tail) == len(whole)
    assert min(len(head), len(tail)) > 200_000

    run.tell("item/completed", item=command(aggregatedOutput="y" * (len(whole) - 1)))
    assert run.item("c")["output"] == output


def test_a_final_output_that_is_longer_than_what_streamed_is_cut_as_well() -> None:
    run = Reducing()
    run.tell("item/completed", item=command(aggregatedOutput="y" * 3_000_000))

    assert run.item("c")["output"] == (
        "y" * 250_000 + "\n\n[… 2,500,000 characters left out …]\n\n" + "y" * 250_000
    )


def test_output_that_looks_like_our_cut_is_output() -> None:
    run = Reducing()
    fake = "a" * 250_000 + "\n\n[… ² characters left out …]\n\n" + "b" * 600_000
    run.tell("item/commandExecution/outputDelta", itemId="c", delta=fake)
    run.tell("item/commandExecution/outputDelta", itemId="c", delta="c" * 200_000)
    output = str(run.item("c")["output"])

    assert "²" not in output
    assert f"{len(fake) + 200_000 - 500_000:,} characters left out" in output


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("item/started", {}),
        ("item/started", {"item": "x"}),
        ("item/started", {"item": {"type": "plan"}}),
        ("item/completed", {"item": {"id": 5, "type": "plan"}}),
        ("item/agentMessage/delta", {"delta": "x"}),
        ("item/agentMessage/delta", {"itemId": ["a"], "delta": "x"}),
        ("item/agentMessage/delta", {"itemId": "a"}),
        ("item/agentMessage/delta", {"itemId": "a", "delta": {"a": 1}}),
        ("item/reasoning/textDelta", {"itemId": "a", "delta": None}),
        ("item/mcpToolCall/progress", {"itemId": "a", "message": 7}),
        ("item/fileChange/patchUpdated", {"itemId": "a", "changes": None}),
        ("item/commandExecution/terminalInteraction", {"itemId": "a", "stdin": "y"}),
    ],
)
def test_what_says_nothing_of_an_item_is_kept_and_draws_nothing(
    method: str, params: JsonObject
) -> None:
    run = Reducing()

    assert run.tell_of(method, {**PLACE, **params}) == [
        {"op": "other", "method": method, "params": {**PLACE, **params}}
    ]
