"""Changes: the table that the TypeScript replica passes too, and how runs of appends are merged."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.protocol.changes import Replica, empty_transcript, merge_events
from tests.protocol.values import JSON, objects

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

CASES = json.loads((Path(__file__).parents[1] / "data" / "changes.json").read_text("utf-8"))


def append(n: int, text: str, *, key: str = "a", field: str = "text") -> JsonObject:
    return {
        "n": n,
        "t": n / 2,
        "op": "append",
        "in": "items",
        "id": key,
        "field": field,
        "text": text,
    }


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_replica_passes_the_shared_table_of_changes(case: dict[str, JsonObject]) -> None:
    replica = Replica(copy.deepcopy(case["transcript"]))
    for change in cast("list[JsonObject]", case["changes"]):
        replica.apply(change)

    assert replica.transcript == case["expected"]


def test_a_replica_leaves_the_changes_as_they_are() -> None:
    changes: list[JsonObject] = [
        {"op": "put", "in": "items", "value": {"id": "a", "text": "x"}},
        append(2, "y"),
    ]
    before = copy.deepcopy(changes)
    replica = Replica(empty_transcript())
    for change in changes:
        replica.apply(change)

    assert changes == before


def test_a_replica_finds_records_of_the_transcript_that_it_started_from() -> None:
    start = empty_transcript()
    start |= {"turns": [{"id": "t"}, "no record", {"id": 5}], "items": "none"}
    replica = Replica(start)

    assert replica.find("turns", "t") == {"id": "t"}
    assert (replica.find("turns", "u"), replica.find("threads", "t")) == (None, None)
    assert replica.transcript["items"] == []


def test_adjacent_appends_to_one_string_are_merged_under_the_last_number() -> None:
    put: JsonObject = {"n": 4, "t": 2.0, "op": "put", "in": "items", "value": {"id": "b"}}
    events = [
        *(append(1, "a"), append(2, "b"), append(3, "c")),
        put,
        *(append(5, "d"), append(6, "e", key="b"), append(7, "f", key="b", field="output")),
        *(append(8, "g", key="b", field="output"), append(9, "h")),
    ]
    before = copy.deepcopy(events)

    assert merge_events(events) == [
        append(3, "abc"),
        put,
        *(append(5, "d"), append(6, "e", key="b")),
        *(append(8, "fg", key="b", field="output"), append(9, "h")),
    ]
    assert events == before


def test_malformed_appends_are_passed_on_as_they_are() -> None:
    events = [append(1, "a"), {**append(2, ""), "text": 5}, {**append(3, "c"), "id": None}]

    assert merge_events(events) == events


KEYS = st.sampled_from(["a", "b", "items", "turns", "session", "plan", "text", "output"]) | JSON
CHANGES = st.fixed_dictionaries(
    {"op": st.sampled_from(["put", "append", "set", "merge", "other"]) | JSON},
    optional={
        "in": KEYS,
        "id": KEYS,
        "key": KEYS,
        "field": KEYS,
        "text": st.text(max_size=3) | JSON,
        "value": objects(id=KEYS, text=JSON) | JSON,
    },
)


@given(st.lists(CHANGES, max_size=20))
def test_no_change_raises_and_merging_changes_nothing(changes: list[JsonObject]) -> None:
    one, other = Replica(empty_transcript()), Replica(empty_transcript())
    for change in changes:
        one.apply(change)
    for change in merge_events(changes):
        other.apply(change)

    assert one.transcript == other.transcript
    assert set(one.transcript) == set(empty_transcript())
