"""What the tests of the replay share."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_nb.codex.binary import CodexProgram
from tests.support.codex_versions import EVERY_CODEX


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_NB_REPLAY_SPEED", "0")


@pytest.fixture(params=EVERY_CODEX)
def codex_program(request: pytest.FixtureRequest) -> Path:
    """Each codex program that the tests are given."""
    program = request.param
    assert isinstance(program, CodexProgram)
    return Path(program.path)
