"""The renderer of sessions in JupyterLab: what is in the file, and what comes by the hub."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, cast

import nbformat
import pytest

from codex_nb.static.saved import SESSION, bundle_of
from tests.browser.lab import Lab
from tests.browser.pages import Pages
from tests.browser.stage import load_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, WebSocket

    from codex_nb.protocol.messages import JsonObject

pytestmark = pytest.mark.browser

LOAD = "%load_ext codex_nb"
WAITING = """
title = "A command that takes its time"
speed = 0
[[turn]]
match = "begin"
  [[turn.step]]
  say = "I start something long."
  run = "while [ ! -e go ]; do sleep 0.1; done; echo done"
  [[turn.step]]
  say = "It is over."
[[turn]]
match = "more"
  [[turn.step]]
  say = "There is more."
"""
BEGIN = "%codex_run --replay waiting.toml --name {} -o run Begin."
MORE = "%codex_run --name {} -o run More."
GONE = "This session has ended"
IS_SAVED = """([type, text]) => {
  const { cells } = window.jupyterapp.shell.currentWidget.content.model.toJSON();
  const data = cells[1].outputs[0]?.data;
  return data?.['text/plain'].includes(text) && JSON.stringify(data[type]).includes(text);
}"""


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


def go_on(pages: Pages) -> None:
    (pages.lab.root / "go").touch()


def write_saved(lab: Lab, name: str, data: dict[str, object]) -> None:
    """A notebook whose only output was saved long ago."""
    output = nbformat.v4.new_output("display_data", data=data)
    cell = nbformat.v4.new_code_cell("the_cell_that_ran()", outputs=[output])
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, lab.root / name)


class Sockets:
    """The WebSockets to sessions that a page has open."""

    def __init__(self, page: Page) -> None:
        self._all: list[WebSocket] = []
        page.on("websocket", self._note)

    def _note(self, socket: WebSocket) -> None:
        if "/codex-nb/sessions/" in socket.url:
            self._all.append(socket)

    @property
    def open(self) -> int:
        return sum(not socket.is_closed() for socket in self._all)


def test_a_transcript_of_a_file_is_drawn_without_a_kernel_and_without_trust(pages: Pages) -> None:
    snapshot = cast("JsonObject", load_view("done")["snapshot"])
    transcript = cast("JsonObject", snapshot["transcript"])
    write_saved(pages.lab, "old.ipynb", bundle_of(transcript, session="long-gone", n=7))
    page = pages.open("old.ipynb")
    page.end_kernel()
    page.view().get_by_text(GONE).wait_for()
    assert page.view().count() == 1
    assert page.page.locator(".jp-RenderedHTML").count() == 0
    assert (
        page.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.widgets[0].model.trusted"
        )
        is False
    )


@pytest.mark.parametrize(
    "saved",
    [
        {"version": 2, "session": "new", "transcript": {}},
        {"version": 1, "session": "", "transcript": {}},
        {"version": 1, "session": "s", "transcript": 3},
        "<img src=x onerror=alert(1)>",
    ],
)
def test_what_cannot_be_read_is_shown_as_its_text(pages: Pages, saved: object) -> None:
    write_saved(pages.lab, "strange.ipynb", {SESSION: saved, "text/plain": "what it said"})
    page = pages.open("strange.ipynb")
    page.page.locator(".codex-output").get_by_text("what it said", exact=True).wait_for()


def test_all_views_of_a_session_share_one_connection(pages: Pages) -> None:
    page = pages.open("shared.ipynb", LOAD, BEGIN.format("shared"), MORE.format("shared"))
    sockets = Sockets(page.page)
    go_on(pages)
    page.run_all()
    page.view(0).get_by_text("It is over.").wait_for()
    page.view(1).get_by_text("There is more.").wait_for()
    assert "There is more." not in page.view(0).inner_text()
    [session] = [it for it in pages.sessions() if not it["ended"]]
    page.command("codex-nb:open-session", session=session["id"])
    tab = page.page.locator(".codex-tab")
    tab.get_by_text("It is over.").wait_for()
    tab.get_by_text("There is more.").wait_for()
    assert sockets.open == 1


def test_an_update_by_the_kernel_leaves_the_view_its_place_and_focus(pages: Pages) -> None:
    page = pages.open("update.ipynb", LOAD, BEGIN.format("update"))
    page.run_all()
    view = page.view()
    details = view.get_by_role("button", name="Details")
    details.focus()
    handle = view.element_handle()
    view.get_by_text("I start something long.").wait_for()
    go_on(pages)
    page.wait_for(IS_SAVED, SESSION, "It is over.")
    assert handle.evaluate("(element) => element.isConnected")
    assert details.evaluate("(element) => element === document.activeElement")


def test_the_page_keeps_the_end_of_a_turn_that_no_kernel_saw(pages: Pages) -> None:
    page = pages.open("kept.ipynb", LOAD, BEGIN.format("kept"))
    page.run_all()
    page.view().get_by_text("I start something long.").wait_for()
    page.end_kernel()
    go_on(pages)
    page.wait_for(IS_SAVED, SESSION, "It is over.")
    page.command("docmanager:save")
    kept = nbformat.read(pages.lab.root / "kept.ipynb", as_version=4)
    nbformat.validate(kept)
    [output] = kept.cells[1].outputs
    assert sorted(output.data) == sorted([SESSION, "text/html", "text/markdown", "text/plain"])
    [turn] = output.data[SESSION]["transcript"]["turns"]
    assert turn["status"] == "completed"
    assert output.data[SESSION]["window"] == {"from": 0, "to": None}
    assert "It is over." in output.data["text/plain"]


def test_a_notebook_that_is_up_to_date_is_not_touched(pages: Pages) -> None:
    page = pages.open("calm.ipynb", LOAD, BEGIN.format("calm"))
    go_on(pages)
    page.run_all()
    page.wait_for(IS_SAVED, SESSION, "It is over.")
    page.command("docmanager:save")
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    page.load(keep=True)
    page.view().get_by_text("It is over.").wait_for()
    [session] = [it for it in pages.sessions() if not it["ended"]]
    pages.close_session(str(session["id"]))
    page.view().get_by_text("This session was closed").wait_for()
    assert [url for url in asked if "/bundle" in url] == []


def test_a_session_that_runs_again_is_connected_again(pages: Pages) -> None:
    page = pages.open("again.ipynb", LOAD, BEGIN.format("again"), MORE.format("again"))
    go_on(pages)
    page.run_cells(0, 1)
    page.view().get_by_text("It is over.").wait_for()
    [session] = [it for it in pages.sessions() if not it["ended"]]
    page.command("codex-nb:open-session", session=session["id"])
    tab = page.page.locator(".codex-tab")
    tab.get_by_text("It is over.").wait_for()
    host = json.loads((pages.lab.sessions / str(session["id"]) / "host.json").read_text())
    os.kill(host["pid"], signal.SIGKILL)
    tab.get_by_text(GONE).wait_for()
    page.page.evaluate("() => window.jupyterapp.shell.activatePreviousTab()")
    page.run_cells(2)
    page.view(1).get_by_text("There is more.").wait_for()
    page.command("codex-nb:open-session", session=session["id"])
    tab.get_by_text("There is more.").wait_for()


def test_code_and_formulas_are_drawn_by_jupyterlab(pages: Pages) -> None:
    said = r"The area is $\\pi r^2$:\n\n```python\ndef area(r):\n    return 3.14 * r**2\n```\n"
    (pages.lab.root / "code.toml").write_text(
        f'title = "Code"\nspeed = 0\n[[turn]]\n  [[turn.step]]\n  say = "{said}"\n'
    )
    page = pages.open("code.ipynb", LOAD, "%codex_run --replay code.toml -o run Say it.")
    page.run_all()
    page.view().locator("mjx-container").wait_for()
    keyword = page.view().locator("pre span", has_text=re.compile(r"^def$"))
    keyword.wait_for()
    # Whether it is coloured, and not only in a span.
    assert keyword.evaluate(
        "(it) => getComputedStyle(it).color !== getComputedStyle(it.closest('pre')).color"
    )


def test_a_changed_file_is_opened_by_its_link(pages: Pages) -> None:
    snapshot = cast("JsonObject", load_view("done")["snapshot"])
    transcript = cast("JsonObject", json.loads(json.dumps(snapshot["transcript"])))
    target = pages.lab.root / "made.txt"
    target.write_text("made\n")
    change: JsonObject = {"path": str(target), "kind": {"type": "add"}, "diff": "made\n"}
    transcript["items"] = [
        {
            "id": "change",
            "turn": cast("list[JsonObject]", transcript["turns"])[0]["id"],
            "thread": "",
            "type": "fileChange",
            "status": "completed",
            "text": "",
            "output": "",
            "started_at": 1.0,
            "completed_at": 2.0,
            "body": {"changes": [change]},
        }
    ]
    write_saved(pages.lab, "link.ipynb", bundle_of(transcript, session="gone", n=7))
    page = pages.open("link.ipynb")
    page.view().get_by_role("button", name=f"Open {target}").click()
    page.wait_for("() => window.jupyterapp.shell.currentWidget?.context?.path === 'made.txt'")
