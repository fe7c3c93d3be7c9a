"""The terminal of a session in the browser: a page, and a WebSocket that is a tunnel to ttyd.

* A terminal is named by the id of its session and by nothing else. The session host says where its
  ttyd listens; what a browser sends never becomes part of an address or of a header upstream, but
  the key and the subprotocol of its WebSocket.
* The page is a file of this machine. Its scripts are those that were in it when it was read: the
  policy names their hashes, so nothing that a terminal makes of the page brings another one in.
* There are two terminals to a session, which differ in the socket behind them: one can be typed
  into ("execute"), one only be looked at ("read").
* ttyd (1.7.7) asks for a token beside its page. There is none, and who may ask was found out by
  Jupyter.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from jupyter_server.base.handlers import APIHandler

from codex_nb.errors import SessionError
from codex_nb.server.frames import PROTOCOL, answer_of, is_key
from codex_nb.server.guard import RefusalError, allowed, refusal_of
from codex_nb.server.rest import RestHandler, ended
from codex_nb.server.splice import Tunnel

Mode = Literal["write", "view"]

MAX_AGE = 300
"""Seconds that a browser shows a page without asking for a newer one."""

_COUNT_EVERY = 1.0
_SCRIPT = re.compile(rb"<script[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of a terminal.

    Attributes:
        body: It.
        packed: The same, compressed with gzip.
        etag: Changes when it changes.
        policy: Its Content-Security-Policy.
    """

    body: bytes
    packed: bytes
    etag: str
    policy: str


def read_page(path: Path) -> Page:
    """The page in a file.

    Raises:
        OSError: It cannot be read.
    """
    found = path.stat()
    return _page(path, (found.st_ino, found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=2)
def _page(path: Path, state: tuple[int, int, int]) -> Page:
    import gzip

    body = path.read_bytes()
    scripts = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in _SCRIPT.findall(body)
    ]
    return Page(
        body=body,
        packed=gzip.compress(body, 6, mtime=0),
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
        policy=_POLICY.format(scripts=" ".join(scripts) or "'none'"),
    )


class TerminalHandler(RestHandler):
    """What the handlers of this part share."""

    async def place(self, session: str, mode: Mode, what: Literal["socket", "page"]) -> str:
        """Where the socket or the page of a terminal is.

        Raises:
            RefusalError: There is no such session or terminal, or the session does not answer.
        """
        entry = await self.found(session)
        if entry.ended:
            raise ended()
        said = await self.ask(entry, "terminal", mode=mode)
        if isinstance(why := said.get("unreachable"), dict):
            raise RefusalError(502, str(why.get("message")), hint=str(why.get("hint")))
        path = said.get(what)
        if not isinstance(path, str) or not path:
            raise RefusalError(502, f"The session names no {what} of its terminal.")
        return path


class TerminalOpener(RestHandler):
    """The terminal of a session, whether one runs or not."""

    @allowed("execute")
    async def post(self, session: str) -> None:
        """Start it, unless it runs."""
        entry = await self.found(session)
        if entry.ended:
            raise ended()
        await self.operate(entry, "open_terminal")
        self.set_status(204)
        self.finish()


class TerminalPage(TerminalHandler):
    """The page of a terminal that can be typed into."""

    mode: Mode = "write"

    @property
    def content_security_policy(self) -> str:
        """Jupyter's own; that of the page comes beside it, and a browser follows both."""
        return super(APIHandler, self).content_security_policy

    @allowed("execute")
    async def get(self, session: str) -> None:
        """Show it."""
        await self.show(session)

    async def show(self, session: str) -> None:
        """Send the page. Everybody was checked before."""
        path = await self.place(session, self.mode, "page")
        try:
            page = await asyncio.to_thread(read_page, Path(path))
        except OSError as exc:
            raise RefusalError(
                502, "The page of the terminal cannot be read.", hint="Open the terminal again."
            ) from exc
        self.set_header("Etag", page.etag)
        self.set_header("Cache-Control", f"private, max-age={MAX_AGE}")
        self.set_header("Vary", "Accept-Encoding")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.add_header("Content-Security-Policy", page.policy)
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return
        body = page.body
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            body = page.packed
        self.finish(body, set_content_type="text/html; charset=utf-8")


