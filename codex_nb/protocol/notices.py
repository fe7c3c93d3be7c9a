"""The notices of a transcript: what a person should know and what is part of no turn.

Codex tells every attempt to reach the model again; here that is one notice per turn, which calms
down when the turn goes on. Checked against codex 0.142.5, 0.163.0 and 0.169.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.protocol.failures import error_of
from codex_nb.protocol.values import obj, text_of

if TYPE_CHECKING:
    from codex_nb.protocol.journal import Journal
    from codex_nb.protocol.messages import JsonObject, Malformed

_MAX_MALFORMED = 5
_NOISE = (
    # Codex says so at every start and then uses its own, which the probe has tried.
    "could not find bubblewrap on PATH",
    # The start of the session says so as well, and what to do from here.
    "disabled in the following folders",
)


class Notices:
    """Keeps the notices of a transcript.

    Args:
        journal: Takes the changes.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._malformed = 0
        self._retrying: dict[str, str] = {}

    def put(self, level: str, text: str, *, hint: str = "", at: float, key: str = "") -> None:
        """Put a notice; one with the same key is replaced and keeps its time."""
        key = key or f"notice-{len(self._journal.records('notices')) + 1}"
        known = self._journal.find("notices", key) or {}
        value: JsonObject = {"id": key, "level": level, "text": text, "hint": hint}
        value["at"] = known.get("at", at)
        if value != known:
            self._journal.put("notices", value)

    def take_error(self, params: JsonObject, at: float) -> None:
        """Take an error that a turn survives, or that no running turn ends with."""
        turn, error = text_of(params.get("turnId")), error_of(obj(params.get("error")))
        text, hint = text_of(error["message"]), text_of(error["hint"])
        if params.get("willRetry") is True:
            key = self._retrying.setdefault(turn, f"retry-{turn}")
            self.put("warning", f"Codex tries again: {text}", hint=hint, at=at, key=key)
            return
        known = self._journal.find("turns", turn) or {}
        if known.get("status") != "in_progress":
            self.put("error", text, hint=hint, at=at)

    def calm_down(self, turn: str | None, *, at: float) -> None:
        """Take the urgency out of the retries of a turn that goes on or is over; None: of all."""
        turns = list(self._retrying) if turn is None else [turn]
        for retrying in turns:
            key = self._retrying.pop(retrying, "")
            if key:
                self.put("info", "The model could not be reached for a while.", at=at, key=key)

    def take_warning(self, params: JsonObject, at: float, *, level: str) -> None:
        """Take a warning of codex; noise makes no notice."""
        text = text_of(params.get("message")) or text_of(params.get("summary"))
        if text and not any(noise in text for noise in _NOISE):
            self.put(level, text, hint=text_of(params.get("details")), at=at)

    def take_malformed(self, line: Malformed, *, at: float) -> None:
        """Take a line that is no message: the first few become notices."""
        self._malformed += 1
        if self._malformed <= _MAX_MALFORMED:
            self.put("warning", f"Codex sent a line that is no message: {line.reason}", at=at)
        self._journal.keep("malformed", {"reason": line.reason, "head": line.head})
