"""The connection: lines to messages, ids to answers, and what bad lines do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import ProtocolError
from codex_nb.protocol.connection import Connection
from codex_nb.protocol.messages import (
    ErrorResponse,
    Malformed,
    Message,
    Notification,
    Response,
    ServerRequest,
)

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json


def line(**members: Json) -> bytes:
    return json.dumps(members).encode() + b"\n"


def messages_of(data: bytes, *, connection: Connection | None = None) -> list[Message]:
    connection = connection or Connection()
    connection.receive_data(data)
    return connection.events_received()


def sent(connection: Connection) -> list[Json]:
    return [json.loads(part) for part in connection.data_to_send().splitlines()]


def reason_of(data: bytes) -> str:
    (message,) = messages_of(data)
    assert isinstance(message, Malformed), message
    return message.reason


def test_requests_are_numbered_and_notifications_are_not() -> None:
    connection = Connection()

    assert connection.request("initialize", {"a": 1}) == 1
    connection.notify("initialized")
    assert connection.request("thread/list") == 2
    assert sent(connection) == [
        {"id": 1, "method": "initialize", "params": {"a": 1}},
        {"method": "initialized"},
        {"id": 2, "method": "thread/list"},
    ]
    assert connection.data_to_send() == b""
    assert connection.outstanding == {1, 2}


def test_a_response_names_the_method_that_it_answers_and_ends_the_request() -> None:
    connection = Connection()
    connection.request("a")
    connection.request("b")
    data = line(id=2, error={"code": -32600, "message": "no", "data": {"x": 1}})
    data += line(id=1, result=None)

    assert messages_of(data, connection=connection) == [
        ErrorResponse(id=2, method="b", code=-32600, message="no", data={"x": 1}),
        Response(id=1, method="a", result=None),
    ]
    assert connection.outstanding == frozenset()


def test_calls_of_codex_become_notifications_and_requests() -> None:
    data = line(method="a", params={"x": [1]}, emittedAtMs=1500) + b" \t\r\n\n"
    data += line(method="b") + line(method="c", params=None, emittedAtMs=True)
    data += line(id=0, method="d", params={}) + line(id="0", method="e", jsonrpc="2.0")

    assert messages_of(data) == [
        Notification(method="a", params={"x": [1]}, emitted_at=1.5),
        Notification(method="b", params={}),
        Notification(method="c", params={}),
        ServerRequest(id=0, method="d", params={}),
        ServerRequest(id="0", method="e", params={}),
    ]


def test_every_request_of_codex_is_answered_once() -> None:
    connection = Connection()
    data = line(id=1, method="a") + line(id="1", method="b") + line(id=2, method="c")
    messages = messages_of(data, connection=connection)
    assert connection.open_requests == tuple(messages)

    connection.answer("1", {"decision": "accept"})
    connection.refuse(1, -32601, "not here")
    with pytest.raises(ProtocolError, match="no open request 1"):
        connection.answer(1, {})
    with pytest.raises(ProtocolError, match="no open request True"):
        connection.refuse(True, 0, "")
    with pytest.raises(ProtocolError, match="no open request 9"):
        connection.answer(9, {})

    assert sent(connection) == [
        {"id": "1", "result": {"decision": "accept"}},
        {"id": 1, "error": {"code": -32601, "message": "not here"}},
    ]
    assert [request.id for request in connection.open_requests] == [2]


def test_an_answer_that_is_no_json_leaves_the_request_open() -> None:
    connection = Connection()
    messages_of(line(id=1, method="a"), connection=connection)

    with pytest.raises(ValueError, match="JSON"):
        connection.answer(1, float("nan"))
    connection.answer(1, None)

    assert sent(connection) == [{"id": 1, "result": None}]


def test_an_id_may_come_again_once_its_request_was_answered() -> None:
    connection = Connection()
    again = line(id=1, method="a")
    messages = messages_of(again + again, connection=connection)
    connection.answer(1, None)

    assert messages == [
        ServerRequest(id=1, method="a", params={}),
        Malformed(
            reason="A request with this id is still open.",
            head=again.decode().rstrip(),
            size=len(again) - 1,
        ),
    ]
    assert messages_of(again, connection=connection) == messages[:1]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"method":"a"} {}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b"[1]", "not an object"),
        (b"null", "not an object"),
        (b"{}", "neither a method nor one of"),
        (b'{"id":1}', "neither a method nor one of"),
        (b'{"id":1,"result":1,"error":{}}', "neither a method nor one of"),
        (b'{"method":1}', "method is not a string"),
        (b'{"method":"a","params":[1]}', "parameters are not an object"),
        (b'{"method":"a","params":"x"}', "parameters are not an object"),
        (b'{"method":"a","id":null}', "neither an integer nor a string"),
        (b'{"method":"a","id":true}', "neither an integer nor a string"),
        (b'{"method":"a","id":1.5}', "neither an integer nor a string"),
        (b'{"method":"a","params":{"x":NaN}}', "NaN, which is not JSON"),
        (b'{"method":"a","params":{"x":-Infinity}}', "-Infinity, which is not JSON"),
        (b'{"method":"a","params":{"x":1e999}}', "too large"),
        (b'{"method":"a","params":{"x":18446744073709551616}}', "too large"),
        (b'{"method":"a","params":{"x":' + b"9" * 5000 + b"}}", "too large"),
        (b'{"method":"a","params":{"x":"\\ud83d"}}', "half of a surrogate pair"),
        (b'{"method":"a","params":{"x":' + b"[" * 300 + b"]" * 300 + b"}}", "too deeply"),
        (b"[" * 1_000_000, "too deeply"),
    ],
)
def test_a_bad_line_is_malformed_and_the_next_one_counts(bad: bytes, reason: str) -> None:
    first, second = messages_of(bad + b"\n" + line(method="next"))

    assert isinstance(first, Malformed)
    assert reason in first.reason
    assert first.head == bad.decode("utf-8", "replace")[:200]
    assert first.size == len(bad)
    assert second == Notification(method="next", params={})


@pytest.mark.parametrize(
    "answer",
    [
        *({"id": own_id, "result": 1} for own_id in (2, 0, "1", True, 1.0, None, [1])),
        {"result": 1},
        {"id": 1, "error": None},
        {"id": 1, "error": "no"},
        {"id": 1, "error": {"code": "x", "message": "no"}},
        {"id": 1, "error": {"code": True, "message": "no"}},
        {"id": 1, "error": {"code": 1}},
    ],
)
def test_an_answer_to_nothing_or_with_a_bad_error_ends_no_request(answer: Json) -> None:
    connection = Connection()
    connection.request("a")
    (message,) = messages_of(json.dumps(answer).encode() + b"\n", connection=connection)

    assert isinstance(message, Malformed)
    assert connection.outstanding == {1}


def test_what_the_limits_allow_is_taken() -> None:
    deep: Json = 1
    for _ in range(100):
        deep = [deep]
    values: Json = {"deep": deep, "int": [2**64 - 1, -(2**63)], "text": "\ud83d\ude00é\u2028"}

    (message,) = messages_of(line(method="a", params={"x": values}))

    assert message == Notification(method="a", params={"x": json.loads(json.dumps(values))})


def test_a_line_over_the_limit_is_skipped_to_its_end() -> None:
    connection = Connection(max_line=300)
    long = b'{"method":"' + "é".encode() * 400
    for start in range(0, len(long), 7):
        connection.receive_data(long[start : start + 7])
    connection.receive_data(b'"}\n' + line(method="next"))

    assert connection.events_received() == [
        Malformed(
            reason="The line is longer than 300 bytes.",
            head=('{"method":"' + "é" * 400)[:200],
            size=len(long) + 2,
        ),
        Notification(method="next", params={}),
    ]


def test_a_line_of_exactly_the_limit_is_taken() -> None:
    data = line(method="a")

    assert messages_of(data, connection=Connection(max_line=len(data) - 1)) == [
        Notification(method="a", params={})
    ]


def test_the_end_of_input_is_final() -> None:
    connection = Connection()
    connection.receive_data(line(method="a") + b'{"method":"b"}')
    connection.receive_eof()
    connection.receive_eof()

    assert connection.events_received() == [
        Notification(method="a", params={}),
        Malformed(
            reason="The input ended in the middle of a line.", head='{"method":"b"}', size=14
        ),
    ]
    with pytest.raises(ProtocolError, match="after the end of input"):
        connection.receive_data(b"\n")
    with pytest.raises(ProtocolError, match="before `x` was asked"):
        connection.request("x")
    assert connection.outstanding == frozenset()


def test_an_end_of_input_between_lines_says_nothing() -> None:
    connection = Connection()
    connection.receive_data(b"  ")
    connection.receive_eof()

    assert connection.events_received() == []


def test_halves_of_surrogate_pairs_are_sent_as_what_utf_8_can_hold() -> None:
    connection = Connection()
    connection.notify("a", {"half": "x\ud83dy", "pair": "\ud83d\ude00", "line": "a\nb\u2028c"})
    data = connection.data_to_send()

    assert data.count(b"\n") == 1
    assert json.loads(data.decode("utf-8"))["params"] == {
        "half": "x\ufffdy",
        "pair": "😀",
        "line": "a\nb\u2028c",
    }
