"""Lines of the channel: split anywhere, as long as attachments are, and never without an end."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.errors import ProtocolError, UsageError
from codex_nb.sessions.channel import REQUEST_LIMIT, Decoder, connect, encode
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from tests.support.sessions import Rig

MESSAGES: list[JsonObject] = [{"id": 1, "op": "hello"}, {"id": 2, "text": "é\n\0"}]


@given(st.lists(st.integers(0, 80), max_size=6))
def test_a_message_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    data = b"".join(map(encode, MESSAGES))
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    decoder = Decoder()
    found = [message for start, end in pairwise(ends) for message in decoder.feed(data[start:end])]
    assert found == MESSAGES


@pytest.mark.parametrize("line", [b"dance", b"[1]", b"x" * 90])
def test_a_line_that_is_no_message_is_told_and_the_next_ones_are_read(line: bytes) -> None:
    data = encode(MESSAGES[0]) + line + b"\n" + encode(MESSAGES[1])
    first, wrong, last = Decoder(limit=80).take(data)
    assert (first, last) == (MESSAGES[0], MESSAGES[1])
    assert isinstance(wrong, ProtocolError)
    with pytest.raises(ProtocolError, match="A line on the channel"):
        Decoder(limit=80).feed(data)


def test_a_line_of_20_mb_is_taken_and_a_longer_one_than_the_limit_is_not() -> None:
    decoder = Decoder(limit=REQUEST_LIMIT)
    message: JsonObject = {"data": "x" * 20_000_000}
    data = encode(message)
    parts = [data[start : start + 65536] for start in range(0, len(data), 65536)]
    assert [found for part in parts for found in decoder.take(part)] == [message]
    (error,) = decoder.take(b"x" * (REQUEST_LIMIT + 1) + b"\n")
    assert isinstance(error, ProtocolError)
    assert (error.message, error.hint) == (
        "A line on the channel is longer than 24 MB.",
        "Send less at once.",
    )


@pytest.mark.integration
def test_a_session_says_what_is_wrong_with_a_line_and_the_client_stays(rig: Rig) -> None:
    async def check() -> None:
        async with rig.session() as viewer:
            await viewer.until_status("idle")
            with pytest.raises(UsageError, match="24 MB is the most"):
                await viewer.client.request("send", text="x" * REQUEST_LIMIT)
            reader, writer = await connect(rig.hosts[0].socket)
            writer.write(b"dance\n" + encode({"id": 8, "op": "interrupt"}))
            answers: list[JsonObject] = []
            decoder = Decoder()
            while len(answers) < 2:
                answers += decoder.feed(await reader.read(1 << 16))
            writer.close()
            error = answers[0]["error"]
            assert isinstance(error, dict)
            assert (answers[0]["id"], error["kind"]) == (None, "ProtocolError")
            assert json.dumps(answers[1]) == '{"id": 8, "ok": {}}'

    run(check())
