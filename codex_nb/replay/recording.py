"""A recorded conversation, ready to be played.

A recording is JSON lines. The first says {"format": "codex-nb recording", "version": 1, "title",
"recorded_at"}, each other one is a response of the model:

    {"turn", "step", "prompt", "running", "status", "request": {"model", "items", "tools", "bytes"},
     "frames": [[seconds since the frame before, event], …]  or  "error": the body of an HTTP error}

The commands in it run for real when it is played. What a model says afterwards stays as it was
recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from codex_nb.errors import ReplayError
from codex_nb.replay.history import call_id
from codex_nb.replay.responses import Reply, polling_reply
from codex_nb.replay.stream import Frame

if TYPE_CHECKING:
    from os import PathLike

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.replay.history import Place

FORMAT = "codex-nb recording"
VERSION = 1

_POLL_AT_MOST = 120.0

Key: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResponse:
    """One response of the model.

    Attributes:
        reply: What it answered.
        running: Whether a command of the step before was still running when it was asked.
    """

    reply: Reply
    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recorded conversation.

    Attributes:
        title: What it shows, as a heading.
        responses: By turn and step, both from 0.
        code_mode: Whether the model called all tools from JavaScript, so that codex has to offer
            that again.
    """

    title: str
    responses: dict[Key, RecordedResponse]
    code_mode: bool = False

    def reply_to(self, place: Place, *, input_tokens: int, pauses: bool) -> Reply | None:
        """Answer a request with what the model answered at this place.

        Args:
            place: What codex asks.
            input_tokens: An estimate of the size of the request.
            pauses: Whether to keep the recorded pauses.

        Returns:
            None when nothing was recorded for this place.
        """
        recorded = self.responses.get((place.turn, place.step))
        if recorded is None:
            return None
        if not recorded.running:
            # The command takes longer than it did; a model that went on would talk about half an
            # output.
            polling = polling_reply(place, seconds=_POLL_AT_MOST, input_tokens=input_tokens)
            if polling is not None:
                return polling
        frames = [
            Frame(frame.pause if pauses else 0.0, _event_for(place, frame.event))
            for frame in recorded.reply.frames
        ]
        return replace(recorded.reply, frames=tuple(frames))


def _event_for(place: Place, event: JsonObject) -> JsonObject:
    """Give a call an id by which its place is known, and the process that runs now."""
    item = event.get("item")
    if not isinstance(item, dict) or "call_id" not in item:
        return event
    item = {**item, "call_id": call_id(place.turn, place.step, str(item["call_id"]))}
    arguments = item.get("arguments")
    if item.get("name") == "write_stdin" and place.running is not None and arguments:
        parsed = json.loads(str(arguments))
        item["arguments"] = json.dumps({**parsed, "session_id": place.running.session})
    return {**event, "item": item}


def load_recording(path: str | PathLike[str]) -> Recording:
    """Read a recording that `Recorder` wrote.

    Raises:
        ReplayError: The file cannot be read or is not a recording; the message names file and line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise ReplayError(f"the recording {path} cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ReplayError(f"the recording {path} is not UTF-8 text") from exc
    records = [_record(line, f"{path.name}, line {number}") for number, line in enumerate(lines, 1)]
    if not records or records[0].get("format") != FORMAT or records[0].get("version") != VERSION:
        raise ReplayError(
            f"{path.name} is not a recording of version {VERSION}",
            hint="Recordings are written by codex_nb.replay.record.Recorder.",
        )
    responses: dict[Key, RecordedResponse] = {}
    code_mode = False
    for number, record in enumerate(records[1:], 2):
        key, response = _response(record, f"{path.name}, line {number}")
        # A later response at the same place is the one that a retry got.
        responses[key] = response
        request = record.get("request")
        tools = request.get("tools") if isinstance(request, dict) else None
        code_mode = code_mode or (isinstance(tools, list) and "exec" in tools)
    return Recording(
        title=str(records[0].get("title") or path.stem), responses=responses, code_mode=code_mode
    )


def _record(line: str, place: str) -> JsonObject:
    try:
        record = json.loads(line)
    except ValueError as exc:
        raise ReplayError(f"{place}: not JSON") from exc
    if not isinstance(record, dict):
        raise ReplayError(f"{place}: not a JSON object")
    return record


def _response(record: JsonObject, place: str) -> tuple[Key, RecordedResponse]:
    turn, step, status = record.get("turn"), record.get("step"), record.get("status")
    if not isinstance(turn, int) or not isinstance(step, int) or not isinstance(status, int):
        raise ReplayError(f'{place}: "turn", "step" and "status" have to be whole numbers')
    error, frames = record.get("error"), record.get("frames", [])
    if not isinstance(frames, list) or (status != 200 and not isinstance(error, dict)):
        raise ReplayError(f'{place}: "frames" or "error" is missing')
    reply = Reply(
        status=status,
        frames=tuple(_frame(frame, place) for frame in frames),
        error=error if isinstance(error, dict) else {},
        cut=bool(record.get("cut")),
    )
    return (turn, step), RecordedResponse(reply=reply, running=bool(record.get("running")))


def _frame(frame: Json, place: str) -> Frame:
    pause, event = frame if isinstance(frame, list) and len(frame) == 2 else (None, None)
    if (
        not isinstance(pause, int | float)
        or not isinstance(event, dict)
        or not isinstance(event.get("type"), str)
    ):
        raise ReplayError(f"{place}: a frame is not [seconds, event]")
    return Frame(float(pause), event)
