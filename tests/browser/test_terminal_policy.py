"""ttyd's page with our guard in a real Chromium, under the policies that come with it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from codex_nb.terminal.page import guarded
from tests.server.serving import ROOT, TOKEN, Server
from tests.server.speaker import Speaker
from tests.server.tty import find_ttyd, give_terminal, path_of, python, ttyd, wait_listening
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

GUARD = (ROOT / "codex_nb/terminal/guard.js").read_bytes()
ECHO = python("import sys\nprint('ready')\nfor line in sys.stdin: print('<' + line.strip() + '>')")
HAS_LINE = "(y) => window.term?.buffer.active.getLine(y)?.translateToString(true)"
TRIES = """async () => {
  window.ran = [];
  const add = (html) => document.body.insertAdjacentHTML("beforeend", html);
  add('<img src="data:," onerror="ran.push(1)">');
  const script = document.createElement("script");
  script.textContent = "ran.push(2)";
  document.body.append(script);
  const other = document.createElement("script");
  other.src = "../../../static/favicon.ico";
  other.onload = () => ran.push(3);
  document.body.append(other);
  const asked = await Promise.allSettled([
    fetch("http://127.0.0.1:9/"), fetch("data:,x"),
    new Promise((done, fail) => {
      const frame = document.createElement("iframe");
      frame.src = "data:text/html,<p>";
      document.body.append(frame);
      addEventListener("securitypolicyviolation", (event) => {
        if (event.effectiveDirective === "frame-src") fail(event.effectiveDirective);
      });
    }),
  ]);
  return [ran, asked.map((it) => it.status)];
}"""


@contextmanager
def hosted(speaker: Speaker) -> Iterator[None]:
    """Have the host of a session answer while the block runs."""
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    ready = threading.Event()

    async def answer() -> None:
        async with speaker.listening():
            ready.set()
            await over.wait()
            await speaker.until_alone()

    thread = threading.Thread(target=loop.run_until_complete, args=(answer(),))
    thread.start()
    assert ready.wait(scaled(10))
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest.fixture
def terminal(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of a terminal."""
    folder = tmp_path_factory.mktemp("page")
    serving = Server(folder / "server", base_url="/user/ann/")
    speaker = Speaker(serving.sessions)
    socket, page = folder / "t.sock", folder / "page.html"
    try:
        with ttyd(find_ttyd(folder), socket, *ECHO), hosted(speaker):
            run(wait_listening(socket))
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as client:
                page.write_bytes(guarded(client.get("http://localhost/").content, GUARD))
            give_terminal(speaker, socket=socket, page=page)
            yield serving.base + path_of(speaker)
    finally:
        serving.close()


def shown(page: Page) -> str:
    """What the terminal shows, whichever way it is drawn."""
    return str(
        page.evaluate(
            """() => Array.from({ length: window.term.buffer.active.length },
                 (_, y) => window.term.buffer.active.getLine(y).translateToString(true))
                 .join("\\n").trim()"""
        )
    )


@pytest.mark.parametrize("renderer", ["dom", "canvas", "webgl"])
def test_the_terminal_works_and_its_policy_has_nothing_to_complain_about(
    chromium: Browser, terminal: str, renderer: str
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{terminal}?token={TOKEN}&rendererType={renderer}")
    page.locator(".xterm").click()
    # What is typed before the connection is there, ttyd's page drops.
    page.wait_for_function(HAS_LINE, arg=0)
    page.keyboard.type("grüße\n")
    page.wait_for_function(HAS_LINE, arg=2)

    assert shown(page) == "ready\ngrüße\n<grüße>"
    assert [line for line in said if "olicy" in line or "rror" in line] == []
    origin = terminal.split("/user/")[0]
    assert all(url.startswith((origin, "data:", "blob:")) for url in asked)
    context.close()


def test_the_policy_lets_no_script_in_and_nothing_out(chromium: Browser, terminal: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{terminal}?token={TOKEN}&rendererType=dom")
    page.locator(".xterm").wait_for()

    assert page.evaluate(TRIES) == [[], ["rejected", "rejected", "rejected"]]
    context.close()
