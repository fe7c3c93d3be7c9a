"""The terminal in a real JupyterLab: the real codex, tmux, ttyd, server extension and Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import Lab
from tests.browser.pages import Pages
from tests.support.codex_versions import codex_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Frame

    from codex_nb.codex.binary import CodexProgram
    from tests.browser.lab import NotebookPage

pytestmark = pytest.mark.browser

LOAD = "%load_ext codex_nb"
LOGIN = "https://auth.openai.com/oauth/authorize?"
SCENARIO = """
title = "Says what it was told"
[[turn]]
match = "."
  [[turn.step]]
  say = "You said {prompt}."
"""
SHOWN = """(words) => {
  const buffer = window.term?.buffer.active, lines = [];
  if (buffer === undefined) return false;
  for (let i = 0; i < buffer.length; i += 1) {
    lines.push(buffer.getLine(i).translateToString(true));
  }
  return lines.join("\\n").includes(words);
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    (lab.root / "say.toml").write_text(SCENARIO)
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    pages = Pages(lab, chromium)
    yield pages
    pages.close()


def frame_of(page: NotebookPage) -> Frame:
    """The frame of the first terminal, once it is there."""
    found = page.page.wait_for_selector("iframe[src*='codex-nb/terminal/']")
    assert found is not None
    frame = found.content_frame()
    assert frame is not None
    frame.wait_for_function("() => window.term?.buffer")
    return frame


def until_shown(frame: Frame, words: str) -> None:
    frame.wait_for_function(SHOWN, arg=words)


@pytest.mark.parametrize("program", codex_programs(), ids=lambda it: it.version)
def test_two_faces_of_one_thread_in_a_notebook(pages: Pages, program: CodexProgram) -> None:
    config = f"%config CodexNB.codex = {program.path!r}"
    run = "%codex_run --tui --replay say.toml -o run"
    page = pages.open(f"faces-{program.version}.ipynb", LOAD, config, run)
    page.run_all()
    frame = frame_of(page)
    until_shown(frame, f"OpenAI Codex (v{program.version})")
    # It did not take the keyboard by itself; a click gives it.
    assert page.page.evaluate("() => document.activeElement?.tagName") != "IFRAME"
    frame.locator(".xterm-screen").click()
    page.page.keyboard.type("from the keyboard")
    until_shown(frame, "from the keyboard")
    page.page.keyboard.press("Enter")
    until_shown(frame, "You said from the keyboard.")
    # The other face has it, and what is said there comes back, past a restart of the kernel.
    page.restart_kernel()
    view = page.view()
    view.get_by_role("button", name="Conversation").click()
    view.get_by_text("You said from the keyboard.").wait_for()
    view.get_by_role("textbox").fill("from the notebook")
    view.get_by_role("textbox").press("Enter")
    view.get_by_text("You said from the notebook.").wait_for()
    view.get_by_role("button", name="Terminal", exact=True).click()
    until_shown(frame_of(page), "You said from the notebook.")


def test_a_conversation_opens_its_terminal_and_leaving_codex_is_told(pages: Pages) -> None:
    page = pages.open("opens.ipynb", LOAD, "%codex_run --replay say.toml -o run Hello")
    page.run_all()
    view = page.view()
    view.get_by_text("You said Hello.").wait_for()
    view.get_by_role("button", name="Terminal", exact=True).click()
    frame = frame_of(page)
    until_shown(frame, "You said Hello.")
    page.execute("run.type('/quit')")
    view.get_by_text("ended (exit 0)").wait_for()
    view.get_by_role("button", name="Restart").click()
    until_shown(frame_of(page), "You said Hello.")
    # Whoever looks again later finds it again.
    page.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    page.load(keep=True)
    view.get_by_role("button", name="Terminal", exact=True).click()
    until_shown(frame_of(page), "You said Hello.")


def test_what_a_terminal_says_reaches_no_clipboard(pages: Pages) -> None:
    page = pages.open("clipboard.ipynb", LOAD, "%codex_run --tui --replay say.toml -o run")
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.run_all()
    frame = frame_of(page)
    until_shown(frame, "Ask Codex")
    page.page.evaluate("() => navigator.clipboard.writeText('mine')")
    # As a program would, which asks the terminal to copy and to tell what was copied: OSC 52.
    told = frame.evaluate(
        """() => new Promise((resolve) => {
          const told = [];
          window.term.onData((data) => told.push(data));
          window.term.write("\\x1b]52;c;c3RvbGVu\\x07\\x1b]52;c;?\\x07", () => resolve(told));
        })"""
    )
    assert told == []
    page.page.locator(".jp-Notebook").click(position={"x": 3, "y": 3})
    assert page.page.evaluate("() => navigator.clipboard.readText()") == "mine"


def test_a_terminal_stands_beside_the_notebooks_or_in_the_sidebar_or_in_a_window(
    pages: Pages,
) -> None:
    page = pages.open("places.ipynb", LOAD, "%codex_run --tui --replay say.toml --name p -o run")
    page.run_all()
    frame = frame_of(page)
    until_shown(frame, "Ask Codex")
    session = page.execute("print(run.id)").strip()
    page.view().get_by_role("button", name="Open in a tab").click()
    tab = page.page.locator(f"#codex-nb-session-{session}")
    tab.locator("iframe").wait_for()
    assert tab.evaluate("(it) => it.closest('#jp-main-dock-panel') !== null")
    page.command("codex-nb:open-beside", session=session, face="terminal")
    page.wait_for(
        "(id) => document.getElementById(id).closest('#jp-right-stack') !== null",
        f"codex-nb-session-{session}",
    )
    tab.locator("iframe").wait_for()
    with page.page.expect_popup() as opened:
        page.command("codex-nb:open-window", session=session)
    opened.value.wait_for_function(SHOWN, arg="Ask Codex")
    opened.value.close()


def test_who_watches_sees_the_screen_and_cannot_type(pages: Pages) -> None:
    page = pages.open("watch.ipynb", LOAD, "%codex_run --tui --replay say.toml -o run")
    page.run_all()
    frame = frame_of(page)
    until_shown(frame, "Ask Codex")
    session = page.execute("print(run.id)").strip()
    with page.page.expect_popup() as opened:
        page.command("codex-nb:watch-in-window", session=session)
    watched = opened.value
    watched.wait_for_function("() => window.term?.buffer")
    until_shown(watched.main_frame, "Ask Codex")
    watched.locator(".xterm-screen").click()
    watched.keyboard.type("from who watches")
    watched.keyboard.press("Enter")
    # What is typed in the other one comes later, and alone.
    frame.locator(".xterm-screen").click()
    page.page.keyboard.type("from who types")
    for shown in (frame, watched.main_frame):
        until_shown(shown, "from who types")
        assert not shown.evaluate(SHOWN, "from who watches")
    page.page.keyboard.press("Enter")
    until_shown(watched.main_frame, "You said from who types.")
    watched.close()


def test_a_login_of_codex_in_the_terminal_is_a_link_that_a_person_clicks(pages: Pages) -> None:
    page = pages.open("login.ipynb", LOAD, "%codex_run --plain -o run")
    page.page.context.route(f"{LOGIN}**", lambda route: route.fulfill(body="the login"))
    page.run_all()
    frame = frame_of(page)
    until_shown(frame, "Sign in with ChatGPT")
    page.execute("run.key('Enter')")
    link = page.view().get_by_role("log").get_by_role("link")
    link.wait_for()
    assert (link.get_attribute("href") or "").startswith(LOGIN)
    assert len(page.page.context.pages) == 1
    with page.page.expect_popup() as opened:
        link.click()
    opened.value.get_by_text("the login").wait_for()
    assert opened.value.evaluate("() => window.opener === null && document.referrer === ''")
    opened.value.close()
    page.view().get_by_role("button", name="Dismiss the link").click()
    link.wait_for(state="detached")
