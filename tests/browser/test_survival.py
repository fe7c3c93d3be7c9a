"""What the conversation survives: a real JupyterLab, a real Chromium, the real codex.

Nothing here may be missing or doubled afterwards, and what a person clicks must take effect.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import Lab
from tests.browser.pages import Pages
from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.browser.lab import NotebookPage

pytestmark = pytest.mark.browser

LOAD = "%load_ext codex_nb"
COUNT = "%codex_run --replay count.toml --name count -o run Count."
ASK = "%%codex_run --replay approval --name port -o run\nFind a free port."
# A file, since JupyterLab may show what a busy kernel prints only when that is free again.
BUSY = "open('busy', 'w').close()"
NUMBERS = " ".join(f"n{number}" for number in range(1, 401))
SCENARIO = f"""
title = "Counts, waits, and says that it is over"
[[turn]]
match = "count"
  [[turn.step]]
  say = "{NUMBERS}"
  run = "while [ ! -e go ]; do sleep 0.1; done; echo released"
  [[turn.step]]
  say = "It is over."
[[turn]]
match = "more"
  [[turn.step]]
  say = "There is more."
"""
SESSION = "application/vnd.codex-nb.session+json"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), speed=100)
    yield lab
    lab.close()


@pytest.fixture
def pages(lab: Lab, chromium: Browser) -> Iterator[Pages]:
    (lab.root / "count.toml").write_text(SCENARIO)
    for name in ("go", "busy"):
        (lab.root / name).unlink(missing_ok=True)
    pages = Pages(lab, chromium)
    yield pages
    pages.close()


def release(pages: Pages) -> None:
    (pages.lab.root / "go").touch()


def assert_whole(page: NotebookPage, *, number: int = 0) -> None:
    """The turn is over, and its message is there once, every word once."""
    view = page.view(number)
    view.get_by_text("It is over.").wait_for()
    view.get_by_text("Done", exact=True).first.wait_for()
    texts = [text for text in view.locator(".cnb-message").all_inner_texts() if "n1 " in text]
    assert texts == [NUMBERS]


def test_a_reloaded_page_goes_on_in_the_middle_of_a_message(pages: Pages) -> None:
    page = pages.open("reload.ipynb", LOAD, COUNT)
    page.run_all()
    page.view().get_by_text("n3 n4").first.wait_for()
    page.command("docmanager:save")
    page.load(keep=True)
    page.view().get_by_text("Working", exact=True).wait_for()
    release(pages)
    assert_whole(page)


def test_a_kernel_that_restarts_takes_nothing_with_it(pages: Pages) -> None:
    page = pages.open("restart.ipynb", LOAD, COUNT)
    page.run_all()
    page.view().get_by_text("n3 n4").first.wait_for()
    page.restart_kernel()
    page.view().get_by_text("Working", exact=True).wait_for()
    release(pages)
    assert_whole(page)
    # No kernel knows this session any more, so the page itself writes what it came to.
    page.wait_for(
        """([type]) => {
          const [output] = window.jupyterapp.shell.currentWidget.content.model.toJSON()
            .cells[1].outputs;
          return output.data[type].transcript.turns[0]?.status === 'completed'
            && output.data['text/plain'].includes('It is over.');
        }""",
        SESSION,
    )


def test_a_kernel_that_is_interrupted_lets_the_turn_go_on(pages: Pages) -> None:
    page = pages.open("interrupt.ipynb", LOAD, COUNT, f"{BUSY}\nrun.wait()")
    page.run_all()
    page.view().get_by_text("n3 n4").first.wait_for()
    wait_until_now((pages.lab.root / "busy").exists, seconds=30)
    page.interrupt_kernel()
    page.page.get_by_text("KeyboardInterrupt").first.wait_for()
    release(pages)
    assert_whole(page)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("import time; time.sleep(60)", id="sleeping"),
        pytest.param("pow(7, 10**8)", id="holding-the-GIL"),
    ],
)
def test_a_click_counts_while_the_kernel_is_busy(pages: Pages, work: str) -> None:
    page = pages.open("busy.ipynb", LOAD, ASK, f"{BUSY}\n{work}")
    page.run_cells(0, 1)
    allow = page.view().get_by_role("button", name="Allow once")
    allow.wait_for()
    page.run_cells(2)
    wait_until_now((pages.lab.root / "busy").exists, seconds=30)
    allow.click()
    page.view().get_by_text("Allowed once").wait_for(timeout=scaled(5) * 1000)
    page.view().get_by_text("Done", exact=True).first.wait_for()
    # Not the kernel's status: in JupyterLab, a comm message that was handled makes it idle as well.
    assert page.page.locator(".jp-InputPrompt").nth(2).inner_text() == "[*]:"


def test_a_server_that_restarts_is_found_again(pages: Pages) -> None:
    page = pages.open("server.ipynb", LOAD, COUNT)
    page.run_all()
    page.view().get_by_text("n3 n4").first.wait_for()
    page.command("docmanager:save")
    pages.lab.stop()
    page.view().get_by_text("Reconnecting").first.wait_for()
    pages.lab.start()
    page.view().get_by_text("Working", exact=True).wait_for()
    release(pages)
    assert_whole(page)


def test_an_approval_answered_in_one_browser_is_settled_in_the_other(pages: Pages) -> None:
    first = pages.open("two.ipynb", LOAD, ASK)
    first.run_all()
    first.view().get_by_role("button", name="Allow once").wait_for()
    first.command("docmanager:save")
    second = pages.open("two.ipynb", is_elsewhere=True)
    allow = second.view().get_by_role("button", name="Allow once")
    allow.click()
    for page in (first, second):
        page.view().get_by_text("Allowed once").wait_for()
        assert page.view().get_by_role("button", name="Allow once").count() == 0


def test_a_notebook_that_is_opened_days_later_shows_its_conversation(pages: Pages) -> None:
    page = pages.open("later.ipynb", LOAD, COUNT)
    release(pages)
    page.run_all()
    assert_whole(page)
    page.wait_for(
        """([type]) => window.jupyterapp.shell.currentWidget.content.model.toJSON()
            .cells[1].outputs[0].data[type].transcript.turns[0]?.status === 'completed'""",
        SESSION,
    )
    page.command("docmanager:save")
    (session,) = [it for it in pages.sessions() if not it["ended"]]
    pages.close_session(str(session["id"]))
    page.end_kernel()
    shutil.rmtree(pages.lab.sessions / str(session["id"]))
    page.load(keep=True)
    assert_whole(page)
    page.view().get_by_text("This session has ended.").wait_for()


def test_a_session_that_ended_meanwhile_is_shown_to_its_end(pages: Pages) -> None:
    page = pages.open("ended.ipynb", LOAD, COUNT)
    page.run_all()
    page.view().get_by_text("n3 n4").first.wait_for()
    page.command("docmanager:save")
    page.page.goto("about:blank")
    release(pages)
    # Without any browser, and with the kernel gone, the turn ends and then the session.
    pages.wait_idle()
    (session,) = [it for it in pages.sessions() if not it["ended"]]
    pages.close_session(str(session["id"]))
    page.load()
    assert_whole(page)
    page.view().get_by_text("This session was closed.").wait_for()
