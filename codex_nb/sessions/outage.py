"""What a person is told while the host of a session is out of reach, and when it is back."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from codex_nb.sessions.desk import span_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.sessions.place import Outage, Place
    from codex_nb.sessions.record import Record

_KEY = "host"


def outage_words(name: str, outage: Outage) -> JsonObject:
    """What is wrong, and what to do."""
    why = f": {outage.why}" if outage.why else "."
    return {
        "message": f"{name} is out of reach since {_clock(outage.since)}{why}",
        "hint": "It is tried again by itself; run.retry() tries at once.",
    }


class OutageTeller:
    """Keeps the transcript in line with the connection to the host.

    Args:
        place: Where the session lives.
        record: The session in its transcript.
    """

    def __init__(self, place: Place, record: Record) -> None:
        self._place = place
        self._record = record
        self._since: float | None = None

    def changed(self) -> None:
        """Say how it is now."""
        outage = self._place.outage()
        name = self._place.host.name
        if outage is not None:
            if self._since is None:
                self._record.put(lost_at=outage.since)
            self._since = outage.since
            until = _clock(outage.since + self._place.spec.host_timeout.total_seconds())
            self._record.notice(
                "warning",
                f"{name} is out of reach since {_clock(outage.since)}. What runs there goes on"
                f"{f': {outage.why}' if outage.why else '.'}",
                f"It is tried again until {until}, when all is ended there. run.retry() tries at "
                "once, run.close() gives up.",
                key=_KEY,
            )
        elif self._since is not None:
            span = span_of(timedelta(seconds=max(1, round(time.time() - self._since))))
            since, self._since = self._since, None
            self._record.put(lost_at=None)
            self._record.notice(
                "info",
                f"{name} was out of reach for {span}, from {_clock(since)} on. Nothing was lost.",
                key=_KEY,
            )


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


__all__ = ["OutageTeller"]
