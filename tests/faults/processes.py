"""Processes that a fault may happen to."""

from __future__ import annotations

import multiprocessing
import threading
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.child import Orders, obey
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

_LIMIT = 30.0
# Each start of a process looks after all others as well, and of two threads that look after one at
# once, one finds its exit status gone, and takes it for 255 (CPython 3.11).
_TURN = threading.Lock()
# Forked from one that imported everything: that takes milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.child", "tests.faults.crowd"])


@contextmanager
def running(orders: Orders) -> Iterator[tuple[ForkServerProcess, Connection]]:
    """A process that obeys, and what it says; killed at the end if it has not ended."""
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=obey, args=(orders, theirs))
    with _TURN:
        process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        if exit_status(process, seconds=0) is None:
            process.kill()
            exit_status(process)
        with _TURN:
            process.close()
        ours.close()


def exit_status(process: ForkServerProcess, *, seconds: float = _LIMIT) -> int | None:
    """The exit status of a process as soon as it has ended; None if it has not by then."""
    wait([process.sentinel], scaled(seconds))
    with _TURN:
        return process.exitcode


def hear(pipe: Connection) -> object:
    """What the process says next; None when it ended."""
    if not pipe.poll(scaled(_LIMIT)):
        raise TimeoutError("the process of a round neither reports nor ends")
    try:
        return pipe.recv()
    except (EOFError, ConnectionResetError):
        return None


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP took effect."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[0] == "T"


__all__ = ["PROCESSES", "exit_status", "hear", "is_stopped", "running"]
