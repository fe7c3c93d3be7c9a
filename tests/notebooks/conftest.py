"""Where notebooks of tests are executed: in folders of the test, as fast as the model can."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give kernels of this test folders and seeds of their own, and the code of this checkout."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    for name in ("DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in ("CODEX_NB_STORE", "CODEX_NB_KEY", "CODEX_NB_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CODEX_NB_REPLAY_SPEED", "0")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
