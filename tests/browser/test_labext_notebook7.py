"""The same extension in Notebook 7, which has neither a launcher nor a status bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import Lab
from tests.browser.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

ASK = "%%codex_run --replay approval --name seven -o run\nFind a free port."


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    pytest.importorskip("notebook", reason="needs Notebook 7: pip install notebook")
    lab = Lab(tmp_path, app="notebook")
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    pages = Pages(lab, chromium)
    yield pages
    pages.close()


def test_a_session_is_drawn_listed_and_opened_at_the_side(pages: Pages) -> None:
    page = pages.open("seven.ipynb", "%load_ext codex_nb", ASK)
    page.run_all()
    page.view().get_by_role("button", name="Allow once").click()
    page.view().get_by_text("This is what came back:").wait_for()
    page.command("codex-nb:open-panel")
    panel = page.page.get_by_role("region", name="Sessions of Codex")
    panel.get_by_role("listitem").get_by_text("seven", exact=True).wait_for()
    [session] = [it for it in pages.sessions() if not it["ended"]]
    page.command("codex-nb:open-session", session=session["id"])
    page.page.locator(".codex-tab").get_by_text("This is what came back:").wait_for()
