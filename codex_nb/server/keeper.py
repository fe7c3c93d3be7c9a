"""The keeper of seeds as a child of the server, for those who want one: `codex-nb seed keep`.

A process of its own, so that the server opens no store and imports nothing for it. It ends with the
server, however that ends: its stdin does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_nb.seeds.settings import SeedSettings

logger = logging.getLogger(__name__)

_GRACE = 30.0
"""Seconds that a refresh that has begun may take until it is finished."""


class KeeperProcess:
    """A running keeper, started when it is made.

    Args:
        settings: Which store, and how it is sealed. The URI of the store may hold a password, so
            it goes by the environment and not by the list of processes; the rest is no secret.
    """

    def __init__(self, settings: SeedSettings) -> None:
        store = settings.store
        self._is_stopping = False
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "codex_nb.cli", "seed", "keep", "--until-eof"),
                *(["--encryption", settings.encryption] if settings.encryption else []),
                *(["--key-file", settings.key_file] if settings.key_file else []),
                *(["--keyring"] if settings.keyring else []),
            ],
            stdin=subprocess.PIPE,
            env={**os.environ, **({"CODEX_NB_STORE": store} if store else {})},
            start_new_session=True,
        )
        logger.info("keeper of seeds started", extra={"codex_pid": self.pid})
        threading.Thread(target=self._watch, name="watch the keeper of seeds", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def stop(self) -> None:
        """End it; a refresh that has begun is finished first."""
        await asyncio.to_thread(self._stop)

    def _watch(self) -> None:
        """Log an end that nobody asked for, on a thread of its own."""
        code = self._process.wait()
        if not self._is_stopping:
            text = "keeper of seeds ended by itself with exit code %s"
            logger.warning(text, code, extra={"codex_pid": self.pid, "codex_exit": code})

    def _stop(self) -> None:
        self._is_stopping = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            logger.warning("keeper of seeds had to be killed", extra={"codex_pid": self.pid})
            self._process.kill()
            self._process.wait()


__all__ = ["KeeperProcess"]
