"""The input in a real JupyterLab, with the real codex on a replayed model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import Lab
from tests.browser.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator

    from tests.browser.lab import NotebookPage

pytestmark = pytest.mark.browser

SCENARIO = """
title = "Waits until it is released, and goes on when it is asked to"
[[turn]]
match = "wait"
  [[turn.step]]
  say = "I wait."
  run = "while [ ! -e go ]; do sleep 0.1; done; echo released"
  [[turn.step]]
  say = "It is over."
[[turn]]
match = "first"
  [[turn.step]]
  say = "This was the first."
[[turn]]
match = "more"
  [[turn.step]]
  say = "There is more."
"""
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
  ({ model }) => model.type)"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    (lab.root / "composer.toml").write_text(SCENARIO)
    (lab.root / "go").unlink(missing_ok=True)
    pages = Pages(lab, chromium)
    yield pages
    (lab.root / "go").touch()
    pages.close()


def open_session(pages: Pages, name: str, prompt: str) -> NotebookPage:
    """A notebook with a session that was given a prompt."""
    run = f"%codex_run --replay composer.toml --name {name} -o run {prompt}"
    page = pages.open(f"{name}.ipynb", "%load_ext codex_nb", run)
    page.run_all()
    page.view().wait_for()
    return page


def box(page: NotebookPage) -> Locator:
    return page.view().get_by_role("textbox", name="Message to Codex")


def test_a_message_goes_on_with_the_session_and_the_notebook_hears_no_key(pages: Pages) -> None:
    page = open_session(pages, "typing", "The first.")
    page.view().get_by_text("This was the first.").wait_for()
    before = page.page.evaluate(CELLS)

    box(page).click()
    # Commands of a notebook: delete the cell, make it Markdown, a cell below, run it.
    for key in ("d", "d", "m", "y", "b", "Shift+Enter", "Control+a", "Delete"):
        page.page.keyboard.press(key)
    page.page.keyboard.type("Give me more.")
    page.page.keyboard.press("Enter")

    page.view().get_by_text("There is more.").wait_for()
    assert page.page.evaluate(CELLS) == before
    assert box(page).input_value() == ""
    page.page.keyboard.press("ArrowUp")
    assert box(page).input_value() == "Give me more."


def test_a_message_waits_in_line_is_taken_back_and_sent_again(pages: Pages) -> None:
    page = open_session(pages, "line", "Please wait.")
    view = page.view()
    view.get_by_text("I wait.").wait_for()

    box(page).fill("Give me more.")
    box(page).press("Alt+Enter")
    view.get_by_role("button", name="Take back").click()
    view.get_by_role("button", name="Take back").wait_for(state="detached")
    assert box(page).input_value() == "Give me more."
    box(page).press("Alt+Enter")
    view.get_by_role("button", name="Take back").wait_for()
    (pages.lab.root / "go").touch()

    view.get_by_text("There is more.").wait_for()
    view.get_by_role("button", name="Send", exact=True).wait_for()
    assert view.locator(".cnb-queue").is_hidden()


def test_a_file_of_the_file_browser_is_dropped_as_its_path(pages: Pages) -> None:
    (pages.lab.root / "measured.csv").write_text("1\n")
    page = open_session(pages, "drop", "The first.")
    page.view().get_by_text("This was the first.").wait_for()
    page.command("filebrowser:refresh")
    file = page.page.locator(".jp-DirListing-item", has_text="measured.csv")
    file.wait_for()

    # JupyterLab drags by mouse events of its own: a first move starts it, later ones find a target.
    file.hover()
    page.page.mouse.down()
    target = box(page).bounding_box()
    assert target is not None
    x, y = target["x"] + target["width"] / 2, target["y"] + target["height"] / 2
    page.page.mouse.move(x, y, steps=8)
    page.page.mouse.up()

    path = str(pages.lab.root.resolve() / "measured.csv")
    page.wait_for("([path]) => document.querySelector('.cnb-box').value === path", path)
