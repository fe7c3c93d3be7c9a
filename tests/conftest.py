"""What every test of the suite has to keep: it leaves no process of ours behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.processes import end_processes_below

if TYPE_CHECKING:
    from collections.abc import Iterator

# How fast a loaded machine makes up examples says nothing about the code.
settings.register_profile("tests", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("tests")


TMP = Path("/tmp")  # noqa: S108 - it is looked at, and nothing is written
LEFT_BY_A_SANDBOX = [TMP / name for name in (".git", ".codex", ".agents", ".aws")]


@pytest.fixture(scope="session", autouse=True)
def _no_folder_left() -> Iterator[None]:
    """Fail a run in which a sandbox could write to everyone's /tmp, and left its folders there."""
    before = {path for path in LEFT_BY_A_SANDBOX if path.exists()}
    yield
    assert {path for path in LEFT_BY_A_SANDBOX if path.exists()} <= before


@pytest.fixture(autouse=True)
def _no_process_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail a test that leaves a session host, a codex or a command of codex running.

    What is left is ended, so that one failure does not poison the tests after it. The folder is
    that of this pytest worker: other workers and other users have their own.
    """
    yield
    if sys.platform == "linux":  # it looks into /proc
        assert end_processes_below(tmp_path_factory.getbasetemp()) == []
