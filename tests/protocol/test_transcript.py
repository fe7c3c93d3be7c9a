"""The transcript: turns, what belongs to them, the session and approvals."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from codex_nb.protocol.changes import empty_transcript
from codex_nb.protocol.messages import (
    ErrorResponse,
    Notification,
    Response,
    ServerRequest,
)
from tests.protocol.reducing import TURN, Reducing

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject


def command(**fields: Json) -> JsonObject:
    return {"type": "commandExecution", "id": "c", "status": "inProgress", **fields}


def test_a_turn_begins_runs_and_ends() -> None:
    run = Reducing()
    run.tell("turn/diff/updated", diff="of the turn before")

    assert run.start_turn() == [
        {"op": "put", "in": "turns", "value": TURN},
        {"op": "set", "key": "diff", "value": ""},
    ]
    assert run.end_turn() == [
        {
            "op": "put",
            "in": "turns",
            "value": {**TURN, "status": "completed", "completed_at": 20.0},
        }
    ]


def test_a_notification_counts_as_of_when_it_was_sent() -> None:
    run = Reducing()
    params: JsonObject = {"threadId": "th", "turn": {"id": "t1"}}
    run.apply(Notification(method="turn/started", params=params, emitted_at=5.25), at=99.0)

    assert run.transcript["turns"] == [{**TURN, "started_at": 5.25}]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            {"message": "Too many.", "codexErrorInfo": "usageLimitExceeded"},
            {
                "message": "Too many.",
                "kind": "usageLimitExceeded",
                "detail": "",
                "hint": "Wait until the limit resets, or use another login.",
                "status_code": None,
            },
        ),
        (
            {
                "message": "No way.",
                "codexErrorInfo": {"httpConnectionFailed": {"httpStatusCode": 401}},
                "additionalDetails": "more",
            },
            {
                "message": "No way.",
                "kind": "httpConnectionFailed",
                "detail": "more",
                "hint": "Log in again, or check the key of the provider.",
                "status_code": 401,
            },
        ),
        *(
            (
                error,
                {
                    "message": "The turn failed, and Codex did not say why.",
                    "kind": "other",
                    "detail": "",
                    "hint": "Send again, or look at the detail.",
                    "status_code": None,
                },
            )
            for error in (None, {}, "x", {"message": 5, "codexErrorInfo": [1]})
        ),
    ],
)
def test_a_failed_turn_says_why_and_what_to_do(error: Json, expected: JsonObject) -> None:
    run = Reducing()
    run.start_turn()
    run.end_turn(status="failed", error=error)

    assert run.records("turns")[0]["error"] == expected


@pytest.mark.parametrize("status", ["exploded", "inProgress", None, 5])
def test_a_turn_that_ended_in_an_unknown_way_is_no_success(status: Json) -> None:
    run = Reducing()
    run.start_turn()
    run.end_turn(status=status)

    assert run.statuses("turns") == ["failed"]


def test_a_turn_whose_start_was_missed_is_listed_when_it_ends() -> None:
    run = Reducing()
    run.end_turn("t9", "interrupted")

    assert run.transcript["turns"] == [
        {
            **TURN,
            "id": "t9",
            "status": "interrupted",
            "started_at": 20.0,
            "completed_at": 20.0,
        }
    ]


def test_plan_diff_usage_and_limits_are_those_of_the_latest_word() -> None:
    run = Reducing()
    counts: Json = {"totalTokens": 5, "inputTokens": 4, "cachedInputTokens": 3, "outputTokens": 1}
    steps: Json = [
        {"step": "a", "status": "completed"},
        {"step": "b", "status": "inProgress"},
        {"step": "c", "status": "dreaming"},
        "broken",
    ]
    run.tell("turn/plan/updated", plan=steps, explanation="why")
    run.tell("turn/diff/updated", diff="--- a")
    usage: Json = {"total": counts, "last": {"totalTokens": -1}, "modelContextWindow": 95000}
    run.tell("thread/tokenUsage/updated", tokenUsage=usage)
    run.tell("account/rateLimits/updated", rateLimits={"primary": {"x": 1}, "planType": "pro"})
    run.tell("account/rateLimits/updated", rateLimits={"primary": {"x": 2}, "planType": None})

    none: JsonObject = {
        "total": 0,
        "input": 0,
        "cached_input": 0,
        "output": 0,
        "reasoning_output": 0,
    }
    expected = empty_transcript() | {
        "plan": {
            "turn": "t1",
            "explanation": "why",
            "steps": [
                {"step": "a", "status": "completed"},
                {"step": "b", "status": "in_progress"},
                {"step": "c", "status": "pending"},
            ],
        },
        "diff": "--- a",
        "usage": {
            "total": {**none, "total": 5, "input": 4, "cached_input": 3, "output": 1},
            "last": none,
            "context_window": 95000,
        },
        "rate_limits": {"primary": {"x": 2}, "planType": "pro"},
    }
    assert run.transcript == expected


def test_a_word_that_changes_nothing_is_kept_as_other() -> None:
    run = Reducing()
    run.tell("turn/diff/updated", diff="x")

    assert run.tell("turn/diff/updated", diff="x") == [
        {
            "op": "other",
            "method": "turn/diff/updated",
            "params": {"threadId": "th", "turnId": "t1", "diff": "x"},
        }
    ]


def test_an_agent_below_ours_adds_items_and_touches_nothing_else() -> None:
    run = Reducing()
    run.take(run.reducer.session(thread_id="th"))
    run.start_turn()
    before = copy.deepcopy(run.transcript)
    run.start_turn("s1", thread="sub")
    run.tell("turn/plan/updated", thread="sub", turn="s1", plan=[])
    run.tell("turn/diff/updated", thread="sub", turn="s1", diff="x")
    run.tell("thread/tokenUsage/updated", thread="sub", turn="s1", tokenUsage={})
    run.tell("thread/settings/updated", thread="sub", threadSettings={"model": "m"})
    run.tell("model/rerouted", thread="sub", toModel="m")
    run.tell("error", thread="sub", turn="s1", willRetry=True, error={})
    run.tell("item/started", thread="sub", turn="s1", item=command())
    run.end_turn("s1", "interrupted", thread="sub")

    assert {**run.transcript, "items": []} == before
    assert [(one["thread"], one["status"]) for one in run.records("items")] == [
        ("sub", "interrupted")
    ]


def test_only_what_differs_of_the_session_becomes_a_change() -> None:
    run = Reducing()
    take = run.reducer.session

    assert run.take(take(status="idle", pid=None, network=True)) == [
        {
            "op": "merge",
            "key": "session",
            "value": {"status": "idle", "pid": None, "network": True},
        }
    ]
    assert run.take(take(status="idle", network=True, pid=None)) == []
    assert run.take(take(status="idle", network=1)) == [
        {"op": "merge", "key": "session", "value": {"network": 1}}
    ]


def test_settings_and_another_model_are_told_by_codex() -> None:
    run = Reducing()
    run.tell("thread/settings/updated", threadSettings={"model": "m1", "effort": "high"})
    run.tell("thread/settings/updated", threadSettings={"model": 5, "effort": "low"})
    assert run.transcript["session"] == {"model": "m1", "effort": "high"}

    run.tell("model/rerouted", fromModel="m1", toModel="m2")
    assert run.transcript["session"] == {"model": "m2", "effort": "high"}
    assert [one["text"] for one in run.records("notices")] == [
        "This turn is answered by the model m2."
    ]


def test_a_turn_that_codex_never_began_can_be_put() -> None:
    run = Reducing()
    own = {**TURN, "id": "turn-0", "status": "interrupted"}

    assert run.take(run.reducer.turn(own)) == [{"op": "put", "in": "turns", "value": own}]


def test_answers_and_questions_are_nothing_of_the_transcript() -> None:
    run = Reducing()

    assert run.apply(Response(id=1, method="turn/start", result={})) == []
    assert run.apply(ErrorResponse(id=1, method="turn/start", code=1, message="no")) == []
    assert run.apply(ServerRequest(id=1, method="currentTime/read", params={})) == []


@pytest.mark.parametrize("method", ["thread/started", "thread/compacted", "new/in/2027"])
def test_what_draws_nothing_is_kept_as_other(method: str) -> None:
    run = Reducing()

    assert run.apply(Notification(method=method, params={"a": 1})) == [
        {"op": "other", "method": method, "params": {"a": 1}}
    ]
