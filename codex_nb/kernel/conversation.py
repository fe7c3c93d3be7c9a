"""The widget of a run: frames of its session to the browser, operations of the person back.

Nothing of the transcript is ever sent as a whole but the first snapshot of a view; after that, only
what changed, at most 30 times a second. Where the server carries our extension, nothing is sent
until a view says on the comm that it wants it. Traits flow from the kernel to the browser only.
"""

from __future__ import annotations

import logging
from importlib.resources import files
from typing import TYPE_CHECKING

import anywidget
from traitlets import Any, Dict, List, Unicode

from codex_nb.errors import CodexNBError
from codex_nb.kernel.loop import submit
from codex_nb.kernel.served import is_served

if TYPE_CHECKING:
    from concurrent.futures import Future

    from codex_nb.kernel.follower import Follower
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.static.saved import Face

logger = logging.getLogger(__name__)

COPY_LIMIT = 10.0
"""Seconds that the background loop has for a copy of a transcript; it needs some ms."""

_OPERATIONS = (
    *("send", "steer", "unqueue", "models", "select", "interrupt", "answer", "close"),
    *("open_terminal", "close_terminal", "dismiss_link"),
)


def _asset(name: str) -> str:
    return files("codex_nb").joinpath("labextension", name).read_text(encoding="utf-8")


def _current(_value: object, widget: Conversation) -> JsonObject:
    """The snapshot as it is when a view asks for it, so that a reloaded page starts from now."""
    if not widget.is_sending():
        return {}
    return submit(widget.follower.copy()).result(COPY_LIMIT)


class Conversation(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget's base is untyped
    """The live view of one run.

    The traits can be observed and linked; they change on the background thread. Setting them
    changes nothing.

    Args:
        follower: Keeps up with the session.
        face: What is shown first: the conversation or the terminal.

    Attributes:
        status: As `Run.status`.
        transcript: The transcript of the session; a new dictionary for every change, not to be
            changed.
        approvals: The questions that wait for an answer.
        usage: Tokens used, or None.
        session: Id of the session.
    """

    _esm = _asset("widget.js")
    _css = _asset("widget.css")

    status = Unicode("starting")
    transcript = Dict()
    approvals = List(Dict())
    usage = Any(None, allow_none=True)
    session = Unicode().tag(sync=True)
    snapshot = Dict().tag(sync=True, to_json=_current)
    window = Dict().tag(sync=True)
    _face = Unicode("conversation").tag(sync=True)

    def __init__(self, follower: Follower, face: Face = "conversation") -> None:
        self.follower = follower
        # The views that have said hello on the comm, and not bye.
        self._viewers: set[str] = set()
        super().__init__(session=follower.spec.id, window=self._window_now(), _face=face)
        _let_clicks_through(self)
        self.on_msg(self._on_message)
        follower.on_frame = self._on_frame

    def is_sending(self) -> bool:
        """Whether frames go through the comm."""
        return bool(self._viewers) or not is_served()

    def _window_now(self) -> JsonObject:
        first, end = self.follower.window
        return {"from": first, "to": end}

    def show_window(self) -> None:
        """Bring the views in line with the turns that belong to the run."""
        self.window = self._window_now()

    def _on_frame(self, frame: JsonObject) -> None:
        if self.is_sending():
            self.send(frame)
        follower = self.follower
        self.status = follower.status
        self.usage = follower.transcript.get("usage")
        self.approvals = [
            approval
            for approval in follower.records("approvals")
            if approval.get("status") == "pending"
        ]
        # Its parts are shared with the one before, so a comparison would find no change.
        before, now = self.transcript, dict(follower.transcript)
        self._trait_values["transcript"] = now
        self._notify_trait("transcript", before, now)

    def _on_message(self, _widget: object, content: object, _buffers: object) -> None:
        """An operation from the browser; on the thread where the kernel delivers comms."""
        if not isinstance(content, dict):
            return
        key, op = content.get("id"), content.get("op")
        viewer = content.get("viewer")
        if op == "hello" and isinstance(viewer, str):
            self._viewers.add(viewer)
        elif op == "bye":
            self._viewers.discard(viewer)
        elif op == "snapshot":
            self.send(_current(None, self))
        elif op in _OPERATIONS:
            values = {k: v for k, v in content.items() if k not in ("id", "op")}
            work = submit(self.follower.request(op, **values))
            work.add_done_callback(lambda done: self._reply(key, done))

    def _reply(self, key: Json, done: Future[JsonObject]) -> None:
        error = done.exception()
        if error is None:
            self.send({"reply": key, "ok": done.result()})
        elif isinstance(error, CodexNBError):
            self.send({"reply": key, "error": {"message": error.message, "hint": error.hint}})
        else:
            raise error


def _let_clicks_through(widget: anywidget.AnyWidget) -> None:
    """Have clicks delivered while a cell runs.

    JupyterLab sends comm messages to a subshell for that, but ipykernel 7.4.0 brings the replies of
    a widget that a cell made back to the main shell, which is busy. Other versions have no such
    method, and nothing to undo.
    """
    comm = widget.comm
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001
