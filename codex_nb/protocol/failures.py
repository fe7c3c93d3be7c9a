"""Why a turn failed, and what to do about it.

The kinds are those of codexErrorInfo, checked against the schemas of codex 0.142.5 to 0.169.0. What
codex calls a kind is a text, or an object with the kind as its only key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.protocol.values import count_of, obj, text_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

_NETWORK = "Check the network and the provider of the model, then send again."

HINTS = {
    "unauthorized": "Log in again, or check the key of the provider.",
    "usageLimitExceeded": "Wait until the limit resets, or use another login.",
    "rateLimitExceeded": "Wait a moment, then send again.",
    "sessionBudgetExceeded": "Start a new session, or raise the budget.",
    "contextWindowExceeded": (
        "Start a new session: the conversation is longer than the model can read."
    ),
    "serverOverloaded": "The model's servers are busy; send again in a moment.",
    "flexUnavailable": "Send again, or use another service tier.",
    "internalServerError": "The fault is on the model's side; send again in a moment.",
    "badRequest": "Check the model and the settings of this session.",
    "cyberPolicy": "The model's provider refused this; say it in another way.",
    "misalignmentPolicyViolation": "The model's provider refused this; say it in another way.",
    "tooManyDenials": "Codex gave up after too many refusals; say what it may do, then send again.",
    "sandboxError": "Look at the sandbox of this machine, or choose another --sandbox.",
    "httpConnectionFailed": _NETWORK,
    "responseStreamConnectionFailed": _NETWORK,
    "responseStreamDisconnected": _NETWORK,
    "responseTooManyFailedAttempts": _NETWORK,
}
"""What to do, one sentence for each kind."""


def error_of(raw: JsonObject) -> JsonObject:
    """The error of a turn as the transcript holds it; what is missing in `raw` is made up for."""
    info = raw.get("codexErrorInfo")
    detail = obj(info)
    kind = next(iter(detail), "") or text_of(info) or "other"
    status_code = count_of(obj(detail.get(kind)).get("httpStatusCode"))
    # Codex calls a refused login a failed connection; the network is not what is wrong.
    cause = "unauthorized" if status_code in (401, 403) else kind
    return {
        "message": text_of(raw.get("message")) or "The turn failed, and Codex did not say why.",
        "kind": kind,
        "detail": text_of(raw.get("additionalDetails")),
        "hint": HINTS.get(cause, "Send again, or look at the detail."),
        "status_code": status_code,
    }
