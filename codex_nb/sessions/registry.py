"""The registry of sessions: one folder each, and nothing else to keep in step.

A session runs when the process that `host.json` names is alive and was born when the file says so.
Whoever meets an entry whose host is gone sweeps it: ends what codex left, removes what must not
stay, and keeps the log.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.codex.home import SessionHome
from codex_nb.codex.sandbox import Leftovers
from codex_nb.errors import SessionError
from codex_nb.sessions.processes import is_alive, kill_marked_processes
from codex_nb.sessions.roots import make_private
from codex_nb.sessions.sockets import remove_sockets
from codex_nb.sessions.spare import order_of, start_process, take_spare

if TYPE_CHECKING:
    from datetime import timedelta

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.sessions.spec import SessionSpec

ENTRY = "host.json"
SOCKET = "host.sock"
EVENTS = "events.jsonl"
HOST_LOG = "host.log"

HOST_IS_GONE: JsonObject = {
    "message": "The session host was ended from outside.",
    "hint": "Send again to go on with the same thread.",
    "kind": "ended",
}
"""The error of whatever a session host had under way when it was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """What the registry knows of one session.

    Attributes:
        folder: The session folder.
        id: Session id.
        name: What a person calls it.
        cwd: The folder that codex works in.
        notebook: Path of the notebook that asked for it, or "".
        host: Name of the host that codex runs on.
        status: As in the transcript's session.
        waiting: Approvals that nobody has answered.
        turn_started_at: When the running turn began, in Unix seconds; None when none runs.
        thread_id: The thread, or "" before there is one.
        pid: Process id of the session host.
        birth: When that process was born, as `birth_of` tells.
        created_at: Unix seconds.
        ended: Why it ended: "" while it runs, "closed" by a person, "idle", or "failed".
        fixed: The options that stay as they were at the start, as `SessionSpec.fixed` tells.
        leftovers: What the sandbox may leave in writable folders, for a sweep after a crash.
        model: The model that was chosen for it, or "" for codex's own default.
        effort: The reasoning effort that was chosen, or "".
    """

    folder: str
    id: str
    name: str
    cwd: str
    notebook: str = ""
    host: str = ""
    status: str = "starting"
    waiting: int = 0
    turn_started_at: float | None = None
    thread_id: str = ""
    pid: int = 0
    birth: str = ""
    created_at: float = 0.0
    ended: str = ""
    fixed: dict[str, object] = field(default_factory=dict)
    leftovers: str = ""
    model: str = ""
    effort: str = ""

    @property
    def is_running(self) -> bool:
        """Whether its session host lives."""
        return not self.ended and is_alive(self.pid, self.birth)

    @property
    def socket(self) -> Path:
        """Where its session host listens."""
        return Path(self.folder, SOCKET)

    @property
    def events(self) -> Path:
        """Its log."""
        return Path(self.folder, EVENTS)

    @property
    def has_rollout(self) -> bool:
        """Whether codex wrote its thread down; without a turn it has not, and cannot resume it."""
        return any(Path(self.folder, "codex", "sessions").rglob("rollout-*.jsonl"))


def write_entry(entry: SessionEntry) -> None:
    """Write the entry of a session atomically."""
    target = Path(entry.folder, ENTRY)
    scratch = target.with_suffix(f".{os.getpid()}")
    values = asdict(entry)
    del values["folder"]
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(values, file)
    scratch.replace(target)


def read_entry(folder: Path) -> SessionEntry | None:
    """The entry of a session folder; None when there is none that can be read."""
    try:
        values = json.loads(folder.joinpath(ENTRY).read_bytes())
        return SessionEntry(folder=str(folder), **values)
    except (OSError, ValueError, TypeError):
        return None


def list_sessions(*roots: Path) -> list[SessionEntry]:
    """All sessions below the roots, the oldest first; stale ones are swept on the way.

    A root of somebody else is left out: its entries would tell this user what to remove.
    """
    entries = []
    for root in dict.fromkeys(roots):
        with suppress(OSError):
            if root.stat().st_uid != os.getuid():
                continue
            for folder in root.iterdir():
                entry = read_entry(folder)
                if entry is not None:
                    entries.append(entry if entry.ended else swept(entry))
    return sorted(entries, key=lambda entry: entry.created_at)


def swept(entry: SessionEntry) -> SessionEntry:
    """The entry as it is or, if its host is gone without a word, after the clean-up it owed."""
    if entry.is_running:
        return entry
    fresh = read_entry(Path(entry.folder)) or entry
    if fresh.ended or fresh.is_running:
        return fresh
    entry = replace(fresh, ended="failed", status="failed", waiting=0, turn_started_at=None)
    kill_marked_processes(entry.id)
    if entry.leftovers:
        Leftovers.from_json(entry.leftovers).remove_now()
    entry.socket.unlink(missing_ok=True)
    remove_sockets(entry.folder)
    SessionHome(entry.folder).prune_now()
    write_entry(entry)
    return entry


def forget_older_than(age: timedelta, *roots: Path) -> None:
    """Delete the folders of sessions that ended longer ago than `age`. Zero keeps them for ever."""
    limit = time.time() - age.total_seconds()
    if not age:
        return
    for entry in list_sessions(*roots):
        if entry.ended and Path(entry.folder, ENTRY).stat().st_mtime < limit:
            shutil.rmtree(entry.folder, ignore_errors=True)


def spawn(spec: SessionSpec, root: Path, *, timeout: timedelta) -> SessionEntry:
    """Start a session host and return when it listens.

    The host is no child of this process and outlives it. Blocks for about 0.1 s, or less when a
    spare process is ready.

    Raises:
        SessionError: The host did not come up; the message holds its last words.
    """
    make_private(root)
    folder = root / spec.id
    make_private(folder)
    order = order_of(folder, spec.to_json())
    spare = take_spare()
    # A spare one may have ended just now, or by an accident; a fresh one can tell why it does.
    if spare is None or _status_of(spare, order, timeout) != 0:
        log = os.open(folder / HOST_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            status = _status_of(start_process(str(folder), log=log), order, timeout)
        finally:
            os.close(log)
        if status != 0:
            words = folder.joinpath(HOST_LOG).read_text(errors="replace").strip().splitlines()
            raise SessionError(
                f"The session host ended at its start: {words[-1] if words else status}.",
                hint=f"The whole of its output is in {folder / HOST_LOG}.",
            )
    entry = read_entry(folder)
    if entry is None:
        raise SessionError(
            f"The session host wrote no {ENTRY} to {folder}.",
            hint="Look whether the disk is full.",
        )
    return entry


def _status_of(process: subprocess.Popen[bytes], order: bytes, timeout: timedelta) -> int:
    """Give a process its order, and wait until it has detached the session host, or ended."""
    try:
        with process:
            process.communicate(order, timeout=timeout.total_seconds())
    except subprocess.TimeoutExpired as exc:
        process.kill()
        raise SessionError(
            f"The session host did not listen within {timeout.total_seconds():g} s.",
            hint="Raise CodexNB.start_timeout, or look at the load of this machine.",
        ) from exc
    return process.returncode
