"""Which processes are whose: birth times, ancestors, and the processes that a session's codex left.

A process id alone proves nothing, because the system uses it again; with the time of its birth it
names one process. On Linux this reads /proc; elsewhere `ps`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from codex_nb.codex.home import SESSION_VARIABLE

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def birth_of(pid: int) -> str:
    """When a process was born, in the system's own notation; "" if there is no such process."""
    if _PROC.joinpath("self").exists():
        fields = _stat(pid)
        # A zombie has ended; only its parent has not noticed yet.
        return "" if fields is None or fields[0] in ("Z", "X") else fields[19]
    done = subprocess.run(  # the only source on macOS
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def is_alive(pid: int, birth: str) -> bool:
    """Whether the process that was born then still runs."""
    return bool(birth) and birth_of(pid) == birth


def has_ancestor(pid: int, ancestor: int) -> bool:
    """Whether `pid` is `ancestor` or descends from it, as far as the system tells (Linux only)."""
    for _ in range(128):
        if pid == ancestor:
            return True
        fields = _stat(pid)
        if fields is None or pid <= 1:
            return False
        pid = int(fields[1])
    return False


def is_marked(pid: int, session: str) -> bool:
    """Whether a process of this user carries the mark of a session (Linux only)."""
    mark = f"{SESSION_VARIABLE}={session}".encode()
    try:
        return mark in _PROC.joinpath(str(pid), "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def marked_processes(session: str) -> list[int]:
    """Other processes of this user that carry the mark of a session (Linux only)."""
    entries = _PROC.iterdir() if _PROC.joinpath("self").exists() else ()
    pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and is_marked(pid, session)]


def kill_marked_processes(session: str) -> int:
    """End what the codex of a session left running, and tell how many processes that were.

    Codex ends its own commands; what it cannot know is a process that a command sent into the
    background with a session of its own. The mark is inherited through all of that.
    """
    ended = 0
    for _ in range(5):  # a process may fork between the look and the kill
        pids = marked_processes(session)
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
        if not pids:
            break
    return ended


def uptime() -> float:
    """Seconds since the boot, by the clock that births are told in (Linux only; elsewhere 0)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else 0.0


def kill_marked_since(session: str, since: float) -> int:
    """End the processes with the mark of a session that were born after `since`, an `uptime`.

    Returns how many that were.
    """
    ended = 0
    for pid in marked_processes(session):
        fields = _stat(pid)
        # Births are told in ticks, rounded down: one of the same tick counts as born before.
        if fields is not None and int(fields[19]) / _TICKS > since:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return ended


def _stat(pid: int) -> list[str] | None:
    """Fields 3 onward of /proc/<pid>/stat: state, parent, …, start time at index 19."""
    try:
        text = _PROC.joinpath(str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
