"""What a browser may say, as a table and with anything at all."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.server.operations import OPERATIONS, OperationError, parse_operation
from codex_nb.sessions.channel import REQUEST_LIMIT, Decoder

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("op", sorted(OPERATIONS))
def test_every_operation_of_the_channel_passes_but_hello(op: str) -> None:
    operation = parse_operation(json.dumps({"id": 1, "op": op, "text": "ä"}))

    assert (operation.key, operation.op) == (1, op)
    assert Decoder().feed(operation.line) == [{"id": 1, "op": op, "text": "ä"}]


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("", None, "A message is JSON, and this one is not."),
        ("{", None, "A message is JSON, and this one is not."),
        ('{"id":1,"op":"close"} {}', None, "A message is JSON, and this one is not."),
        ("[" * 100_000, None, "A message is JSON, and this one is not."),
        ('{"id":1,"op":"send","timeout":NaN}', None, "A message is JSON, and this one is not."),
        ('{"id":1,"op":"send","timeout":1e999}', None, "A message is JSON, and this one is not."),
        ('{"id":1,"op":"send","timeout":%s}' % ("9" * 5000), None, None),
        ("null", None, "A message is a JSON object, and this one is not."),
        ('"close"', None, "A message is a JSON object, and this one is not."),
        (b'{"id":1,"op":"close"}', None, "A message is text, not bytes."),
        ('{"op":"close"}', None, None),
        ('{"id":null,"op":"close"}', None, None),
        ('{"id":true,"op":"close"}', None, None),
        ('{"id":{},"op":"close"}', None, None),
        ('{"id":"a"}', "a", "This operation is not offered here."),
        ('{"id":2,"op":"hello","since":0}', 2, "This operation is not offered here."),
        ('{"id":2,"op":["close"]}', 2, "This operation is not offered here."),
        ('{"id":2,"op":"Close"}', 2, "This operation is not offered here."),
    ],
)
def test_what_is_no_operation_is_refused_with_its_id(
    text: str | bytes, key: object, message: str | None
) -> None:
    with pytest.raises(OperationError) as caught:
        parse_operation(text)

    assert caught.value.key == key
    assert message is None or caught.value.message == message


def test_a_message_may_be_as_long_as_the_channel_takes_it() -> None:
    empty = len(parse_operation('{"id":1,"op":"send","text":""}').line)
    longest = "x" * (REQUEST_LIMIT - empty)

    assert len(parse_operation(_send(longest)).line) == REQUEST_LIMIT
    with pytest.raises(OperationError) as caught:
        parse_operation(_send(longest + "x"))
    assert caught.value.key == 1
    with pytest.raises(OperationError):  # it is bytes that count
        parse_operation(_send("ä" * (REQUEST_LIMIT // 2)))


@given(ANYTHING)
def test_any_value_is_one_line_or_refused(value: object) -> None:
    for message in (value, {"id": 1, "op": "send", "text": value}):
        try:
            operation = parse_operation(json.dumps(message, indent=1))
        except OperationError:
            continue
        assert operation.line.count(b"\n") == 1
        assert Decoder().feed(operation.line) == [message]


@given(st.text() | st.binary())
def test_any_text_is_refused_or_an_operation(text: str | bytes) -> None:
    with suppress(OperationError):
        assert parse_operation(text).op in OPERATIONS


def _send(text: str) -> str:
    return json.dumps({"id": 1, "op": "send", "text": text})
