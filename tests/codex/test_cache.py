from __future__ import annotations

import json
from pathlib import Path

import pytest

from codex_nb.codex import cache
from codex_nb.codex.cache import Findings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg/codex-nb/programs.json"


def test_findings_add_up_and_are_private(file: Path) -> None:
    key = cache.program_key("local", "/bin/codex", "1:2:3:4")
    assert cache.find(key) == Findings()
    cache.note(key, version="1.2.3")
    cache.note(key, protocol="abc")
    cache.note(key, confines="one")
    cache.note(key, confines="two")
    cache.note(key, confines="one")
    assert cache.find(key) == Findings(version="1.2.3", protocol="abc", confines=("two", "one"))
    assert cache.find(cache.program_key("local", "/bin/codex", "1:2:3:5")) == Findings()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_only_the_latest_programs_are_kept(file: Path) -> None:
    for n in range(60):
        cache.note(f"program {n}", version="1.2.3")
    assert list(json.loads(file.read_text())["programs"]) == [f"program {n}" for n in range(10, 60)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b'{"format": 2, "programs": {"key": {}}}',
        b'{"format": 1, "programs": []}',
        b'{"format": 1, "programs": {"key": null}}',
        b'{"format": 1, "programs": {"key": {"version": 1, "protocol": "", "confines": []}}}',
        b"[" * 100_000,
    ],
)
def test_a_broken_file_is_as_good_as_none(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert cache.find("key") == Findings()
    cache.note("key", version="1.2.3")
    assert cache.find("key") == Findings(version="1.2.3")


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.note("key", version="1.2.3")
    assert cache.find("key") == Findings()


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/codex-nb")),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/codex-nb"),
        ({}, Path.home() / ".cache/codex-nb"),
    ],
)
def test_the_cache_is_where_the_specification_wants_it(env: dict[str, str], folder: Path) -> None:
    assert cache.cache_folder(env) == folder
