"""axe finds nothing to blame around a conversation in JupyterLab either, in three themes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.audit import Audit
from tests.browser.lab import Lab
from tests.browser.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[2] / "notebooks" / "data"
LOAD = "%load_ext codex_nb"
ANSWERED = "%%codex_run --replay first-session --name cafes -o run\nWhich café is the busiest?"
ASKED = "%%codex_run --replay approval --name port -o asked\nFind a free port."
OURS = [".cnb", ".codex-output", ".codex-panel", ".codex-status"]


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
    page = pages.open("axe.ipynb", LOAD, ANSWERED, ASKED)
    page.run_all()
    page.view(0).get_by_text("Done", exact=True).first.wait_for()
    page.view(1).get_by_role("button", name="Allow once").wait_for()
    page.command("codex-nb:open-panel")
    panel = page.page.get_by_role("region", name="Sessions of Codex")
    panel.get_by_role("list", name="Waiting for you").get_by_text("port").wait_for()
    page.page.locator(".codex-status").wait_for()
    audit = Audit(page, OURS)
    found = {"notebook": audit.violations_by_theme()}
    [asked] = [it for it in pages.sessions() if it["name"] == "port"]
    page.command("codex-nb:open-session", session=asked["id"])
    page.page.locator(".codex-tab").wait_for()
    found["tab"] = audit.violations_by_theme()

    assert found == {"notebook": {}, "tab": {}}
