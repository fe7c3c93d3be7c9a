"""What a notebook keeps of a session as data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from codex_nb.protocol.changes import empty_transcript
from codex_nb.static.saved import SESSION, bundle_of, saved_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

PICTURE = "data:image/png;base64," + "A" * 200_000


def transcript(**values: Json) -> JsonObject:
    turns: list[Json] = [{"id": f"t{i}", "status": "completed"} for i in range(3)]
    items: list[Json] = [
        {"id": "a", "turn": "t0", "text": "first"},
        {"id": "b", "turn": "t1", "text": "second"},
        {"id": "c", "turn": "of a sub-agent", "text": "beside the second"},
        {"id": "d", "turn": "t2", "text": "third"},
    ]
    whole: JsonObject = {
        **empty_transcript(),
        "session": {"id": "s"},
        "turns": turns,
        "items": items,
    }
    return {**whole, **values}


def test_a_cell_keeps_the_items_of_its_turns_and_the_places_of_all_turns() -> None:
    saved = saved_of(transcript(), session="s", n=9, window=(1, 2))
    expected = transcript()
    items = expected["items"]
    assert isinstance(items, list)
    expected |= {"items": items[1:3], "queue": []}
    assert saved == {
        "version": 1,
        "session": "s",
        "n": 9,
        "window": {"from": 1, "to": 2},
        "transcript": expected,
    }


def test_an_open_window_keeps_what_belongs_to_the_end_of_the_session() -> None:
    notices: list[Json] = [{"id": "n", "text": "Mind this."}]
    queue: list[Json] = [{"id": "q", "text": "next", "at": 1.0}]
    plan: JsonObject = {"turn": "t2", "steps": []}
    whole = transcript(notices=notices, queue=queue, plan=plan, diff="+a")
    kept = saved_of(whole, session="s", n=1, window=(2, None))["transcript"]
    earlier = saved_of(whole, session="s", n=1, window=(0, 1))["transcript"]
    assert isinstance(kept, dict)
    assert isinstance(earlier, dict)
    assert (kept["notices"], kept["plan"], kept["diff"], kept["queue"]) == (notices, plan, "+a", [])
    assert (earlier["notices"], earlier["plan"], earlier["diff"]) == ([], None, "")


def test_a_session_without_turns_keeps_what_was_said_before_the_first() -> None:
    whole = transcript(turns=[], items=[{"id": "a", "turn": "", "text": "hello"}])
    kept = saved_of(whole, session="s", n=1)["transcript"]
    assert isinstance(kept, dict)
    assert kept["items"] == whole["items"]


def test_long_texts_lose_their_middle_and_pictures_stay_whole() -> None:
    items: list[Json] = [
        {"id": "a", "turn": "t0", "output": "x" * 300_000, "body": {"result": PICTURE}}
    ]
    kept = saved_of(transcript(items=items), session="s", n=1)["transcript"]
    assert isinstance(kept, dict)
    half = "x" * 50_000
    output = f"{half}\n… 200,000 characters left out …\n{half}"
    assert kept["items"] == [
        {"id": "a", "turn": "t0", "output": output, "body": {"result": PICTURE}}
    ]


def test_a_huge_session_is_bounded() -> None:
    items: list[Json] = [
        {"id": str(i), "turn": "t0", "output": "x" * 90_000, "body": {"picture": PICTURE}}
        for i in range(300)
    ]
    assert len(json.dumps(saved_of(transcript(items=items), session="s", n=1))) < 4_000_000


def test_the_bundle_has_every_form() -> None:
    bundle = bundle_of(transcript(), session="s", n=3)
    assert set(bundle) == {SESSION, "text/plain", "text/markdown", "text/html"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*empty_transcript()]), _JSON))
def test_whatever_is_wrong_in_a_transcript_it_is_saved(values: dict[str, Json]) -> None:
    saved = saved_of({**empty_transcript(), **values}, session="s", n=1)
    assert json.loads(json.dumps(saved)) == saved
