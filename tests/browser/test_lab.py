"""The first session as a person sees it: a real JupyterLab, a real Chromium, the real codex."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.lab import Lab
from tests.browser.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
SESSION = "application/vnd.codex-nb.session+json"
STATIC = [SESSION, "text/html", "text/markdown", "text/plain"]
LOAD = "%load_ext codex_nb"
ASK_FOR_A_PORT = "%%codex_run --replay approval --name port -o run\nFind a free port."
SLOW = """
title = "A command that takes its time"
speed = 0
[[turn]]
  [[turn.step]]
  say = "I start something long."
  run = "while [ ! -e go ]; do sleep 0.2; echo at work; done; echo done"
  [[turn.step]]
  say = "It is over."
"""


@pytest.fixture(scope="module", params=["by the server", "by the kernel"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), is_served=request.param == "by the server")
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    pages = Pages(lab, chromium)
    yield pages
    pages.close()


def test_the_first_notebook_streams_its_conversation_and_keeps_it(pages: Pages) -> None:
    shutil.copytree(NOTEBOOKS, pages.lab.root / "first")
    page = pages.open("first/01_first_session.ipynb")
    page.run_all()
    # The last cell closes the session, and what stays needs no kernel.
    page.wait_for(
        """() => {
          const cells = window.jupyterapp.shell.currentWidget.content.model.toJSON().cells;
          return cells.at(-1).execution_count > 0 && cells.every(
            (cell) => (cell.outputs ?? []).every(
              (output) => !output.data?.['application/vnd.jupyter.widget-view+json']));
        }"""
    )
    bundles = [output[0]["data"] for output in page.outputs()[1:3]]
    assert [sorted(cast("dict[str, str]", bundle)) for bundle in bundles] == [STATIC, STATIC]
    text = str(cast("dict[str, str]", bundles[0])["text/plain"])
    assert "| Harbour | 155 | 162 | 133 | -18% |" in text
    for number in (0, 1):
        page.view(number).get_by_text("Done", exact=True).first.wait_for()
    assert page.view(1).get_by_text("Days without a count, left out: 1.").count() > 0


def test_a_view_shows_a_turn_while_it_runs_and_after(pages: Pages) -> None:
    (pages.lab.root / "slow.toml").write_text(SLOW)
    page = pages.open("slow.ipynb", LOAD, "%codex_run --replay slow.toml -o run Take your time.")
    page.run_all()
    view = page.view()
    view.get_by_text("at work").first.wait_for()
    view.get_by_role("button", name="Stop").wait_for()
    assert "Working" in view.inner_text()
    (pages.lab.root / "go").touch()
    view.get_by_text("It is over.").wait_for()
    view.get_by_text(re.compile(r"^Done in")).wait_for()
    (pages.lab.root / "go").unlink()
    bundle = cast("dict[str, str]", page.outputs()[1][0]["data"])
    live = STATIC if pages.lab.is_served else STATIC[1:]
    assert sorted(bundle) == sorted([WIDGET, *live])


def test_stop_ends_the_turn_and_its_command(pages: Pages) -> None:
    (pages.lab.root / "slow.toml").write_text(SLOW)
    page = pages.open("stop.ipynb", LOAD, "%codex_run --replay slow.toml -o run Take your time.")
    page.run_all()
    view = page.view()
    view.get_by_text("at work").first.wait_for()
    view.get_by_role("button", name="Stop").click()
    view.get_by_text("Interrupted", exact=True).first.wait_for()
    assert page.execute("print(run.status)") == "interrupted\n"


def test_an_approval_is_given_by_a_click(pages: Pages) -> None:
    page = pages.open("click.ipynb", LOAD, ASK_FOR_A_PORT)
    page.run_all()
    view = page.view()
    allow = view.get_by_role("button", name="Allow once")
    allow.wait_for()
    assert "Waiting for you" in view.inner_text()
    allow.click()
    view.get_by_text(re.compile(r"^free port: \d+")).first.wait_for()
    view.get_by_text("Allowed once").wait_for()


def test_an_approval_is_given_by_a_click_while_a_cell_waits(pages: Pages) -> None:
    page = pages.open("busy.ipynb", LOAD, ASK_FOR_A_PORT, "print('then', run.wait(60).status)")
    page.run_all()
    page.view().get_by_role("button", name="Allow once").click()
    page.page.get_by_text("then completed").wait_for()


def test_a_reason_for_a_refusal_reaches_codex(pages: Pages) -> None:
    page = pages.open("reason.ipynb", LOAD, ASK_FOR_A_PORT)
    page.run_all()
    view = page.view()
    view.get_by_role("button", name="Decline").click()
    view.get_by_placeholder("Tell Codex why").fill("Ports are mine.")
    view.get_by_placeholder("Tell Codex why").press("Enter")
    view.get_by_text(re.compile("Declined.*Ports are mine")).wait_for()
    view.get_by_text("I declined this: Ports are mine.").wait_for()


def test_a_reloaded_page_shows_the_running_turn_again(pages: Pages) -> None:
    (pages.lab.root / "slow.toml").write_text(SLOW)
    page = pages.open("reload.ipynb", LOAD, "%codex_run --replay slow.toml -o run Take your time.")
    page.run_all()
    page.view().get_by_text("at work").first.wait_for()
    page.command("docmanager:save")
    page.load(keep=True)
    view = page.view()
    view.get_by_text("at work").first.wait_for()
    (pages.lab.root / "go").touch()
    view.get_by_text("It is over.").wait_for()
    (pages.lab.root / "go").unlink()
    assert view.get_by_text("I start something long.").count() == 1


def test_bad_input_is_two_sentences_without_a_traceback(pages: Pages) -> None:
    page = pages.open("bad.ipynb", LOAD, "%codex_run --sandbox read-only --network run\nrun = None")
    page.execute("class run:\n    close = staticmethod(lambda: None)")
    page.run_all()
    page.page.get_by_text("contradict each other").wait_for()
    (output,) = page.outputs()[1]
    assert output["output_type"] == "error"
    assert "--network and --sandbox read-only contradict each other" in str(output["evalue"])
    assert "Traceback" not in "".join(cast("list[str]", output["traceback"]))
