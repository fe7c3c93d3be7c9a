"""The processes that codex_nb starts, as tests look for them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from codex_nb.codex.home import SESSION_VARIABLE
from tests.support.waiting import wait_until_now


@dataclass(frozen=True, slots=True)
class Found:
    """A process, and what it is."""

    pid: int
    command: str


def processes_below(root: Path) -> list[Found]:
    """Session hosts, codex and its commands that work below a folder; zombies do not count."""
    mark, place = f"{SESSION_VARIABLE}=".encode(), os.fsencode(root)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            command = process.joinpath("cmdline").read_bytes()
            environment = process.joinpath("environ").read_bytes()
            folder = os.fsencode((process / "cwd").readlink())
        except OSError:  # it ended, or is somebody else's
            continue
        is_host = b"codex_nb.sessions.host" in command and place in command
        is_marked = mark in environment and (place in environment or folder.startswith(place))
        if is_host or is_marked:
            text = command.replace(b"\0", b" ").decode(errors="replace").strip()
            found.append(Found(int(process.name), text))
    return found


def end_processes_below(root: Path, *, grace: float = 3) -> list[Found]:
    """Those that are still there after a moment; they are killed, for the sake of other tests."""
    with suppress(TimeoutError):
        wait_until_now(lambda: not processes_below(root), seconds=grace)
    left = processes_below(root)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return left
