from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.sessions import Rig
from tests.support.sshd import needs_sshd, running_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.codex.binary import CodexProgram


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests of a worker, so that a codex is looked at once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_places(cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("CODEX_NB_REPLAY_SPEED", "0")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with the mark `every_host`, or in a module with it, run on an SSH host as well."""
    for name, programs in (("rig", ONE_CODEX), ("every_rig", EVERY_CODEX)):
        defined = metafunc._arg2fixturedefs.get(name, ())
        # A module may have a fixture of its own of this name.
        if name not in metafunc.fixturenames or len(defined) != 1:
            continue
        values = [
            pytest.param((*program.values, False), id=program.id, marks=program.marks)
            for program in programs
        ]
        if metafunc.definition.get_closest_marker("every_host"):
            pinned = ONE_CODEX[0]
            marks = [*pinned.marks, needs_sshd]
            values += [pytest.param((*pinned.values, True), id=f"{pinned.id}-ssh", marks=marks)]
        metafunc.parametrize(name, values, indirect=True)


@contextmanager
def _rig(program: CodexProgram, tmp_path: Path, *, by_ssh: bool) -> Iterator[Rig]:
    cwd = tmp_path / "work"
    cwd.mkdir()
    (tmp_path / "sessions").mkdir()
    if not by_ssh:
        yield Rig(root=tmp_path / "sessions", cwd=cwd, program=program)
        return
    with running_sshd(tmp_path / "server") as sshd:
        yield Rig(root=tmp_path / "sessions", cwd=cwd, program=program, sshd=sshd)


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Sessions on the pinned codex."""
    program, by_ssh = request.param
    with _rig(program, tmp_path, by_ssh=by_ssh) as rig:
        yield rig


@pytest.fixture
def every_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Sessions on each codex."""
    program, by_ssh = request.param
    with _rig(program, tmp_path, by_ssh=by_ssh) as rig:
        yield rig


@pytest.fixture(params=ONE_CODEX)
def ssh_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Sessions of the pinned codex on an SSH host."""
    with _rig(request.param, tmp_path, by_ssh=True) as rig:
        yield rig
