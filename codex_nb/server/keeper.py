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

logger = logging.getLogger(__name__)

_GRACE = 30.0
"""Seconds that a refresh that has begun may take until it is finished."""


class KeeperProcess:
    """A running keeper, started when it is made.

    Args:
        store: URI or path of the store; "" for this user's. It may hold a password, so it goes by
            the environment and not by the list of processes.
    """

    def __init__(self, store: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "codex_nb.cli", "seed", "keep", "--until-eof"],
            stdin=subprocess.PIPE,
            env={**os.environ, **({"CODEX_NB_STORE": store} if store else {})},
            start_new_session=True,
        )
        logger.info("keeper of seeds started", extra={"codex_pid": self.pid})

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def stop(self) -> None:
        """End it; a refresh that has begun is finished first."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            logger.warning("keeper of seeds had to be killed", extra={"codex_pid": self.pid})
            self._process.kill()
            self._process.wait()


__all__ = ["KeeperProcess"]
