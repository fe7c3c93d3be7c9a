"""A real Jupyter server with a home of its own, and our extension as an installation enables it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from codex_nb.protocol.messages import JsonObject

ROOT = Path(__file__).parent.parent.parent
TOKEN = "server-token-of-the-tests"
PREFIXES = ("/", "/user/ann/")
LIMIT = 20.0
"""Seconds that anything of a server may take."""

# What is installed beside it has no part in these tests, and takes seconds to load.
_OTHERS = ("jupyter_lsp", "jupyterlab", "notebook", "notebook_shim", "nbclassic")
_CONFIG = """
import logging
c.EventLogger.handlers = [logging.FileHandler({events!r})]
"""


class Server:
    """A Jupyter server on a free port of the loopback address.

    Args:
        folder: Holds all that is its own, and its sessions.
        base_url: Prefix of all its addresses.
        config: Lines of Python for its config file.
        runtime: Where it looks for sessions, when that is the folder of another server.
    """

    def __init__(
        self, folder: Path, *, base_url: str = "/", config: str = "", runtime: Path | None = None
    ) -> None:
        self.folder = folder
        self.runtime = runtime or folder / "runtime"
        self.sessions = self.runtime / "codex-nb"
        self.log = folder / "server.log"
        self.events = folder / "events.log"
        for name in ("root", "home", "config/jupyter_server_config.d"):
            (folder / name).mkdir(parents=True)
        for path in (self.runtime, self.sessions):
            path.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(
            ROOT / "jupyter-config/server-config/codex_nb.json",
            folder / "config/jupyter_server_config.d",
        )
        others = {"ServerApp": {"jpserver_extensions": dict.fromkeys(_OTHERS, False)}}
        (folder / "config/jupyter_server_config.json").write_text(json.dumps(others))
        (folder / "config/jupyter_server_config.py").write_text(
            _CONFIG.format(events=str(self.events)) + config
        )
        self._output = self.log.open("wb")
        self.process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "jupyter_server",
                    "--no-browser",
                    "--allow-root",
                    "--debug",
                ),
                *(f"--ServerApp.root_dir={folder / 'root'}", "--ServerApp.port=0"),
                f"--ServerApp.base_url={base_url}",
            ],
            env=self.environment(),
            stdout=self._output,
            stderr=self._output,
            cwd=folder,
            start_new_session=True,
        )
        self.url = self._wait_url()
        self.base = self.url.removesuffix("/") + "/codex-nb/"

    def environment(self) -> dict[str, str]:
        """What its processes see of the world."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("JUPYTER", "IPYTHON", "CODEX_NB", "XDG"))
        }
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder / "home"),
            "JUPYTER_CONFIG_DIR": str(self.folder / "config"),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "JUPYTER_TOKEN": TOKEN,
        }

    def http(self, *, token: str = TOKEN, **values: object) -> httpx.Client:
        """A client of the REST part; without a token it is nobody."""
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.Client(
            base_url=self.base,
            headers=headers,
            timeout=scaled(LIMIT),
            **values,  # type: ignore[arg-type]
        )

    @contextmanager
    def logged_in(self) -> Iterator[httpx.Client]:
        """A client with cookies, as a browser has them after the login page."""
        with self.http(token="") as client:
            page = client.get(f"{self.url}login")
            xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
            assert xsrf is not None
            done = client.post(f"{self.url}login", data={"password": TOKEN, "_xsrf": xsrf[1]})
            assert done.status_code == 302
            yield client

    @asynccontextmanager
    async def socket(
        self,
        path: str,
        *,
        token: str = TOKEN,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> AsyncIterator[Browser]:
        """A WebSocket below codex-nb/."""
        url = self.base.replace("http", "ws", 1) + path
        if token:
            url += f"{'&' if '?' in path else '?'}token={token}"
        connection = await websocket_connect(
            HTTPRequest(url, headers=dict(headers or {}), request_timeout=scaled(LIMIT)),
            max_message_size=256 * 1024 * 1024,
            **values,  # type: ignore[arg-type]
        )
        browser = Browser(connection)
        try:
            yield browser
        finally:
            connection.close()
            while await browser.read() is not None:
                pass

    def recorded(self) -> list[JsonObject]:
        """The structured events so far, without what jupyter_events adds."""
        lines = self.events.read_text().splitlines()
        return [
            {key: value for key, value in json.loads(line).items() if key in _OURS}
            for line in lines
            if "codex-nb" in line
        ]

    def close(self) -> None:
        """End the server as Ctrl-C does, and fail when it does not end."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(scaled(LIMIT))
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise AssertionError(self.log.read_text()) from None
        self._output.close()

    def _wait_url(self) -> str:
        info = self.runtime / f"jpserver-{self.process.pid}.json"
        found: list[str] = []

        def answers() -> bool:
            # The file is not there yet, or half of it, or written and nobody listens yet.
            with suppress(OSError, ValueError, httpx.TransportError):
                url = str(json.loads(info.read_text())["url"])
                httpx.get(f"{url}api").raise_for_status()
                found.append(url)
            return bool(found) or self.process.poll() is not None

        try:
            wait_until_now(answers, seconds=60)
            return found[0]
        except (TimeoutError, IndexError):
            self.close()
            raise AssertionError(self.log.read_text()) from None


_OURS = ("action", "session", "operation")


class Browser:
    """One end of a WebSocket.

    Attributes:
        frames: All frames that came.
    """

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.connection = connection
        self.frames: list[JsonObject] = []
        self._last_id = 0
        self._is_over = False

    async def send(self, text: str | bytes) -> None:
        """Send a message as it is."""
        await self.connection.write_message(text, binary=isinstance(text, bytes))

    async def next(self) -> JsonObject:
        """The next message, whatever it is.

        Raises:
            AssertionError: The other side closed.
        """
        text = await self.read()
        assert text is not None, (self.connection.close_code, self.connection.close_reason)
        message: JsonObject = json.loads(text)
        if "frame" in message:
            self.frames.append(message)
        return message

    async def ask(self, op: str, **values: object) -> JsonObject:
        """Send an operation and return its answer; frames are kept."""
        self._last_id += 1
        await self.send(json.dumps({"id": self._last_id, "op": op, **values}))
        while (message := await self.next()).get("id") != self._last_id:
            assert "frame" in message
        return message

    async def until_closed(self) -> int | None:
        """Wait until the other side closes, and return its code."""
        while (text := await self.read()) is not None:
            message = json.loads(text)
            if "frame" in message:
                self.frames.append(message)
        return self.connection.close_code

    async def read(self) -> str | None:
        """The text of the next message; None when the other side has closed."""
        if self._is_over:
            return None
        async with asyncio.timeout(scaled(LIMIT)):
            text = await self.connection.read_message()
        assert not isinstance(text, bytes)
        self._is_over = text is None
        return text
