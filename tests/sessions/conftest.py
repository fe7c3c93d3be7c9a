from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.sessions import Rig

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests of a worker, so that a codex is looked at once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_places(cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("CODEX_NB_REPLAY_SPEED", "0")


def _rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    cwd = tmp_path / "work"
    cwd.mkdir()
    (tmp_path / "sessions").mkdir()
    return Rig(root=tmp_path / "sessions", cwd=cwd, program=request.param)


@pytest.fixture(params=ONE_CODEX)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """Sessions on the pinned codex."""
    return _rig(request, tmp_path)


@pytest.fixture(params=EVERY_CODEX)
def every_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """Sessions on each codex."""
    return _rig(request, tmp_path)
