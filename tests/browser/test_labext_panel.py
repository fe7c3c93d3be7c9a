"""The side panel, the tabs, the status bar and the commands of the JupyterLab extension."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.browser.lab import Lab
from tests.browser.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Request

    from tests.browser.lab import NotebookPage

pytestmark = pytest.mark.browser

LOAD = "%load_ext codex_nb"
WAITING = """
title = "A command that takes its time"
speed = 0
[[turn]]
  [[turn.step]]
  say = "I start something long."
  run = "while [ ! -e go ]; do sleep 0.1; done; echo done"
  [[turn.step]]
  say = "It is over."
"""
RUN = "%codex_run --replay waiting.toml --name {} -o run Begin."
ASK = "%%codex_run --replay approval --name {} -o run\nFind a free port."
COMMANDS = [
    "codex-nb:allow-notifications",
    "codex-nb:close-session",
    "codex-nb:new-notebook",
    "codex-nb:next-waiting",
    "codex-nb:open-beside",
    "codex-nb:open-panel",
    "codex-nb:open-session",
    "codex-nb:open-window",
    "codex-nb:stop-turn",
    "codex-nb:watch-in-window",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    (lab.root / "waiting.toml").write_text(WAITING)
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    (lab.root / "go").unlink(missing_ok=True)
    pages = Pages(lab, chromium)
    yield pages
    pages.close()


def panel_of(page: NotebookPage) -> Locator:
    page.command("codex-nb:open-panel")
    panel = page.page.get_by_role("region", name="Sessions of Codex")
    panel.wait_for()
    return panel


def row_of(panel: Locator, group: str, name: str) -> Locator:
    """The row of a session in a group, once it is there."""
    row = panel.get_by_role("list", name=re.compile(group)).get_by_role("listitem")
    row = row.filter(has_text=name)
    row.wait_for()
    return row


def status_of(page: NotebookPage) -> Locator:
    return page.page.locator("#jp-main-statusbar .codex-status")


def saves_a_tab(request: Request) -> bool:
    """Whether JupyterLab saves its layout, with a tab of ours in it."""
    is_layout = request.method == "PUT" and "/api/workspaces" in request.url
    return is_layout and '"codex-nb:2' in (request.post_data or "")


# The first test of this server: afterwards, sessions that ended are listed.
def test_an_empty_panel_says_how_to_start(pages: Pages) -> None:
    page = pages.open("empty.ipynb", LOAD)
    panel = panel_of(page)
    panel.get_by_text("%%codex_run").wait_for()
    panel.get_by_role("button", name="Open a notebook with these lines").click()
    page.wait_for(
        "() => window.jupyterapp.shell.currentWidget?.context?.path.startsWith('Untitled')"
    )


def test_a_session_goes_through_the_groups_of_the_panel(pages: Pages) -> None:
    page = pages.open("groups.ipynb", LOAD, RUN.format("groups"))
    panel = panel_of(page)
    page.run_all()
    running = row_of(panel, "Running", "groups")
    running.get_by_text(re.compile(r"^0:\d\d$")).wait_for()
    assert re.sub(r"\d:\d\d", "0:00", running.inner_text()).split() == [
        *("groups", "Working", "0:00", "groups.ipynb"),
    ]
    page.page.get_by_role("button", name="Codex: 1 running").wait_for()
    (pages.lab.root / "go").touch()
    row_of(panel, "Idle", "groups").get_by_text("Ready").wait_for()
    status_of(page).wait_for(state="hidden")
    [session] = [it for it in pages.sessions() if not it["ended"]]
    pages.close_session(str(session["id"]))
    row_of(panel, "Ended", "groups").get_by_text("Closed").wait_for()


def test_what_waits_is_counted_and_found(pages: Pages) -> None:
    page = pages.open("waits.ipynb", LOAD, ASK.format("waits"), *["# a page full of cells"] * 60)
    page.run_cells(0, 1)
    page.page.get_by_role("button", name="Codex: 1 waiting").wait_for()
    panel = panel_of(page)
    row_of(panel, "Waiting for you", "waits")
    page.page.evaluate(
        """() => {
          const notebook = window.jupyterapp.shell.currentWidget.content;
          notebook.activeCellIndex = notebook.widgets.length - 1;
          return notebook.scrollToItem(notebook.widgets.length - 1);
        }"""
    )
    allow = page.view().get_by_role("button", name="Allow once")
    page.command("codex-nb:next-waiting")
    page.wait_for(
        """() => {
          const box = document.querySelector('.cnb-approval').getBoundingClientRect();
          return box.height > 0 && box.top >= 0 && box.top < innerHeight;
        }"""
    )
    allow.click()
    row_of(panel, "Idle", "waits")


def test_the_panel_stops_a_turn_and_closes_a_session(pages: Pages) -> None:
    page = pages.open("ends.ipynb", LOAD, RUN.format("ends"))
    panel = panel_of(page)
    page.run_all()
    page.view().get_by_text("I start something long.").wait_for()
    row = row_of(panel, "Running", "ends")
    row.get_by_role("button", name="Stop the turn of ends").click()
    page.view().get_by_text("Interrupted", exact=True).first.wait_for()
    row = row_of(panel, "Idle", "ends")
    assert row.get_by_role("button", name="Stop the turn of ends").is_hidden()
    row.get_by_role("button", name="Close ends").click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_text("Close the session “ends”?").wait_for()
    dialog.get_by_role("button", name="Cancel").click()
    assert [it["ended"] for it in pages.sessions() if it["name"] == "ends"] == [""]
    row.get_by_role("button", name="Close ends").click()
    dialog.get_by_role("button", name="Close session").click()
    row_of(panel, "Ended", "ends")


def test_the_keyboard_reaches_what_the_panel_offers(pages: Pages) -> None:
    page = pages.open("keys.ipynb", LOAD, RUN.format("keys"))
    panel = panel_of(page)
    page.run_all()
    page.view().get_by_text("I start something long.").wait_for()
    row = row_of(panel, "Running", "keys")
    stop = row.get_by_role("button", name="Stop the turn of keys")
    # The panel may learn a little later than the view that the turn began.
    stop.wait_for()
    row.get_by_role("button", name=re.compile("^keys")).focus()
    page.page.keyboard.press("Tab")
    assert stop.evaluate("(it) => it === document.activeElement")
    assert stop.evaluate("(it) => getComputedStyle(it.parentElement).opacity") == "1"
    page.page.keyboard.press("Enter")
    # It moves to another group under the finger, and the focus with it.
    row = row_of(panel, "Idle", "keys")
    page.page.keyboard.press("Tab")
    assert row.get_by_role("button", name="Close keys").evaluate(
        "(it) => it === document.activeElement"
    )


def test_the_panel_opens_the_notebook_of_a_session(pages: Pages) -> None:
    page = pages.open("opens.ipynb", LOAD, RUN.format("opens"))
    panel = panel_of(page)
    page.run_all()
    page.view().get_by_text("I start something long.").wait_for()
    page.command("docmanager:save")
    page.command("application:close")
    page.view().wait_for(state="detached")
    row_of(panel, "Running", "opens").get_by_role("button", name=re.compile("^opens")).click()
    page.view().get_by_text("I start something long.").wait_for()
    page.wait_for("() => window.jupyterapp.shell.currentWidget.context.path === 'opens.ipynb'")


def test_a_session_without_its_notebook_opens_in_a_tab_that_a_reload_restores(
    pages: Pages,
) -> None:
    page = pages.open("gone.ipynb", LOAD, RUN.format("gone"))
    panel = panel_of(page)
    page.run_all()
    page.view().get_by_text("I start something long.").wait_for()
    page.page.evaluate(
        """async () => {
          const { context } = window.jupyterapp.shell.currentWidget;
          await context.save();
        }"""
    )
    page.command("application:close")
    (pages.lab.root / "gone.ipynb").unlink()
    tab = page.page.locator(".codex-tab")
    with page.page.expect_request(saves_a_tab):
        row_of(panel, "Running", "gone").get_by_role("button", name=re.compile("^gone")).click()
        tab.get_by_text("I start something long.").wait_for()
    page.wait_for("() => window.jupyterapp.shell.currentWidget.title.label === 'gone'")
    page.page.reload()
    tab.get_by_text("I start something long.").wait_for()
    (pages.lab.root / "go").touch()
    tab.get_by_text("It is over.").wait_for()


def test_the_palette_has_the_commands(pages: Pages) -> None:
    page = pages.open("palette.ipynb", LOAD)
    commands = (
        "() => window.jupyterapp.commands.listCommands().filter((it) => it.startsWith('codex'))"
    )
    assert sorted(page.page.evaluate(commands)) == COMMANDS
    page.command("apputils:activate-command-palette")
    page.page.keyboard.type("codex")
    entries = page.page.locator(".lm-CommandPalette-item[data-command^=codex-nb]")
    entries.nth(len(COMMANDS) - 1).wait_for(state="attached")
    assert sorted(entries.evaluate_all("(all) => all.map((it) => it.dataset.command)")) == COMMANDS


def test_the_launcher_has_a_card_that_opens_a_notebook_that_says_how_to_begin(
    pages: Pages,
) -> None:
    page = pages.open("launcher.ipynb", LOAD)
    page.command("launcher:create")
    page.page.locator(".jp-LauncherCard", has_text="Codex Notebook").click()
    page.wait_for(
        """() => {
          const { currentWidget } = window.jupyterapp.shell;
          return currentWidget?.context?.path.startsWith('Untitled')
            && currentWidget.sessionContext.session?.kernel?.status === 'idle';
        }"""
    )
    name = page.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    made = nbformat.read(pages.lab.root / name, as_version=4)
    nbformat.validate(made)
    assert [cell.source.split("\n")[0] for cell in made.cells] == [LOAD, "%%codex_run"]
    assert made.metadata.kernelspec.name == "python3"
