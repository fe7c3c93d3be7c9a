"""The terminal in a view: how it is opened, shown, lost and found again, and who has the keys."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.browser.stage import ORIGIN
from tests.browser.terminals import PATH, TerminalStage, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

FRAME = ".cnb-screen > iframe"
BOX = ".cnb-screen"
BAR = ["Conversation", "Terminal", "Open in a tab", "Close terminal"]
SHOWN_BUTTONS = """(view) => [...view.querySelectorAll(".cnb-header button")]
  .filter((it) => it.getClientRects().length > 0)
  .map((it) => it.ariaLabel ?? it.textContent)"""
# A message from where none is expected, told after it was delivered.
FORGE = """([where, message]) => new Promise((done) => {
  const inner = document.querySelector(".cnb-screen > iframe").contentWindow;
  if (where === "self") window.postMessage(message, "*");
  if (where === "beside") {
    const beside = document.createElement("iframe");
    beside.srcdoc = `<script>parent.postMessage(${JSON.stringify(message)}, "*")</script>`;
    document.body.append(beside);
  }
  addEventListener("message", ({ source }) => source !== inner && setTimeout(done), { once: true });
})"""

MOVE = """() => {
  const [view] = document.getElementById("out").children;
  document.getElementById("out").append(document.createElement("br"), view);
}"""


@pytest.fixture
def stage(chromium: Browser) -> Iterator[TerminalStage]:
    stage = TerminalStage(chromium)
    yield stage
    problems = list(stage.problems)
    stage.close()
    assert problems == []


def test_a_person_who_chooses_the_terminal_has_it_opened_and_sees_it(stage: TerminalStage) -> None:
    stage.put()
    assert stage.root.evaluate(SHOWN_BUTTONS) == ["Conversation", "Terminal", "Details"]
    stage.press("Terminal")
    stage.settle()
    assert stage.root.locator(".cnb-saying").text_content() == "Starting the terminal…"

    assert stage.answer() == "open_terminal"
    stage.tell(terminal=terminal())
    stage.wait_word("Running")

    frame = stage.page.locator(FRAME)
    said = {name: frame.get_attribute(name) for name in ("src", "title", "tabindex")}
    assert said == {"src": f"{ORIGIN}{PATH}", "title": "Terminal of demo", "tabindex": "-1"}
    assert stage.root.evaluate(SHOWN_BUTTONS) == BAR
    assert not stage.root.locator(".cnb-body, .cnb-foot").first.is_visible()
    # About 24 rows of 13 px, and the keyboard is where it was.
    assert 350 < stage.root.locator(BOX).evaluate("(it) => it.offsetHeight") < 450
    assert stage.focused() == "cnb-button"


def test_back_in_the_conversation_there_is_no_frame_and_the_terminal_goes_on(
    stage: TerminalStage,
) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")

    stage.press("Conversation")
    stage.settle()

    assert stage.page.locator(FRAME).count() == 0
    assert stage.root.locator(".cnb-foot").is_visible()
    assert stage.sent() == []
    # One that runs is shown again without a word to the session.
    stage.press("Terminal")
    stage.wait_word("Running")
    assert stage.sent() == []


def test_a_terminal_is_closed_and_the_view_goes_back_to_the_conversation(
    stage: TerminalStage,
) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.press("Close terminal")
    assert stage.answer(error="Not now.") == "close_terminal"
    assert stage.root.locator(".cnb-problem").first.text_content() == "Not now."

    stage.press("Close terminal")
    stage.answer()
    stage.settle()

    assert stage.root.evaluate("(it) => it.dataset.cnbFace") == "conversation"
    assert stage.focused().startswith("cnb")


def test_a_tab_takes_the_terminal_over(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.press("Open in a tab")
    stage.settle()

    assert stage.page.evaluate("() => window.opened") == ["s"]
    assert stage.page.locator(FRAME).count() == 0


def test_the_kernel_chooses_the_face_of_an_output(stage: TerminalStage) -> None:
    stage.put(terminal=terminal())
    stage.page.evaluate(
        "() => { model.state._face = 'terminal'; model.emit('change:_face'); }",
    )

    stage.wait_word("Running")


def test_enter_gives_the_keyboard_and_a_chord_takes_it_back(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    keys, box = stage.page.keyboard, stage.page.locator(BOX)
    # Shift+Enter is Jupyter's.
    box.focus()
    keys.press("Shift+Enter")
    assert stage.focused() == "cnb-screen"

    for chord in ("Control+Shift+Escape", "F6"):
        keys.press("Enter")
        stage.page.wait_for_function("() => document.activeElement.tagName === 'IFRAME'")
        keys.type("ls")
        keys.press(chord)
        stage.page.wait_for_function("() => document.activeElement.className === 'cnb-screen'")

    assert stage.frame.evaluate("() => document.querySelector('textarea').value") == "lsls"
    # The Tab key passes by the frame.
    keys.press("Tab")
    assert stage.focused() == "cnb-grip"
    assert "Ctrl+Shift+Esc or F6 leaves" in (
        stage.root.locator(".cnb-termfoot").text_content() or ""
    )


def test_a_frame_that_connects_again_leaves_the_keyboard_alone(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    typed = stage.page.locator("main + textarea")
    stage.page.evaluate(
        "() => document.getElementById('out').after(document.createElement('textarea'))"
    )
    typed.focus()
    stage.sockets[-1].close(code=1011)
    stage.wait_word("Reconnecting…")
    stage.wait_word("Running")

    stage.page.keyboard.type("mine")

    assert typed.input_value() == "mine"


def test_a_cut_connection_comes_back_and_says_what_holds_it_up(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    page = stage.page
    page.locator(BOX).focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.tagName === 'IFRAME'")

    stage.status = 502
    stage.sockets[-1].close(code=4502)
    stage.wait_word("Host unreachable")
    assert stage.root.locator(".cnb-covertext").text_content() == (
        "The host of the session does not answer. Trying again…That is so. Do this."
    )
    assert stage.focused() == "cnb-screen"
    stage.status = 0
    stage.wait_word("Reconnecting…")
    stage.status = 200
    stage.wait_word("Running")

    assert page.locator(FRAME).count() == 1
    assert not stage.root.locator(".cnb-cover").is_visible()


def test_a_refusal_is_told_and_not_asked_for_again_until_a_person_does(
    stage: TerminalStage,
) -> None:
    stage.status = 409
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Not shown")
    assert "That is so. Do this." in (stage.root.locator(".cnb-covertext").text_content() or "")
    assert (stage.pages, stage.page.locator(FRAME).count()) == (1, 0)

    stage.status = 200
    stage.press("Try again")
    stage.wait_word("Running")

    assert stage.sent() == []


def test_a_view_that_is_moved_in_the_page_recovers(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    before = len(stage.sockets)

    stage.page.evaluate(MOVE)
    stage.wait_word("Running")
    stage.page.wait_for_function("() => document.querySelector('iframe').contentWindow.term")
    assert len(stage.sockets) == before + 1

    stage.frame.evaluate(
        "() => parent.postMessage({ 'codex-nb': 'state', state: 'connecting' }, location.origin)"
    )
    stage.wait_word("Connecting…")


def test_a_frame_without_its_page_is_no_blank_box(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    stage.status = 0

    stage.page.evaluate(MOVE)
    stage.wait_word("Reconnecting…")
    stage.status = 200
    stage.wait_word("Running")


def test_a_terminal_that_ended_shows_its_last_screen_and_starts_again(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    screen = "hello\n\n  \u202ebye <b>"
    stage.tell(terminal=terminal("ended", exit_status=0, screen=screen))
    stage.settle()

    assert stage.root.locator(".cnb-word").text_content() == "Ended (exit 0)"
    last = stage.root.get_by_role("group", name="Last screen of the terminal")
    assert last.text_content() == "hello\n\n  ⟨U+202E⟩bye <b>"
    assert stage.page.locator(FRAME).count() == 0
    stage.press("Restart")
    assert stage.answer() == "open_terminal"
    stage.tell(terminal=terminal())
    stage.wait_word("Running")


def test_what_the_session_refuses_is_told(stage: TerminalStage) -> None:
    stage.put()
    stage.press("Terminal")
    stage.settle()
    stage.answer(error="There is no tmux. Install it.")
    stage.settle()
    assert stage.root.locator(".cnb-covertext").text_content() == "There is no tmux. Install it."

    stage.press("Try again")
    stage.settle()

    assert [it["op"] for it in stage.sent()] == ["open_terminal", "open_terminal"]


def test_an_output_that_shows_a_terminal_opens_none_by_itself(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=None)
    assert stage.root.locator(".cnb-word").text_content() == "Not started"
    stage.put(face="terminal", terminal=terminal("ended", exit_status=0))

    assert stage.sent() == []


def test_the_switch_is_there_where_both_faces_are(stage: TerminalStage) -> None:
    def is_offered(**values: object) -> bool:
        stage.put(**values)  # type: ignore[arg-type]
        return stage.root.get_by_role("group", name="Show the thread as").is_visible()

    ended = terminal("ended", exit_status=0)
    assert [
        is_offered(),
        is_offered(status="closed"),
        is_offered(status="closed", terminal=ended),
        is_offered(face="terminal", status="closed"),
        is_offered(face="terminal", terminal=terminal(kind="plain")),
        is_offered(terminal=terminal(kind="plain")),
        is_offered(terminal=terminal(), to=1),
    ] == [True, False, True, True, False, False, False]


@pytest.mark.parametrize(
    "message",
    [{"codex-nb": "state", "state": "closed", "code": 1000}, {"codex-nb": "leave"}],
)
def test_only_the_page_in_the_frame_is_listened_to(
    stage: TerminalStage, message: dict[str, object]
) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")

    for where in ("self", "beside"):
        stage.page.evaluate(FORGE, [where, message])
        stage.settle()

    assert stage.root.locator(".cnb-word").text_content() == "Running"
    assert (stage.pages, stage.focused()) == (2, "BODY")


def test_only_an_id_makes_an_address(stage: TerminalStage) -> None:
    words = []
    for session in ("../../lab", "s/view", "https://evil.test", ""):
        stage.put(face="terminal", id=session, terminal=terminal())
        words.append(stage.root.locator(".cnb-covertext").text_content())

    assert set(words) == {"The terminal runs. JupyterLab and Notebook 7 can show it."}
    assert (stage.pages, stage.page.locator("iframe").count()) == (0, 0)


def test_elsewhere_the_text_of_the_last_screen_is_shown_and_no_terminal_is_offered(
    chromium: Browser,
) -> None:
    stage = TerminalStage(chromium, is_lab=False)
    stage.put()
    assert stage.root.evaluate(SHOWN_BUTTONS) == ["Details"]
    stage.put(face="terminal", terminal=terminal("ended", exit_status=0, screen="the end"))
    assert stage.root.locator(".cnb-lastscreen").text_content() == "the end"
    stage.put(face="terminal", terminal=terminal())
    assert stage.root.locator(".cnb-lastscreen").is_visible() is False

    assert stage.page.locator("iframe").count() == 0
    assert (stage.problems, stage.pages) == ([], 0)
    stage.close()


def test_a_notebook_page_without_our_extension_still_shows_a_terminal(chromium: Browser) -> None:
    stage = TerminalStage(chromium, is_lab=False)
    stage.page.evaluate(
        """() => {
          const config = document.createElement("script");
          config.id = "jupyter-config-data";
          config.type = "application/json";
          config.textContent = JSON.stringify({ baseUrl: "/" });
          document.head.append(config);
        }"""
    )
    stage.put(face="terminal", terminal=terminal())

    stage.wait_word("Running")
    stage.close()


def test_the_height_is_changed_by_keys_and_pointer_and_remembered(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    page, grip = stage.page, stage.root.get_by_role("separator")
    heights = []

    def note() -> None:
        heights.append(stage.root.locator(".cnb-stack").evaluate("(it) => it.offsetHeight"))

    note()
    grip.focus()
    page.keyboard.press("ArrowDown")
    note()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    note()
    at = grip.bounding_box()
    assert at is not None
    page.mouse.move(at["x"] + 5, at["y"] + 5)
    page.mouse.down()
    page.mouse.move(at["x"] - 300, at["y"] + 105)
    page.mouse.up()
    page.mouse.move(at["x"], at["y"] - 100)
    note()
    stage.put(face="terminal", terminal=terminal())
    note()

    assert [b - a for a, b in itertools.pairwise(heights)] == [24, -48, 100, 0]
    assert grip.get_attribute("aria-valuenow") == str(heights[-1])


def test_nothing_is_left_of_a_view_that_goes(stage: TerminalStage) -> None:
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    stage.press("Conversation")
    stage.settle()
    stage.press("Terminal")
    stage.wait_word("Running")
    # One observer of the page: it has the terminal look again once.
    before = stage.frame.evaluate("() => term.fits")
    stage.page.evaluate("() => document.body.classList.add('changed')")
    stage.settle()
    stage.settle()
    assert stage.frame.evaluate("() => term.fits") == before + 1

    stage.page.evaluate("() => { window.dispose(); window.dispose = undefined; }")

    assert stage.page.locator("#out > *, iframe").count() == 0
