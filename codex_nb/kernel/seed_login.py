"""A login by device code, below its cell: where to go, which code, how long it is good.

The cell is over at once; the login goes on in the background until it is done, cancelled or out of
time. The code is shown in text as well, for pages without widgets, and leaves the output with the
end of the login, so that no notebook is saved with it.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import CancelledError, Future
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

import anywidget
from IPython.display import DisplayHandle
from traitlets import Float, Unicode

from codex_nb.errors import CodexNBError, LoginError, UsageError
from codex_nb.kernel.loop import submit
from codex_nb.seeds.perform import perform
from codex_nb.seeds.person import code_life
from codex_nb.seeds.table import Table

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from codex_nb.kernel.config import CodexNB
    from codex_nb.seeds.person import Answer
    from codex_nb.seeds.settings import SeedSettings

_WIDGET = "application/vnd.jupyter.widget-view+json"
_BEGIN = 60.0
"""Seconds that codex has to tell a code."""

_LATE = "The code ran out before it was used. Run the cell again for a new one."


class LoginCode(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget's base is untyped
    """A link, a code with a copy button, a countdown and a button that cancels.

    Attributes:
        url: Where to log in; empty when it is over.
        code: What to enter there; empty when it is over.
        expires_at: Until when, in Unix seconds.
        text: How it ended; empty before.
    """

    _esm = files("codex_nb").joinpath("kernel", "seed_login.js").read_text(encoding="utf-8")

    url = Unicode().tag(sync=True)
    code = Unicode().tag(sync=True)
    expires_at = Float().tag(sync=True)
    text = Unicode().tag(sync=True)


class Login:
    """One login under way, and its person: someone in front of a notebook.

    Args:
        options: Of the verb `login`.
        settings: Which store gets the seed.
        config: Of the kernel.
    """

    def __init__(
        self, options: argparse.Namespace, settings: SeedSettings, config: CodexNB
    ) -> None:
        self._notes: list[str] = []
        self._shown: Future[LoginCode] = Future()
        self._handle = DisplayHandle()
        self._work = submit(
            perform(options, settings, self, codex=config.codex, config=config.settings)
        )
        self._work.add_done_callback(self._end)

    def show(self) -> None:
        """Show it below the running cell, as soon as there is a code.

        Raises:
            CodexNBError: There is none.
        """
        try:
            widget = self._shown.result(_BEGIN)
        except (TimeoutError, KeyboardInterrupt):
            self._work.cancel()
            raise UsageError("Codex told no code in time.", hint="Try again.") from None
        for note in self._notes:
            print(note)  # noqa: T201 - talks to the person
        view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
        self._handle.display({_WIDGET: view, **_code_forms(widget)}, raw=True)
        if self._work.done():  # it was over before it was shown
            self._end(self._work)

    def say(self, text: str) -> None:
        """Keep a note, to be printed with the code."""
        self._notes.append(text)

    def show_code(self, url: str, code: str, expires_at: float) -> None:
        """Make the widget; `show` waits for it."""
        widget = LoginCode(url=url, code=code, expires_at=expires_at)
        widget.on_msg(self._on_message)
        # Codex takes some seconds more to say that a code is over, in which nobody should enter it.
        asyncio.get_running_loop().call_later(expires_at - time.time(), self._run_out)
        self._shown.set_result(widget)

    def show_progress(self, done: int, total: int) -> None:
        """Nothing to show: a login has no parts."""

    async def ask_key(self) -> str:
        """A device code needs no key."""
        raise UsageError("An API key is asked for in the cell.")

    async def is_sure(self, question: str) -> bool:
        """A login removes nothing."""
        raise UsageError(f"There is nobody to ask: {question}")

    def home_of(self, run: str) -> Path:
        """A login needs no session."""
        raise UsageError(f"There is no session {run!r}.")

    def _on_message(self, _widget: object, content: object, _buffers: object) -> None:
        if isinstance(content, dict) and content.get("op") == "cancel":
            self._work.cancel()

    def _end(self, work: Future[Answer]) -> None:
        """Replace the code by how it ended; on the background thread."""
        if not self._shown.done():
            error = None if work.cancelled() else work.exception()
            self._shown.set_exception(error or UsageError("The login was cancelled."))
            return
        if self._shown.exception() is None:
            is_late = time.time() >= self._shown.result().expires_at
            self._replace(*_end_forms(work, is_late=is_late))

    def _run_out(self) -> None:
        if not self._work.done():
            self._replace(_paragraph(_LATE), _LATE)

    def _replace(self, forms: dict[str, str], text: str) -> None:
        """Show this in place of the code, where the widget is drawn and where it is not."""
        widget = self._shown.result()
        widget.url = widget.code = ""
        widget.text = text
        self._handle.update(forms, raw=True)


def show_login(options: argparse.Namespace, settings: SeedSettings, config: CodexNB) -> None:
    """Begin a login by device code, and show it below the running cell.

    Raises:
        CodexNBError: It cannot begin.
    """
    Login(options, settings, config).show()


def _code_forms(widget: LoginCode) -> dict[str, str]:
    url, code, left = widget.url, widget.code, code_life(widget.expires_at)
    link = f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(url)}</a>'
    return {
        "text/plain": f"Open {url} and enter the code {code} there. {left}",
        "text/html": f"<p>Open {link} and enter the code <code>{escape(code)}</code> there. "
        f"{left}</p>",
    }


def _end_forms(work: Future[Answer], *, is_late: bool) -> tuple[dict[str, str], str]:
    """How a login ended, for the output and in one sentence.

    Args:
        work: Which is done.
        is_late: Whether the code had run out by then. Codex tells that by a status of HTTP.
    """
    try:
        answer = work.result()
    except CancelledError:
        text = "The login was cancelled; nothing is kept."
    except CodexNBError as exc:
        is_unused = is_late and isinstance(exc, LoginError)
        text = _LATE if is_unused else f"{exc.message.rstrip('.')}. {exc.hint}".strip()
    else:
        at = time.strftime("%H:%M")
        if isinstance(answer.shown, Table):
            return answer.shown.forms(), f"{answer.shown.caption}, since {at}."
        text = answer.shown
    return _paragraph(text), text


def _paragraph(text: str) -> dict[str, str]:
    return {"text/plain": text, "text/html": f"<p>{escape(text)}</p>"}


__all__ = ["Login", "LoginCode", "show_login"]
