"""The connection under any bytes, in any split: no exception, no lost message, no wrong answer."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from codex_nb.protocol.connection import Connection
from codex_nb.protocol.messages import (
    ErrorResponse,
    Json,
    Malformed,
    Notification,
    Response,
    ServerRequest,
)
from tests.protocol.values import JSON, objects

METHODS = st.sampled_from(["item/started", "turn/completed", "x"])
IDS: st.SearchStrategy[Json] = st.sampled_from([0, 1, 2, 3, "1", "a", True, 1.0, None])
MESSAGES = objects(
    id=IDS | JSON, method=METHODS | JSON, params=JSON, result=JSON, error=JSON, emittedAtMs=JSON
)
LINES = st.lists(
    MESSAGES.map(lambda message: json.dumps(message).encode()) | st.binary(max_size=30), max_size=8
).map(b"\n".join)


@given(LINES, st.lists(st.integers(0, 400), max_size=6), st.sampled_from([20, 10_000]))
def test_how_bytes_are_split_changes_nothing(data: bytes, cuts: list[int], max_line: int) -> None:
    whole, parts = Connection(max_line=max_line), Connection(max_line=max_line)
    for connection in (whole, parts):
        for method in ("a", "b"):
            connection.request(method)
    whole.receive_data(data)
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        parts.receive_data(data[start:end])
    for connection in (whole, parts):
        connection.receive_eof()

    assert parts.events_received() == whole.events_received()
    assert (parts.outstanding, parts.open_requests) == (whole.outstanding, whole.open_requests)


@given(st.lists(MESSAGES, max_size=10))
def test_each_line_is_one_message_and_each_question_gets_its_own_answer(
    messages: list[dict[str, Json]],
) -> None:
    connection = Connection()
    for method in ("a", "b"):
        connection.request(method)
    connection.data_to_send()
    connection.receive_data(b"".join(json.dumps(one).encode() + b"\n" for one in messages))
    events = connection.events_received()

    assert len(events) == len(messages)
    asked, ended = [], []
    for message, event in zip(messages, events, strict=True):
        match event:
            case Notification(method=method):
                assert message["method"] == method
                assert "id" not in message
            case ServerRequest(id=request_id):
                assert type(request_id) is type(message["id"])
                asked.append(request_id)
            case Response(id=own_id) | ErrorResponse(id=own_id):
                assert own_id == message["id"]
                assert type(own_id) is int
                ended.append(own_id)
            case Malformed():
                pass
    assert sorted(ended) == sorted({1, 2} - connection.outstanding)
    for request_id in asked:
        connection.answer(request_id, "fine")
    answers = [json.loads(line) for line in connection.data_to_send().splitlines()]
    assert [(type(answer["id"]), answer["id"]) for answer in answers] == [
        (type(request_id), request_id) for request_id in asked
    ]
    assert connection.open_requests == ()
