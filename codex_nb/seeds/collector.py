"""Removes what no seed names any more, in the store and in the spool of this machine.

It is done at most once a day for each store from one machine. When it was last done is the time of
an empty file beside the spool, so that on all other occasions the store is not asked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError
from codex_nb.hosts import files
from codex_nb.hosts.files import translated

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.seeds.spool import Spool
    from codex_nb.seeds.store import Store

logger = logging.getLogger(__name__)

_DAY = 24 * 3600.0


class Collector:
    """Collects for one store.

    Args:
        store: An open store.
        spool: Of that store on this machine.
        folder: Where the file is that says when it was last done; made if it is not there.
    """

    def __init__(self, store: Store, spool: Spool, folder: Path) -> None:
        self._store = store
        self._spool = spool
        self.mark = folder / f".collected-{store.id}"

    async def collect_if_due(self) -> int:
        """Remove what is to go, unless that was tried in the last 24 hours; how many.

        Nobody waits for it to succeed: what goes wrong is logged, and tried again the next day.
        """
        try:
            if not await asyncio.to_thread(self._claim):
                return 0
            removed = await asyncio.to_thread(self._spool.sweep) + await self._store.collect()
        except CodexNBError as exc:
            logger.warning("leftovers of seeds could not be removed: %s", exc.message)
            return 0
        if removed:
            logger.info("leftovers of seeds were removed: %d", removed)
        return removed

    def _claim(self) -> bool:
        with translated("write", str(self.mark)):
            with suppress(FileNotFoundError):
                # One from the future was written before the clock was set back.
                if 0 <= time.time() - self.mark.stat().st_mtime < _DAY:
                    return False
            files.make_folder(str(self.mark.parent), mode=0o700)
            self.mark.touch(mode=0o600)
        return True


__all__ = ["Collector"]
