"""The file of a SQLite store: opened safely, used by one thread, and never in WAL mode.

Facts checked against SQLite 3.40.1: with `journal_mode=TRUNCATE` and `synchronous=FULL` nothing
that was acknowledged was lost in thousands of kills. WAL loses updates on network file systems and
may kill the process there, and has a known fault up to 3.51.2, so it is never used.

On a network file system byte-range locks are only as good as the client's identity. There a lock
by name guards each step as well, and the time is the server's.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TypeVar, cast

from codex_nb.errors import StoreError
from codex_nb.seeds.lane import Lane, tell
from codex_nb.seeds.netfs import Sentinel, file_system_of, file_time, is_network
from codex_nb.seeds.sqlite import steps
from codex_nb.seeds.sqlite.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

T = TypeVar("T")


class DatabaseFile:
    """One SQLite file and the thread that uses it. A forked child gets both of its own.

    Args:
        path: Of the file.
        file_system: Type of its file system; None looks.
        clock: Unix seconds; None takes the system's, or the server's on a network file system.
        patience: How long to wait for others who have it locked.

    Attributes:
        path: As given.
        file_system: Its type; known when it is open.
        cut_at: When, in this transaction, leases were cut that seem to end too late; None when they
            were not yet.
    """

    def __init__(
        self,
        path: Path,
        *,
        file_system: str | None,
        clock: Callable[[], float] | None,
        patience: timedelta,
    ) -> None:
        self.path = path
        self._asked_file_system = file_system
        self.file_system = ""
        self.cut_at: float | None = None
        self._clock = clock
        self._patience = patience.total_seconds()
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._pid = 0
        self._identity: tuple[int, int] | None = None
        self._lane: Lane[steps.Step] | None = None
        # Closing the connection of a parent would end the parent's locks.
        self._inherited: list[object] = []

    @property
    def is_network(self) -> bool:
        """Whether other machines may have the file open as well. Known when it is open."""
        return is_network(self.file_system)

    async def open(self) -> None:
        """Open the file; make it if it is not there.

        Raises:
            StoreError: It cannot be used.
        """
        await self.run(lambda _connection: None)

    async def close(self) -> None:
        """Close the file and end the thread. Doing it again is fine."""
        thread, self._thread = self._thread, None
        self._identity = None
        if thread is not None and self._pid == os.getpid():
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = False) -> T:
        """Do something in one transaction, which either takes place as a whole or not at all.

        Cancelling leaves open which of the two.

        Args:
            work: Gets the connection, in the thread of the file.
            writes: Whether it changes anything.

        Raises:
            StoreError: The file cannot be used now.
        """
        if self._lane is None or self._thread is None or self._pid != os.getpid():
            self._inherited += [self._thread, self._connection]
            self._connection, self._pid = None, os.getpid()
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="codex_nb seeds")
            self._lane = Lane(self._do, self._thread.submit)
        step = steps.Step(work, writes=writes)
        self._lane.put(step)
        return cast("T", await step.wait())

    def now(self) -> float:
        """The clock that all who use this file share."""
        if self._clock is not None:
            return self._clock()
        if self.is_network:
            return file_time(self.path.parent)
        return time.time()

    # In the thread

    def _do(self, waiting: Sequence[steps.Step]) -> None:
        """Take what waits: first what only reads, then the rest in one transaction.

        So the disk is waited for once. Nobody is told anything before all of it is on the disk.
        """
        reading = [step for step in waiting if not step.writes]
        writing = [step for step in waiting if step.writes]
        if reading:
            self._try(reading, lambda connection: steps.read(connection, reading))
            if writing:
                tell(reading)
        if writing:
            self._try(writing, lambda connection: self._write(connection, writing))

    def _try(self, taken: Sequence[steps.Step], take: Callable[[sqlite3.Connection], None]) -> None:
        try:
            with self._translated():
                take(self._ready())
        except BaseException as exc:  # noqa: BLE001 - whoever waits for a step raises it
            for step in taken:
                step.error = exc

    def _write(self, connection: sqlite3.Connection, writing: Sequence[steps.Step]) -> None:
        with self._alone():
            steps.write(connection, writing, begun=self._begun)

    def _begun(self) -> None:
        self.cut_at = None

    def _ready(self) -> sqlite3.Connection:
        self._check_place()
        if self._connection is None:
            self._connection = self._opened()
        return self._connection

    def _check_place(self) -> None:
        """Make sure that what is open still is what others find under that name."""
        # Some network file systems number their files anew now and then.
        if self._identity is None or self.is_network:
            return
        try:
            found = self.path.stat()
        except FileNotFoundError:
            text = "is not there any more"
        else:
            if (found.st_dev, found.st_ino) == self._identity:
                return
            text = "was replaced by another file while it was open"
        raise StoreError(
            f"The store {self.path} {text}.", hint="Bring it back, or open the store anew."
        )

    def _alone(self) -> AbstractContextManager[object]:
        if not self.is_network:
            return nullcontext()
        lock = self.path.with_name(self.path.name + ".lock")
        return Sentinel(lock, patience=self._patience)

    def _opened(self) -> sqlite3.Connection:
        folder = self.path.parent
        is_new_folder = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_new_folder:
            folder.chmod(0o700)
        asked = self._asked_file_system
        self.file_system = file_system_of(folder) if asked is None else asked
        _check_own(folder, 0o022)
        _make(self.path)
        connection = sqlite3.connect(
            self.path, timeout=self._patience, isolation_level=None, check_same_thread=True
        )
        try:
            # Only SQLite itself may read the file here: closing it would end the locks that another
            # store of this process has on it. What is no database says so before anything is
            # advised about it.
            connection.execute("PRAGMA schema_version")
            _check_own(self.path, 0o077)
            for setting in (
                "synchronous=FULL", "fullfsync=ON", "foreign_keys=ON", "temp_store=MEMORY",
                "secure_delete=ON",
            ):  # fmt: skip
                connection.execute(f"PRAGMA {setting}")
            self._check_journal(connection)
            self._prepare(connection)
            found = self.path.stat()
            self._identity = (found.st_dev, found.st_ino)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_journal(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode=TRUNCATE").fetchone()[0]
        if mode != "truncate":
            raise StoreError(
                f"The store {self.path} is in journal mode {mode}, which loses logins.",
                hint="Close every program that uses it and try again.",
            )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        with self._alone(), steps.transaction(connection):
            migrate(connection, self.path)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # the caller knows what it means
        except sqlite3.Error as exc:
            # What went wrong may stick to the connection; the next step gets a new one.
            self._close()
            raise self._error(exc) from exc
        except OSError as exc:
            raise StoreError(
                f"The store {self.path} cannot be used: {exc.strerror or type(exc).__name__}.",
                hint="Choose another place with CODEX_NB_STORE, or mend this one.",
            ) from exc

    def _error(self, exc: sqlite3.Error) -> StoreError:
        text = str(exc)
        where = f"The store {self.path}"
        if "locked" in text:
            return StoreError(
                f"{where} was locked by another program for {self._patience:g} s.",
                hint="Close what has it open, or look at it with `codex-nb store doctor`.",
            )
        if "full" in text or "disk I/O" in text:
            return StoreError(
                f"{where} could not be written: {text}.",
                hint="Make room on the disk; nothing that was stored is lost.",
            )
        if "readonly" in text or "read-only" in text or "unable to open" in text:
            return StoreError(
                f"{where} cannot be written: {text}.",
                hint="Give yourself the right to write the file and its folder, or name another "
                "with CODEX_NB_STORE.",
            )
        if "not a database" in text:
            return StoreError(
                f"{self.path} is no store of seeds, or its beginning is damaged.",
                hint="It was left as it is: name another file, or take it back from a backup.",
            )
        if "malformed" in text or "corrupt" in text:
            return StoreError(
                f"{where} is damaged: {text}.",
                hint="It was left as it is: move it away, and take the store back from a backup.",
            )
        return StoreError(
            f"{where} cannot be used: {text}.", hint="Look at it with `codex-nb store doctor`."
        )


def _make(path: Path) -> None:
    """Make an empty file that nobody else can read, and make sure that it stays there."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_own(path: Path, closed_to_others: int) -> None:
    """Refuse what others could change or read.

    A folder may be listed by others: the file in it is sealed, and theirs to read it is not.
    """
    found = path.stat()
    if found.st_uid != os.getuid():
        raise StoreError(
            f"{path} belongs to another user.", hint="Name a place of your own for the store."
        )
    if stat.S_IMODE(found.st_mode) & closed_to_others:
        what, mode = ("write in", "go-w") if path.is_dir() else ("read", "600")
        raise StoreError(
            f"Others can {what} {path}, where logins are to be kept.",
            hint=f"Close it with `chmod {mode} {path}`, or name another place.",
        )


__all__ = ["DatabaseFile"]
