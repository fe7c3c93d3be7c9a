"""Notices: what a person is told beside the turns, and not more often than needed."""

from __future__ import annotations

import pytest

from codex_nb.protocol.messages import Json, JsonObject, Malformed
from tests.protocol.reducing import Reducing


def notice(key: str, level: str, text: str, *, hint: str = "", at: float = 10.0) -> JsonObject:
    return {"id": key, "level": level, "text": text, "hint": hint, "at": at}


def test_retries_are_one_notice_that_calms_down_when_the_turn_goes_on() -> None:
    run = Reducing()
    run.start_turn()
    for count in (1, 2, 2):
        error: Json = {"message": f"Reconnecting {count}/5", "codexErrorInfo": "serverOverloaded"}
        run.tell("error", at=10.0 + count, willRetry=True, error=error)
    hint = "The model's servers are busy; send again in a moment."
    key, first = "retry-t1", 11.0
    assert run.records("notices") == [
        notice(key, "warning", "Codex tries again: Reconnecting 2/5", hint=hint, at=first)
    ]

    run.tell("item/completed", turn="t0", item={"type": "plan", "id": "of the turn before"})
    assert run.records("notices")[0]["level"] == "warning"

    run.tell("item/agentMessage/delta", itemId="m", delta="Here ")
    calm = notice(key, "info", "The model could not be reached for a while.", at=first)
    assert run.records("notices") == [calm]
    assert len(run.tell("item/agentMessage/delta", itemId="m", delta="I am")) == 1


def test_retries_of_a_turn_that_is_over_are_no_warning_any_more() -> None:
    run = Reducing()
    run.start_turn()
    run.tell("error", willRetry=True, error={"message": "down"})
    run.end_turn(status="failed")

    assert [one["level"] for one in run.records("notices")] == ["info"]


def test_the_error_that_a_turn_ends_with_is_no_notice() -> None:
    run = Reducing()
    run.start_turn()

    assert run.tell("error", willRetry=False, error={"message": "x"})[0]["op"] == "other"


def test_an_error_without_a_turn_to_end_is_a_notice() -> None:
    run = Reducing()
    run.tell("error", willRetry=False, error={"message": "x", "codexErrorInfo": "unauthorized"})

    hint = "Log in again, or check the key of the provider."
    assert run.records("notices") == [notice("notice-1", "error", "x", hint=hint)]


@pytest.mark.parametrize(
    ("method", "params", "level"),
    [
        ("warning", {"message": "Careful."}, "warning"),
        ("guardianWarning", {"message": "Careful."}, "warning"),
        ("configWarning", {"summary": "Careful.", "details": "Line 3."}, "warning"),
        ("deprecationNotice", {"summary": "Careful.", "details": "Line 3."}, "info"),
    ],
)
def test_warnings_of_codex_are_notices(method: str, params: JsonObject, level: str) -> None:
    run = Reducing()
    run.tell_of(method, params)
    hint = str(params.get("details", ""))

    assert run.records("notices") == [notice("notice-1", level, "Careful.", hint=hint)]


@pytest.mark.parametrize(
    "params",
    [
        {"summary": "Codex could not find bubblewrap on PATH. Install it.", "details": None},
        {"summary": "", "details": "x"},
        {"summary": 5},
        {},
    ],
)
def test_a_warning_that_says_nothing_is_no_notice(params: JsonObject) -> None:
    run = Reducing()
    changes = run.tell_of("configWarning", params)

    assert [change["op"] for change in changes] == ["other"]
    assert run.records("notices") == []


def test_lines_that_are_no_messages_are_told_a_few_times_and_always_kept() -> None:
    run = Reducing()
    changes = [
        run.apply(Malformed(reason="The line is not JSON.", head=f"x{n}", size=2))
        for n in range(20)
    ]

    assert run.records("notices") == [
        notice(
            f"notice-{n}", "warning", "Codex sent a line that is no message: The line is not JSON."
        )
        for n in range(1, 6)
    ]
    assert [made[-1] for made in changes] == [
        {
            "op": "other",
            "method": "malformed",
            "params": {"reason": "The line is not JSON.", "head": f"x{n}"},
        }
        for n in range(20)
    ]


def test_a_notice_of_ours_is_replaced_by_its_key() -> None:
    run = Reducing()
    run.take(run.reducer.notice("info", "One", at=1.0))
    run.take(run.reducer.notice("info", "Two", at=2.0, key="k"))
    run.take(run.reducer.notice("error", "Three", hint="Do it.", at=3.0, key="k"))

    assert run.records("notices") == [
        notice("notice-1", "info", "One", at=1.0),
        notice("k", "error", "Three", hint="Do it.", at=2.0),
    ]
