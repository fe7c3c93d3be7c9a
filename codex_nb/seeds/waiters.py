"""Who waits for one seed or pool, in the order in which they came.

The order is kept as a note of the store, so that it holds between machines. It is good manners and
no lock: who may use a seed is decided by the lease alone, so nothing breaks when an order is lost.
Whoever stops coming back, such as a killed process, is passed over soon.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.errors import StoreError

if TYPE_CHECKING:
    from codex_nb.seeds.store import Store

NOTE = "waiters"
"""Note of the store: a JSON list of [what is waited for, ticket, until when it counts]."""

PATIENCE = 15.0
"""Seconds, on the store's clock, that a place is kept for who does not come back."""

_TRIES = 8

_Entry = tuple[str, str, float]


class Waiters:
    """Those who wait for the same, as one of them sees it.

    Args:
        store: An open store.
        wanted: What is waited for, such as "pool:team".
        ticket: Id of this one.
    """

    def __init__(self, store: Store, wanted: str, ticket: str) -> None:
        self._store = store
        self._wanted = wanted
        self._ticket = ticket
        self._has_place = False

    async def ahead(self) -> int:
        """How many came before.

        Raises:
            StoreError: The store cannot be reached.
        """
        note = await self._store.note(NOTE)
        if note in (None, b"[]"):
            return 0
        return self._before(_read(note, await self._store.now()))

    async def stay(self) -> None:
        """Take the last place, or keep the one that was taken.

        Raises:
            StoreError: The store cannot be reached.
        """
        self._has_place = True
        await self._write(stays=True)

    async def leave(self) -> None:
        """Give the place up, if one was taken."""
        if self._has_place:
            self._has_place = False
            with suppress(StoreError):  # else it is passed over
                await self._write(stays=False)

    async def _write(self, *, stays: bool) -> None:
        for _ in range(_TRIES):  # others write at the same time
            found = await self._store.note(NOTE, b"[]")
            old = b"" if found is None else found
            now = await self._store.now()
            entries = _read(old, now)
            if stays:
                mine = (self._wanted, self._ticket, now + PATIENCE)
                places = [entry[1] for entry in entries]
                at = places.index(self._ticket) if self._ticket in places else len(places)
                entries[at : at + 1] = [mine]
            else:
                entries = [entry for entry in entries if entry[1] != self._ticket]
            if await self._store.replace_note(NOTE, old, json.dumps(entries).encode()):
                return

    def _before(self, entries: list[_Entry]) -> int:
        tickets = [ticket for wanted, ticket, _ in entries if wanted == self._wanted]
        return tickets.index(self._ticket) if self._ticket in tickets else len(tickets)


def _read(note: bytes, now: float) -> list[_Entry]:
    """The entries of a note that still count; those of another make are as good as none."""
    try:
        found = [
            (str(wanted), str(ticket), float(until)) for wanted, ticket, until in json.loads(note)
        ]
    except (ValueError, TypeError):
        return []
    return [entry for entry in found if now < entry[2] <= now + 2 * PATIENCE]


__all__ = ["NOTE", "PATIENCE", "Waiters"]
