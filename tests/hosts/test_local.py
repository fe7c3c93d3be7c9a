from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError
from codex_nb.hosts import files
from codex_nb.hosts.local import LocalHost
from tests.hosts.contract import HostContract
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.hosts.base import Host, Process


class TestLocalHost(HostContract):
    @pytest.fixture
    def host(self) -> Host:
        return LocalHost()

    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        return str(tmp_path.resolve())


HEIR = """
import subprocess, sys
heir = subprocess.Popen(
    ["sleep", "60"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    start_new_session=True,
)
print(heir.pid)
"""


def test_nothing_is_open_once_a_process_ended_although_another_holds_its_stdin() -> None:
    async def scenario() -> None:
        argv = [sys.executable, "-c", HEIR]
        process = await LocalHost().start(argv, cwd="/", env=dict(os.environ))
        try:
            assert await process.wait() == 0
            with pytest.raises(HostError, match="takes no more input"):
                await process.write_stdin(b"x")
        finally:
            os.kill(int(await process.read_stdout()), signal.SIGKILL)

    run(scenario())


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """A folder and a user who may not write where the mode forbids it, as root may."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if os.getuid() == 0:
                os.seteuid(0)


def test_folders_that_their_owner_may_not_write_to_are_removed() -> None:
    with ordinary_user() as folder:
        tree = folder / "cache"
        (tree / "module").mkdir(parents=True)
        (tree / "module/file").touch()
        (tree / "module").chmod(0o500)
        tree.chmod(0o500)
        files.remove_tree(str(tree))
        assert list(folder.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(HostError, match="could not write"):
        files.write_file(str(tmp_path / "file"), b"new", mode=0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_local_process_is_a_process(tmp_path: Path) -> None:
    async def scenario() -> int:
        process: Process = await LocalHost().start(["true"], cwd=str(tmp_path), env={})
        await process.read_stdout()
        await process.read_stderr()
        return await process.wait()

    assert run(scenario()) == 0
