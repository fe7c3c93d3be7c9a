"""Links that Codex in the terminal asks to open: what is seen of them, and what a click does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.terminals import TerminalStage, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

LOGIN = "https://auth.example.com/oauth/authorize?response_type=code&state=" + "s" * 400
LOCAL = "http://localhost:1455/success"
LONG_HOST = "https://auth.example.com." + "a." * 110 + "evil.example/oauth"
HOSTILE = (
    "javascript:alert(1)//https://a.example",
    "data:text/html,https://a.example",
    "file:///etc/passwd",
    "https://auth.example.com@evil.example/",
    "https://a.example/ b",
    "https://a.example/\u202egpj",
    "https://" + "a" * 3_000 + ".example/",
    "nothing",
)


@pytest.fixture
def stage(chromium: Browser) -> Iterator[TerminalStage]:
    stage = TerminalStage(chromium)
    yield stage
    problems = list(stage.problems)
    stage.close()
    assert problems == []


def shown(stage: TerminalStage, *links: str) -> Locator:
    """The lines of a terminal that runs and asks for these."""
    stage.put(face="terminal", terminal=terminal(links=links))
    stage.wait_word("Running")
    return stage.root.locator(".cnb-ask")


def test_a_link_names_its_host_and_tells_the_other_page_nothing(stage: TerminalStage) -> None:
    lines = shown(stage, LOGIN, LOCAL)
    assert lines.count() == 2
    link = lines.first.get_by_role("link")
    names = ("href", "target", "rel", "title")
    assert {name: link.get_attribute(name) for name in names} == {
        "href": LOGIN,
        "target": "_blank",
        "rel": "noopener noreferrer nofollow",
        "title": LOGIN,
    }
    assert lines.first.inner_text().split("\n")[:2] == ["Codex asks to open", "auth.example.com"]
    assert lines.last.locator("b").text_content() == "http://localhost:1455"
    # One tidy line each, however long they are, and above the terminal.
    heights = [line.evaluate("(it) => it.offsetHeight") for line in lines.all()]
    assert max(heights) < 32
    box, line = stage.root.locator(".cnb-screen").bounding_box(), lines.last.bounding_box()
    assert box is not None
    assert line is not None
    assert line["y"] + line["height"] <= box["y"]


def test_the_end_of_a_long_host_is_seen(stage: TerminalStage) -> None:
    [line] = shown(stage, LONG_HOST).all()
    host = line.locator("b")
    assert host.evaluate("(it) => it.scrollWidth <= it.offsetWidth && it.offsetHeight > 20")
    assert (host.text_content() or "").endswith("evil.example")


def test_what_is_no_link_of_the_web_is_not_shown(stage: TerminalStage) -> None:
    assert shown(stage, *HOSTILE).count() == 0
    assert shown(stage, *HOSTILE, LOCAL).count() == 1


def test_nothing_opens_by_itself_and_a_dismissed_link_goes(stage: TerminalStage) -> None:
    lines = shown(stage, LOGIN)
    stage.tell(terminal=terminal(links=(LOGIN, LOCAL)))
    stage.settle()
    assert len(stage.page.context.pages) == 1

    lines.last.get_by_role("button", name="Dismiss the link").press("Enter")

    assert stage.sent()[-1]["link"] == LOCAL
    assert stage.answer() == "dismiss_link"
    stage.tell(terminal=terminal(links=(LOGIN,)))
    stage.settle()
    assert lines.count() == 1
    # Its button had the keyboard.
    assert stage.focused().startswith("cnb")


def test_a_refusal_to_dismiss_is_told(stage: TerminalStage) -> None:
    shown(stage, LOGIN)
    stage.press("Dismiss the link")
    stage.answer(error="Not now.")
    stage.settle()
    assert stage.root.locator(".cnb-problem").first.text_content() == "Not now."


def test_a_link_is_copied(stage: TerminalStage) -> None:
    shown(stage, LOGIN)
    stage.page.evaluate(
        "() => Object.defineProperty(navigator, 'clipboard',"
        " { value: { writeText: async (text) => { window.copied = text; } } })"
    )
    stage.press("Copy the link")
    stage.page.wait_for_function("(link) => window.copied === link", arg=LOGIN)


@pytest.mark.parametrize(
    "session",
    [
        {"terminal": terminal("ended", exit_status=0, links=(LOGIN,))},
        {"terminal": terminal(links=(LOGIN,)), "status": "closed", "ended": "closed"},
    ],
    ids=["terminal ended", "session closed"],
)
def test_links_go_with_the_terminal(stage: TerminalStage, session: dict[str, object]) -> None:
    lines = shown(stage, LOGIN)
    stage.tell(**session)  # type: ignore[arg-type]
    stage.settle()
    assert lines.count() == 0
