"""Processes that carry the mark of a session."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from codex_nb.codex.home import SESSION_VARIABLE
from codex_nb.hosts.marks import end_marked_since, uptime
from codex_nb.sessions.processes import mark_of
from tests.support.waiting import wait_until_now


def marked(session: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, SESSION_VARIABLE: session}
    process = subprocess.Popen(["sleep", "600"], env=env)
    command = Path(f"/proc/{process.pid}/cmdline")
    wait_until_now(lambda: b"sleep" in command.read_bytes(), seconds=5)
    return process


def test_only_what_a_turn_started_is_ended_with_it() -> None:
    before, other = marked("s-1"), marked("s-2")
    since = uptime()
    wait_until_now(lambda: uptime() > since + 0.02, seconds=5)  # births are told in hundredths
    turn, other_turn = marked("s-1"), marked("s-2")
    try:
        assert end_marked_since(mark_of("s-1"), since) == 1
        assert turn.wait(10) == -signal.SIGKILL
        assert [process.poll() for process in (before, other, other_turn)] == [None] * 3
    finally:
        for process in (before, other, turn, other_turn):
            process.kill()
            process.wait()
