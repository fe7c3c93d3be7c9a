"""A transcript as data in a notebook file, from which our views draw it without a session.

It is cut to the turns that its cell shows, so that ten cells of one session do not keep it ten
times. All turns stay, because a view finds its own by their places.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from codex_nb.static.forms import forms_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.static.entries import Window

SESSION = "application/vnd.codex-nb.session+json"
"""The MIME type that our JupyterLab extension draws."""

Face = Literal["conversation", "terminal"]
"""What an output shows first of a session whose terminal runs."""

VERSION = 1
_SIZE = 4_000_000  # bytes of JSON
_LONGEST = 100_000  # characters of one string
_SHORTEST = 1_000
_PICTURE = 1_500_000
_NOTICES = 50
_PICTURES = ("data:image/", "iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR")


def bundle_of(
    transcript: JsonObject,
    *,
    session: str,
    n: int,
    window: Window = (0, None),
    face: Face = "conversation",
) -> dict[str, object]:
    """Every form that needs no kernel, by MIME type.

    Args:
        transcript: The value that docs/architecture.md describes.
        session: Id of the session.
        n: The number of its last event.
        window: Indices of turns, from the first to before the last; None means up to the end.
        face: What is shown first.
    """
    saved = saved_of(transcript, session=session, n=n, window=window)
    chosen: JsonObject = {} if face == "conversation" else {"face": face}
    return {SESSION: {**saved, **chosen}, **forms_of(transcript, window=window)}


def saved_of(
    transcript: JsonObject, *, session: str, n: int, window: Window = (0, None)
) -> JsonObject:
    """The transcript of a window of turns as data; at most about 4 MB of JSON.

    Args:
        transcript: The value that docs/architecture.md describes.
        session: Id of the session, which a transcript that just began does not know.
        n: The number of its last event.
        window: Indices of turns, from the first to before the last; None means up to the end.
    """
    first, end = window
    cut = _cut(transcript, window)
    longest = _LONGEST
    kept = _shortened(cut, longest)
    while longest > _SHORTEST and len(json.dumps(kept)) > _SIZE:
        longest //= 4
        kept = _shortened(cut, longest)
    return {
        "version": VERSION,
        "session": session,
        "n": n,
        "window": {"from": first, "to": end},
        "transcript": kept,
    }


def _cut(transcript: JsonObject, window: Window) -> JsonObject:
    first, end = window
    turns = _records(transcript.get("turns"))
    places = {str(turn.get("id")): place for place, turn in enumerate(turns)}
    shown = range(first, max(len(turns), 1) if end is None else end)

    def of_window(key: str) -> list[Json]:
        """Those of the window; one of an unlisted turn goes where the one before it went."""
        kept: list[Json] = []
        place = 0
        for record in _records(transcript.get(key)):
            place = places.get(str(record.get("turn")), place)
            if place in shown:
                kept.append(record)
        return kept

    plan = transcript.get("plan")
    turn_of_plan = places.get(str(_mapping(plan).get("turn")), first)
    # Notices and the queue belong to the end of a session, which only an open window shows.
    is_open = end is None
    return {
        **transcript,
        "turns": [*turns],
        "items": of_window("items"),
        "approvals": of_window("approvals"),
        "notices": [*_records(transcript.get("notices"))[-_NOTICES:]] if is_open else [],
        "plan": plan if turn_of_plan in shown else None,
        "diff": transcript.get("diff") if is_open else "",
        "queue": [],
    }


def _shortened(value: Json, longest: int) -> Json:
    """The value with the middle of its long strings left out; a picture is whole or gone."""
    if isinstance(value, dict):
        return {key: _shortened(inner, longest) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shortened(inner, longest) for inner in value]
    if not isinstance(value, str) or len(value) <= longest:
        return value
    if _is_picture(value):
        return value if len(value) <= _PICTURE and longest == _LONGEST else ""
    half = longest // 2
    return f"{value[:half]}\n… {len(value) - 2 * half:,} characters left out …\n{value[-half:]}"


def _is_picture(text: str) -> bool:
    """Whether it is a data URL or the base64 of a picture: half of one is worth nothing."""
    return text.startswith(_PICTURES)


def _records(value: Json) -> list[JsonObject]:
    return [it for it in value if isinstance(it, dict)] if isinstance(value, list) else []


def _mapping(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
