"""What the model answers to one request: a stream of events, or an error.

The header fields with the limits and the body of an error are those that codex 0.142.5, 0.163.0 and
0.169.0 read.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_nb.replay.stream import POLL_SECONDS, Frame, ResponseStream, milliseconds

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.replay.history import Place
    from codex_nb.replay.scenario import Failure, RateLimits, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to one request.

    Attributes:
        frames: The events, unless the status is an error.
        status: The HTTP status.
        error: The body when the status is an error.
        headers: Header fields beside the usual ones.
        wait: Seconds before the answer begins.
        hold: The name that has to be released before the answer begins.
        cut: Whether the connection breaks after the last frame.
    """

    frames: tuple[Frame, ...] = ()
    status: int = 200
    error: JsonObject = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    hold: str | None = None
    cut: bool = False


def reply_to(place: Place, step: Step, *, speed: float, input_tokens: int) -> Reply:
    """Answer a request with a step of a scenario.

    Args:
        place: What codex asks.
        step: What to answer.
        speed: Tokens per second; 0 leaves no pauses.
        input_tokens: An estimate of the size of the request.
    """
    failure = step.error
    headers = _rate_limit_headers(step.rate_limits) if step.rate_limits else {}
    if failure is not None and failure.status is not None:
        return Reply(
            status=failure.status,
            error={"error": _error_body(failure)},
            headers=headers,
            wait=step.wait,
            hold=step.hold,
        )
    stream = ResponseStream(pause=1 / speed if speed else 0.0)
    frames = list(stream.events(place, step, input_tokens))
    return Reply(
        frames=tuple(frames), headers=headers, wait=step.wait, hold=step.hold, cut=step.drop
    )


def polling_reply(place: Place, *, seconds: float, input_tokens: int) -> Reply | None:
    """Ask codex for the rest of a command that is still running, as a model does.

    Args:
        place: What codex asks.
        seconds: How long the model waits for the command in all.
        input_tokens: An estimate of the size of the request.

    Returns:
        None when no command is running, or when the model has waited long enough.
    """
    if place.running is None or place.running.waited >= seconds:
        return None
    stream = ResponseStream(pause=0.0)
    arguments: JsonObject = {
        "session_id": place.running.session,
        "chars": "",
        "yield_time_ms": milliseconds(min(POLL_SECONDS, seconds - place.running.waited)),
    }
    step = place.step - 1
    call = stream.call(place.turn, step, "write_stdin", arguments=json.dumps(arguments))
    return Reply(frames=(*stream.created(), *call, *stream.completed(input_tokens, None)))


def say(text: str, *, speed: float, input_tokens: int) -> Reply:
    """Answer with a message and end the turn."""
    stream = ResponseStream(pause=1 / speed if speed else 0.0)
    message = stream.message(text, final=True)
    return Reply(frames=(*stream.created(), *message, *stream.completed(input_tokens, None)))


def _error_body(failure: Failure) -> JsonObject:
    body: JsonObject = {"type": failure.code, "code": failure.code, "message": failure.message}
    if failure.resets_in is not None:
        body["resets_at"] = int(time.time() + failure.resets_in)
    return body


def _rate_limit_headers(limits: RateLimits) -> dict[str, str]:
    headers = {}
    for name, window in (("primary", limits.primary), ("secondary", limits.secondary)):
        if window is not None:
            headers[f"x-codex-{name}-used-percent"] = f"{window.used_percent:g}"
            headers[f"x-codex-{name}-window-minutes"] = str(window.window_minutes)
            headers[f"x-codex-{name}-reset-at"] = str(int(time.time() + window.resets_in))
    return headers
