"""A page that shows the built view of one session, without Jupyter.

The model given to `render` is the seam where anywidget's own would be: it keeps what the view
sends, and the test speaks through it. The page may load the view and nothing else; every other
request is refused and noted.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Route, ViewportSize

    from codex_nb.protocol.messages import Json, JsonObject

ROOT = Path(__file__).parents[2]
# Another build than the committed one, as `node build.mjs --out` makes it.
BUILT = Path(os.environ.get("CODEX_NB_TEST_VIEW") or ROOT / "codex_nb" / "labextension")
DATA = ROOT / "tests" / "data"
ORIGIN = "http://view.test"
VIEWPORT: ViewportSize = {"width": 900, "height": 700}

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>view</title>
<link rel="stylesheet" href="/widget.css"><link rel="icon" href="data:,"><main id="out"></main>"""

MODEL = """window.makeModel = (state) => ({
  state, sent: [], listeners: {},
  get(name) { return state[name]; },
  on(event, f) { (this.listeners[event] ??= []).push(f); },
  off(event, f) { this.listeners[event] = (this.listeners[event] ?? []).filter((g) => g !== f); },
  send(message) { this.sent.push(message); },
  emit(event, ...values) { for (const f of [...(this.listeners[event] ?? [])]) f(...values); },
});"""


# Unlike `page.clock.set_fixed_time`, this ends with the page.
SET_TIME = """(now) => {
  const Real = globalThis.RealDate ??= Date;
  globalThis.Date = class extends Real {
    constructor(...parts) { parts.length ? super(...parts) : super(now); }
    static now() { return now; }
  };
}"""


class Stage:
    """One page with one view; `renew` makes it like a new one, much sooner than another would be.

    Attributes:
        page: The page, for what the methods do not offer.
        problems: Errors of the page's scripts, and requests that it had no reason to make.
        is_worn: Whether it cannot be made like a new one: `hold_time` stays.
    """

    def __init__(self, browser: Browser) -> None:
        self._context = browser.new_context(viewport=VIEWPORT)
        self.problems: list[str] = []
        self.is_worn = False
        self._context.route("**/*", self._serve)
        self.page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self._context.on("page", lambda page: self.problems.append(f"opened {page.url}"))
        self._load()

    def renew(self) -> None:
        """Load the page anew, as large as at first and with nothing of what a test did to it."""
        self.page.mouse.move(0, 0)
        self.page.set_viewport_size(VIEWPORT)
        self.page.emulate_media(reduced_motion="null", color_scheme="null")
        self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        self._load()
        self.problems.clear()

    def _load(self) -> None:
        self.page.goto(f"{ORIGIN}/")
        self.page.evaluate(MODEL)
        self.page.evaluate("async () => { window.view = await import('/widget.js'); }")

    def _serve(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            route.fulfill(body=PAGE, content_type="text/html")
        elif path == "/widget.js":
            route.fulfill(path=BUILT / "widget.js", content_type="text/javascript")
        elif path == "/widget.css":
            route.fulfill(path=BUILT / "widget.css", content_type="text/css")
        else:
            self.problems.append(f"requested {route.request.url}")
            route.abort()

    def close(self) -> None:
        """Close the page with all that it opened."""
        self._context.close()

    @property
    def root(self) -> Locator:
        """The view."""
        return self.page.locator("#out > .cnb")

    def show(
        self,
        transcript: JsonObject,
        *,
        n: int = 0,
        window: JsonObject | None = None,
        now: float | None = None,
    ) -> None:
        """Render a view of a transcript after event `n`; the clock stands still at `now`."""
        if now is not None:
            self.set_time(now)
        self.page.evaluate(
            """(state) => {
              window.dispose?.();
              window.model = makeModel(state);
              window.dispose = view.default.render({ model, el: document.getElementById('out') });
            }""",
            {
                "snapshot": {"n": n, "transcript": transcript},
                "window": window or {"from": 0, "to": None},
            },
        )

    def show_view(self, name: str) -> None:
        """Render a sample of tests/data/views."""
        sample = load_view(name)
        snapshot = cast("JsonObject", sample["snapshot"])
        self.show(
            cast("JsonObject", snapshot["transcript"]),
            n=cast("int", snapshot["n"]),
            window=cast("JsonObject", sample["window"]),
            now=cast("float", sample["now"]),
        )

    def set_time(self, now: float) -> None:
        """Set what time it is for the page, in Unix seconds; it does not go on, but timers do."""
        self.page.evaluate(SET_TIME, now * 1000)

    def hold_time(self) -> None:
        """Let the page's time stand still, until `page.clock.run_for` moves it.

        `clock.install` alone goes on in real time, which a loaded machine spends in
        between two lines of a test.
        """
        self.is_worn = True
        self.page.clock.install(time=0)
        self.page.clock.pause_at(1)

    def send(self, *frames: JsonObject) -> None:
        """Deliver messages of the kernel, and wait until they are drawn."""
        self.page.evaluate(
            "(frames) => { for (const frame of frames) model.emit('msg:custom', frame, []); }",
            list(frames),
        )
        self.settle()

    def settle(self) -> None:
        """Wait until what arrived is drawn."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
        )

    def sent(self) -> list[JsonObject]:
        """What the view asked of the session."""
        sent: list[JsonObject] = self.page.evaluate("() => model.sent")
        return [it for it in sent if it["op"] not in ("snapshot", "hello", "bye")]

    def snapshots_asked(self) -> int:
        """How often the view asked for a snapshot."""
        return int(
            self.page.evaluate("() => model.sent.filter((it) => it.op === 'snapshot').length")
        )


def load_view(name: str) -> JsonObject:
    """A sample of tests/data/views: title, window, snapshot, and the time it was taken at."""
    return cast("JsonObject", json.loads((DATA / "views" / f"{name}.json").read_text()))


def events(since: int, *changes: JsonObject) -> JsonObject:
    """A frame of changes, numbered on from `since`."""
    numbered: list[Json] = [
        {**change, "n": since + i, "t": 0.0} for i, change in enumerate(changes, start=1)
    ]
    return {"frame": "events", "since": since, "events": numbered}


def transcript(*items: JsonObject, turn_status: str = "in_progress", **values: Json) -> JsonObject:
    """A transcript of one turn with these items."""
    turn: JsonObject = {
        "id": "turn",
        "status": turn_status,
        "started_at": 100.0,
        "completed_at": None if turn_status == "in_progress" else 112.4,
        "error": None,
    }
    session: JsonObject = {
        "id": "s",
        "name": "demo",
        "status": "running",
        "cwd": "/w",
        "thread_id": "t",
    }
    return {
        "session": session,
        "turns": [turn],
        "items": list(items),
        "approvals": [],
        "plan": None,
        "diff": "",
        "usage": None,
        "rate_limits": None,
        "notices": [],
        **values,
    }


def item(
    kind: str,
    *,
    key: str = "i",
    status: str = "completed",
    text: str = "",
    output: str = "",
    body: JsonObject | None = None,
) -> JsonObject:
    """An item of the turn of `transcript`, two seconds long."""
    return {
        "id": key,
        "turn": "turn",
        "thread": "t",
        "type": kind,
        "status": status,
        "text": text,
        "output": output,
        "started_at": 101.0,
        "completed_at": None if status == "in_progress" else 103.0,
        "body": body or {},
    }
