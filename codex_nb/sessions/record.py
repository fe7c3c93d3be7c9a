"""What the transcript says of the session itself: how it stands, and what is no part of a turn."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from codex_nb.protocol.values import obj, objects_of, text_of
from codex_nb.sessions.desk import span_of
from codex_nb.sessions.registry import HOST_IS_GONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.protocol.transcript import TranscriptReducer
    from codex_nb.sessions.spec import SessionSpec
    from codex_nb.sessions.turns import Turns


class Record:
    """The session in its transcript.

    Args:
        spec: What the session is to be.
        reducer: Has the transcript.
        emit: Takes the changes of it, in order.
    """

    def __init__(
        self,
        spec: SessionSpec,
        reducer: TranscriptReducer,
        emit: Callable[[list[JsonObject]], None],
    ) -> None:
        self._spec = spec
        self._reducer = reducer
        self._emit = emit

    def begin(self, turns: Turns) -> None:
        """Say that the session starts; what an earlier host of it had under way has failed."""
        self._emit(self._reducer.close_open(status="failed", error=HOST_IS_GONE, at=time.time()))
        stale = objects_of(self._reducer.transcript["queue"])
        self._emit(self._reducer.queue([]))
        for message in stale:
            turns.put_over("failed", HOST_IS_GONE, text_of(message.get("text")))
        self.put(
            **self._spec.described(),
            host=self._spec.host or "local",
            asks=None,
            lost_at=None,
            status="starting",
            detail="Starting Codex",
            hint="",
            ended=None,
            ended_at=None,
            created_at=time.time(),
            pid=os.getpid(),
        )

    def end(self, ended: str, turns: Turns) -> None:
        """Say that the session has ended, and its turns with it.

        Args:
            ended: Why: "closed", "idle" or "failed".
            turns: Those that wait are given up.
        """
        failed = ended == "failed"
        session = obj(self._reducer.transcript["session"])
        why: JsonObject = {
            "kind": "ended",
            "message": session.get("detail"),
            "hint": session.get("hint"),
        }
        over: tuple[str, JsonObject | None] = ("failed", why) if failed else ("interrupted", None)
        self._emit(self._reducer.close_open(status=over[0], error=over[1], at=time.time()))
        turns.abandon(*over)
        span = span_of(self._spec.idle_timeout)
        idle = f"Ended after {span} without a turn; send again to go on."
        self.put(
            status="failed" if failed else "closed",
            ended=ended,
            ended_at=time.time(),
            **({"detail": idle} if ended == "idle" else {}),
        )

    def put(self, **values: Json) -> None:
        """Change values of the session."""
        self._emit(self._reducer.session(**values))

    def notice(self, level: str, text: str, hint: str = "", *, key: str = "") -> None:
        """Tell the person something that is part of no turn; one with the same key is replaced."""
        self._emit(self._reducer.notice(level, text, hint=hint, at=time.time(), key=key))


__all__ = ["Record"]
