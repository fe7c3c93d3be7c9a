from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.codex_versions import ONE_CODEX
from tests.support.shells import Shell

if TYPE_CHECKING:
    from pathlib import Path


TOKEN = "marked-token-81be"

SCENARIO = """
title = "A test"
speed = 0

[[turn]]
match = "^wait"
  [[turn.step]]
  run = "while [ ! -e go ]; do sleep 0.05; done; echo gone"
  [[turn.step]]
  say = "It said {output}"

[[turn]]
match = "^ask"
  [[turn.step]]
    [turn.step.run]
    cmd = "touch ../outside"
    escalate = true
    justification = "May I?"
  [[turn.step]]
  say = "Asked."

[[turn]]
match = "^fail"
  [[turn.step]]
  error = {status = 400, type = "invalid_request_error", message = "Not today."}

[[turn]]
match = "^secret"
  [[turn.step]]
  run = 'test -n "$GIVEN" && echo has it'
  [[turn.step]]
  say = "It said {output}"

[[turn]]
match = "."
  [[turn.step]]
  say = "You said {prompt}."
"""
"""What the model of every test here answers, by the first word of the prompt."""


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests of a worker, so that a codex is looked at once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_places(cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("CODEX_NB_REPLAY_SPEED", "0")
    for name in ("JPY_SESSION_NAME", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "play.toml").write_text(SCENARIO)
    return folder


@pytest.fixture(params=ONE_CODEX)
def env(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of a kernel, whose home is empty."""
    assert request.param
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home"), "GIVEN": TOKEN}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def shell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """An IPython in an empty folder that understands cells and starts nothing."""
    assert folder.is_dir()
    return Shell(monkeypatch)
