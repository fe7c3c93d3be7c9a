"""The input at the foot of a view: sends, steers, queues, and keeps what was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.stage import Stage, events, item, transcript

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from codex_nb.protocol.messages import Json, JsonObject

pytestmark = pytest.mark.browser


def idle(*items: JsonObject, **values: Json) -> JsonObject:
    """A transcript whose turn is over."""
    return transcript(*items, turn_status="completed", **values)


def prompt(text: str, key: str) -> JsonObject:
    return item("userMessage", key=key, text=text)


def box(stage: Stage) -> Locator:
    return stage.root.get_by_role("textbox", name="Message to Codex")


def buttons(stage: Stage) -> list[str]:
    """The labels of the buttons that send, with those that are off in brackets."""
    found = stage.root.locator(".cnb-sending .cnb-button").all()
    shown = [it for it in found if it.is_visible()]
    words = [it.inner_text() or it.get_attribute("aria-label") or "" for it in shown]
    return [
        f"({name})" if it.is_disabled() else name for it, name in zip(shown, words, strict=True)
    ]


def asked(stage: Stage) -> list[JsonObject]:
    """What the view asked, without the ids."""
    return [{key: it[key] for key in it if key != "id"} for it in stage.sent()]


def accept(stage: Stage, **answer: Json) -> None:
    """Answer the last request."""
    stage.send({"reply": stage.sent()[-1]["id"], "ok": answer})


def finish_turn(stage: Stage, since: int = 0) -> None:
    turn = cast("list[JsonObject]", idle()["turns"])[0]
    stage.send(events(since, {"op": "put", "in": "turns", "value": turn}))


def test_enter_sends_a_turn_and_clears_the_box_when_the_session_took_it(stage: Stage) -> None:
    stage.show(idle())
    assert buttons(stage) == ["(Send)"]
    box(stage).fill("Go on.")
    assert buttons(stage) == ["Send"]

    box(stage).press("Enter")

    assert asked(stage) == [{"op": "send", "text": "Go on."}]
    assert buttons(stage) == ["(Sending…)"]
    box(stage).press("Enter")
    assert len(asked(stage)) == 1
    assert box(stage).input_value() == "Go on."
    accept(stage, index=1)
    assert box(stage).input_value() == ""
    assert buttons(stage) == ["(Send)"]
    assert box(stage).evaluate("(it) => it === document.activeElement")


def test_shift_enter_starts_a_line_and_an_empty_message_is_not_sent(stage: Stage) -> None:
    stage.show(idle())
    box(stage).press("Enter")
    box(stage).fill("  ")
    box(stage).press("Enter")
    assert asked(stage) == []

    box(stage).fill("one")
    box(stage).press("Shift+Enter")
    stage.page.keyboard.type("two")
    stage.root.get_by_role("button", name="Send").click()

    assert asked(stage) == [{"op": "send", "text": "one\ntwo"}]


def test_enter_that_ends_the_composing_of_a_word_sends_nothing(stage: Stage) -> None:
    stage.show(idle())
    box(stage).fill("にほん")

    for init in ("{ isComposing: true }", "{ keyCode: 229 }"):
        box(stage).evaluate(
            "(it) => it.dispatchEvent(new KeyboardEvent('keydown', "
            f"{{ key: 'Enter', bubbles: true, ...{init} }}))"
        )

    assert asked(stage) == []


def test_a_refusal_keeps_the_message_and_says_what_to_do(stage: Stage) -> None:
    stage.show(idle())
    box(stage).fill("Go on.")
    box(stage).press("Enter")

    refusal: JsonObject = {"message": "The host is full.", "hint": "Close a session."}
    stage.send({"reply": stage.sent()[-1]["id"], "error": refusal})

    assert box(stage).input_value() == "Go on."
    problem = stage.root.locator(".cnb-foot .cnb-problem")
    assert problem.inner_text() == "The host is full. Close a session."
    assert box(stage).get_attribute("aria-description") == problem.inner_text()
    assert buttons(stage) == ["Send"]
    box(stage).press("Enter")
    assert problem.is_hidden()
    assert len(asked(stage)) == 2


def test_while_a_turn_runs_enter_steers_and_alt_enter_queues(stage: Stage) -> None:
    stage.show(transcript())
    assert buttons(stage) == ["Interrupt the turn", "(Queue)", "(Steer)"]
    assert box(stage).get_attribute("placeholder") == (
        "Add to the running turn, or queue the next one"
    )

    box(stage).fill("Faster.")
    box(stage).press("Enter")
    accept(stage)
    box(stage).fill("Then test.")
    box(stage).press("Alt+Enter")
    accept(stage, index=1)
    box(stage).fill("Then lint.")
    stage.root.get_by_role("button", name="Queue").click()
    accept(stage, index=2)
    stage.root.get_by_role("button", name="Interrupt the turn").click()

    assert asked(stage) == [
        {"op": "steer", "text": "Faster."},
        {"op": "send", "text": "Then test."},
        {"op": "send", "text": "Then lint."},
        {"op": "interrupt"},
    ]
    assert stage.root.locator(".cnb-header .cnb-stop").inner_text() == "Stopping…"


def test_the_buttons_follow_the_turn_and_the_focus_stays(stage: Stage) -> None:
    stage.show(transcript())
    box(stage).fill("Then test.")
    stage.root.get_by_role("button", name="Queue").focus()

    finish_turn(stage)

    assert buttons(stage) == ["Send"]
    assert box(stage).evaluate("(it) => it === document.activeElement")
    assert box(stage).input_value() == "Then test."


def queue(*texts: str) -> list[Json]:
    return [{"id": f"q{i}", "text": text, "at": 100.0} for i, text in enumerate(texts)]


def test_queued_messages_are_shown_and_one_is_taken_back_into_the_box(stage: Stage) -> None:
    stage.show(transcript(queue=queue("Then test.", "Then \N{RIGHT-TO-LEFT OVERRIDE}lint.")))
    rows = stage.root.locator(".cnb-queuelist > li")
    assert rows.all_inner_texts() == [
        "Then test.\nTake back",
        "Then ⟨U+202E⟩lint.\nTake back",
    ]

    rows.first.get_by_role("button", name="Take back").click()
    assert asked(stage) == [{"op": "unqueue", "message": "q0"}]
    stage.send(events(0, {"op": "set", "key": "queue", "value": queue("Then lint.")}))
    accept(stage, text="Then test.")

    assert rows.count() == 1
    assert box(stage).input_value() == "Then test."
    assert box(stage).evaluate("(it) => it === document.activeElement")


def test_a_message_that_is_taken_back_does_not_replace_what_was_typed(stage: Stage) -> None:
    stage.show(transcript(queue=queue("Then test.")))
    box(stage).fill("Something else.")

    stage.root.get_by_role("button", name="Take back").click()
    accept(stage, text="Then test.")

    assert box(stage).input_value() == "Something else.\n\nThen test."


def test_a_message_that_began_meanwhile_cannot_be_taken_back_and_that_is_said(
    stage: Stage,
) -> None:
    stage.show(transcript(queue=queue("Then test.")))
    back = stage.root.get_by_role("button", name="Take back")
    back.click()

    refusal: JsonObject = {"message": "It is no longer in line.", "hint": ""}
    stage.send({"reply": stage.sent()[-1]["id"], "error": refusal})

    assert stage.root.get_by_text("It is no longer in line.").is_visible()
    assert back.is_enabled()
    stage.send(events(0, {"op": "set", "key": "queue", "value": []}))
    assert stage.root.locator(".cnb-queue").is_hidden()


def test_the_arrows_leaf_through_the_prompts_and_the_draft_is_kept(stage: Stage) -> None:
    foreign = {**prompt("of a sub-agent", "c"), "thread": "other"}
    stage.show(idle(prompt("first", "a"), prompt("second\nline", "b"), foreign))
    box(stage).fill("draft")

    seen = []
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown", "End", "ArrowDown", "ArrowDown"):
        box(stage).press(key)
        seen.append(box(stage).input_value())

    assert seen == [
        "second\nline",
        "first",
        "first",
        "second\nline",
        "second\nline",
        "draft",
        "draft",
    ]
    assert asked(stage) == []


def test_the_arrows_move_the_caret_inside_of_a_text(stage: Stage) -> None:
    stage.show(idle(prompt("first", "a")))
    box(stage).fill(f"{'word ' * 60}\nlast line")
    assert box(stage).evaluate("(it) => it.clientHeight > 3 * 20")

    box(stage).press("ArrowUp")
    box(stage).press("ArrowUp")

    assert box(stage).input_value().startswith("word")
    box(stage).press("Control+Home")
    box(stage).press("ArrowUp")
    assert box(stage).input_value() == "first"


def test_the_box_grows_with_its_text_to_ten_lines(stage: Stage) -> None:
    stage.show(idle())

    def lines(text: str) -> float:
        box(stage).fill(text)
        return float(box(stage).evaluate("(it) => (it.offsetHeight - 10) / 20"))

    assert [lines("one"), lines("a\nb\nc"), lines("\n" * 40), lines("")] == [1, 3, 10, 1]


def test_what_was_typed_outlives_the_view_and_the_focus_returns(stage: Stage) -> None:
    stage.show(idle())
    box(stage).focus()
    stage.page.keyboard.type("half a sen")
    stage.page.keyboard.press("ArrowLeft")

    stage.page.evaluate(
        """() => {
          // As an output does it: the old one is taken out first.
          document.querySelector("#out > .cnb").remove();
          dispose();
          window.dispose = view.default.render({ model, el: document.getElementById("out") });
        }"""
    )
    stage.settle()
    stage.page.keyboard.type("!")

    assert box(stage).input_value() == "half a se!n"


def test_a_view_that_is_drawn_anew_takes_no_focus_that_is_elsewhere(stage: Stage) -> None:
    stage.show(idle())
    box(stage).fill("half a sen")
    stage.root.get_by_role("button", name="Details").focus()

    stage.show(idle())

    assert box(stage).input_value() == "half a sen"
    assert stage.page.evaluate("() => document.activeElement.tagName") == "BODY"


def test_drafts_of_two_sessions_are_two(stage: Stage) -> None:
    other = idle()
    other["session"] = {**cast("JsonObject", other["session"]), "id": "other"}
    stage.show(idle())
    box(stage).fill("for the first")
    stage.show(other)
    assert box(stage).input_value() == ""
    box(stage).fill("for the second")

    stage.show(idle())

    assert box(stage).input_value() == "for the first"


def test_no_key_of_the_input_reaches_the_notebook(stage: Stage) -> None:
    stage.show(transcript())
    stage.page.evaluate(
        "() => { window.keys = []; window.addEventListener('keydown', (it) => keys.push(it.key)); }"
    )
    foot = stage.root.locator(".cnb-foot")

    box(stage).focus()
    for key in ("a", "Enter", "Shift+Enter", "Control+Enter", "Escape", "ArrowUp"):
        box(stage).press(key)
    stage.root.get_by_role("button", name="Attach files").press("d")

    assert stage.page.evaluate("() => keys") == []
    assert foot.get_attribute("data-lm-suppress-shortcuts") == "true"


def test_escape_leaves_the_box_to_the_view(stage: Stage) -> None:
    stage.show(idle())
    box(stage).focus()

    box(stage).press("Escape")

    assert stage.root.evaluate("(it) => it === document.activeElement")


def test_without_a_connection_typing_goes_on_and_sending_waits(stage: Stage) -> None:
    stage.show(idle())
    stage.send({"frame": "link", "state": "lost"})

    box(stage).fill("Go on.")
    box(stage).press("Enter")

    assert buttons(stage) == ["(Send)"]
    assert stage.root.locator(".cnb-keys").inner_text() == "Reconnecting… What you type stays here."
    assert asked(stage) == []
    stage.send({"frame": "link", "state": "live"})
    box(stage).press("Enter")
    assert asked(stage) == [{"op": "send", "text": "Go on."}]


def ended(stage: Stage, *, link: str = "live", **session: Json) -> str:
    shown = idle()
    shown["session"] = {**cast("JsonObject", shown["session"]), **session}
    stage.show(shown)
    stage.send({"frame": "link", "state": link})
    assert box(stage).is_hidden()
    return stage.root.locator(".cnb-ended").inner_text()


def test_a_session_that_is_over_says_how_to_go_on(stage: Stage) -> None:
    on = "This session has ended. Run a cell to go on with its thread: %codex_run --name demo …"
    anew = "This session was closed. Run a cell to start a new one: %codex_run --name demo …"

    assert ended(stage, link="gone") == on
    assert ended(stage, status="closed", ended="idle") == on
    assert ended(stage, status="failed", ended="failed") == on
    assert ended(stage, status="closed", ended="closed") == anew
    assert ended(stage, status="closed") == anew
    quoted = ended(stage, link="gone", name="my work")
    assert quoted.endswith('%codex_run --name "my work" …')


def test_the_end_of_a_session_takes_the_box_and_leaves_the_focus_in_the_view(
    stage: Stage,
) -> None:
    stage.show(idle())
    box(stage).focus()

    stage.send({"frame": "link", "state": "gone"})

    assert stage.root.evaluate("(it) => it === document.activeElement")


def test_a_part_that_lies_behind_has_no_input_and_loses_it_when_a_cell_goes_on(
    stage: Stage,
) -> None:
    window: JsonObject = {"from": 0, "to": 1}
    stage.show(idle(), window=window)
    assert stage.root.locator(".cnb-foot").is_hidden()

    stage.show(idle())
    assert box(stage).is_visible()
    stage.page.evaluate(
        """(window) => {
          model.state.window = window;
          model.emit("change:window");
        }""",
        window,
    )
    stage.settle()
    assert stage.root.locator(".cnb-foot").is_hidden()