class ViewerPage(TerminalPage):
    """The page of a terminal that can be looked at."""

    mode: Mode = "view"

    @allowed("read")
    async def get(self, session: str) -> None:
        """Show it."""
        await self.show(session)


class TerminalToken(TerminalHandler):
    """What ttyd's page asks for before it connects."""

    @allowed("execute")
    async def get(self, session: str) -> None:
        """Say that there is none."""
        await self.answer(session)

    async def answer(self, session: str) -> None:
        """Say that there is none. Everybody was checked before."""
        await self.found(session)
        self.finish(json.dumps({"token": ""}))


class ViewerToken(TerminalToken):
    """The same for who may only look."""

    @allowed("read")
    async def get(self, session: str) -> None:
        """Say that there is none."""
        await self.answer(session)


class TerminalSocket(TerminalHandler):
    """The WebSocket of a terminal that can be typed into."""

    mode: Mode = "write"
    action = "attached"
    count_again_at = 0.0

    @allowed("execute")
    async def get(self, session: str) -> None:
        """Join browser and terminal, and stay until either goes."""
        await self.join(session)

    async def join(self, session: str) -> None:
        """Do both handshakes, and stay. Everybody was checked before."""
        key = self._key()
        path = await self.place(session, self.mode, "socket")
        limit = self.sessions.answer_timeout
        try:
            self._tunnel = await Tunnel.open(path, key, limit=limit, count=self._count)
        except SessionError as exc:
            self.log.warning("A terminal of codex-nb was not joined: %r", exc.__cause__)
            raise refusal_of(502, exc) from exc
        browser = self.detach()
        self.set_status(101)
        # Nobody else writes the line of this request into the log: tornado is done with it.
        self.application.log_request(self)
        self.sockets.add(self)
        self.note(self.action, session)
        try:
            await self._tunnel.run(browser, answer_of(key))
        finally:
            self.sockets.remove(self)
            self.note("detached", session)

    def close(self, code: int, reason: str) -> None:
        """Close, and say so to the browser."""
        self._tunnel.close(code, reason)

    def _key(self) -> str:
        """The key of the browser's handshake.

        Raises:
            RefusalError: It is no handshake that a terminal could answer.
        """
        asked = self.request.headers
        words = [it.strip().lower() for it in asked.get("Connection", "").split(",")]
        if asked.get("Upgrade", "").lower() != "websocket" or "upgrade" not in words:
            raise RefusalError(400, "This is a WebSocket.", hint="Open the page beside it.")
        if asked.get("Sec-WebSocket-Version") != "13":
            raise RefusalError(400, "WebSockets are spoken here in version 13.")
        offered = [it.strip() for it in asked.get("Sec-WebSocket-Protocol", "").split(",")]
        if PROTOCOL not in offered:
            raise RefusalError(400, f"A terminal speaks the subprotocol `{PROTOCOL}`.")
        key = asked.get("Sec-WebSocket-Key", "")
        if not is_key(key):
            raise RefusalError(400, "The Sec-WebSocket-Key is none.")
        return key

    def _count(self) -> None:
        """Count what goes through as activity, once a second at most."""
        now = time.monotonic()
        if now >= self.count_again_at:
            self.count_again_at = now + _COUNT_EVERY
            self.count_as_activity()


class ViewerSocket(TerminalSocket):
    """The WebSocket of a terminal that can be looked at."""

    mode: Mode = "view"
    action = "viewed"

    @allowed("read")
    async def get(self, session: str) -> None:
        """Join browser and terminal, and stay until either goes."""
        await self.join(session)
