"""A CODEX_HOME that codex has set up once, from which the homes of sessions are copied.

In an empty home codex first makes its databases and unpacks its skills, which takes 0.1 s of every
start; a copy takes a tenth of that. The first one is made by the program itself, offline and before
any session used it, so it holds nothing of a session. It is made anew when the program's file
changes. Nothing depends on it: where it cannot be made or copied, codex sets up its home itself.
Checked against codex 0.142.5, 0.163.0 and 0.169.0.
"""

from __future__ import annotations

import logging
import os
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.codex import cache
from codex_nb.codex.app_server import AppServer
from codex_nb.codex.home import SessionHome
from codex_nb.errors import CodexNBError
from codex_nb.hosts import files

if TYPE_CHECKING:
    from codex_nb.codex.binary import CodexProgram
    from codex_nb.hosts.base import Host

logger = logging.getLogger(__name__)

_LIMIT = 10.0
_KEPT = ("*.sqlite", "*.sqlite-wal", "*.sqlite-shm", "skills", ".*_migration")
"""What is copied: neither settings nor ids, logs, locks or threads."""


async def prime(program: CodexProgram, host: Host, home: SessionHome, *, session: str) -> None:
    """Put what codex would make itself into a home that was laid out and not used yet.

    A home with threads is left alone: codex finds them when it makes its databases. So is a home on
    another machine.

    Args:
        program: The codex program.
        host: Where it runs.
        home: The home of the session.
        session: The session id, which marks the processes that this starts.
    """
    if host.name != "local" or files.exists(f"{home.codex}/sessions"):
        return
    try:
        made = _place(program, host)
        if not made.is_dir():
            await _make(made, program, host, session)
        _copy(made, home.codex)
    except (CodexNBError, OSError) as exc:
        logger.info("no home was copied: %s", type(exc).__name__, extra={"codex_session": session})


def _place(program: CodexProgram, host: Host) -> Path:
    key = cache.program_key(host.name, program.path, files.file_stamp(program.path))
    name = f"{program.version}-{zlib.crc32(key.encode()):08x}"
    return cache.cache_folder() / "homes" / name


async def _make(made: Path, program: CodexProgram, host: Host, session: str) -> None:
    scratch = SessionHome(f"{made}.{os.urandom(6).hex()}")
    try:
        await _set_up(program, host, scratch, session)
        _keep(scratch, made)
    finally:
        files.remove_tree(scratch.folder)


def _keep(scratch: SessionHome, made: Path) -> None:
    kept = Path(scratch.folder, "kept")
    kept.mkdir(mode=0o700)
    for pattern in _KEPT:
        for path in Path(scratch.codex).glob(pattern):
            path.rename(kept / path.name)
    with suppress(OSError):  # another session was faster
        kept.rename(made)


def _copy(made: Path, target: str) -> None:
    # Without times and attributes, which nobody needs, this takes half as long.
    shutil.copytree(made, target, copy_function=shutil.copyfile, dirs_exist_ok=True)


async def _set_up(program: CodexProgram, host: Host, home: SessionHome, session: str) -> None:
    """Have codex start once in this home, up to the point where its skills are there."""
    await home.lay_out(host, config={})
    server = await AppServer.start(
        host,
        program,
        cwd=home.folder,
        env=home.environment(os.environ, {}, program, session=session, offline=True),
        start_timeout=_LIMIT,
        client_version="",
    )
    try:
        await server.request("skills/list", {}, timeout=_LIMIT)
    finally:
        await server.close()
