"""axe finds nothing to blame around a conversation in JupyterLab either, in three themes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import Lab
from tests.browser.pages import Pages
from tests.browser.test_axe import AXE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[2] / "notebooks" / "data"
LOAD = "%load_ext codex_nb"
ANSWERED = "%%codex_run --replay first-session --name cafes -o run\nWhich café is the busiest?"
ASKED = "%%codex_run --replay approval --name port -o asked\nFind a free port."
OURS = [".cnb", ".codex-output", ".codex-panel", ".codex-status"]
# The page itself is JupyterLab's, and what the model calls a heading is its choice.
RUN = """async (ours) => {
  const include = ours.filter((it) => document.querySelector(it)).map((it) => [it]);
  const rules = { "heading-order": { enabled: false } };
  const { violations, passes } = await axe.run({ include }, { rules });
  const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id} ${node.html}`));
  return [include.flat(), found, passes.map(({ id }) => id)];
}"""
# A theme is there when its colours are, which come in a style sheet of their own.
HAS_THEME = """([name]) =>
  document.body.dataset.jpThemeName === name
  && getComputedStyle(document.body).getPropertyValue("--jp-layout-color1") !== "" """


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    shutil.copytree(DATA, lab.root / "data")
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    pages = Pages(lab, chromium)
    yield pages
    pages.close()


def test_axe_finds_no_violation_in_a_notebook_the_panel_the_status_bar_and_a_tab(
    pages: Pages,
) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core: run `npm ci` in labextension")
    page = pages.open("axe.ipynb", LOAD, ANSWERED, ASKED)
    page.page.emulate_media(reduced_motion="reduce")
    page.run_all()
    page.view(0).get_by_text("Done", exact=True).first.wait_for()
    page.view(1).get_by_role("button", name="Allow once").wait_for()
    page.command("codex-nb:open-panel")
    panel = page.page.get_by_role("region", name="Sessions of Codex")
    panel.get_by_role("list", name="Waiting for you").get_by_text("port").wait_for()
    page.page.locator(".codex-status").wait_for()
    page.page.evaluate(AXE.read_text("utf-8") + "; 0")
    found = {}
    for place in ("notebook", "tab"):
        if place == "tab":
            [asked] = [it for it in pages.sessions() if it["name"] == "port"]
            page.command("codex-nb:open-session", session=asked["id"])
            page.page.locator(".codex-tab").wait_for()
        for theme in ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"):
            page.command("apputils:change-theme", theme=theme)
            page.wait_for(HAS_THEME, theme)
            seen, found[place, theme], passed = page.page.evaluate(RUN, OURS)
            assert seen == OURS
            assert "color-contrast" in passed

    assert {place: wrong for place, wrong in found.items() if wrong} == {}
