from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.serving import PREFIXES, Server
from tests.server.speaker import Speaker
from tests.support.codex_versions import ONE_CODEX
from tests.support.sessions import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as a Hub would start it, for all tests that change nothing of it."""
    serving = Server(tmp_path_factory.mktemp("server"), base_url="/user/ann/", config=_QUICK)
    yield serving
    serving.close()


@pytest.fixture(scope="session", params=PREFIXES)
def any_server(request: pytest.FixtureRequest, server: Server) -> Iterator[Server]:
    """The same, and one without a prefix."""
    if request.param == PREFIXES[1]:
        yield server
        return
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    serving = Server(factory.mktemp("server"), base_url=request.param)
    yield serving
    serving.close()


@pytest.fixture
def speaker(server: Server) -> Iterator[Speaker]:
    """A session of the server."""
    speaker = Speaker(server.sessions)
    yield speaker
    speaker.note(ended="closed", status="closed")


_QUICK = "c.CodexNBServer.answer_timeout = 3.0\n"


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests of a worker, so that a codex is looked at once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(params=ONE_CODEX)
def rig(
    request: pytest.FixtureRequest,
    server: Server,
    cache_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Rig:
    """Real sessions where the server looks for them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("CODEX_NB_REPLAY_SPEED", "0")
    cwd = tmp_path / "work"
    cwd.mkdir()
    return Rig(root=server.sessions, cwd=cwd, program=request.param)
