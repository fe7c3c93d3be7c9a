"""The view as a replica: frames, streams, operations, and what it leaves behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.stage import DATA, Stage, events, item, load_view, transcript

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

pytestmark = pytest.mark.browser


def append(text: str, *, field: str = "text") -> JsonObject:
    return {"op": "append", "in": "items", "id": "i", "field": field, "text": text}


def put_item(value: JsonObject) -> JsonObject:
    return {"op": "put", "in": "items", "value": value}


def test_the_replica_passes_the_shared_table_of_changes(stage: Stage) -> None:
    cases = json.loads((DATA / "changes.json").read_text())

    results = stage.page.evaluate(
        """(cases) => cases.map(({ transcript, changes }) => {
          const replica = new view.Replica();
          replica.load(0, transcript);
          for (const change of changes) replica.apply(change);
          return replica.transcript;
        })""",
        cases,
    )

    assert dict(zip([case["name"] for case in cases], results, strict=True)) == {
        case["name"]: case["expected"] for case in cases
    }


def replica_after(stage: Stage, *frames: JsonObject) -> JsonObject:
    """A replica at event 5 with the text "ab", after frames, and what each returned."""
    start = transcript(item("agentMessage", text="ab"))
    result = stage.page.evaluate(
        """([start, frames]) => {
          const replica = new view.Replica();
          replica.load(5, start);
          const whole = frames.map((frame) => replica.applyFrame(frame));
          return { whole, n: replica.n, text: replica.find("items", "i").text };
        }""",
        [start, list(frames)],
    )
    return cast("JsonObject", result)


def test_events_that_were_seen_are_skipped(stage: Stage) -> None:
    frame = events(3, append("a"), append("b"), append("c"))

    assert replica_after(stage, frame, frame) == {"whole": [True, True], "n": 6, "text": "abc"}


def test_a_hole_in_the_numbers_changes_nothing_and_is_reported(stage: Stage) -> None:
    assert replica_after(stage, events(6, append("d"))) == {"whole": [False], "n": 5, "text": "ab"}


def test_a_merged_append_that_was_seen_in_part_is_a_hole(stage: Stage) -> None:
    merged: JsonObject = {
        "frame": "events",
        "since": 3,
        "events": [{**append("abc"), "n": 7, "t": 0.0}],
    }

    assert replica_after(stage, merged) == {"whole": [False], "n": 5, "text": "ab"}


def test_an_older_snapshot_is_ignored_and_one_of_another_session_is_taken(stage: Stage) -> None:
    older: JsonObject = {"frame": "snapshot", "n": 4, "transcript": transcript(item("x", text="a"))}
    other = transcript(item("x", text="new"))
    cast("JsonObject", other["session"])["id"] = "another"
    restarted: JsonObject = {"frame": "snapshot", "n": 1, "transcript": other}

    assert replica_after(stage, older) == {"whole": [True], "n": 5, "text": "ab"}
    assert replica_after(stage, restarted) == {"whole": [True], "n": 1, "text": "new"}


def test_a_view_asks_for_a_snapshot_at_its_start_and_heals_a_hole(stage: Stage) -> None:
    stage.show(transcript(item("agentMessage", text="one", status="in_progress")))
    assert stage.snapshots_asked() == 1
    stage.send({"frame": "snapshot", "n": 0, "transcript": transcript()})

    stage.send(events(7, append(" lost")))
    stage.send(events(8, append(" lost too")))
    assert stage.snapshots_asked() == 2
    assert stage.root.locator(".cnb-message").inner_text() == "one"

    healed = transcript(item("agentMessage", text="one two three", status="in_progress"))
    stage.send({"frame": "snapshot", "n": 9, "transcript": healed})
    assert stage.root.locator(".cnb-message").inner_text() == "one two three"


def test_a_message_of_5000_deltas_is_drawn_without_loss_and_as_if_it_came_at_once(
    stage: Stage,
) -> None:
    words = [
        f"word{i}{chr(10) * 2 if i % 9 == 8 else ' '}{'- ' if i % 27 > 17 else ''}"
        for i in range(4990)
    ]
    words += [
        "\n\n```\ncode",
        "\n\n",
        "more\n```\n",
        "1. a\n\n",
        "2",
        ". b\n\n",
        "[x][ref]\n\n",
        "[ref]: ",
        "https://x.example\n",
        "end",
    ]
    stage.show(transcript(item("agentMessage", status="in_progress")))

    frames = [events(n, append(word)) for n, word in enumerate(words)]
    for start in range(0, len(frames), 50):
        stage.send(*frames[start : start + 50])
    message = stage.root.locator(".cnb-message")
    streamed = message.inner_text()
    stage.send(events(5000, put_item(item("agentMessage", text="".join(words)))))
    finished = message.inner_html()
    stage.show(transcript(item("agentMessage", text="".join(words))))

    assert [word for word in streamed.split() if word.startswith("word")] == [
        f"word{i}" for i in range(4990)
    ]
    assert finished == message.inner_html()


def test_streaming_leaves_the_blocks_that_are_finished_alone(stage: Stage) -> None:
    stage.show(transcript(item("agentMessage", text="one\n\ntwo\n\nthree", status="in_progress")))
    stage.page.evaluate("() => { document.querySelector('.cnb-block').marked = true; }")

    stage.send(events(0, append(" more\n\nfour")), events(1, append("\n\nfive")))

    assert stage.root.locator(".cnb-block").all_inner_texts() == [
        "one",
        "two",
        "three more",
        "four",
        "five",
    ]
    assert stage.page.evaluate("() => document.querySelector('.cnb-block').marked") is True


def test_output_follows_its_end_unless_the_person_scrolled_up(stage: Stage) -> None:
    text = "".join(f"{i}\n" for i in range(100))
    stage.show(transcript(item("commandExecution", status="in_progress", output=text)))
    box = stage.root.locator(".cnb-terminal")
    box.evaluate("(it) => new Promise((done) => { it.onscroll = done; it.scrollTop = 0; })")

    stage.send(events(0, append("more\n", field="output")))

    assert box.evaluate("(it) => it.scrollTop") == 0


def test_the_page_is_never_scrolled_and_nothing_is_focused(stage: Stage) -> None:
    stage.show(transcript(item("agentMessage", status="in_progress")))
    paragraphs = "\n\n".join(f"paragraph {i}" for i in range(200))
    approval = cast("list[JsonObject]", samples("approval-command")["approvals"])[0]
    stage.send(
        events(
            0,
            append(paragraphs),
            {"op": "put", "in": "approvals", "value": {**approval, "turn": "turn"}},
        )
    )

    assert stage.root.locator(".cnb-approval").count() == 1
    assert stage.page.evaluate("() => [window.scrollY, document.activeElement.tagName]") == [
        0,
        "BODY",
    ]


def samples(name: str) -> JsonObject:
    snapshot = cast("JsonObject", load_view(name)["snapshot"])
    return cast("JsonObject", snapshot["transcript"])


def test_dispose_leaves_nothing_and_after_some_seconds_nobody_listens(stage: Stage) -> None:
    stage.hold_time()
    stage.show_view("approval-command")

    left = stage.page.evaluate(
        """() => {
          dispose();
          window.dispose = undefined;
          model.emit("msg:custom", { frame: "events", since: 100, events: [] });
          return document.getElementById("out").childNodes.length;
        }"""
    )
    stage.page.clock.run_for(6000)

    assert left == 0
    assert stage.page.evaluate("() => Object.values(model.listeners).flat().length") == 0


def test_a_view_that_is_drawn_anew_starts_where_the_one_before_it_was(stage: Stage) -> None:
    stage.show(transcript(item("agentMessage", text="old", status="in_progress")))
    stage.send(events(0, append(" and new")))

    again = stage.page.evaluate(
        """() => {
          dispose();
          window.dispose = view.default.render({ model, el: document.getElementById("out") });
          return document.querySelector(".cnb-message").textContent;
        }"""
    )
    stage.send(events(1, append(" and newer")))

    assert again.strip() == "old and new"
    assert stage.root.locator(".cnb-message").inner_text() == "old and new and newer"


def test_two_views_of_one_model_are_independent(stage: Stage) -> None:
    stage.show_view("working")
    stage.page.evaluate(
        """() => {
          const el = document.body.appendChild(document.createElement("div"));
          el.id = "second";
          const first = window.dispose;
          const second = view.default.render({ model, el });
          window.dispose = () => { first(); second(); };
          first();
        }"""
    )

    assert stage.page.locator("#out .cnb").count() == 0
    assert stage.page.locator("#second .cnb-word").inner_text() == "Working"
