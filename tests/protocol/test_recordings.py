"""The recorded traffic of three versions of codex, through connection, approvals and transcript."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from codex_nb.protocol.approvals import parse_approval
from codex_nb.protocol.connection import Connection
from codex_nb.protocol.messages import Malformed, Notification, Response, ServerRequest
from codex_nb.protocol.values import obj, text_of
from tests.protocol.recordings import NAMES, play
from tests.protocol.reducing import BOUNDS, Reducing

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Message

APPROVALS = {"command", "file_change", "tool"}


def feed(run: Reducing, message: Message, at: float) -> None:
    """Do what a session does: say which thread is ours, open approvals, apply the rest."""
    if isinstance(message, Response) and message.method in ("thread/start", "thread/resume"):
        thread = text_of(obj(obj(message.result).get("thread")).get("id"))
        run.take(run.reducer.session(thread_id=thread))
    elif isinstance(message, ServerRequest):
        approval = parse_approval(message, key=f"a{at}", host="local", at=at, expires_at=None)
        if approval is not None:
            run.take(run.reducer.open_approval(approval, request=message, bounds=BOUNDS))
    run.apply(message, at=at)


def reduced(name: str) -> Reducing:
    """The whole recording, and on the way: what a turn leaves open is closed when it ends."""
    run = Reducing()
    for at, message in play(name, Connection()):
        assert not isinstance(message, Malformed), message
        feed(run, message, at)
        if isinstance(message, Notification) and message.method == "turn/completed":
            turn = obj(message.params.get("turn")).get("id")
            of_turn = [one for one in run.records("items") if one["turn"] == turn]
            assert "in_progress" not in [one["status"] for one in of_turn]
            pending = [one for one in run.records("approvals") if one["turn"] == turn]
            assert "pending" not in [one["status"] for one in pending]
    return run


def test_there_are_recordings_of_three_versions() -> None:
    assert {name.split("-")[2] for name in NAMES} == {"0.142", "0.163", "0.169"}


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_becomes_a_transcript(name: str) -> None:
    run = reduced(name)
    items = run.records("items")

    assert {str(one["kind"]) for one in run.records("approvals")} <= APPROVALS
    assert all(one["title"] for one in run.records("approvals"))
    assert {one["status"] for one in run.records("turns")} >= {"completed", "interrupted"}
    ids = [one["id"] for one in items]
    assert len(ids) == len(set(ids))
    assert all(one["text"] for one in items if one["type"] == "userMessage")
    assert any(
        one["output"] and obj(one["body"]).get("exitCode") == 0
        for one in items
        if one["type"] == "commandExecution"
    )
    assert len(run.records("notices")) < 15
    json.dumps(run.transcript, allow_nan=False)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("trace")])
def test_file_changes_are_approved_with_their_changes(name: str) -> None:
    asked = [one for one in reduced(name).records("approvals") if one["kind"] == "file_change"]

    assert [one["title"] for one in asked] == ["Change 1 file", "Change 1 file"]
    assert [one["decisions"] for one in asked] == [
        ["accept", "accept_for_session", "decline", "cancel"]
    ] * 2
    for one in asked:
        assert isinstance(changes := one["changes"], list)
        assert [set(obj(change)) for change in changes] == [{"path", "kind", "diff"}]


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("trace")])
def test_errors_of_the_model_say_what_to_do(name: str) -> None:
    errors = [obj(one["error"]) for one in reduced(name).records("turns") if one["error"]]

    kinds = Counter(str(error["kind"]) for error in errors)
    assert kinds == Counter(
        [
            "internalServerError",
            "other" if "0.142" in name else "httpConnectionFailed",
            "usageLimitExceeded",
            "contextWindowExceeded",
            "other",
        ]
    )
    assert all(error["message"] and error["hint"] for error in errors)


def test_both_ends_of_a_review_are_kept_where_they_share_an_id() -> None:
    kinds = Counter(one["type"] for one in reduced("app-server-0.142-more").records("items"))

    assert (kinds["enteredReviewMode"], kinds["exitedReviewMode"]) == (2, 2)
