"""The transcript: a pure reducer from the messages of one app-server to changes.

Rules:

* Every change is applied to our own transcript as it is to every replica, so they are equal.
* Every notification becomes a change; what draws nothing is kept as "other".
* What a turn leaves open is closed as the turn ended: codex sends no completion for what was
  interrupted, and a command that goes on in the background completes when it ends.
* Messages of other threads (sub-agents) add items; they never touch plan, diff, usage or turns.

Time comes in as an argument. Checked against codex 0.142.5, 0.163.0 and 0.169.0.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from codex_nb.protocol.approvals import call_meant, with_item
from codex_nb.protocol.changes import empty_transcript
from codex_nb.protocol.failures import error_of
from codex_nb.protocol.grants import grants_of
from codex_nb.protocol.journal import Journal
from codex_nb.protocol.messages import Malformed, Notification, is_request_id
from codex_nb.protocol.notices import Notices
from codex_nb.protocol.thread_items import Place, ThreadItems
from codex_nb.protocol.values import count_of, is_same, obj, objects_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.protocol.grants import Bounds
    from codex_nb.protocol.messages import Json, JsonObject, Message, RequestId, ServerRequest

_TURN_STATUSES = ("completed", "interrupted", "failed")
_STEP_STATUS = {"inProgress": "in_progress", "completed": "completed"}
_TOKENS = {
    "total": "totalTokens",
    "input": "inputTokens",
    "cached_input": "cachedInputTokens",
    "output": "outputTokens",
    "reasoning_output": "reasoningOutputTokens",
}


class TranscriptReducer:
    """Turns the messages of one app-server into changes of a transcript.

    Every method returns the changes that it made, applied to `transcript` already.

    Args:
        transcript: What an earlier one left, to go on from; it is changed in place.
    """

    def __init__(self, transcript: JsonObject | None = None) -> None:
        self._journal = Journal(empty_transcript() if transcript is None else transcript)
        self._items = items = ThreadItems(self._journal)
        self._notices = notices = Notices(self._journal)
        self._thread = text_of(obj(self.transcript.get("session")).get("thread_id"))
        self._requests: dict[RequestId, str] = {}
        self._of_any_thread: dict[str, Callable[[JsonObject, float], None]] = {
            "turn/completed": self._end_turn,
            "item/started": items.start,
            "item/completed": items.complete,
            "item/agentMessage/delta": partial(items.stream, kind="agentMessage", field="text"),
            "item/plan/delta": partial(items.stream, kind="plan", field="text"),
            "item/reasoning/summaryPartAdded": items.begin_summary_part,
            "item/reasoning/summaryTextDelta": items.stream_summary,
            "item/reasoning/textDelta": items.stream_raw,
            "item/commandExecution/outputDelta": partial(
                items.stream, kind="commandExecution", field="output"
            ),
            "item/fileChange/outputDelta": partial(items.stream, kind="fileChange", field="output"),
            "item/fileChange/patchUpdated": items.patch,
            "item/mcpToolCall/progress": items.progress,
            "serverRequest/resolved": self._resolve_request,
            "account/rateLimits/updated": self._set_rate_limits,
            "warning": partial(notices.take_warning, level="warning"),
            "configWarning": partial(notices.take_warning, level="warning"),
            "guardianWarning": partial(notices.take_warning, level="warning"),
            "deprecationNotice": partial(notices.take_warning, level="info"),
        }
        self._of_our_thread: dict[str, Callable[[JsonObject, float], None]] = {
            "turn/started": self._start_turn,
            "turn/plan/updated": self._set_plan,
            "turn/diff/updated": self._set_diff,
            "thread/tokenUsage/updated": self._set_usage,
            "thread/settings/updated": self._set_settings,
            "model/rerouted": self._reroute,
            "error": notices.take_error,
        }

    @property
    def transcript(self) -> JsonObject:
        """The state that all changes so far add up to. Not to be changed."""
        return self._journal.transcript

    def apply(self, message: Message, *, at: float) -> list[JsonObject]:
        """Take a message of codex, at a time in Unix seconds.

        Only notifications and malformed lines make changes. A notification that says when it was
        sent counts as of then.
        """
        if isinstance(message, Notification):
            self._take(message.method, message.params, message.emitted_at or at)
        elif isinstance(message, Malformed):
            self._notices.take_malformed(message, at=at)
        return self._journal.take()

    def session(self, **values: Json) -> list[JsonObject]:
        """Set what is known of the session; only what differs becomes a change."""
        self._merge_session(values)
        return self._journal.take()

    def turn(self, turn: JsonObject, *, message: str = "", at: float = 0) -> list[JsonObject]:
        """Put a turn that codex knows nothing of, or say more about one that it does.

        Args:
            turn: All of it.
            message: What was said to start it, where codex was not told; "" for nothing.
            at: When that was said, in Unix seconds.
        """
        self._journal.put("turns", turn)
        if message:
            self._items.put_message(self._thread, text_of(turn.get("id")), message, at)
        return self._journal.take()

    def queue(self, messages: list[JsonObject]) -> list[JsonObject]:
        """Say which messages wait in line; the same ones are no change."""
        self._journal.set("queue", [*messages])
        return self._journal.take()

    def open_approval(
        self, approval: JsonObject, *, request: ServerRequest, bounds: Bounds
    ) -> list[JsonObject]:
        """Put an open approval, with what its item says about what is asked for.

        Args:
            approval: As `parse_approval` made it of the request.
            request: What codex asked.
            bounds: What the session allows unasked, for the sentences about what this one would.
        """
        place = Place(
            text_of(approval.get("thread")),
            text_of(approval.get("turn")),
            text_of(approval.get("item")),
        )
        item = self._items.find(place) or call_meant(request, self._journal.records("items"))
        filled = approval if item is None else with_item(approval, item)
        grants: list[Json] = [*grants_of(filled, request, bounds)]
        self._requests[request.id] = text_of(approval.get("id"))
        self._journal.put("approvals", {**filled, "grants": grants})
        return self._journal.take()

    def settle_approval(
        self, key: str, *, status: str, decision: str | None, note: str = "", at: float
    ) -> list[JsonObject]:
        """Say how an approval ended; one that is not open stays as it is."""
        said = None if decision is None else str(decision)
        self._settle(key, {"status": status, "decision": said, "note": note, "answered_at": at})
        return self._journal.take()

    def notice(
        self, level: str, text: str, *, hint: str = "", at: float, key: str = ""
    ) -> list[JsonObject]:
        """Put a notice; one with the same key is replaced."""
        self._notices.put(level, text, hint=hint, at=at, key=key)
        return self._journal.take()

    def close_open(
        self, *, status: str, error: JsonObject | None = None, at: float
    ) -> list[JsonObject]:
        """Close every turn, item and approval that is open, because codex is gone."""
        for turn in self._journal.records("turns"):
            if turn.get("status") == "in_progress":
                over: JsonObject = {"status": status, "error": error, "completed_at": at}
                self._journal.put("turns", {**turn, **over})
        self._notices.calm_down(None, at=at)
        self._items.close(None, status=status, at=at)
        self._close_approvals(None, at)
        return self._journal.take()

    def _take(self, method: str, params: JsonObject, at: float) -> None:
        handler = self._of_any_thread.get(method)
        if handler is None and not self._is_foreign(params):
            handler = self._of_our_thread.get(method)
        if handler is not None:
            handler(params, at)
        if method.startswith("item/"):
            self._notices.calm_down(text_of(params.get("turnId")), at=at)
        if self._journal.is_empty:
            self._journal.keep(method, params)

    def _is_foreign(self, params: JsonObject) -> bool:
        thread = params.get("threadId")
        return bool(self._thread) and isinstance(thread, str) and thread != self._thread

    # Turns

    def _start_turn(self, params: JsonObject, at: float) -> None:
        key = text_of(obj(params.get("turn")).get("id"))
        if not key:
            return
        turn: JsonObject = {
            "id": key,
            "status": "in_progress",
            # Codex tells it in whole seconds; the moment of the message is finer.
            "started_at": at,
            "completed_at": None,
            "error": None,
        }
        self._journal.put("turns", turn)
        self._journal.set("diff", "")

    def _end_turn(self, params: JsonObject, at: float) -> None:
        raw = obj(params.get("turn"))
        key, status = text_of(raw.get("id")), text_of(raw.get("status"))
        if not key:
            return
        if status not in _TURN_STATUSES:
            status = "failed"
        self._items.close(key, status=status, at=at)
        self._close_approvals(key, at)
        self._notices.calm_down(key, at=at)
        if self._is_foreign(params):
            return
        has_error = status == "failed" or isinstance(raw.get("error"), dict)
        over: JsonObject = {
            "id": key,
            "status": status,
            "completed_at": at,
            "error": error_of(obj(raw.get("error"))) if has_error else None,
        }
        known = self._journal.find("turns", key) or {"started_at": at}
        self._journal.put("turns", {**known, **over})

    def _close_approvals(self, turn: str | None, at: float) -> None:
        for approval in self._journal.records("approvals"):
            if turn in (None, approval.get("turn")):
                self._settle(text_of(approval.get("id")), {"status": "resolved", "answered_at": at})

    def _settle(self, key: str, values: JsonObject) -> None:
        approval = self._journal.find("approvals", key)
        if approval is not None and approval.get("status") == "pending":
            self._journal.put("approvals", {**approval, **values})

    def _set_plan(self, params: JsonObject, _at: float) -> None:
        explanation = params.get("explanation")
        steps: list[Json] = [
            {
                "step": text_of(step.get("step")),
                "status": _STEP_STATUS.get(text_of(step.get("status")), "pending"),
            }
            for step in objects_of(params.get("plan"))
        ]
        self._journal.set(
            "plan",
            {
                "turn": text_of(params.get("turnId")),
                "explanation": explanation if isinstance(explanation, str) else None,
                "steps": steps,
            },
        )

    def _set_diff(self, params: JsonObject, _at: float) -> None:
        self._journal.set("diff", text_of(params.get("diff")))

    # The rest of what codex tells

    def _set_usage(self, params: JsonObject, _at: float) -> None:
        usage = obj(params.get("tokenUsage"))
        self._journal.set(
            "usage",
            {
                "total": _tokens(obj(usage.get("total"))),
                "last": _tokens(obj(usage.get("last"))),
                "context_window": count_of(usage.get("modelContextWindow")) or None,
            },
        )

    def _set_rate_limits(self, params: JsonObject, _at: float) -> None:
        # An update leaves out what it does not know, which is no news about it.
        known = obj(self.transcript.get("rate_limits"))
        news = obj(params.get("rateLimits"))
        told = {key: value for key, value in news.items() if value is not None or key not in known}
        self._journal.set("rate_limits", {**known, **told})

    def _set_settings(self, params: JsonObject, _at: float) -> None:
        settings = obj(params.get("threadSettings"))
        model, effort = settings.get("model"), settings.get("effort")
        if isinstance(model, str):
            said = effort if isinstance(effort, str) else None
            self._merge_session({"model": model, "effort": said})

    def _reroute(self, params: JsonObject, at: float) -> None:
        model = text_of(params.get("toModel"))
        if model:
            self._merge_session({"model": model})
            self._notices.put("info", f"This turn is answered by the model {model}.", at=at)

    def _merge_session(self, values: JsonObject) -> None:
        known = obj(self.transcript.get("session"))
        news = {
            key: value
            for key, value in values.items()
            if key not in known or not is_same(known[key], value)
        }
        if "thread_id" in news:
            self._thread = text_of(news["thread_id"])
        if news:
            self._journal.merge_session(news)

    def _resolve_request(self, params: JsonObject, at: float) -> None:
        request_id = params.get("requestId")
        if is_request_id(request_id):
            key = self._requests.pop(request_id, "")
            self._settle(key, {"status": "resolved", "answered_at": at})


def _tokens(counts: JsonObject) -> JsonObject:
    return {ours: count_of(counts.get(theirs)) or 0 for ours, theirs in _TOKENS.items()}
