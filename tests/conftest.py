"""What every test of the suite has to keep: it leaves no process of ours behind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import end_processes_below

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_process_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail a test that leaves a session host, a codex or a command of codex running.

    What is left is ended, so that one failure does not poison the tests after it. The folder is
    that of this pytest worker: other workers and other users have their own.
    """
    yield
    if sys.platform == "linux":  # it looks into /proc
        assert end_processes_below(tmp_path_factory.getbasetemp()) == []
