"""A session host that was started before it was needed is like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from codex_nb.sessions.spare import keep_spare, take_spare
from tests.support.codex_versions import ONE_CODEX
from tests.support.sessions import LIMIT, Rig, command, say
from tests.support.waiting import run, wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.codex.binary import CodexProgram

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_spare_left() -> Iterator[None]:
    """The spare process of a test ends with it; one that is taken belongs to its taker."""
    yield
    left = take_spare()
    if left is not None:
        left.communicate(b"")


def spare_pids() -> list[int]:
    """Spare processes of this process, of which there is one."""

    def found() -> list[int]:
        children = psutil.Process().children()
        return [child.pid for child in children if "--spare" in child.cmdline()]

    # A process that was just started has no command line for a moment.
    wait_until_now(lambda: found() != [], seconds=LIMIT)
    return found()


async def said(rig: Rig) -> str:
    """What codex said in a session of its own, after `echo $CUDA_VISIBLE_DEVICES`."""
    async with (
        rig.model([command("echo $CUDA_VISIBLE_DEVICES"), say("It is {output}")]) as model,
        rig.session(model) as viewer,
    ):
        await viewer.turn("Which devices?")
        return str(viewer.items("agentMessage")[-1]["text"])


@pytest.fixture(params=ONE_CODEX)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    program: CodexProgram = request.param
    (tmp_path / "work").mkdir()
    return Rig(root=tmp_path / "sessions", cwd=tmp_path / "work", program=program)


def test_a_session_in_a_spare_process_has_the_environment_and_the_log_of_any_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_spare()
    [spare] = spare_pids()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")  # after the process started

    answer = run(said(rig), seconds=2 * LIMIT)

    assert answer == "It is 7"
    assert not psutil.pid_exists(spare)
    assert "codex app-server ended" in (rig.root / rig.hosts[0].id / "host.log").read_text()


def test_a_spare_process_that_was_killed_does_no_harm(rig: Rig) -> None:
    keep_spare()
    [spare] = spare_pids()
    os.kill(spare, signal.SIGKILL)

    assert run(said(rig), seconds=2 * LIMIT).startswith("It is")


def test_there_is_one_spare_process_at_most() -> None:
    keep_spare()
    keep_spare()

    assert len(spare_pids()) == 1


def test_a_spare_process_that_is_not_needed_ends_by_itself() -> None:
    keep_spare(timedelta(0))
    taken = take_spare()

    assert taken is not None
    with taken:
        assert taken.wait(LIMIT) == 1


def test_a_spare_process_ends_with_the_process_that_started_it() -> None:
    code = (
        "import os; from codex_nb.sessions import spare; spare.keep_spare(); "
        "print(spare.take_spare().pid, flush=True); os.kill(os.getpid(), 9)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    wait_until_now(lambda: not psutil.pid_exists(int(done.stdout)), seconds=LIMIT)
