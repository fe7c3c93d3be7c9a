"""Bodies of items: what fits stays as it is, and of the rest is said what is missing."""

from __future__ import annotations

import base64
import copy
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_nb.protocol.bodies import BODY_LIMIT, IMAGE_LIMIT, TEXT_LIMIT, limited_body
from tests.protocol.reducing import Reducing
from tests.protocol.values import JSON, TEXT

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(300_000)).decode()
HUGE = base64.b64encode(b"\xff\xd8\xff" + bytes(IMAGE_LIMIT)).decode()

# A few letters, many times, so that long texts cost hypothesis nothing.
LONG: st.SearchStrategy[Json] = st.builds(
    lambda text, times: text * times, TEXT, st.integers(1, 30_000)
)
VALUES: st.SearchStrategy[Json] = st.recursive(
    JSON | LONG | st.builds(lambda value, times: [value] * times, JSON, st.integers(1, 3_000)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


def note(count: int) -> str:
    return f"[… {count:,} characters left out …]"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param("short", "short", id="a short text"),
        pytest.param("x" * TEXT_LIMIT, "x" * TEXT_LIMIT, id="the longest text"),
        pytest.param(
            "a" * 60_000 + "b" * 60_000,
            f"{'a' * 50_000}\n\n{note(20_000)}\n\n{'b' * 50_000}",
            id="a text that loses its middle",
        ),
        pytest.param(PNG, PNG, id="an image"),
        pytest.param(f"data:image/png;base64,{PNG}", f"data:image/png;base64,{PNG}", id="its URL"),
        pytest.param(HUGE, note(len(HUGE)), id="an image that is too large"),
        pytest.param(
            f"data:image/jpeg;base64,{HUGE}", note(len(HUGE) + 23), id="the URL of such an image"
        ),
        pytest.param(
            "iVBORw0KGgo" + "é" * TEXT_LIMIT,
            f"iVBORw0KGgo{'é' * 49_989}\n\n{note(11)}\n\n{'é' * 50_000}",
            id="a text that begins as an image does",
        ),
    ],
)
def test_a_string_is_kept_or_says_what_is_missing(value: str, kept: str) -> None:
    body: JsonObject = {"type": "x", "id": "i", "result": {"content": [{"data": value}]}}
    assert limited_body(body) == {
        "type": "x",
        "id": "i",
        "result": {"content": [{"data": kept}]},
    }


def test_what_comes_after_the_limit_of_the_whole_is_left_out() -> None:
    image = f"data:image/png;base64,{'A' * (IMAGE_LIMIT - 100)}"
    body: JsonObject = {"images": [image] * 3, "type": "x", "id": "i"}
    assert limited_body(body) == {
        "images": [image, note(len(image)), note(len(image))],
        "type": "x",
        "id": "i",
    }


def test_a_list_without_end_is_cut_and_says_so() -> None:
    body: JsonObject = {"rows": list(range(1_000_000)), "type": "x", "id": "i", "late": 1}
    kept = limited_body(body)
    rows = kept["rows"]
    assert isinstance(rows, list)
    assert rows[:-1] == list(range(len(rows) - 1))
    assert rows[-1] == f"[… {1_000_001 - len(rows):,} more left out …]"
    assert (kept["type"], kept["id"], kept["…"]) == ("x", "i", "[… 3 more left out …]")
    assert len(json.dumps(kept)) <= BODY_LIMIT


def strings_in(value: Json) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for member in value for text in strings_in(member)]
        case dict():
            return [text for member in value.values() for text in strings_in(member)]
    return []


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_no_body_is_longer_than_its_limits_and_none_is_changed_in_place(body: JsonObject) -> None:
    before, limit = copy.deepcopy(body), 128 * 1024
    kept = limited_body(body, text_limit=5_000, image_limit=50_000, body_limit=limit)

    assert body == before
    assert len(json.dumps(kept)) <= limit
    assert all(len(text) <= 5_100 for text in strings_in(kept))
    if len(json.dumps(body)) <= 5_000:
        assert kept is body


def test_the_items_of_a_transcript_are_limited_while_they_grow_and_at_their_end() -> None:
    run = Reducing()
    run.start_turn()
    arguments: JsonObject = {"x": "y" * 150_000}
    call: JsonObject = {"type": "mcpToolCall", "id": "m", "arguments": arguments}
    run.tell("item/started", item={**call, "status": "inProgress"})
    kept = f"{'y' * 50_000}\n\n{note(50_000)}\n\n{'y' * 50_000}"
    assert run.item("m")["body"] == {**call, "status": "inProgress", "arguments": {"x": kept}}
    changes: Json = [{"path": "/a", "kind": {"type": "add"}, "diff": "z" * 150_000}]
    run.tell("item/fileChange/patchUpdated", itemId="f", changes=changes)
    run.tell("item/completed", item={**call, "status": "completed", "result": arguments})
    z = kept.replace("y", "z")
    assert [item["body"] for item in run.records("items")] == [
        {**call, "status": "completed", "arguments": {"x": kept}, "result": {"x": kept}},
        {
            "type": "fileChange",
            "id": "f",
            "changes": [{"path": "/a", "kind": {"type": "add"}, "diff": z}],
        },
    ]
