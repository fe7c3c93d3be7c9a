"""Starters that die, programs that do not, and what they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest

from codex_nb.hosts import tether
from codex_nb.hosts.local import LocalHost
from tests.support.waiting import run, scaled, wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin"}
LONG = "86399"
"""How long programs sleep that nobody waits for; psutil finds them by it."""

STARTER = """
import subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
print(process.pid, flush=True)
process.wait()
"""


@pytest.fixture(params=["dash", "bash", "busybox"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shell that is /bin/sh somewhere, as /bin/sh."""
    path = shutil.which(request.param)
    if path is None:
        pytest.skip(f"needs {request.param} on PATH")
    folder = tmp_path / "shell"
    folder.mkdir()
    (folder / "sh").symlink_to(path)
    monkeypatch.setattr(tether, "_SHELL", str(folder / "sh"))


@dataclass
class Marked:
    """Processes with a mark that no other test has."""

    mark: str

    @property
    def env(self) -> dict[str, str]:
        name, _, value = self.mark.partition("=")
        return {**ENV, name: value}

    def pids(self) -> set[int]:
        name, _, value = self.mark.partition("=")
        found = set()
        for process in psutil.process_iter():
            try:
                if process.environ().get(name) == value:
                    found.add(process.pid)
            except psutil.Error:  # it ended, or is somebody else's
                continue
        return found

    def wait_gone(self) -> None:
        wait_until_now(lambda: not self.pids())


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[Marked]:
    # A value that a shell would take apart and a pattern would misread.
    found = Marked(f"CODEX_NB_TETHER=a b'\"$x*[0-9].\\ {tmp_path}")
    yield found
    for pid in found.pids():
        os.kill(pid, signal.SIGKILL)


@contextmanager
def started(argv: Sequence[str], *, env: dict[str, str] = ENV) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def end_of(process: subprocess.Popen[bytes]) -> int:
    return process.wait(scaled(10))


def hang_up(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def wait_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.usefixtures("shell")
class TestEveryShell:
    def test_a_program_ends_with_its_stdin(self) -> None:
        with started(tether.tethered(["sleep", LONG])) as process:
            hang_up(process)
            assert end_of(process) == -signal.SIGTERM

    def test_arguments_and_output_are_the_programs_own(self) -> None:
        argv = ["printf", "%s|", "a b", "", "$HOME", "'", "\n", "*", "-n"]
        with started(tether.tethered(argv, mark="MARK=x y")) as process:
            assert process.stdout is not None
            assert process.stdout.read() == b"a b||$HOME|'|\n|*|-n|"
            assert end_of(process) == 0

    def test_a_program_that_ends_by_itself_tells_how_while_stdin_is_open(self) -> None:
        with started(tether.tethered(["sh", "-c", "cat; exit 7"])) as process:
            assert end_of(process) == 7

    def test_a_signal_for_the_group_reaches_the_program_and_not_the_tether(
        self, marked: Marked
    ) -> None:
        script = "trap 'echo got it' USR1 HUP; echo ready; while :; do sleep 0.1; done"
        argv = tether.tethered(["sh", "-c", script], mark=marked.mark)
        with started(argv, env=marked.env) as process:
            wait_ready(process)
            os.killpg(process.pid, signal.SIGHUP)
            assert process.stdout is not None
            assert process.stdout.readline() == b"got it\n"
            hang_up(process)
            assert end_of(process) == -signal.SIGTERM
        marked.wait_gone()

    def test_a_program_that_ignores_term_is_killed_after_the_grace(self) -> None:
        script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
        with started(tether.tethered(["sh", "-c", script], grace=0.2)) as process:
            wait_ready(process)
            hang_up(process)
            assert end_of(process) == -signal.SIGKILL

    def test_a_program_has_its_grace(self) -> None:
        script = (
            "trap 'sleep 0.5; echo saved; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
        )
        with started(tether.tethered(["sh", "-c", script], grace=20)) as process:
            wait_ready(process)
            hang_up(process)
            assert end_of(process) == 3
            assert process.stdout is not None
            assert process.stdout.read() == b"saved\n"

    def test_what_left_the_group_is_found_by_its_mark(self, marked: Marked) -> None:
        script = (
            f"setsid sleep {LONG} & nohup setsid sleep {LONG} & sleep {LONG} & echo ready; wait"
        )
        argv = tether.tethered(["sh", "-c", script], mark=marked.mark)
        with started(argv, env=marked.env) as process:
            wait_ready(process)
            wait_until_now(lambda: len(marked.pids()) >= 4)
            hang_up(process)
            end_of(process)
        marked.wait_gone()

    def test_another_mark_is_left_alone(self, marked: Marked) -> None:
        name, _, value = marked.mark.partition("=")
        others = [{**ENV, name: f"{value}x"}, {**ENV, f"X{name}": value}, {**ENV, "A": marked.mark}]
        bystanders = [subprocess.Popen(["sleep", LONG], env=env) for env in others]
        try:
            with started(tether.tethered(["sleep", LONG], mark=marked.mark), env=marked.env) as it:
                hang_up(it)
                end_of(it)
                marked.wait_gone()
                # The tether itself is in the group; it is gone when its work is done.
                wait_until_now(lambda: not _group(it.pid))
            assert [process.poll() for process in bystanders] == [None, None, None]
        finally:
            for process in bystanders:
                process.kill()
                process.wait()

    def test_a_killed_starter_takes_everything_along(self, marked: Marked) -> None:
        script = f"trap '' TERM HUP; setsid sleep {LONG} & sleep {LONG}"
        argv = tether.tethered(["sh", "-c", script], mark=marked.mark, grace=0.2)
        with subprocess.Popen(
            [sys.executable, "-c", STARTER, *argv], env=marked.env, stdout=subprocess.PIPE
        ) as starter:
            assert starter.stdout is not None
            pid = int(starter.stdout.readline())
            wait_until_now(lambda: len(marked.pids()) >= 4)
            starter.kill()
        wait_until_now(lambda: not is_alive(pid))
        marked.wait_gone()

    def test_a_program_that_is_not_there_shows_as_127(self) -> None:
        with started(tether.tethered(["/nowhere/at/all"])) as process:
            assert end_of(process) == 127

    def test_a_sweep_ends_what_carries_the_mark(self, marked: Marked) -> None:
        process = subprocess.Popen(["sleep", LONG], env=marked.env)
        subprocess.run(tether.sweeping(marked.mark), env=ENV, check=True)
        assert end_of(process) == -signal.SIGKILL


def _group(pgid: int) -> list[int]:
    members = []
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == pgid and is_alive(pid):
                members.append(pid)
        except ProcessLookupError:
            continue
    return members


def test_nothing_is_left_when_a_host_ends_a_tethered_program(
    tmp_path: Path, marked: Marked
) -> None:
    async def scenario() -> int:
        process = await LocalHost().start(
            tether.tethered(["sleep", LONG], mark=marked.mark), cwd=str(tmp_path), env=marked.env
        )
        await process.close_stdin()
        return await process.wait()

    assert run(scenario()) == -signal.SIGTERM
    marked.wait_gone()


def test_nothing_can_be_found_out_from_a_mark_that_is_none() -> None:
    for mark in ("NAME", "=x", "NAME=", "1A=x", "A-B=x", "A=x\ny"):
        with pytest.raises(ValueError, match="no variable of an environment"):
            tether.tethered(["true"], mark=mark)
    with pytest.raises(ValueError, match="no mark"):
        tether.sweeping("")
    with pytest.raises(ValueError, match="no program"):
        tether.tethered([])
