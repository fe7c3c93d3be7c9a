"""Notebooks that one test opens, and the sessions and kernels that end with it."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

from codex_nb.sessions.registry import list_sessions
from tests.browser.lab import TOKEN, Lab, NotebookPage
from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from codex_nb.protocol.messages import JsonObject


class Pages:
    """What one test has open.

    Args:
        lab: The Jupyter server.
        browser: A running browser.
    """

    def __init__(self, lab: Lab, browser: Browser) -> None:
        self.lab = lab
        self._browser = browser
        self._opened: list[NotebookPage] = []

    def open(self, name: str, *cells: str, is_elsewhere: bool = False) -> NotebookPage:
        """Open a notebook in a page of its own; cells, if given, are written to it before.

        With `is_elsewhere` it is as if another browser opened it.
        """
        if cells:
            self.lab.write(name, *cells)
        page = self.lab.open(self._browser, name, is_elsewhere=is_elsewhere)
        self._opened.append(page)
        return page

    def sessions(self) -> list[JsonObject]:
        """The sessions that the server lists."""
        answer = cast("JsonObject", json.loads(self._ask("GET", "sessions")))
        return cast("list[JsonObject]", answer["sessions"])

    def close_session(self, session: str) -> None:
        """Close a session through the server."""
        self._ask("DELETE", f"sessions/{session}")

    def wait_idle(self) -> None:
        """Wait until no session has a turn under way."""
        wait_until_now(
            lambda: all(it["ended"] or it["status"] == "idle" for it in self.sessions()), seconds=60
        )

    def close(self) -> None:
        """End the sessions and kernels, and close the pages."""
        with ExitStack() as stack:
            # Nothing runs on because a page had a script error, which is told at the end.
            stack.callback(self._end_sessions)
            stack.callback(self.lab.close_pages)
            for page in self._opened:
                stack.callback(page.close)
                stack.callback(page.end_kernel)
                stack.callback(page.forget)

    def _end_sessions(self) -> None:
        running = [entry for entry in list_sessions(self.lab.sessions) if not entry.ended]
        for entry in running:
            # As when the machine shuts down: kindly, and with what a session cleans up.
            os.kill(entry.pid, signal.SIGTERM)
        wait_until_now(lambda: not any(entry.is_running for entry in running), seconds=30)

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - our own server on the loopback address
            f"{self.lab.url}codex-nb/{path}",
            method=method,
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=scaled(30)) as answer:  # noqa: S310
            return cast("bytes", answer.read())
