"""Processes of this machine that carry a mark: a variable of their environment, which is inherited.

Linux only: elsewhere the system does not tell the environment of a process, and none is found.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def is_marked(pid: int, mark: str) -> bool:
    """Whether a process of this user has this "NAME=value" in its environment."""
    try:
        return mark.encode() in PROC.joinpath(str(pid), "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def marked_processes(mark: str) -> list[int]:
    """Other processes of this user that carry a mark."""
    entries = PROC.iterdir() if PROC.joinpath("self").exists() else ()
    pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and is_marked(pid, mark)]


def end_marked(mark: str) -> int:
    """Kill them all, and those that they start meanwhile; how many that were."""
    ended = 0
    for _ in range(5):  # a process may fork between the look and the kill
        pids = marked_processes(mark)
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
        if not pids:
            break
    return ended


def end_marked_since(mark: str, since: float) -> int:
    """Kill those that were born after `since`, an `uptime`; how many that were."""
    ended = 0
    for pid in marked_processes(mark):
        fields = stat_of(pid)
        # Births are told in ticks, rounded down: one of the same tick counts as born before.
        if fields is not None and int(fields[19]) / _TICKS > since:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return ended


def uptime() -> float:
    """Seconds since the boot, by the clock that births are told in; elsewhere than on Linux 0."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else 0.0


def stat_of(pid: int) -> list[str] | None:
    """Fields 3 onward of /proc/<pid>/stat: state, parent, …, start time at index 19."""
    try:
        text = PROC.joinpath(str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
