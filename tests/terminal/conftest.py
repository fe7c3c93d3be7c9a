"""Folders for sockets, and a mark for what must not be left."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.waiting import wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder() -> Iterator[str]:
    """A private folder whose path leaves room for a socket; pytest's own may not."""
    with tempfile.TemporaryDirectory(prefix="nb-") as name:
        yield name


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark of this test alone; no process with it outlives the test."""
    mark = f"CODEX_NB_TERMINAL={secrets.token_hex(8)}"
    yield mark
    try:
        wait_until_now(lambda: not marked(mark), seconds=3)
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test, and the user's own left alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def marked(mark: str) -> list[int]:
    """The processes that carry a mark."""
    name, _, value = mark.partition("=")
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value:
                found.append(process.pid)
        except psutil.Error:  # it ended, or is somebody else's
            continue
    return found
