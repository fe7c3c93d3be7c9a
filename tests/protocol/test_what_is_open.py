"""What is open: items and approvals, and how they end with their turn, after it, or with codex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.protocol.approvals import Decision, parse_approval
from codex_nb.protocol.messages import RequestId, ServerRequest
from tests.protocol.reducing import BOUNDS, TURN, Reducing

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject


def command(**fields: Json) -> JsonObject:
    return {"type": "commandExecution", "id": "c", "status": "inProgress", **fields}


def ask(run: Reducing, *, request_id: RequestId = 7, turn: str = "t1", item: str = "f") -> None:
    """Open an approval of a file change, whose key tells the type of the request's id."""
    request = ServerRequest(
        id=request_id,
        method="item/fileChange/requestApproval",
        params={"threadId": "th", "turnId": turn, "itemId": item},
    )
    approval = parse_approval(request, key=repr(request_id), host="local", at=1.0, expires_at=None)
    assert approval is not None
    run.take(run.reducer.open_approval(approval, request=request, bounds=BOUNDS))


@pytest.mark.parametrize("status", ["completed", "interrupted", "failed"])
def test_what_a_turn_leaves_open_is_closed_as_the_turn_ended(status: str) -> None:
    run = Reducing()
    run.start_turn()
    run.tell("item/started", item=command())
    run.tell("item/completed", item={"type": "plan", "id": "done"})
    run.tell("item/started", turn="t2", item=command())
    ask(run)
    run.end_turn(status=status)

    assert [(one["id"], one["status"], one["completed_at"]) for one in run.records("items")] == [
        ("c", status, 20.0),
        ("done", "completed", 10.0),
        ("c~2", "in_progress", None),
    ]
    assert run.statuses("turns") == [status]
    assert run.statuses("approvals") == ["resolved"]


def test_a_command_may_end_long_after_its_turn() -> None:
    run = Reducing()
    run.start_turn()
    run.tell("item/started", item=command())
    run.end_turn()
    run.tell("item/commandExecution/outputDelta", itemId="c", delta="late\n")
    run.tell("item/completed", item=command(status="failed", exitCode=-1), at=30.0)
    (item,) = run.records("items")

    assert (item["status"], item["output"], item["completed_at"]) == ("failed", "late\n", 30.0)
    assert item["body"] == command(status="failed", exitCode=-1)


def test_a_command_that_an_interrupt_ended_stays_interrupted() -> None:
    run = Reducing()
    run.start_turn()
    run.tell("item/started", item=command())
    run.end_turn(status="interrupted")
    run.tell("item/completed", item=command(status="failed", exitCode=-1), at=30.0)
    (item,) = run.records("items")

    assert (item["status"], item["body"]) == ("interrupted", command(status="failed", exitCode=-1))


def test_an_approval_shows_the_changes_of_its_item_and_is_answered_once() -> None:
    run = Reducing()
    changes: Json = [{"path": "a", "kind": {"type": "add"}, "diff": "x"}]
    for turn in ("t1", "t2"):
        run.tell("item/started", turn=turn, item={"type": "fileChange", "id": "f"})
    run.tell("item/fileChange/patchUpdated", turn="t2", itemId="f", changes=changes)
    ask(run, turn="t2")
    (opened,) = run.records("approvals")
    assert (opened["item"], opened["changes"], opened["title"], opened["status"]) == (
        "f~2",
        changes,
        "Change 1 file",
        "pending",
    )

    settle = run.reducer.settle_approval
    run.take(settle("7", status="declined", decision=Decision.DECLINE, note="No.", at=3.0))
    assert run.take(settle("7", status="accepted", decision="accept", at=4.0)) == []
    assert run.take(settle("8", status="accepted", decision="accept", at=4.0)) == []
    run.tell("serverRequest/resolved", requestId=7)
    assert run.records("approvals") == [
        {**opened, "status": "declined", "decision": "decline", "note": "No.", "answered_at": 3.0}
    ]


def test_an_approval_that_was_answered_elsewhere_is_resolved_by_its_own_id() -> None:
    run = Reducing()
    for request_id in (1, "1"):
        ask(run, request_id=request_id, item="")
    others: list[Json] = [True, 1.0, None, [1], {"a": 1}, 9]
    for hostile in others:
        run.tell("serverRequest/resolved", requestId=hostile)
    assert run.statuses("approvals") == ["pending", "pending"]

    run.tell("serverRequest/resolved", requestId="1", at=8.0)
    assert [(one["id"], one["status"], one["answered_at"]) for one in run.records("approvals")] == [
        ("1", "pending", None),
        ("'1'", "resolved", 8.0),
    ]


def test_everything_open_is_closed_when_codex_is_gone() -> None:
    run = Reducing()
    run.end_turn("t0")
    run.start_turn()
    run.tell("item/started", item=command())
    run.tell("item/started", turn="elsewhere", item=command())
    run.tell("error", willRetry=True, error={"message": "down"})
    ask(run)
    error: JsonObject = {"message": "Gone.", "hint": "", "kind": "ended"}
    run.take(run.reducer.close_open(status="failed", error=error, at=40.0))

    assert run.statuses("turns") == ["completed", "failed"]
    assert run.records("turns")[1] == {
        **TURN,
        "status": "failed",
        "error": error,
        "completed_at": 40.0,
    }
    assert run.statuses("items") == ["failed", "failed"]
    assert run.statuses("approvals") == ["resolved"]
    assert [one["level"] for one in run.records("notices")] == ["info"]
    assert run.take(run.reducer.close_open(status="failed", at=41.0)) == []
