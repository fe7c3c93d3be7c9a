"""Steps of several callers that share one transaction, and with it one wait for the disk."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codex_nb.seeds.lane import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Step(Job):
    """Something to be done with the file.

    Args:
        work: Gets the connection. It is done once more when it was undone with others.
        writes: Whether it changes anything.
    """

    __slots__ = ("work", "writes")

    def __init__(self, work: Callable[[sqlite3.Connection], object], *, writes: bool) -> None:
        super().__init__()
        self.work = work
        self.writes = writes


class _HalfwayError(Exception):
    """A step failed when it had changed something already."""


def read(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Take steps that change nothing, all on the same state of the file.

    Raises:
        sqlite3.Error: It cannot be read.
        OSError: The same, because of the clock.
    """
    with transaction(connection, "BEGIN", "ROLLBACK"):
        for step in steps:
            _take(step, connection)


def write(
    connection: sqlite3.Connection,
    steps: Sequence[Step],
    *,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Take steps in one transaction, which is on the disk when this returns.

    What a step changed is undone when it fails, and that alone.

    Args:
        connection: To the file.
        steps: What is to be done.
        begun: Told whenever something that was done before may have been undone.

    Raises:
        sqlite3.Error: The file cannot be written; nothing was done.
        OSError: The same, because of the clock.
    """
    try:
        with transaction(connection):
            begun()
            _take_all(steps, connection)
    except _HalfwayError:
        # Seldom, so that the marks to which one can go back are made only now.
        with transaction(connection):
            for step in steps:
                begun()
                connection.execute("SAVEPOINT step")
                step.error = None
                _take(step, connection)
                if step.error is not None:
                    connection.execute("ROLLBACK TO step")
                connection.execute("RELEASE step")


@contextmanager
def transaction(
    connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE", end: str = "COMMIT"
) -> Iterator[None]:
    """All of the block, on the disk when it ends, or nothing of it."""
    connection.execute(begin)
    try:
        yield
        connection.execute(end)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _take_all(steps: Sequence[Step], connection: sqlite3.Connection) -> None:
    for step in steps:
        before = connection.total_changes
        _take(step, connection)
        if step.error is not None and connection.total_changes != before:
            raise _HalfwayError


def _take(step: Step, connection: sqlite3.Connection) -> None:
    """Take one step; its error is noted, unless the whole transaction cannot go on."""
    try:
        step.result = step.work(connection)
    except BaseException as exc:
        # The clock of a file server is read by a file, which an OSError is about.
        is_of_the_store = isinstance(exc, sqlite3.Error | OSError) and not isinstance(
            exc, sqlite3.IntegrityError
        )
        if is_of_the_store or not connection.in_transaction:
            raise
        step.error = exc


__all__ = ["Step", "read", "transaction", "write"]
