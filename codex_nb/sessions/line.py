"""The line of messages that wait for their turns.

Everybody in it keeps the place that was told when it came: what is dropped or taken back stays, as
one that never begins, until its place comes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from codex_nb.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.protocol.messages import JsonObject

WITHDRAWN = "withdrawn"
"""The kind of error of a turn that has only its place: a person took the message back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A message that waits for its turn.

    Attributes:
        text: What to tell codex.
        model: Model from this turn on; "" leaves it.
        effort: Reasoning effort from this turn on; "" leaves it.
        timeout: Seconds after which the turn is interrupted; 0 means no limit.
        images: Further input beside the text.
        said: What the person wrote of the text.
        shown: How it is called while it waits.
    """

    text: str
    model: str = ""
    effort: str = ""
    timeout: float = 0.0
    images: tuple[JsonObject, ...] = ()
    said: str = ""
    shown: str = ""


class Never(NamedTuple):
    """The turn of a message that never begins; an empty message is not to be shown."""

    status: str
    error: JsonObject | None
    message: str


@dataclass(slots=True, kw_only=True)
class _Waiting:
    prompt: Prompt
    is_next: bool
    at: float = field(default_factory=time.time)
    key: str = field(default_factory=lambda: f"message-{os.urandom(6).hex()}")
    never: Never | None = None

    @property
    def is_shown(self) -> bool:
        return self.never is None and not self.is_next


class Line:
    """Messages in the order in which they came.

    Args:
        show: Called with the messages that wait, after each change.
    """

    def __init__(self, show: Callable[[list[JsonObject]], None]) -> None:
        self._show = show
        self._line: deque[_Waiting] = deque()
        self._is_filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._line)

    async def wait_filled(self) -> None:
        """Wait until somebody is in line."""
        await self._is_filled.wait()

    def put(self, prompt: Prompt, *, is_next: bool) -> None:
        """Add a message; one that goes on at once is not shown as waiting."""
        self._line.append(_Waiting(prompt=prompt, is_next=is_next))
        self._changed()

    def pop(self) -> Prompt:
        """The first message, which begins now."""
        prompt = self._line.popleft().prompt
        self._changed()
        return prompt

    def pop_never(self) -> Never | None:
        """The first, if it is one that never begins."""
        if not self._line or self._line[0].never is None:
            return None
        never = self._line.popleft().never
        self._changed()
        return never

    def withdraw(self, key: str) -> str:
        """Let a message that waits never begin, and return what the person wrote.

        Raises:
            SessionError: It does not wait, or no longer.
        """
        for waiting in self._line:
            if waiting.key == key and waiting.is_shown:
                error: JsonObject = {
                    "message": "This message was taken back before Codex began with it.",
                    "hint": "",
                    "kind": WITHDRAWN,
                }
                # Who takes it back has its text again.
                waiting.never = Never("interrupted", error, "")
                self._changed()
                return waiting.prompt.said
        raise SessionError(
            "This message does not wait any more.",
            hint="It has begun, or it was taken back or dropped before.",
        )

    def drop(self, status: str, error: JsonObject | None) -> None:
        """Let nothing begin of what waits now."""
        for waiting in self._line:
            waiting.never = waiting.never or Never(status, error, waiting.prompt.text)
        self._changed()

    def _changed(self) -> None:
        if self._line:
            self._is_filled.set()
        else:
            self._is_filled.clear()
        self._show(
            [
                {"id": each.key, "text": each.prompt.shown, "at": each.at}
                for each in self._line
                if each.is_shown
            ]
        )
