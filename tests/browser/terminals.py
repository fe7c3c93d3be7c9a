"""A page that shows the terminal of a session, with a stand-in for ttyd's page in its frame.

The stand-in has the real guard in it, and of ttyd's page what matters to the page around it: its
WebSocket, the keyboard that it takes when that opens, and the terminal in its window.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.browser.stage import ORIGIN, ROOT, Stage, events, transcript
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Route, WebSocketRoute

    from codex_nb.protocol.messages import Json, JsonObject

GUARD = ROOT / "codex_nb" / "terminal" / "guard.js"
PATH = "/codex-nb/terminal/s/"

# As the output of a run shows it in JupyterLab, with our extension on the page.
LAB = """() => {
  window.opened = [];
  globalThis[Symbol.for("codex-nb.page")] = {
    version: 1,
    open() { throw new Error("no session"); },
    services: { serverUrl: "/", openTerminal: (session) => window.opened.push(session) },
  };
}"""
TTYD = """<!doctype html><html lang="en"><head><script>%s</script><title>ttyd</title></head>
<body><textarea class="xterm-helper-textarea" aria-label="Terminal input"></textarea><script>
const box = document.querySelector("textarea");
window.term = {
  options: {}, fits: 0,
  modes: { mouseTrackingMode: "none" },
  fit() { this.fits += 1; },
  focus() { box.focus(); },
};
const socket = new WebSocket(`ws://${location.host}${location.pathname}ws`, ["tty"]);
socket.addEventListener("open", () => term.focus());
addEventListener("resize", () => term.fit());
</script></body></html>"""
SHOW = """(state) => {
  window.dispose?.();
  window.model = makeModel(state);
  window.dispose = view.default.render({ model, el: document.getElementById("out") });
}"""


class TerminalStage(Stage):
    """One page with one view, and a server with a terminal.

    Attributes:
        status: What the server answers to who asks for the page of the terminal; 0 for nothing.
        sockets: The connections of the terminal, the latest last.
        pages: How many pages of a terminal were asked for.
    """

    def __init__(self, browser: Browser, *, is_lab: bool = True) -> None:
        self.status = 200
        self.pages = 0
        self.sockets: list[WebSocketRoute] = []
        super().__init__(browser)
        self.page.set_default_timeout(scaled(10) * 1000)
        self._context.route_web_socket(f"**{PATH}ws", self._accept)
        self._n = 0
        if is_lab:
            self.page.evaluate(LAB)

    def _serve(self, route: Route) -> None:
        if route.request.url != f"{ORIGIN}{PATH}":
            super()._serve(route)
            return
        self.pages += 1
        if self.status == 0:
            route.abort()
        elif self.status == 200:
            route.fulfill(body=TTYD % GUARD.read_text("utf-8"), content_type="text/html")
        else:
            said = {"message": "That is so.", "hint": "Do this."}
            route.fulfill(status=self.status, body=json.dumps(said))

    def _accept(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)

    def put(self, *, face: str = "conversation", to: int | None = None, **session: Json) -> None:
        """Render an idle session, with these values; `to` is the turn after the last shown."""
        whole = transcript(turn_status="completed")
        shown: JsonObject = {"id": "s", "name": "demo", "status": "idle", **session}
        self._n = 0
        self.page.evaluate(
            SHOW,
            {
                "snapshot": {"n": 0, "transcript": {**whole, "session": shown}},
                "window": {"from": 0, "to": to},
                "_face": face,
            },
        )
        self.settle()

    def tell(self, **session: Json) -> None:
        """Say that these values of the session are others now."""
        self.send(events(self._n, {"op": "merge", "key": "session", "value": session}))
        self._n += 1

    def answer(self, *, error: str = "") -> str:
        """Answer what the view asked of the session last, and say what it was."""
        asked = self.sent()[-1]
        said: JsonObject = {"error": {"message": error, "hint": ""}} if error else {"ok": {}}
        self.send({"reply": asked["id"], **said})
        return str(asked["op"])

    def press(self, name: str) -> None:
        """Press a button of the view."""
        self.root.get_by_role("button", name=name, exact=True).click()

    def wait_word(self, word: str) -> None:
        """Wait until the bar says this."""
        self.root.locator(".cnb-word").get_by_text(word, exact=True).wait_for()

    @property
    def frame(self) -> Frame:
        """The page in the frame."""
        [frame] = [it for it in self.page.frames if it.url == f"{ORIGIN}{PATH}"]
        return frame

    def focused(self) -> str:
        """The class of the element that has the keyboard, or its name."""
        return str(
            self.page.evaluate(
                "() => document.activeElement.className || document.activeElement.tagName"
            )
        )


def terminal(
    status: str = "running",
    *,
    kind: str = "thread",
    exit_status: int | None = None,
    detail: str = "",
    screen: str = "",
    links: tuple[str, ...] = (),
) -> JsonObject:
    """What the transcript says of a terminal."""
    return {
        "status": status,
        "kind": kind,
        "exit_status": exit_status,
        "detail": detail,
        "screen": screen,
        "links": [*links],
    }
