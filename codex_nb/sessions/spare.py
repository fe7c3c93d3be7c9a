"""Processes of session hosts, and one that is started before it is needed.

Python takes 0.1 s to start and to import what a session host is made of, a fifth of a short turn.
So a kernel in which a person works with codex keeps one process that has done that and waits for
its order on stdin. It holds nothing and knows nothing. It ends with the process that started it, or
when it was not needed for `SPARE_LIMIT`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

SPARE_LIMIT = timedelta(minutes=10)
"""Time after which a spare process that nobody needed ends."""

_SOURCE = Path(__file__).resolve().parents[2]
_lock = threading.Lock()
_spare: subprocess.Popen[bytes] | None = None


def start_process(*arguments: str, log: int) -> subprocess.Popen[bytes]:
    """Start the process of a session host; it reads its order from stdin.

    Args:
        arguments: Its arguments, which anybody on this machine can read.
        log: File descriptor for its stderr.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "codex_nb.sessions.host", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd="/",
        env=_environment(),
        start_new_session=True,
    )


def order_of(folder: Path, spec: str) -> bytes:
    """What such a process is to do, with what a spare one cannot know: today's environment."""
    return json.dumps({"folder": str(folder), "environment": _environment(), "spec": spec}).encode()


def take_order(order: bytes, *, log: str) -> tuple[Path, str]:
    """Read an order in the process that got it, and take over its environment and its log.

    Args:
        order: As `order_of` made it.
        log: Name of the file in the session folder that stderr goes to from now on.

    Returns:
        The session folder, and the spec as JSON.
    """
    values = json.loads(order)
    os.environ.clear()
    os.environ.update(values["environment"])
    folder = Path(values["folder"])
    file = os.open(folder / log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    os.close(file)
    return folder, values["spec"]


def _environment() -> dict[str, str]:
    """This process's environment, such that a session host finds the same code."""
    found = dict(os.environ)
    if _SOURCE.name not in ("site-packages", "dist-packages"):
        # A checkout on sys.path: the host must find the same code. Installed packages need no help.
        found["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(_SOURCE), os.environ.get("PYTHONPATH")))
        )
    return found


def keep_spare(limit: timedelta = SPARE_LIMIT) -> None:
    """Have a spare process ready for the next session. One that is there already stays."""
    global _spare
    with _lock:
        if _spare is None or _spare.poll() is not None:
            seconds = f"{limit.total_seconds():g}"
            _spare = start_process("--spare", seconds, log=subprocess.DEVNULL)


def take_spare() -> subprocess.Popen[bytes] | None:
    """The spare process, which is the caller's from now on; None when there is none."""
    global _spare
    with _lock:
        taken, _spare = _spare, None
    return taken
