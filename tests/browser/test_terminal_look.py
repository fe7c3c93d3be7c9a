"""How a terminal looks: what axe says of every state of it, and that it follows the theme."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.audit import AXE
from tests.browser.terminals import TerminalStage, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

THEMES = Path(sys.prefix) / "share" / "jupyter" / "lab" / "themes" / "@jupyterlab"
NAMES = {
    "light": "JupyterLab Light",
    "dark": "JupyterLab Dark",
    "dark-high-contrast": "JupyterLab Dark High Contrast",
}
SCREEN = "╭──────────╮\n│ codex    │\n╰──────────╯\nbye"
WEAR = """([name, css]) => {
  const style = document.getElementById("theme") ?? document.createElement("style");
  style.id = "theme";
  style.textContent = css + "body { background: var(--jp-layout-color0); }";
  document.head.append(style);
  document.body.dataset.jpThemeName = name;
}"""
# The page around the view is the test's own. That a frame is not in the order of the Tab key is
# wanted: the terminal in it would keep that key, and Enter on the box around it leads inside.
RUN = """async () => {
  const names = ["page-has-heading-one", "frame-focusable-content"];
  const rules = Object.fromEntries(names.map((name) => [name, { enabled: false }]));
  const { violations, passes } = await axe.run(document, { rules });
  const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id} ${node.html}`));
  return [found, passes.map(({ id }) => id)];
}"""
OPTIONS = "() => JSON.parse(JSON.stringify(term.options))"


@pytest.fixture
def stage(chromium: Browser) -> Iterator[TerminalStage]:
    stage = TerminalStage(chromium)
    yield stage
    problems = list(stage.problems)
    stage.close()
    assert problems == []


def wear(stage: TerminalStage, theme: str) -> None:
    """Give the page a theme of JupyterLab."""
    themes = THEMES / f"theme-{theme}-extension" / "index.css"
    if not themes.is_file():
        pytest.skip("needs the themes of JupyterLab: pip install jupyterlab")
    stage.page.evaluate(WEAR, [NAMES[theme], themes.read_text("utf-8")])
    stage.settle()


def states(stage: TerminalStage) -> Iterator[str]:
    """Every state of a terminal, one after the other on the page, by its word in the bar."""
    running = terminal()
    stage.status = 200
    stage.put()
    yield "conversation"
    stage.press("Terminal")
    stage.settle()
    yield "Starting"
    stage.answer(error="There is no tmux. Install it with: apt install tmux")
    yield "Not started"
    stage.put(face="terminal", terminal=running)
    stage.wait_word("Running")
    yield "Running"
    stage.tell(terminal=terminal(links=("https://example.org/a?b=c", "http://localhost:1455/")))
    stage.settle()
    yield "Running, with links"
    stage.status = 0
    stage.sockets[-1].close(code=1011)
    stage.wait_word("Reconnecting…")
    yield "Reconnecting…"
    stage.status = 502
    stage.wait_word("Host unreachable")
    yield "Host unreachable"
    stage.status = 409
    stage.wait_word("Not shown")
    yield "Not shown"
    for status in (0, 1):
        detail = f"Codex in the terminal ended with exit status {status}." if status else ""
        ended = terminal("ended", exit_status=status, detail=detail, screen=SCREEN)
        stage.put(face="terminal", terminal=ended)
        yield f"Ended (exit {status})"
    stage.put(face="terminal", terminal=terminal("failed", detail="tmux 2.9 is too old."))
    yield "Failed"
    ended = terminal("ended", exit_status=0, screen=SCREEN)
    stage.put(face="terminal", terminal=ended, status="closed")
    yield "Session closed"


def test_axe_finds_no_violation_in_any_state_and_theme(stage: TerminalStage) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core: run `npm ci` in labextension")
    stage.page.emulate_media(reduced_motion="reduce")
    stage.page.evaluate(AXE.read_text("utf-8") + "; 0")
    found = {}
    for theme in NAMES:
        wear(stage, theme)
        for state in states(stage):
            found[theme, state], passed = stage.page.evaluate(RUN)
            assert "color-contrast" in passed

    assert {where: wrong for where, wrong in found.items() if wrong} == {}
    assert len(found) == 36


def contrast(one: str, other: str) -> float:
    """The contrast of two `#rrggbb` colours, as WCAG 2 counts it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_colours_and_font_follow_the_theme_without_a_new_page(stage: TerminalStage) -> None:
    wear(stage, "light")
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    stage.frame.evaluate("() => { window.isTheSame = true; }")
    seen = {}
    for theme in NAMES:
        wear(stage, theme)
        stage.settle()
        seen[theme] = cast("dict[str, object]", stage.frame.evaluate(OPTIONS))
        colours = cast("dict[str, str]", seen[theme].pop("theme"))
        paper = colours.pop("background")
        bad = {
            name: colour
            for name, colour in colours.items()
            if name not in ("cursorAccent", "selectionBackground") and contrast(colour, paper) < 4.5
        }
        assert (paper, bad) == (PAPERS[theme], {})
        # Foreground, two of the cursor, the selection and sixteen.
        assert len(colours) == 20
    stage.page.evaluate(
        "() => document.documentElement.style.setProperty('--jp-code-font-size', '17px')"
    )
    stage.settle()

    assert [it["minimumContrastRatio"] for it in seen.values()] == [4.5, 4.5, 7]
    assert stage.frame.evaluate("() => [term.options.fontSize, window.isTheSame]") == [17, True]
    family = str(stage.frame.evaluate("() => term.options.fontFamily"))
    assert family.startswith("menlo, consolas")


PAPERS = {"light": "#ffffff", "dark": "#212121", "dark-high-contrast": "#111111"}


def test_nothing_moves_for_who_wants_no_motion(stage: TerminalStage) -> None:
    stage.page.emulate_media(reduced_motion="reduce")
    stage.put(face="terminal", terminal=terminal())
    stage.wait_word("Running")
    blinks = stage.frame.evaluate("() => term.options.cursorBlink")
    stage.status = 0
    stage.sockets[-1].close(code=1011)
    stage.wait_word("Reconnecting…")

    names = stage.root.locator(".cnb-covertext, .cnb-spinner").evaluate_all(
        "(all) => all.map((it) => getComputedStyle(it).animationName)"
    )

    assert (blinks, names) == (False, ["none", "none"])
