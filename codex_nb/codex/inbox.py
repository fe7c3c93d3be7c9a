"""The messages of codex on their way to one consumer.

A consumer that falls far behind makes the reader wait, so that memory stays bounded. The reader
goes on all the same while somebody waits for a response, because that comes behind the messages: a
consumer that asks codex something while it handles a message would wait for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from codex_nb.protocol.messages import Message

LIMIT = 16 * 1024 * 1024
"""Bytes of unread messages from which on the reader waits."""


class Inbox:
    """A queue of messages, bounded by their size."""

    def __init__(self) -> None:
        self._batches: deque[tuple[int, deque[Message]]] = deque()
        self._size = 0
        self._hurry = 0
        self._is_ended = False
        self._is_limited = True
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def put(self, messages: list[Message], size: int) -> None:
        """Add messages that were `size` bytes together."""
        self._batches.append((size, deque(messages)))
        self._size += size
        self._update()

    def end(self) -> None:
        """No more messages come; those that are here can still be read."""
        self._is_ended = True
        self._update()

    def lift_limit(self) -> None:
        """Never make the reader wait again: what still comes is little and must be read."""
        self._is_limited = False
        self._update()

    async def wait_for_room(self) -> None:
        """Wait until reading more makes sense."""
        await self._has_room.wait()

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Let the reader go on during the block, however full it is here."""
        self._hurry += 1
        self._update()
        try:
            yield
        finally:
            self._hurry -= 1
            self._update()

    async def messages(self) -> AsyncIterator[Message]:
        """The messages in order, until the end. For one consumer at a time."""
        while True:
            while not self._batches:
                if self._is_ended:
                    return
                self._changed.clear()
                await self._changed.wait()
            size, batch = self._batches[0]
            # Gone from here before the consumer works on it: it may be cancelled meanwhile.
            message = batch.popleft()
            if not batch:
                self._batches.popleft()
                self._size -= size
                self._update()
            yield message

    def _update(self) -> None:
        self._changed.set()
        if self._size < LIMIT or self._hurry or not self._is_limited:
            self._has_room.set()
        else:
            self._has_room.clear()
