"""Which processes are whose: birth times, ancestors, and the processes that a session's codex left.

A process id alone proves nothing, because the system uses it again; with the time of its birth it
names one process. On Linux this reads /proc; elsewhere `ps`.
"""

from __future__ import annotations

import subprocess

from codex_nb.codex.home import SESSION_VARIABLE
from codex_nb.hosts import marks


def birth_of(pid: int) -> str:
    """When a process was born, in the system's own notation; "" if there is no such process."""
    if marks.PROC.joinpath("self").exists():
        fields = marks.stat_of(pid)
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
        fields = marks.stat_of(pid)
        if fields is None or pid <= 1:
            return False
        pid = int(fields[1])
    return False


def mark_of(session: str) -> str:
    """The mark of every process of a session, as "NAME=value" in its environment."""
    return f"{SESSION_VARIABLE}={session}"


def is_marked(pid: int, session: str) -> bool:
    """Whether a process of this user carries the mark of a session (Linux only)."""
    return marks.is_marked(pid, mark_of(session))


def marked_processes(session: str) -> list[int]:
    """Other processes of this user that carry the mark of a session (Linux only)."""
    return marks.marked_processes(mark_of(session))


def kill_marked_processes(session: str) -> int:
    """End what the codex of a session left running here, and tell how many processes that were.

    Codex ends its own commands; what it cannot know is a process that a command sent into the
    background with a session of its own. The mark is inherited through all of that.
    """
    return marks.end_marked(mark_of(session))
