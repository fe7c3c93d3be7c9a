"""What the benchmarks share: a real kernel, a replayed turn, and a table of results."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_client.manager import KernelManager

from codex_nb.codex.environment import OFFLINE
from codex_nb.replay.model import SPEED_VARIABLE, ReplayModel, load_replay
from codex_nb.replay.scenario import find_scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking.client import BlockingKernelClient

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120.0
"""Seconds that anything here may take."""


class Kernel:
    """A running kernel.

    Args:
        client: Connected to it.
    """

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, code: str) -> tuple[float, str]:
        """Execute a cell; return the seconds until its reply came, and what it printed."""
        printed: list[str] = []

        def collect(message: dict[str, dict[str, str]]) -> None:
            if message["header"]["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        start = time.perf_counter()
        reply = self._client.execute_interactive(code, timeout=LIMIT, output_hook=collect)
        seconds = time.perf_counter() - start
        if reply["content"]["status"] != "ok":
            sys.exit("A measured cell failed: " + "\n".join(reply["content"]["traceback"]))
        return seconds, "".join(printed)


@contextmanager
def kernel(cwd: Path, env: dict[str, str]) -> Iterator[Kernel]:
    """A kernel of its own, with this environment; it ends with the block."""
    manager = KernelManager(kernel_name="python3")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    manager.start_kernel(cwd=str(cwd), env={**os.environ, **OFFLINE, "PYTHONPATH": path, **env})
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=LIMIT)
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


@contextmanager
def served_model() -> Iterator[ReplayModel]:
    """The model of the first notebook without its pauses, served by a thread of this process."""
    os.environ[SPEED_VARIABLE] = "0"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    model = ReplayModel(load_replay(find_scenario("first-session", folder=ROOT)))
    asyncio.run_coroutine_threadsafe(model.__aenter__(), loop).result(LIMIT)
    try:
        yield model
    finally:
        asyncio.run_coroutine_threadsafe(model.__aexit__(None, None, None), loop).result(LIMIT)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT)
        loop.close()


def show(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"\n{title}\n")
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))
