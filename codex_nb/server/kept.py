"""What is kept of a session: its transcript as its log tells it, without asking its host.

Everything here reads whole logs and belongs into a thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.protocol.transcript import TranscriptReducer
from codex_nb.sessions.channel import encode
from codex_nb.sessions.log import read_transcript
from codex_nb.sessions.registry import ENTRY, HOST_IS_GONE
from codex_nb.static import saved

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.sessions.registry import SessionEntry


def snapshot_of(entry: SessionEntry, *, known: int | None) -> bytes | None:
    """The frame that shows an ended session, as its host would have sent it.

    Args:
        entry: The session.
        known: The number up to which the browser knows it already; None when it knows nothing.

    Returns:
        None when the browser knows all of it.
    """
    transcript, number = read_transcript(entry.events)
    if not _close(transcript, entry) and number == known:
        return None
    return encode({"frame": "snapshot", "n": number, "transcript": transcript})


def bundle_of(entry: SessionEntry, window: tuple[int, int | None]) -> dict[str, object]:
    """What a notebook is to keep of a window of turns, and the number that it is as of."""
    transcript, number = read_transcript(entry.events)
    _close(transcript, entry)
    data = saved.bundle_of(transcript, session=entry.id, n=number, window=window)
    return {"n": number, "data": data}


def _close(transcript: JsonObject, entry: SessionEntry) -> bool:
    """Close the transcript of a host that was killed, which could not say so; whether it was.

    What was under way ends as the next host of the session would end it. The number stays: that
    one says it again.
    """
    session = transcript["session"]
    if not entry.ended or not isinstance(session, dict) or session.get("ended"):
        return False
    # The entry was last written by the one who found out.
    at = Path(entry.folder, ENTRY).stat().st_mtime
    reducer = TranscriptReducer(transcript)
    reducer.close_open(status="failed", error=HOST_IS_GONE, at=at)
    reducer.session(
        status="failed",
        detail=HOST_IS_GONE["message"],
        hint=HOST_IS_GONE["hint"],
        ended=entry.ended,
        ended_at=at,
    )
    return True
