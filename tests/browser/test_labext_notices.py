"""That Codex waits is told to a person who looks elsewhere, once, and taken back afterwards."""

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

LOAD = "%load_ext codex_nb"
ASK = "%%codex_run --replay approval --name {} -o run\nFind a free port."
WORDS = "Codex wants to run a command: {}"
# A headless browser has no desktop to show notifications on and no other window that could cover
# the page, so the page is told that it is hidden, and what it hands to the browser is noted.
HIDDEN = """() => {
  window.told = [];
  window.Notification = class {
    static permission = 'granted';
    static requestPermission = async () => 'granted';
    constructor(title, options) {
      this.entry = { title, tag: options.tag, open: true };
      window.told.push(this.entry);
    }
    close() { this.entry.open = false; }
  };
  Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    pages = Pages(lab, chromium)
    yield pages
    pages.close()


def toast_of(page: NotebookPage, name: str) -> Locator:
    return page.page.locator(".Toastify__toast").filter(has_text=WORDS.format(name))


def ask_elsewhere(pages: Pages, name: str, before: str = "() => {}") -> NotebookPage:
    """A page on which something else covers the notebook whose Codex asks."""
    page = pages.open(f"{name}.ipynb", LOAD, ASK.format(name))
    page.page.evaluate(before)
    page.run_all()
    page.view().get_by_text("Find a free port.").wait_for()
    page.command("launcher:create")
    return page


def test_a_toast_leads_to_the_question_and_goes_with_its_answer(pages: Pages) -> None:
    page = ask_elsewhere(pages, "toast")
    toast = toast_of(page, "toast")
    toast.wait_for()
    assert toast.count() == 1
    toast.get_by_role("button", name="Show").click()
    page.view().get_by_role("button", name="Allow once").click()
    toast.wait_for(state="detached")


def test_a_toast_goes_when_the_answer_is_given_elsewhere(pages: Pages) -> None:
    page = ask_elsewhere(pages, "elsewhere")
    toast_of(page, "elsewhere").wait_for()
    [session] = [it for it in pages.sessions() if not it["ended"]]
    other = pages.open("other.ipynb", LOAD)
    toast_of(other, "elsewhere").wait_for()
    other.command("codex-nb:open-session", session=session["id"])
    toast_of(other, "elsewhere").wait_for(state="detached")
    other.page.locator(".codex-tab").get_by_role("button", name="Allow once").click()
    toast_of(page, "elsewhere").wait_for(state="detached")


def test_a_question_before_ones_eyes_is_not_told(pages: Pages) -> None:
    page = pages.open("seen.ipynb", LOAD, ASK.format("seen"))
    page.run_all()
    page.view().get_by_role("button", name="Allow once").wait_for()
    page.page.get_by_role("button", name="Codex: 1 waiting").wait_for()
    assert toast_of(page, "seen").count() == 0


def test_the_browser_tells_it_only_after_it_was_allowed(pages: Pages) -> None:
    page = ask_elsewhere(pages, "quiet", HIDDEN)
    toast_of(page, "quiet").wait_for()
    assert page.page.evaluate("() => window.told") == []
    page.command("codex-nb:allow-notifications")
    page.page.get_by_text("The browser tells you when Codex waits").wait_for()
    [session] = [it for it in pages.sessions() if not it["ended"]]
    pages.close_session(str(session["id"]))

    page = ask_elsewhere(pages, "told", HIDDEN)
    page.wait_for("() => window.told.length === 1")
    [told] = page.page.evaluate("() => window.told")
    assert (told["title"], told["open"]) == (WORDS.format("told"), True)
    [session] = [it for it in pages.sessions() if not it["ended"]]
    pages.close_session(str(session["id"]))
    page.wait_for("() => !window.told[0].open")
    assert page.page.evaluate("() => window.told.length") == 1
