"""What the view shows for each part of a transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.stage import DATA, Stage, events, item, load_view, transcript

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

pytestmark = pytest.mark.browser

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"

VIEWS = sorted(path.stem for path in (DATA / "views").glob("*.json"))


@pytest.mark.parametrize("name", VIEWS)
def test_every_sample_is_drawn_and_fits_its_width(stage: Stage, name: str) -> None:
    stage.show_view(name)

    assert stage.root.get_attribute("role") == "region"
    assert stage.root.get_attribute("aria-label") == "Codex session churn model"
    assert stage.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


STATES = {
    "approval-command": "Waiting for you",
    "approvals-settled": "Interrupted",
    "broken-session": "Failed",
    "done": "Done",
    "failed": "Failed",
    "ready": "Ready",
    "starting": "Starting",
    "streaming": "Working",
    "two-turns": "Done",
}


@pytest.mark.parametrize(("name", "word"), STATES.items())
def test_the_header_says_where_things_stand(stage: Stage, name: str, word: str) -> None:
    stage.show_view(name)

    assert stage.root.locator(".cnb-word").inner_text() == word


def test_the_clock_follows_that_of_the_session_host(stage: Stage) -> None:
    stage.show_view("working")

    stage.send(
        {
            "frame": "events",
            "since": 100,
            "events": [{"op": "other", "n": 101, "t": 1795361738.0 + 107}],
        }
    )
    stage.send(events(101, {"op": "set", "key": "diff", "value": ""}))

    assert stage.root.locator(".cnb-figures .cnb-time").inner_text() == "1:47"


def change(path: str, kind: str, diff: str, move_path: str | None = None) -> JsonObject:
    return {"path": path, "kind": {"type": kind, "move_path": move_path}, "diff": diff}


def test_changes_of_files_show_signs_to_the_eye_and_words_to_the_ear(stage: Stage) -> None:
    update = change("/w/a.py", "update", "@@ -3,2 +3,2 @@\n same\n-old\n+new\n", "/w/b.py")
    added = change("/w/n.txt", "add", "@@ -1 +1 @@\nplain\n")
    deleted = change("/x/d.txt", "delete", "gone\n")
    stage.show(transcript(item("fileChange", body={"changes": [update, added, deleted]})))

    heads = [" ".join(it.split()) for it in stage.root.locator(".cnb-filehead").all_text_contents()]
    rows = stage.root.locator(".cnb-row").all_text_contents()

    assert heads == [
        f"a.py → b.pymovedlines added: +1removed: {MINUS}1",
        "n.txtaddedlines added: +2",
        f"/x/d.txtdeletedremoved: {MINUS}1",
    ]
    assert rows == [
        "3 same",
        f"removed: 4{MINUS}old",
        "added: 4+new",
        "added: 1+@@ -1 +1 @@",
        "added: 2+plain",
        f"removed: 1{MINUS}gone",
    ]
    assert stage.root.locator("ins").count() == 3
    assert stage.root.locator("del").count() == 2


def test_a_long_diff_is_folded(stage: Stage) -> None:
    changes: list[Json] = [change("/w/a", "add", "x\n" * 60)]
    stage.show(transcript(item("fileChange", body={"changes": changes})))
    rows = stage.root.locator(".cnb-row")
    assert rows.count() == 16

    stage.root.get_by_role("button", name="Show all 60 lines").click()

    assert rows.count() == 60


def test_a_view_shows_the_turns_of_its_window_only(stage: Stage) -> None:
    stage.show_view("window")

    assert stage.root.locator(".cnb-entry").all_inner_texts() == [
        "Prompt:\nAnd in one sentence?",
        "The split leaked customers.",
        "Done in 4.0 s",
    ]


def test_a_window_that_changes_is_followed(stage: Stage) -> None:
    stage.show_view("two-turns")

    stage.page.evaluate(
        "() => { model.state.window = { from: 0, to: 1 }; model.emit('change:window'); }"
    )
    stage.settle()

    assert stage.root.locator(".cnb-message").all_inner_texts() == ["It leaks customers."]


def test_an_item_of_an_unlisted_turn_belongs_to_the_turn_that_ran(stage: Stage) -> None:
    stage.show_view("kinds")

    assert stage.root.locator(".cnb-foreign .cnb-command").all_inner_texts() == ["ls notebooks"]


def test_notices_stand_where_their_time_puts_them(stage: Stage) -> None:
    stage.show_view("kinds")
    entries = stage.root.locator(".cnb-entry").all_inner_texts()

    assert entries.index(
        "The model was changed to gpt-5.5-codex-mini. The first choice is not available."
    ) == (entries.index("Review started") + 1)


def test_a_failed_turn_shows_message_hint_and_folded_detail(stage: Stage) -> None:
    stage.show_view("failed")
    card = stage.root.locator(".cnb-error")
    detail = card.get_by_text("usage_limit_reached")
    assert [line for line in card.inner_text().split("\n") if line] == [
        "The turn failed (HTTP 429)",
        "You have hit your usage limit.",
        "It resets in 2 hours; or choose another model with --model.",
        "Detail",
    ]
    assert not detail.is_visible()

    card.get_by_text("Detail", exact=True).click()

    assert detail.is_visible()


def test_what_is_waited_for_is_said(stage: Stage) -> None:
    tails = {}
    for name in ("starting", "waiting-for-output", "thinking", "ready", "done"):
        stage.show_view(name)
        tails[name] = stage.root.locator(".cnb-tail").inner_text().replace("\n", " ")

    assert tails == {
        "starting": "Starting Codex… waiting for codex app-server to answer",
        "waiting-for-output": "Working…",
        "thinking": "",
        "ready": "Ready. Nothing was asked yet.",
        "done": "",
    }


def test_every_button_has_a_name_and_every_scrolling_box_can_be_reached(stage: Stage) -> None:
    for name in VIEWS:
        stage.show_view(name)
        unnamed = stage.root.locator("button").evaluate_all(
            "(all) => all.filter((it) => it.checkVisibility()"
            " && (it.ariaLabel ?? it.textContent).trim() === '').length"
        )
        boxes = stage.root.locator("pre, .cnb-diff").evaluate_all(
            "(all) => all.filter((it) => it.scrollHeight > it.clientHeight + 1)"
            ".filter((it) => it.tabIndex < 0).length"
        )
        assert (name, unnamed, boxes) == (name, 0, 0)


WRONG: list[Json] = [None, 7, "wrong", [], {}, [None, {"id": 3}], True, -1e300]


@pytest.mark.parametrize("name", ["approval-files", "failed", "kinds", "working"])
def test_a_wrong_type_anywhere_never_breaks_the_view(stage: Stage, name: str) -> None:
    broken = stage.page.evaluate(
        """([snapshot, wrong]) => {
          const paths = [];
          const walk = (value, path) => {
            if (path.length > 0) paths.push(path);
            if (typeof value === "object" && value !== null)
              for (const key of Object.keys(value)) walk(value[key], [...path, key]);
          };
          walk(snapshot.transcript, []);
          const broken = [];
          paths.forEach((path, i) => {
            const transcript = structuredClone(snapshot.transcript);
            const last = path.at(-1);
            const holder = path.slice(0, -1).reduce((value, key) => value[key], transcript);
            holder[last] = wrong[i % wrong.length];
            const model = makeModel({ snapshot: { n: 1, transcript }, window: null });
            const el = document.createElement("div");
            try {
              view.default.render({ model, el })();
            } catch (problem) {
              broken.push(`${path} ${problem}`);
            }
          });
          return broken;
        }""",
        [load_view(name)["snapshot"], WRONG],
    )

    assert broken == []
