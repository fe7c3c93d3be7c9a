"""Where a session stands: the header, Stop, what is announced, and a connection that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.stage import Stage, events, item, load_view, transcript

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

pytestmark = pytest.mark.browser


def word(stage: Stage) -> str:
    return stage.root.locator(".cnb-word").inner_text()


def link(stage: Stage, state: str) -> None:
    stage.send({"frame": "link", "state": state})


def turn(status: str, *, key: str = "turn") -> JsonObject:
    """A change that puts a turn."""
    value: JsonObject = {
        "id": key,
        "status": status,
        "started_at": 100.0,
        "completed_at": None if status == "in_progress" else 112.4,
        "error": None,
    }
    return {"op": "put", "in": "turns", "value": value}


def approval(key: str, title: str, status: str = "pending") -> JsonObject:
    """A change that puts an approval of the turn of `transcript`."""
    snapshot = cast("JsonObject", load_view("approval-command")["snapshot"])
    approvals = cast("JsonObject", snapshot["transcript"])["approvals"]
    sample = cast("list[JsonObject]", approvals)[0]
    more: JsonObject = {"id": key, "title": title, "turn": "turn", "item": "", "status": status}
    return {"op": "put", "in": "approvals", "value": {**sample, **more}}


def test_the_header_is_one_line_of_state_name_and_foreign_host(stage: Stage) -> None:
    stage.show_view("approval-command")
    assert stage.root.locator(".cnb-headline").inner_text().split("\n") == [
        "Waiting for you",
        "churn model",
        "gpu-3 (ssh)",
        "Details",
        "Stop",
    ]

    stage.show_view("done")
    assert stage.root.locator(".cnb-headline").inner_text().split("\n") == [
        "Done",
        "churn model",
        "Details",
    ]


def test_the_details_hold_what_the_line_leaves_out(stage: Stage) -> None:
    limits: JsonObject = {
        "primary": {"usedPercent": 34, "windowDurationMins": 300, "resetsAt": None},
        "secondary": {"usedPercent": 5, "windowDurationMins": 10080, "resetsAt": None},
    }
    snapshot = cast("JsonObject", load_view("done")["snapshot"])
    shown = cast("JsonObject", snapshot["transcript"])
    stage.show({**shown, "rate_limits": limits})

    stage.root.get_by_role("button", name="Details").click()

    panel = stage.root.locator(".cnb-panel")
    names = panel.locator("dt").all_inner_texts()
    facts = dict(zip(names, panel.locator("dd").all_inner_texts(), strict=True))
    assert facts == {
        "Session": "s-7f3a",
        "Status": "idle",
        "Host": "local",
        "Folder": "/home/ada/churn",
        "Model": "gpt-5.5-codex, effort medium",
        "Sandbox": "workspace-write, network off",
        "Asks": "when Codex wants to leave the sandbox",
        "Tokens": "48.2k in all: 43.4k in (19.3k of them cached), 4.8k out",
        "Limits": "5 h limit 34 % used; Weekly limit 5 % used",
        "Codex": "0.163.0",
        "Thread": "th-1",
    }
    panel.get_by_role("button", name="Close session").click()
    assert [it["op"] for it in stage.sent()] == ["close"]


@pytest.mark.parametrize("name", ["working", "starting", "approval-command"])
def test_stop_sends_one_interrupt_and_says_so_at_once(stage: Stage, name: str) -> None:
    stage.show_view(name)
    stop = stage.root.locator(".cnb-header .cnb-stop")

    stop.click()
    stop.evaluate("(it) => it.click()")

    assert stop.inner_text() == "Stopping…"
    assert stop.is_disabled()
    assert stop.evaluate("(it) => it === document.activeElement")
    [message] = stage.sent()
    assert message == {"id": message["id"], "op": "interrupt"}


def test_stop_can_be_pressed_again_after_a_refusal(stage: Stage) -> None:
    stage.show_view("working")
    stop = stage.root.get_by_role("button", name="Stop", exact=True)
    stop.click()
    [message] = stage.sent()

    refusal: JsonObject = {"message": "The session is gone.", "hint": "Start it anew."}
    stage.send({"reply": message["id"], "error": refusal})

    assert stop.is_enabled()
    assert stage.root.get_by_text("The session is gone. Start it anew.").is_visible()


def test_a_second_press_after_five_seconds_offers_to_close_the_session(stage: Stage) -> None:
    stage.hold_time()
    stage.show_view("working")
    stop = stage.root.locator(".cnb-header .cnb-stop")
    stop.click()
    stage.page.clock.run_for(4900)
    assert stop.is_disabled()
    stage.page.clock.run_for(200)
    assert stop.is_enabled()
    assert stage.root.locator(".cnb-offer").is_hidden()

    stop.click()
    stage.root.locator(".cnb-offer").get_by_role("button", name="Close session").click()

    assert [it["op"] for it in stage.sent()] == ["interrupt", "interrupt", "close"]


def test_the_offer_to_close_goes_with_the_turn(stage: Stage) -> None:
    stage.hold_time()
    stage.show(transcript())
    for _ in range(2):
        stage.root.locator(".cnb-header .cnb-stop").click()
        stage.page.clock.run_for(5100)
    assert stage.root.locator(".cnb-offer").is_visible()

    stage.page.evaluate(
        "(frame) => model.emit('msg:custom', frame, [])", events(0, turn("interrupted"))
    )
    stage.page.clock.run_for(100)

    assert stage.root.locator(".cnb-offer").is_hidden()
    assert word(stage) == "Interrupted"


def spoken(stage: Stage) -> str:
    return stage.root.get_by_role("status").inner_text()


def test_only_what_waits_and_how_a_turn_ended_is_announced(stage: Stage) -> None:
    stage.show(transcript(item("agentMessage", text="a", status="in_progress")))
    said = [spoken(stage)]
    steps: list[list[JsonObject]] = [
        [{"op": "append", "in": "items", "id": "i", "field": "text", "text": " and more"}],
        [approval("a", "Run a command")],
        [approval("b", "Change \N{RIGHT-TO-LEFT OVERRIDE}1 file")],
        [approval("a", "Run a command", "accepted"), approval("b", "Change 1 file", "declined")],
        [turn("completed")],
        [turn("in_progress", key="second")],
        [turn("interrupted", key="second")],
        [turn("in_progress", key="third")],
        [turn("failed", key="third")],
    ]
    n = 0
    for changes in steps:
        stage.send(events(n, *changes))
        n += len(changes)
        said.append(spoken(stage))

    assert said == [
        "",
        "",
        "Waiting for approval: Run a command",
        "Waiting for approval: Change ⟨U+202E⟩1 file",
        "",
        "Codex finished",
        "",
        "Codex was interrupted",
        "",
        "Codex failed",
    ]
    # Links that the terminal asks to open are told in a region of their own.
    others = "[aria-live]:not([aria-live=off]), [role=alert], [role=log]:not(.cnb-links)"
    assert stage.root.locator(others).count() == 0
    assert stage.root.get_by_role("status").count() == 1


def test_a_connection_that_comes_back_is_no_news_but_what_ended_meanwhile_is(
    stage: Stage,
) -> None:
    stage.show(transcript(turn_status="completed"))
    link(stage, "lost")
    link(stage, "live")
    assert spoken(stage) == ""

    stage.show(transcript())
    link(stage, "lost")
    stage.send(events(0, turn("completed")))
    link(stage, "live")
    assert spoken(stage) == "Codex finished"


LINKS: dict[tuple[str, str], str] = {
    ("in_progress", "lost"): "Reconnecting…",
    ("in_progress", "gone"): "Ended",
    ("completed", "lost"): "Reconnecting…",
    ("completed", "gone"): "Done",
}


@pytest.mark.parametrize(("case", "expected"), LINKS.items())
def test_the_header_says_that_the_connection_is_lost_and_the_transcript_stays(
    stage: Stage, case: tuple[str, str], expected: str
) -> None:
    status, state = case
    stage.show(transcript(item("agentMessage", text="here"), turn_status=status))
    before = word(stage)

    link(stage, state)
    assert word(stage) == expected
    assert stage.root.locator(".cnb-message").inner_text() == "here"

    link(stage, "live")
    assert word(stage) == before


def test_a_part_that_lies_behind_does_not_care_about_the_connection(stage: Stage) -> None:
    window: JsonObject = {"from": 0, "to": 1}
    stage.show(transcript(turn_status="completed"), window=window)

    link(stage, "lost")

    assert word(stage) == "Done"


def test_with_reduced_motion_nothing_turns_or_blinks(stage: Stage) -> None:
    stage.page.emulate_media(reduced_motion="reduce")
    stage.show_view("working")

    moving = stage.root.evaluate(
        """(root) => root.getAnimations({ subtree: true })
          .filter((it) => it.playState === "running").length"""
    )
    assert moving == 0
    stage.page.emulate_media(reduced_motion="no-preference")
    assert stage.root.evaluate("(root) => root.getAnimations({ subtree: true }).length") > 0


def make_tall(stage: Stage) -> None:
    stage.page.add_style_tag(content="html, body { margin: 0 } #out { height: 100vh }")
    stage.root.evaluate("(root) => root.classList.add('cnb-tall')")


def at_end(stage: Stage) -> bool:
    stage.settle()
    return bool(
        stage.root.locator(".cnb-body").evaluate(
            "(it) => it.scrollTop > 0 && it.scrollHeight - it.scrollTop - it.clientHeight < 2"
        )
    )


def test_a_tall_view_fills_its_tab_with_the_input_at_the_bottom(stage: Stage) -> None:
    paragraphs = "\n\n".join(f"paragraph {i}" for i in range(100))
    stage.show(transcript(item("agentMessage", text=paragraphs)))
    make_tall(stage)
    assert at_end(stage)

    places = stage.root.evaluate(
        """(root) => [".cnb-header", ".cnb-foot"].map((it) => {
          const { top, bottom } = root.querySelector(it).getBoundingClientRect();
          return it === ".cnb-header" ? top : window.innerHeight - bottom;
        })"""
    )
    assert places == [0, 0]
    assert stage.page.evaluate("() => document.documentElement.scrollHeight") == 700


def test_a_tall_view_follows_its_end_unless_the_person_scrolled_up(stage: Stage) -> None:
    def say(n: int, text: str) -> None:
        change: JsonObject = {"op": "append", "in": "items", "id": "i", "field": "text"}
        stage.send(events(n, {**change, "text": text}))

    text = "\n\n".join(f"paragraph {i}" for i in range(100))
    stage.show(transcript(item("agentMessage", text=text, status="in_progress")))
    make_tall(stage)
    assert at_end(stage)
    say(0, "\n\nmore\n\nand more\n\nand more")
    assert at_end(stage)

    body = stage.root.locator(".cnb-body")
    body.evaluate(
        """(it) => new Promise((done) => {
          it.addEventListener("scroll", done, { once: true });
          it.scrollTop = 100;
        })"""
    )
    say(1, "\n\nstill more")
    stage.settle()

    assert body.evaluate("(it) => it.scrollTop") == 100


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", ["working", "done", "approval-command", "approval-files"])
def test_nothing_stands_out_of_a_narrow_or_a_wide_page(stage: Stage, name: str, width: int) -> None:
    stage.page.set_viewport_size({"width": width, "height": 700})
    stage.show_view(name)

    out = stage.root.evaluate(
        """(root) => [...root.querySelectorAll(".cnb-header *, .cnb-foot *, .cnb-approval *")]
          .filter((it) => it.checkVisibility({ visibilityProperty: true })
            && it.closest(".cnb-diff, .cnb-asked, .cnb-spoken") === null)
          .filter((it) => it.getBoundingClientRect().right > root.getBoundingClientRect().right)
          .map((it) => it.className)"""
    )
    assert out == []


def test_the_input_comes_with_the_first_word_of_the_session(stage: Stage) -> None:
    stage.show({}, n=-1)
    assert stage.root.locator(".cnb-foot").is_hidden()

    stage.send({"frame": "snapshot", "n": 3, "transcript": transcript(turn_status="completed")})

    assert stage.root.locator(".cnb-foot").is_visible()
