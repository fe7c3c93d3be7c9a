"""The desk where codex's questions lie until somebody answers them.

Each is answered exactly once: by a person, by its expiry, or by us when no person can be asked. The
safe answer is refusal.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from codex_nb.errors import SessionError
from codex_nb.protocol.approvals import Decision, answer_for, automatic_answer, parse_approval

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from codex_nb.codex.app_server import AppServer
    from codex_nb.protocol.grants import Bounds
    from codex_nb.protocol.messages import JsonObject, ServerRequest
    from codex_nb.protocol.transcript import TranscriptReducer

_METHOD_NOT_FOUND = -32601
_STATUS = {Decision.DECLINE: "declined", Decision.CANCEL: "cancelled"}


def span_of(time_span: timedelta) -> str:
    """A span of time as a person says it."""
    seconds = time_span.total_seconds()
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


class ApprovalDesk:
    """The open approvals of one session.

    Args:
        reducer: Holds the transcript that the approvals are part of.
        emit: Takes the changes.
        host: Name of the host, shown to the person who decides.
        bounds: What the session allows unasked, to say what an approval would allow beyond it.
        limit: An approval that nobody answered is declined after this time.
        unattended: Nobody can be asked; everything is declined at once.
        on_expiry: Called with the key of an approval whose time ran out.
    """

    def __init__(
        self,
        reducer: TranscriptReducer,
        emit: Callable[[list[JsonObject]], None],
        *,
        host: str,
        bounds: Bounds,
        limit: timedelta,
        unattended: bool,
        on_expiry: Callable[[Awaitable[None]], None],
    ) -> None:
        self._reducer = reducer
        self._emit = emit
        self._host = host
        self.bounds = bounds
        self._limit = limit
        self._unattended = unattended
        self._on_expiry = on_expiry
        self._requests: dict[str, ServerRequest] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}

    def is_waiting(self) -> bool:
        """Whether a person is waited for."""
        return any(self._is_pending(key) for key in self._requests)

    async def take(self, server: AppServer, request: ServerRequest) -> None:
        """Put a question of codex on the desk, or answer it where no person is asked."""
        now = time.time()
        key = f"approval-{request.id}-{int(now * 1000)}"
        approval = parse_approval(
            request, key=key, host=self._host, at=now, expires_at=now + self._limit.total_seconds()
        )
        if approval is None:
            answer = automatic_answer(request, now=now)
            if answer is None:
                await server.refuse(
                    request.id, _METHOD_NOT_FOUND, f"{request.method} is not offered here."
                )
            else:
                await server.answer(request.id, answer)
            return
        self._requests[key] = request
        self._emit(self._reducer.open_approval(approval, request=request, bounds=self.bounds))
        if self._unattended:
            await self.decide(
                server, key, Decision.DECLINE, note="Nobody could be asked, so it was declined."
            )
            return
        loop = asyncio.get_running_loop()
        self._expiries[key] = loop.call_later(
            self._limit.total_seconds(), lambda: self._on_expiry(self._expire(server, key))
        )

    async def decide(
        self,
        server: AppServer,
        key: str,
        decision: Decision,
        *,
        note: str = "",
        status: str = "",
    ) -> None:
        """Answer a question.

        Raises:
            SessionError: It is not open, or no longer.
            UsageError: The decision is not legal for it.
        """
        request = self._requests.get(key)
        if request is None:
            raise SessionError(f"There is no approval {key!r}.", hint="Look at run.approvals.")
        if not self._is_pending(key):
            raise SessionError(
                f"This approval was settled before: {self._approval(key).get('status')}.",
                hint="The first answer counts.",
            )
        answer = answer_for(request, decision)
        self._settle(key, status or _STATUS.get(decision, "accepted"), decision, note)
        await server.answer(request.id, answer)

    def close(self) -> None:
        """Stop all clocks; nothing expires any more."""
        for timer in self._expiries.values():
            timer.cancel()
        self._expiries.clear()

    def tidy(self) -> None:
        """Forget the questions that were settled elsewhere, or with the end of their turn."""
        for key in [key for key in self._requests if not self._is_pending(key)]:
            del self._requests[key]
            timer = self._expiries.pop(key, None)
            if timer is not None:
                timer.cancel()

    async def _expire(self, server: AppServer, key: str) -> None:
        if key in self._requests and self._is_pending(key):
            note = f"Nobody answered within {span_of(self._limit)}, so it was declined."
            await self.decide(server, key, Decision.DECLINE, note=note, status="expired")

    def _settle(self, key: str, status: str, decision: Decision, note: str) -> None:
        self._emit(
            self._reducer.settle_approval(
                key, status=status, decision=decision, note=note, at=time.time()
            )
        )

    def _approval(self, key: str) -> JsonObject:
        approvals = self._reducer.transcript["approvals"]
        if isinstance(approvals, list):
            for approval in reversed(approvals):
                if isinstance(approval, dict) and approval.get("id") == key:
                    return approval
        return {}

    def _is_pending(self, key: str) -> bool:
        return self._approval(key).get("status") == "pending"
