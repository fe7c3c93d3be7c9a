"""The sessions of this user, as their folders tell.

Files are read in threads, never on the server's event loop. Nothing runs while nobody asks: who
waits for a change looks for it, and one look serves all who wait.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.registry import SessionEntry

PACE = 0.5
"""Seconds between two looks at the files, whoever waits."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BUSY = ("running", "waiting")

Stamps = dict[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What was found: the entries, and by which marks of their files a change is seen."""

    stamps: Stamps
    entries: tuple[SessionEntry, ...]


class Sessions:
    """The sessions of this user.

    All methods belong to the event loop of the server.

    Args:
        state_dir: A folder of sessions beside the usual two; "" when there is none.
        answer_timeout: Seconds that a session host has to answer.
    """

    def __init__(self, *, state_dir: str = "", answer_timeout: float = 10) -> None:
        self.answer_timeout = answer_timeout
        self._state_dir = state_dir
        self._look = _Look(stamps={}, entries=())
        self._looked_at = -PACE
        self._looking = asyncio.Lock()
        self._number = 0

    async def list_all(self) -> tuple[SessionEntry, ...]:
        """All sessions as they are now, the oldest first."""
        return await asyncio.to_thread(self._list_now)

    async def find(self, session: str) -> SessionEntry | None:
        """The session with this id; None when there is none, or when that is no id."""
        if _ID.fullmatch(session) is None:
            return None
        return await asyncio.to_thread(self._find_now, session)

    async def are_busy(self) -> bool:
        """Whether a turn of any session runs, or waits for a person."""
        return any(not e.ended and e.status in _BUSY for e in await self.list_all())

    async def current(self) -> tuple[int, tuple[SessionEntry, ...]]:
        """The sessions as they were at most `PACE` seconds ago, and the number of that state."""
        async with self._looking:
            await self._refresh()
        return self._number, self._look.entries

    async def wait_changed(self, number: int) -> tuple[int, tuple[SessionEntry, ...]]:
        """Wait until the sessions are no longer as in the state with this number."""
        while True:
            found, entries = await self.current()
            if found != number:
                return found, entries
            # Files tell nobody that they changed.
            await asyncio.sleep(self._looked_at + PACE - time.monotonic())

    async def _refresh(self) -> None:
        if time.monotonic() < self._looked_at + PACE:
            return
        look = await asyncio.to_thread(self._look_again, self._look)
        self._looked_at = time.monotonic()
        if look.entries != self._look.entries or not self._number:
            self._number += 1
        self._look = look

    # In threads

    def _roots(self) -> list[Path]:
        from codex_nb.sessions.roots import default_root, fallback_root

        roots = [default_root(), fallback_root()]
        if self._state_dir:
            roots.append(Path(self._state_dir).expanduser())
        return [root for root in dict.fromkeys(roots) if _is_ours(root)]

    def _list_now(self) -> tuple[SessionEntry, ...]:
        from codex_nb.sessions.registry import list_sessions

        return tuple(list_sessions(*self._roots()))

    def _find_now(self, session: str) -> SessionEntry | None:
        from codex_nb.sessions.registry import read_entry, swept

        for root in self._roots():
            entry = read_entry(root / session)
            if entry is not None:
                return entry if entry.ended else swept(entry)
        return None

    def _look_again(self, last: _Look) -> _Look:
        stamps = self._stamps()
        is_same = stamps == last.stamps and all(e.ended or e.is_running for e in last.entries)
        return last if is_same else _Look(stamps=stamps, entries=self._list_now())

    def _stamps(self) -> Stamps:
        from codex_nb.sessions.registry import ENTRY

        stamps = {}
        for root in self._roots():
            with suppress(OSError), os.scandir(root) as folders:
                for folder in folders:
                    path = f"{folder.path}/{ENTRY}"
                    with suppress(OSError):
                        found = os.stat(path)  # noqa: PTH116 - a Path for each would cost more
                        stamps[path] = (found.st_ino, found.st_mtime_ns, found.st_size)
        return stamps


def shown(entry: SessionEntry) -> JsonObject:
    """What a browser is told of a session, as docs/architecture.md describes it."""
    keys = (
        *("id", "name", "host", "cwd", "notebook", "status", "waiting", "turn_started_at"),
        *("thread_id", "created_at", "ended"),
    )
    return {key: getattr(entry, key) for key in keys}


def shown_all(entries: tuple[SessionEntry, ...]) -> list[Json]:
    """The same for a list."""
    return [shown(entry) for entry in entries]


def _is_ours(folder: Path) -> bool:
    """Whether a folder is there and is this user's; the second root lies where others may write."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
